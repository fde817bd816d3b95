"""One value of a profile against its `Key`: type, range, choices. It knows no lines and no other values."""

from __future__ import annotations

import datetime
import math
import re
import shlex
import unicodedata
from dataclasses import dataclass

from core.i18n import _
from core.plain import plain
from core.profile.key import KIND_NAMES, Key, describe_range, describe_values
from core.profile.lines import KeyPath
from core.profile.reference import nearest

_LONGEST_SHOWN = 40
_LONGEST_NUMBER_BITS = 128
_HIGHEST_ROW = 1_000_000_000
_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a value, before it has a line."""

    path: KeyPath
    """Where inside the value: `(1,)` for a list's second element; () for the value itself."""
    message: str
    """As in `Problem`."""
    hint: str
    """As in `Problem`."""


def shown_name(path: KeyPath) -> str:
    """A key's path as people read it, safe to print: `data.tasks[1].weight`."""
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return plain(name if len(name) <= _LONGEST_SHOWN * 2 else name[: _LONGEST_SHOWN * 2] + "…")


def shown_value(value: object) -> str:
    """A value as people read it, short and safe to print."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return plain('"' + (value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…") + '"')
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER_BITS:
        # Python refuses to write out an integer of thousands of digits.
        return _("a number of {count} bits").format(count=value.bit_length())
    if isinstance(value, (int, float)):
        return str(value)
    return _type_name(value)


def convert_value(key: Key, value: object, name: str) -> tuple[object, list[Fault]]:
    """The value as the schema holds it, and what is wrong with it.

    Args:
        key: its description; of any kind but `tasks`.
        value: as tomllib gives it.
        name: the key as shown: `data.tasks[1].weight`.
    """
    match key.kind:
        case "text":
            return value, _check_text(key, value, name)
        case "integer":
            return value, _check_integer(key, value, name)
        case "integer or all":
            return value, [] if value == "all" else _check_integer(key, value, name)
        case "number":
            faults = _check_number(key, value, name)
            return value if faults else float(value), faults  # type: ignore[arg-type]
        case "list of texts":
            if not isinstance(value, (list, tuple)):
                return value, [_wrong_type(key, value, name)]
            faults = []
            for index, element in enumerate(value):
                for fault in _check_text(key, element, f"{name}[{index}]"):
                    faults.append(Fault((index,), fault.message, fault.hint))
            return tuple(value), faults
        case "list of rows":
            if not isinstance(value, (list, tuple)):
                return value, [_wrong_type(key, value, name)]
            checked = [_check_rows(key, element, f"{name}[{index}]") for index, element in enumerate(value)]
            return tuple(value), [Fault((at,), *found) for at, found in enumerate(checked) if found is not None]
        case _:
            raise ValueError(key.kind)


def _check_text(key: Key, value: object, name: str) -> list[Fault]:
    if not isinstance(value, str):
        if key.kind == "list of texts":
            message = _("{name} must be text, not {found}").format(name=name, found=_type_name(value))
            return [Fault((), message, _('Text stands between quotes: "…".'))]
        return [_wrong_type(key, value, name)]
    if key.choices and not any(_is_choice(value, choice) for choice in key.choices):
        near = nearest(value, key.choices)
        hint = _("It may be: {choices}.").format(choices=describe_range(key))
        if near is not None:
            hint = _("Did you mean {near}?").format(near=f'"{near}"') + " " + hint
        message = _("{name} can't be {value}").format(name=name, value=shown_value(value))
        return [Fault((), message, hint)]
    if not key.may_be_empty and not value.strip():
        return [Fault((), _("{name} is empty").format(name=name), _("Write something, or leave the key out."))]
    bad = next((character for character in value if _is_forbidden(character, key.may_have_lines)), None)
    if bad is not None:
        message = _("{name} holds the control character U+{code}").format(name=name, code=f"{ord(bad):04X}")
        return [Fault((), message, _("Take it out."))]
    return _check_command(value, name) if key.is_command else []


def _check_rows(key: Key, value: object, name: str) -> tuple[str, str] | None:
    """What is wrong with a row number, a range or a kind of problem, and how to mend it."""
    if isinstance(value, str):
        if value in key.choices:
            return None
        if len(value) <= _LONGEST_SHOWN and (found := _RANGE.fullmatch(value)):
            if int(found[1]) <= int(found[2]):
                return None
            return _("{name} ends before it begins").format(name=name), _('A range is written "100-120".')
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST_ROW:
        return None
    if isinstance(value, str) and value.isdecimal():
        hint = _("Leave out the quotes.")
    else:
        hint = _("It may be: {choices}.").format(choices=describe_values(key))
        near = nearest(value, key.choices) if isinstance(value, str) else None
        if near is not None:
            hint = _("Did you mean {near}?").format(near=f'"{near}"') + " " + hint
    return _("{name} can't be {value}").format(name=name, value=shown_value(value)), hint


def _check_command(value: str, name: str) -> list[Fault]:
    try:
        words = shlex.split(value)
    except ValueError:
        message = _("{name} ends inside quotation marks or after a backslash").format(name=name)
        return [Fault((), message, _("Every quotation mark needs its partner, every backslash a character."))]
    if words and not words[0].strip():
        return [Fault((), _("{name} names no program").format(name=name), _("The first word is the program."))]
    return []


def _is_choice(value: str, choice: str) -> bool:
    if choice.endswith(":N"):
        return re.fullmatch(re.escape(choice[:-1]) + r"[0-9]{1,3}", value) is not None
    return value == choice


def _is_forbidden(character: str, may_have_lines: bool) -> bool:
    """Controls and unpaired surrogates: neither can be written to every file and terminal."""
    if may_have_lines and character in "\n\t":
        return False
    return unicodedata.category(character) in ("Cc", "Cs")


def _check_integer(key: Key, value: object, name: str) -> list[Fault]:
    if isinstance(value, bool) or not isinstance(value, int):
        return [_wrong_type(key, value, name)]
    return _check_bounds(key, value, name)


def _check_number(key: Key, value: object, name: str) -> list[Fault]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return [_wrong_type(key, value, name)]
    if isinstance(value, float) and not math.isfinite(value):
        message = _("{name} must be a finite number, not {value}").format(name=name, value=value)
        return [Fault((), message, _("It may be: {choices}.").format(choices=describe_range(key)))]
    return _check_bounds(key, value, name)


def _check_bounds(key: Key, value: int | float, name: str) -> list[Fault]:
    # Compared before any conversion: an integer may be too large for a float.
    low, high = key.low, key.high
    too_low = low is not None and (value <= low if key.low_open else value < low)
    too_high = high is not None and (value >= high if key.high_open else value > high)
    if not too_low and not too_high:
        return []
    message = _("{name} can't be {value}").format(name=name, value=shown_value(value))
    return [Fault((), message, _("It may be: {choices}.").format(choices=describe_range(key)))]


def _wrong_type(key: Key, value: object, name: str) -> Fault:
    wanted = _(KIND_NAMES[key.kind])
    if isinstance(value, float) and key.kind.startswith("integer"):
        found = _("one with a decimal point")
    else:
        found = _type_name(value)
    message = _("{name} must be {wanted}, not {found}").format(name=name, wanted=wanted, found=found)
    return Fault((), message, _type_hint(key, value))


def _type_hint(key: Key, value: object) -> str:
    if key.choices and not key.is_list:
        return _("It may be: {choices}.").format(choices=describe_range(key))
    if key.kind == "text":
        return _('Text stands between quotes: "…".')
    if key.is_list:
        example = shown_value(value) if isinstance(value, str) else '"…"'
        return _("Write {example}.").format(example=f"{key.field} = [{example}]")
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]+" if key.kind != "number" else r"[-+.0-9eE]+", value):
        return _("Leave out the quotes.")
    if isinstance(value, float) and value.is_integer():
        return _("Write {example}.").format(example=f"{key.field} = {int(value)}" if abs(value) < 1e15 else key.field)
    if isinstance(value, str) and key.kind == "number":
        return _("A number is written 0.001 or 1e-3.")
    return _("It may be: {choices}.").format(choices=describe_range(key))


def _type_name(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _("text")
    if isinstance(value, int):
        return _("a whole number")
    if isinstance(value, float):
        return _("a number")
    if isinstance(value, (list, tuple)):
        return _("a list")
    if isinstance(value, dict):
        return _("a table")
    if isinstance(value, (datetime.date, datetime.time)):
        return _("a date or time")
    return _("something else")
