"""`--set KEY=VALUE` → key and value. It checks the form alone; the value is checked with the rest of the profile."""

from __future__ import annotations

import tomllib

from core.i18n import _
from core.profile.problem import Problem
from core.profile.reference import KEYS, TABLES, nearest_key
from core.profile.values import shown_name


def parse_override(text: str) -> tuple[tuple[str, str], object] | Problem:
    """The (table, key) and the value, or what is wrong with the form.

    Returns:
        For `data.columns.input=first`, the pair `("data", "columns.input")`.
    """
    name, equals, raw = text.partition("=")
    name = name.strip()
    shown = shown_name((name,))
    if not equals or not name:
        return Problem(
            shown,
            None,
            _("an override is KEY=VALUE, not {text}").format(text=shown_name((text,))),
            _("For example: --set train.epochs=3"),
        )
    if name in TABLES:
        return Problem(
            shown,
            None,
            _("{name} is a table").format(name=shown),
            _("Name a key in it: {name}.KEY=VALUE").format(name=name),
        )
    if name.startswith(("data.tasks.", "data.tasks[")):
        return Problem(
            shown,
            None,
            _("the tasks can be replaced only together"),
            _('For example: --set \'data.tasks=[{name = "row"}, {name = "style", instruction = "…"}]\''),
        )
    if name not in KEYS:
        near = nearest_key(name)
        hint = _("Did you mean {near}?").format(near=near) if near else _("See: poemcore profile keys")
        return Problem(shown, None, _("there is no key {name}").format(name=shown), hint)
    table, _dot, field = name.partition(".")
    return (table, field), _parse_value(raw, is_text=KEYS[name].kind == "text")


def _parse_value(raw: str, *, is_text: bool) -> object:
    """The text as a TOML value; as it stands where it is none, or where the key holds text and the value is none."""
    raw = raw.strip()
    try:
        document = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        return raw
    value: object = document["value"]
    if len(document) > 1 or (is_text and not isinstance(value, str)):
        return raw
    return value
