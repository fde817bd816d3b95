"""What stands under the cursor of someone who is typing a profile: its key, and what could go on from there.

The text is mostly broken while it is being typed, so it is read line by line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.i18n import _
from core.profile.key import Key
from core.profile.page import shown_default
from core.profile.reference import KEYS, TABLES

_HEADER = re.compile(r"\s*\[\[?\s*([\w.]+)\s*\]?\]?")
_PAIR = re.compile(r"\s*([\w.-]+)\s*=")
_WORD = re.compile(r"[\w.:/-]*$")
_HEADERS = ("data.columns", "data.tasks", *TABLES)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that could be typed here."""

    text: str
    """What goes in the place of the word before the cursor."""
    label: str
    """How it is listed."""
    start: int
    """Column where that word begins, from 0."""


def key_at(text: str, line: int) -> str | None:
    """The name of the key that a line (from 0) belongs to; None on a header, a blank line or an unknown key."""
    lines = text.split("\n")
    for number in range(min(line, len(lines) - 1), max(-1, line - 60), -1):
        content = lines[number]
        found = _PAIR.match(content)
        if found:
            return _full_name(found[1], table_at(lines, number))
        if _HEADER.fullmatch(content.split("#")[0].rstrip()) and not content.lstrip().startswith(("[ ", '["')):
            return None
        if not content.strip() or content.lstrip().startswith("#"):
            return None
    return None


def table_at(lines: list[str], line: int) -> str:
    """The table that a line stands in; empty above the first header."""
    for number in range(line, -1, -1):
        found = _HEADER.fullmatch(lines[number].split("#")[0].rstrip())
        if found and "=" not in lines[number]:
            return found[1]
    return ""


def suggestions_at(text: str, line: int, column: int) -> tuple[Suggestion, ...]:
    """What could be typed at a position: values of the key, keys that its table lacks, or headers.

    Args:
        text: the whole text.
        line: from 0.
        column: characters before the cursor.
    """
    lines = text.split("\n")
    before = lines[line][:column] if line < len(lines) else ""
    found = _WORD.search(before)
    word = found[0] if found else ""
    start = column - len(word)
    if before.lstrip().startswith("[") and "=" not in before:
        at = before.index("[")
        typed = before[at:].strip("[ ")
        names = [name for name in _HEADERS if name.startswith(typed)]
        shown = [f"[[{name}]]" if name == "data.tasks" else f"[{name}]" for name in names]
        return tuple(Suggestion(one, one, at) for one in shown)
    pair = _PAIR.match(before)
    table = table_at(lines, line)
    if pair:
        name = _full_name(pair[1], table)
        return _values(KEYS[name], before, word, start) if name in KEYS else ()
    present = {_full_name(match[1], table) for one in _table_lines(lines, line) if (match := _PAIR.match(one))}
    keys = [key for key in KEYS.values() if key.table == table] if table else list(KEYS.values())
    return tuple(
        _key_suggestion(key, key.field if table else key.name, start)
        for key in keys
        if key.name not in present and (key.field if table else key.name).startswith(word)
    )


def _key_suggestion(key: Key, name: str, start: int) -> Suggestion:
    default = shown_default(key) or '""'
    return Suggestion(f"{name} = {default}", f"{name}  {_(key.meaning)}", start)


def _values(key: Key, before: str, word: str, start: int) -> tuple[Suggestion, ...]:
    quoted = before[:start].endswith('"')
    options = [choice for choice in key.choices if choice.startswith(word)]
    if options:
        return tuple(
            Suggestion(f'"{option}"', option, start - 1 if quoted else start)
            for option in options
            if option != "cuda:N"
        )
    default = shown_default(key)
    value_so_far = before.partition("=")[2].strip()
    return (Suggestion(default, default, start),) if default and not value_so_far else ()


def _table_lines(lines: list[str], line: int) -> list[str]:
    """The other lines of the table that a line stands in."""
    first = line
    while first > 0 and not _is_header(lines[first]):
        first -= 1
    last = line + 1
    while last < len(lines) and not _is_header(lines[last]):
        last += 1
    return [lines[number] for number in range(first, last) if number != line]


def _is_header(line: str) -> bool:
    return "=" not in line and _HEADER.fullmatch(line.split("#")[0].rstrip()) is not None


def _full_name(name: str, table: str) -> str:
    return f"{table}.{name}" if table else name
