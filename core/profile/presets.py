"""The profiles that come with poemtui: their names and texts. It reads no other file and checks nothing."""

from __future__ import annotations

from pathlib import Path

import core
from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.profile.reference import nearest

SUFFIX = ".toml"


def preset_names() -> tuple[str, ...]:
    """The shipped profiles' names, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob(f"*{SUFFIX}")))


def preset_text(name: str) -> str:
    """A shipped profile's text, comments and all.

    Raises:
        PoemError: there is none of that name; the hint lists them.
    """
    names = preset_names()
    if name not in names:
        near = nearest(name, names)
        hint = _("Did you mean {near}?").format(near=near) + " " if near else ""
        raise PoemError(
            _("there is no preset {name}").format(name=plain(name)),
            hint=hint + _("The presets are: {names}.").format(names=", ".join(names)),
        )
    return (_folder() / f"{name}{SUFFIX}").read_text(encoding="utf-8")


def _folder() -> Path:
    """Package data in an installed wheel; the repository's own folder in a checkout."""
    package = Path(core.__file__).parent
    installed = package / "presets"
    return installed if installed.is_dir() else package.parent / "profiles"
