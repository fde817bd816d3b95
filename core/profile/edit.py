"""A profile's text with one value changed: every comment, order and blank line stays, one line becomes another."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import PoemError
from core.i18n import _
from core.profile.key import Key
from core.profile.lines import find_lines
from core.profile.syntax import parse_toml

_RATIO_STEP = 0.05
_LONGEST_VALUE_LINES = 40
_SERIES = (1, 2, 5)
_LEAST = 0.001
_POWERS_OF_TWO = ("batch_size", "micro_batch_size", "r", "alpha", "cutoff_len", "max_new_tokens")


def set_value(text: str, key: str, value: Any) -> str:
    """The text with a key set: in its place, or behind the last key of its table, or in a new table at the end.

    Args:
        text: TOML that can be parsed.
        key: `train.epochs`; of a table of its own its name: `data.columns`.
        value: a text, number, list of texts or table of texts.

    Raises:
        PoemError: the text isn't TOML, something else stands where the key's table should, or the value isn't Unicode.
    """
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        hint = _("If it is the name of a file, rename that.")
        raise PoemError(_("this isn't Unicode, and no profile can hold it"), hint=hint, where=key) from None
    table, _dot, field = key.rpartition(".")
    document = _document(text)
    held = document.get(table, {})
    if not isinstance(held, dict):
        raise PoemError(_("{table} is no table here").format(table=table), where=key)
    wanted = {**document, table: {**held, field: value}}
    if document == wanted:
        return text
    for candidate in _candidates(text, table, field, value, is_there=field in held):
        try:
            if tomllib.loads(candidate) == wanted:
                return candidate
        except (ValueError, RecursionError):
            continue
    raise PoemError(_("{key} can't be put into this text").format(key=key), hint=_("Type it in."), where=key)


def _document(text: str) -> dict[str, object]:
    read = parse_toml(text)
    if read.document is None or read.problems:
        problem = read.problems[0]
        raise PoemError(problem.message, hint=problem.hint, where=problem.where)
    return read.document


def _candidates(text: str, table: str, field: str, value: Any, *, is_there: bool) -> Iterator[str]:
    """Texts in which the key may have the value, the best first."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    item = tomlkit.item(value)
    if isinstance(value, Mapping):
        item = tomlkit.inline_table()
        item.update(value)
    if not is_there:
        yield from _with_line(text, table, f"{field} = {item.as_string()}")
    try:
        document: Any = tomlkit.parse(text)
        if is_there and isinstance(document[table][field], tomlkit.items.Table):
            held = document[table][field]
            held.clear()
            held.update(value)
        else:
            document[table][field] = item
        yield tomlkit.dumps(document)
    except (TOMLKitError, RecursionError, ValueError, KeyError, TypeError, AttributeError):
        return


def _with_line(text: str, table: str, line: str) -> Iterator[str]:
    """Texts with a line put in: behind the table's last key, in a new table at the end, or as a dotted key."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = [f"{one}\n" for one in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    known = sorted(
        {number for path, number in find_lines(text).items() if path[:1] == (table,) and len(path) <= 2}, reverse=True
    )
    # The last value may go on for some lines.
    places = [*range(known[0], min(len(lines), known[0] + _LONGEST_VALUE_LINES) + 1), *known[1:]] if known else []

    def put(at: int, shown: str) -> str:
        before, after = "".join(lines[:at]), "".join(lines[at:])
        return f"{before}{shown}{end}{after}" if before[-1:] in ("", "\n") else f"{before}{end}{shown}"

    yield from (put(at, line) for at in places)
    body = text.rstrip()
    yield f"{body}{end}{end}[{table}]{end}{line}{end}" if body else f"[{table}]{end}{line}{end}"
    yield from (put(at, f"{table}.{line}") for at in places)


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


def value_in(text: str, key: Key) -> Any:
    """What a text says a key is, else its default; None of a key that stands in a list of tables or isn't set.

    Raises:
        PoemError: the text isn't TOML.
    """
    from core.profile.reference import default_of

    held: object = _document(text)
    for part in key.name.split("."):
        if not isinstance(held, dict):
            return None
        if part not in held:
            return default_of(key)
        held = held[part]
    return held


def step_value(key: Key, value: Any, direction: int) -> Any:
    """The next value up (1) or down (-1) that a person would try, within the key's range; of a choice the next one.

    Ratios and what sampling goes by stop at each 0.05; rates and other small numbers, and counts, go along 1-2-5;
    batch sizes, ranks and lengths by powers of two; seeds by one.
    """
    if key.kind == "text" and key.choices:
        options = [choice for choice in key.choices if choice != "cuda:N"]
        at = options.index(value) if value in options else -1 if direction > 0 else 0
        return options[(at + direction) % len(options)]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return value
    low = -math.inf if key.low is None else key.low
    high = math.inf if key.high is None else key.high
    if _is_ratio(key):
        turns = round(value / _RATIO_STEP, 6)
        stepped: float = round(_RATIO_STEP * (math.floor(turns) + 1 if direction > 0 else math.ceil(turns) - 1), 10)
    elif key.field in _POWERS_OF_TWO:
        exponent = math.log2(max(1, value))
        stepped = 2.0 ** (math.floor(exponent) + 1 if direction > 0 else math.ceil(exponent) - 1)
    elif key.field == "seed":
        stepped = value + direction
    else:
        stepped = _along_series(value, direction, whole=key.kind != "number", to_zero=low == 0 and not key.low_open)
    if stepped <= low and key.low_open or stepped < low:
        stepped = value if key.low_open else low
    if stepped >= high and key.high_open or stepped > high:
        stepped = value if key.high_open else high
    return round(stepped) if key.kind != "number" else float(stepped)


def _is_ratio(key: Key) -> bool:
    if key.kind != "number" or key.field.endswith(("rate", "epsilon", "decay")):
        return False
    return key.table == "generation" or (key.high is not None and key.high <= 1)


def _along_series(value: float, direction: int, *, whole: bool, to_zero: bool) -> float:
    """The neighbour of a number in … 0.1 0.2 0.5 1 2 5 10 …; whole numbers below 10 go by one.

    Where 0 means something (`to_zero`), it comes before `_LEAST`.
    """
    if whole and (value < 10 or (value == 10 and direction < 0)):
        return value + direction
    if to_zero and not whole and value <= _LEAST:
        return _LEAST if direction > 0 and value < _LEAST else 0.0 if direction < 0 else 2 * _LEAST
    if value <= 0:
        return value
    exponent = math.floor(math.log10(value))
    ladder = [float(f"{digit}e{power}") for power in range(exponent - 1, exponent + 2) for digit in _SERIES]
    if direction > 0:
        return min(rung for rung in ladder if rung > value * (1 + 1e-9))
    return max(rung for rung in ladder if rung < value * (1 - 1e-9))
