"""What a person has set (config.toml) and what the app remembers of the last time (app.json). It knows no widget."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import PoemError
from core.i18n import LANGUAGES, _
from core.paths import path_of, refuse_pipe

_STATE_FILE = "app.json"
_LARGEST_BYTES = 8_000_000  # a profile that isn't saved is in it, as it is and as it was
_MODIFIERS = ("ctrl", "shift", "alt", "super", "hyper", "meta")
LAYOUTS = ("auto", "tabs")


@dataclass(frozen=True, slots=True)
class Settings:
    """The person's own `config.toml`."""

    path: Path
    """Where it is, or would be."""
    theme: str = ""
    """A theme's name; empty: the one of the last time, else the dark one."""
    lang: str = ""
    """One of `LANGUAGES`; empty: the locale's."""
    layout: str = "auto"
    """One of `LAYOUTS`."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Binding id → its keys, separated by commas; empty: those that it has anyway."""
    wrong_keys: Mapping[str, str] = field(default_factory=dict)
    """Binding id → what was to be its keys and names none."""


def settings_path() -> Path:
    """`$POEMTUI_CONFIG`, else `config.toml` where the system keeps this user's settings."""
    named = os.environ.get("POEMTUI_CONFIG")
    if named:
        return path_of(named)
    import platformdirs

    return platformdirs.user_config_path("poemtui") / "config.toml"


def read_settings(path: Path) -> Settings:
    """The settings; all defaults where there is no such file.

    Raises:
        PoemError: it can't be read, or something in it is none of these.
    """
    refuse_pipe(path)
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_BYTES)
    except FileNotFoundError:
        return Settings(path)  # most often, and tomllib takes a while to load
    except OSError as error:
        raise _unreadable(path, error) from None
    import tomllib

    try:
        document = tomllib.loads(text.decode("utf-8"))
    except ValueError as error:
        raise _unreadable(path, error) from None
    keys = document.pop("keys", {})
    known: dict[str, tuple[str, ...]] = {"theme": (), "lang": LANGUAGES, "layout": LAYOUTS}
    for name, value in document.items():
        if name not in known:
            raise _wrong(path, _("there is no setting {name}").format(name=name), (*known, "[keys]"))
        if not isinstance(value, str) or (known[name] and value not in known[name]):
            raise _wrong(path, _("{name} can't be {value}").format(name=name, value=value), known[name])
    if not isinstance(keys, dict) or not all(isinstance(value, str) and value for value in keys.values()):
        raise _wrong(path, _("[keys] holds something other than texts"), ('"data.search" = "ctrl+f"',))
    wrong = _without_key(keys)
    return Settings(path, keys={**keys, **dict.fromkeys(wrong, "")}, wrong_keys=wrong, **document)


def _without_key(keys: Mapping[str, str]) -> Mapping[str, str]:
    """Those of a person's own keys that name none."""
    if not keys:
        return {}
    return {name: value for name, value in keys.items() if not all(map(is_key, value.split(",")))}


@cache
def key_names() -> frozenset[str]:
    """What Textual calls keys, those of ASCII characters among them.

    Its own list is read without loading Textual itself, which looks at the environment once, at its import.
    """
    import runpy
    from importlib.util import find_spec

    found = find_spec("textual")
    folders = found.submodule_search_locations if found is not None else None
    names = runpy.run_path(str(Path((folders or [""])[0]) / "keys.py"))
    listed = {key.value for key in names["Keys"]}
    characters = {names["_character_to_key"](chr(code)) for code in range(ord(" "), ord("~") + 1)}
    return frozenset(name for name in listed | characters if not name.startswith("<"))


def is_key(name: str) -> bool:
    """Whether a name is that of a key: a character or one of `key_names`, with modifiers before it or without."""
    *modifiers, key = name.strip().split("+") if len(name.strip()) > 1 else (name.strip(),)
    if not all(modifier in _MODIFIERS for modifier in modifiers) or len(modifiers) > len(set(modifiers)):
        return False
    if "ctrl" in modifiers and key.isupper():  # a terminal sends the small one
        return False
    return name.strip() in key_names() or key in key_names() or (len(key) == 1 and key.isprintable())


def _unreadable(path: Path, error: Exception) -> PoemError:
    message = _("can't read the settings: {reason}").format(reason=error)
    return PoemError(message, hint=_("Mend the file, or remove it."), where=str(path))


def _wrong(path: Path, message: str, known: tuple[str, ...]) -> PoemError:
    hint = _("It may be: {names}").format(names=", ".join(known)) if known else ""
    return PoemError(message, hint=hint, where=str(path))


def read_state(directory: Path) -> dict[str, Any]:
    """What the app remembers; nothing where that is lost or damaged, which is no harm."""
    path = directory / _STATE_FILE
    try:
        refuse_pipe(path)
        with path.open("rb") as file:
            state = json.loads(file.read(_LARGEST_BYTES))
    except (PoemError, OSError, ValueError, RecursionError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(directory: Path, state: Mapping[str, Any]) -> None:
    """Remember it.

    Raises:
        PoemError: it can't be written.
    """
    from core.runs.storage import write_json

    write_json(directory / _STATE_FILE, state)
