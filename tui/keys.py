"""The keys of the app, gathered from the bindings themselves: for the help screen, the palette and docs/keys.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode
from textual.screen import Screen

from core.i18n import N_, _

_NAMES = {
    "slash": "/", "question_mark": "?", "plus": "+", "minus": "-", "comma": ",", "full_stop": ".", "space": "space",
    "left_square_bracket": "[", "right_square_bracket": "]", "less_than_sign": "<", "greater_than_sign": ">",
    "equals_sign": "=", "underscore": "_", "colon": ":", "semicolon": ";", "escape": "esc", "pageup": "pgup",
    "pagedown": "pgdn", "up": "↑", "down": "↓", "left": "←", "right": "→",
}  # fmt: skip


class KeyHelp(NamedTuple):
    """One action that has a key."""

    id: str
    """Its binding's id, by which `[keys]` of config.toml gives it other keys."""
    keys: str
    """Its keys as a person reads them."""
    description: str
    """What it does, in the language in use."""
    action: str
    """What Textual calls it."""


TEXTUALS_OWN = (N_("palette"),)
"""Descriptions of keys that Textual itself binds and the footer shows."""


def key_name(key: str) -> str:
    """A key as a person reads it: ctrl+s → ^s."""
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+")
    return _NAMES.get(key, key.upper() if key[0] == "f" and key[1:].isdecimal() else key)


def keys_of(cls: type[DOMNode], changed: Mapping[str, str] | None = None) -> Iterator[KeyHelp]:
    """What a class itself binds under an id, `changed` keys in the place of its own."""
    for item in cls.__dict__.get("BINDINGS", ()):
        if isinstance(item, Binding) and item.id:
            keys = (changed or {}).get(item.id) or item.key
            shown = " ".join(key_name(key.strip()) for key in keys.split(",") if key.strip())
            yield KeyHelp(item.id, shown, _(item.description), item.action)


def binding_ids(classes: Iterable[type[DOMNode]]) -> frozenset[str]:
    """The ids of every binding of some classes."""
    return frozenset(help_.id for cls in classes for help_ in keys_of(cls))


def in_language(bindings: Mapping[str, ActiveBinding]) -> dict[str, ActiveBinding]:
    """The same bindings, described in the language in use; only marked texts have a translation."""
    return {key: active._replace(binding=_translated(active.binding)) for key, active in bindings.items()}


def _translated(binding: Binding) -> Binding:
    group = replace(binding.group, description=_(binding.group.description)) if binding.group else None
    return replace(binding, description=_(binding.description), group=group)


class WorkScreen(Screen[None]):
    """A screen whose footer is in the language in use."""

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that do something now."""
        return in_language(super().active_bindings)
