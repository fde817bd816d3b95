"""A profile's text with one value changed: every comment, order and blank line stays, one line becomes another."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from typing import Any

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.profile.key import Key
from core.profile.lines import find_lines

_RATIO_STEP = 0.05
_SERIES = (1, 2, 5)


def set_value(text: str, key: str, value: Any) -> str:
    """The text with a key set: in its place, or behind the last key of its table, or in a new table at the end.

    Args:
        text: TOML that can be parsed.
        key: `train.epochs`; of a table of its own its name: `data.columns`.
        value: a text, number, list of texts or table of texts.

    Raises:
        PoemError: the text isn't TOML, or something else stands where the key's table should.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    table, _dot, field = key.rpartition(".")
    try:
        before = tomllib.loads(text)
        document = tomlkit.parse(text)
    except (ValueError, RecursionError, TOMLKitError) as error:
        raise PoemError(
            _("the profile isn't TOML as it stands: {reason}").format(reason=plain(str(error))),
            hint=_("Mend that first."),
            where=key,
        ) from None
    wanted = _with(before, table, field, value)
    if field in before.get(table, {}):
        document[table][field] = value
        changed = tomlkit.dumps(document)
        if tomllib.loads(changed) == wanted:
            return changed
    item = tomlkit.item(value)
    if isinstance(value, Mapping):
        item = tomlkit.inline_table()
        item.update(value)
    line = f"{field} = {item.as_string()}"
    for candidate in _candidates(text, table, line):
        try:
            if tomllib.loads(candidate) == wanted:
                return candidate
        except ValueError:
            continue
    raise PoemError(_("{key} can't be put into this text").format(key=key), hint=_("Type it in."), where=key)


def _with(document: Mapping[str, Any], table: str, field: str, value: Any) -> dict[str, Any]:
    held = document.get(table, {})
    if not isinstance(held, dict):
        raise PoemError(_("{table} is no table here").format(table=table), where=table)
    return {**document, table: {**held, field: value}}


def _candidates(text: str, table: str, line: str) -> list[str]:
    """Texts with the line put in at places where it may belong, the best first."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(end)
    places = find_lines(text)
    known = sorted({number for path, number in places.items() if path[:1] == (table,) and len(path) <= 2}, reverse=True)
    found = []
    if known:
        last = known[0]
        found = [[*lines[:at], line, *lines[at:]] for one in known for at in range(one, min(len(lines), one + 40) + 1)]
        dotted = f"{table}.{line}"
        found += [[*lines[:at], dotted, *lines[at:]] for at in (last, 0)]
    body = text.rstrip()
    whole = f"{body}{end}{end}[{table}]{end}{line}{end}" if body else f"[{table}]{end}{line}{end}"
    return [*(end.join(one) for one in found), whole]


def changed_lines(before: str, after: str) -> tuple[int, int, list[str]]:
    """What to replace to get from one text to the other: first line and end line (from 0, end excluded), new lines."""
    old, new = before.split("\n"), after.split("\n")
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return start, len(old) - end, new[start : len(new) - end]


def step_value(key: Key, value: Any, direction: int) -> Any:
    """The next value up (1) or down (-1) that a person would try, within the key's range; of a choice the next one.

    Ratios go by 0.05; rates and other small numbers, and counts, along 1-2-5; batch sizes and ranks by powers of two.
    """
    if key.choices:
        options = [choice for choice in key.choices if choice != "cuda:N"]
        at = options.index(value) if value in options else -direction
        return options[(at + direction) % len(options)]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    low = -math.inf if key.low is None else key.low
    high = math.inf if key.high is None else key.high
    if key.kind == "number" and low >= 0 and high <= 2 and not key.name.endswith(("rate", "epsilon", "decay")):
        stepped: float = round(value + direction * _RATIO_STEP, 10)
    elif key.field in ("batch_size", "micro_batch_size", "r", "alpha", "cutoff_len"):
        exponent = math.log2(max(1, value))
        below, above = math.ceil(exponent) - 1, math.floor(exponent) + 1
        stepped = 2.0 ** (above if direction > 0 else below)
    else:
        stepped = _along_series(value, direction, whole=key.kind != "number")
    if stepped <= low and key.low_open or stepped < low:
        stepped = value if key.low_open else low
    if stepped >= high and key.high_open or stepped > high:
        stepped = value if key.high_open else high
    return round(stepped) if key.kind != "number" else float(stepped)


def _along_series(value: float, direction: int, *, whole: bool) -> float:
    """The neighbour of a number in … 0.1 0.2 0.5 1 2 5 10 …; whole numbers below 10 go by one."""
    if whole and (value < 10 or (value == 10 and direction < 0)):
        return value + direction
    if value <= 0:
        return 0.0 if direction < 0 else 1e-5
    exponent = math.floor(math.log10(value))
    ladder = [float(f"{digit}e{power}") for power in range(exponent - 1, exponent + 2) for digit in _SERIES]
    if direction > 0:
        return min(rung for rung in ladder if rung > value * (1 + 1e-9))
    return max(rung for rung in ladder if rung < value * (1 - 1e-9))
