"""What stands under the cursor of someone who is typing a profile: its key, and what could go on from there.

The text is mostly broken while it is being typed, so it is read line by line.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from core.i18n import _
from core.profile.key import Key
from core.profile.page import shown_default
from core.profile.reference import DERIVED, KEYS, TABLES

_HEADER = re.compile(r"\s*\[\[?\s*([\w.-]+)\s*\]?\]?\s*")
_PAIR = re.compile(r"\s*([\w.-]+)\s*=")
_WORD = re.compile(r"[\w.:/-]*$")
_REST_OF_NAME = re.compile(r"[\w.-]*\s*=")
_HEADERS = ("data.columns", "data.tasks", *TABLES)
_LONGEST_VALUE_LINES = 60
_EMPTY = '""'


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that could be typed here."""

    text: str
    """What goes in the place of the word at the cursor."""
    label: str
    """How it is listed."""
    start: int
    """Column where that word begins, from 0."""
    end: int
    """Column behind it."""


def key_at(text: str, line: int) -> str | None:
    """The name of the key that a line (from 0) belongs to; None on a header, a blank line or an unknown key."""
    lines = text.split("\n")
    line = min(line, len(lines) - 1)
    if not lines[line].strip():
        return None
    for number in range(line, max(-1, line - _LONGEST_VALUE_LINES), -1):
        found = _PAIR.match(lines[number])
        if found:
            name = _full_name(found[1], table_at(lines, number))
            known = name in KEYS or name in DERIVED
            return name if known and (number == line or _goes_on(lines[number:line])) else None
        if _header_of(lines[number]) is not None:
            return None
    return None


def _goes_on(lines: list[str]) -> bool:
    """Whether a value that begins on the first of these lines isn't at its end after the last."""
    try:
        tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return True
    return False


def table_at(lines: list[str], line: int) -> str:
    """The table that a line stands in; empty above the first header."""
    for number in range(line, -1, -1):
        found = _header_of(lines[number])
        if found is not None:
            return found
    return ""


def suggestions_at(text: str, line: int, column: int) -> tuple[Suggestion, ...]:
    """What could be typed at a position: values of the key, keys that its table lacks, or headers.

    Args:
        text: the whole text.
        line: from 0.
        column: characters before the cursor.
    """
    lines = text.split("\n")
    whole = lines[line].rstrip("\r") if line < len(lines) else ""
    before, after = whole[:column], whole[column:]
    found = _WORD.search(before)
    word = found[0] if found else ""
    start = len(before) - len(word)
    pair = _PAIR.match(before)
    if _is_comment(before):
        return ()
    if before.lstrip().startswith("[") and not pair:
        return _headers(before, after)
    table = table_at(lines, line)
    if pair:
        name = _full_name(pair[1], table)
        return _values(KEYS[name], before, after, start) if name in KEYS else ()
    if before.strip() != word or (_PAIR.match(whole) is None and key_at(text, line) is not None):
        return ()  # inside a value
    present = {_full_name(match[1], table) for one in _table_lines(lines, line) if (match := _PAIR.match(one))}
    keys = [key for key in KEYS.values() if key.table == table] if table else list(KEYS.values())
    return tuple(
        _key_suggestion(key, key.field if table else key.name, before, after)
        for key in keys
        if key.name not in present and (key.field if table else key.name).startswith(word)
    )


def _headers(before: str, after: str) -> tuple[Suggestion, ...]:
    at = before.index("[")
    typed = before[at:].strip("[ ")
    end = len(before) + len(after) - len(after.lstrip("]"))
    shown = [f"[[{name}]]" if name == "data.tasks" else f"[{name}]" for name in _HEADERS if name.startswith(typed)]
    return tuple(Suggestion(one, one, at, end) for one in shown)


def _key_suggestion(key: Key, name: str, before: str, after: str) -> Suggestion:
    found = _WORD.search(before)
    start = len(before) - len(found[0] if found else "")
    label = f"{name}  {_(key.meaning)}"
    rest = _REST_OF_NAME.match(after)
    if rest:  # the name is being changed, its value stays
        return Suggestion(f"{name} =", label, start, len(before) + rest.end())
    return Suggestion(f"{name} = {shown_default(key) or _EMPTY}", label, start, len(before))


def _values(key: Key, before: str, after: str, start: int) -> tuple[Suggestion, ...]:
    word = before[start:]
    quoted = before[:start].endswith('"')
    begin = start - 1 if quoted else start
    end = len(before) + (1 if quoted and after.startswith('"') else 0)
    value_so_far = before.partition("=")[2].strip()
    options = [choice for choice in key.choices if choice.startswith(word) and choice != "cuda:N"]
    if options:
        is_bare_list = key.kind == "list of texts" and not value_so_far.startswith("[")
        shown = [f'["{option}"]' if is_bare_list else f'"{option}"' for option in options]
        return tuple(Suggestion(text, option, begin, end) for text, option in zip(shown, options, strict=True))
    default = shown_default(key)
    empty = not value_so_far and not after.strip()
    return (Suggestion(default, default, start, len(before)),) if default and empty else ()


def _is_comment(before: str) -> bool:
    """Whether a comment has begun by the end of this; a # between quotes begins none."""
    without_texts = re.sub(r'"(?:\\.|[^"\\])*"|\'[^\']*\'', "", before)
    at = without_texts.find("#")
    return at >= 0 and '"' not in without_texts[:at] and "'" not in without_texts[:at]


def _table_lines(lines: list[str], line: int) -> list[str]:
    """The other lines of the table that a line stands in."""
    first = line
    while first > 0 and _header_of(lines[first]) is None:
        first -= 1
    last = line + 1
    while last < len(lines) and _header_of(lines[last]) is None:
        last += 1
    return [lines[number] for number in range(first, last) if number != line]


def _header_of(line: str) -> str | None:
    """The table that a line begins, perhaps half typed; None where it begins none."""
    found = _HEADER.fullmatch(line.split("#")[0]) if "[" in line else None
    return found[1] if found else None


def _full_name(name: str, table: str) -> str:
    return f"{table}.{name}" if table else name
