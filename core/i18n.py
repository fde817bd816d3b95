"""The language of what people read: gettext catalogues in `core/locale`, chosen by `--lang` or the locale.

`_` translates at the moment of use. `N_` marks a string that is defined at module scope and translated later.
"""

from __future__ import annotations

import gettext
import os
from pathlib import Path

LANGUAGES = ("en", "zh-Hans", "zh-Hant")
_LOCALE_DIR = Path(__file__).parent / "locale"
_TRADITIONAL_REGIONS = ("tw", "hk", "mo", "hant")

_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def _(message: str) -> str:
    """The message in the language in use; the message itself where the catalogue lacks it."""
    return _catalogue.gettext(message) if message else message


def N_(message: str) -> str:
    """The message unchanged: a mark for the catalogue extractor."""
    return message


def language_of(locale_name: str) -> str:
    """The one of `LANGUAGES` that serves a POSIX locale name (`zh_TW.UTF-8` → `zh-Hant`); `en` for any other."""
    parts = locale_name.split(".")[0].split("@")[0].replace("-", "_").lower().split("_")
    if parts[0] != "zh":
        return "en"
    if "hans" in parts:
        return "zh-Hans"
    return "zh-Hant" if any(part in _TRADITIONAL_REGIONS for part in parts[1:]) else "zh-Hans"


def use(language: str | None = None) -> str:
    """Switch to `language` (one of `LANGUAGES`), or to the locale's where it is None; return the one in use.

    argparse and child processes follow, by way of gettext's own domain and the variable LANGUAGE.
    """
    global _catalogue
    if language is None:
        names = (os.environ.get(key, "") for key in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"))
        language = language_of(next((name for name in names if name), "").split(":")[0])
    os.environ["LANGUAGE"] = language.replace("-", "_")
    gettext.bindtextdomain("poemtui", str(_LOCALE_DIR))
    gettext.textdomain("poemtui")
    _catalogue = gettext.translation("poemtui", _LOCALE_DIR, languages=[os.environ["LANGUAGE"]], fallback=True)
    return language
