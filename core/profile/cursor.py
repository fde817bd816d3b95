"""What stands under the cursor of someone who is typing a profile: its key, and what could go on from there.

The text is mostly broken while it is being typed, so it is read line by line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.i18n import _
from core.profile.key import Key
from core.profile.page import shown_default
from core.profile.reference import DERIVED, KEYS, TABLES, default_of

_HEADER = re.compile(r"\s*\[\[?\s*([\w.-]+)\s*\]?\]?\s*")
_PAIR = re.compile(r"""\s*["']?([\w.-]+)["']?\s*=\s*""")
_WORD_BEFORE = re.compile(r"[\w.:/-]*$")
_WORD_AFTER = re.compile(r"[\w.:/-]*")
_BARE = re.compile(r"\s*([\w.-]+)\s*")
_VALUE = re.compile(r'"[^"]*"?|[\w.:/-]*')
_TOKEN = re.compile(r"""\"{3}|'{3}|"(?:[^"\\]|\\.)*"|'[^']*'|#""")
_CLOSED = re.compile(r"""\"(?:[^"\\]|\\.)*"|'[^']*'|#.*""")
_INSIDE = '"'
_HEADERS = ("data.columns", "data.tasks", *TABLES)
_LONGEST_VALUE_LINES = 60


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that could be typed here."""

    text: str
    """What goes in the place of what stands from `start` to `end`."""
    label: str
    """How it is listed."""
    start: int
    """Column where what it replaces begins, from 0."""
    end: int
    """Column behind that."""


def key_at(text: str, line: int) -> str | None:
    """The name of the key that a line (from 0) belongs to; None where there is none."""
    lines = _lines(text)
    at = min(line, len(lines) - 1)
    alone = _BARE.fullmatch(lines[at])
    if alone:
        return _known(_full_name(alone[1], table_at(lines, at)))
    if not lines[at].strip() or lines[at].lstrip().startswith("#"):
        return None
    for number in range(at, max(-1, at - _LONGEST_VALUE_LINES), -1):
        found = _PAIR.match(lines[number])
        if found and (number == at or lines[at] == _INSIDE or _is_open(lines[number:at])):
            return _known(_full_name(found[1], table_at(lines, number)))
        if found or _is_header(lines[number]):
            return None
    return None


def _known(name: str) -> str | None:
    return name if name in KEYS or name in DERIVED else None


def table_at(lines: list[str], line: int) -> str:
    """The table that a line stands in; empty above the first header."""
    for number in range(line, -1, -1):
        if _is_header(lines[number]):
            found = _HEADER.match(lines[number])
            return found[1] if found else ""
    return ""


def suggestions_at(text: str, line: int, column: int) -> tuple[Suggestion, ...]:
    """What could be typed at a position: values of the key, keys that its table lacks, or headers.

    Args:
        text: the whole text.
        line: from 0.
        column: characters before the cursor.
    """
    lines = _lines(text)
    line = min(line, len(lines) - 1)
    row = lines[line].rstrip("\r")
    before, after = row[:column], row[column:]
    if before.lstrip().startswith("[") and "=" not in before:
        at = before.index("[")
        typed = before[at:].strip("[ ")
        names = [name for name in _HEADERS if name.startswith(typed)]
        shown = [f"[[{name}]]" if name == "data.tasks" else f"[{name}]" for name in names]
        return tuple(Suggestion(one, one, at, column + len(_rest(after, "]"))) for one in shown)
    if "#" in _CLOSED.sub(lambda found: "#" * found[0].startswith("#"), before):
        return ()
    key = KEYS.get(key_at(text, line) or "")
    pair = _PAIR.match(row)
    if pair is not None and column >= pair.end():
        return _values(key, row, pair.end(), column) if key else ()
    if key is not None and key.is_list and pair is None and '"' in before:
        return _elements(key, row, column)
    found = _WORD_BEFORE.search(before)
    word = found[0] if found else ""
    table = table_at(lines, line)
    present = {_full_name(match[1], table) for one in _table_lines(lines, line) if (match := _PAIR.match(one))}
    rest = _rest(after, "")
    has_value = after[len(rest) :].lstrip().startswith("=")
    return tuple(
        _key_suggestion(one, name, column - len(word), column + len(rest), with_value=not has_value)
        for one in KEYS.values()
        if (one.table == table or not table) and one.name not in present
        if (name := one.field if table else one.name).startswith(word)
    )


def _key_suggestion(key: Key, name: str, start: int, end: int, *, with_value: bool) -> Suggestion:
    default = shown_default(key) or '""'
    return Suggestion(f"{name} = {default}" if with_value else name, f"{name}  {_(key.meaning)}", start, end)


def _values(key: Key, row: str, first: int, column: int) -> tuple[Suggestion, ...]:
    """Values of a key whose value begins at `first`."""
    if key.is_list and row[first:column].startswith("["):
        return _elements(key, row, column)
    found = _VALUE.match(row, first)
    end = found.end() if found else first
    if column > end:
        return ()
    is_whole = column == end and row[first:end].count('"') == 2
    typed = "" if is_whole else row[first:column].strip('"')
    options = [f'"{choice}"' for choice in key.choices if choice != "cuda:N" and choice.startswith(typed)]
    if key.is_list and key.choices:
        options = [f"[{option}]" for option in options]
    elif not key.choices:
        default = shown_default(key)
        options = [default] if default and first == end else []
    return tuple(Suggestion(one, one.strip('["]') or one, first, end) for one in options)


def _elements(key: Key, row: str, column: int) -> tuple[Suggestion, ...]:
    """Texts that a list on this line lacks: the choices, or what the default names."""
    before, after = row[:column], row[column:]
    inside = before.count('"') % 2 == 1
    found = _WORD_BEFORE.search(before)
    word = found[0] if found else ""
    rest = _rest(after, '"') if inside else ""
    default = default_of(key)
    options = key.choices or (tuple(map(str, default)) if isinstance(default, (list, tuple)) else ())
    held = before[: len(before) - len(word)] + after[len(rest) :]
    return tuple(
        Suggestion(f'"{one}"', one, column - len(word) - inside, column + len(rest))
        for one in options
        if one.startswith(word) and f'"{one}"' not in held
    )


def _rest(after: str, closing: str) -> str:
    """What of the word under the cursor stands behind it, with the closing signs that follow."""
    found = _WORD_AFTER.match(after)
    length = found.end() if found else 0
    while closing and after[length : length + 1] == closing:
        length += 1
    return after[:length]


def _lines(text: str) -> list[str]:
    """The lines; those inside a text of several lines are a mere quote, as what they hold is neither key nor header."""
    lines = text.split("\n")
    if '"""' not in text and "'''" not in text:
        return lines
    quotes = ""
    for number, line in enumerate(lines):
        at = 0
        if quotes:
            lines[number] = _INSIDE
        while True:
            if quotes:
                end = line.find(quotes, at)
                if end < 0:
                    break
                at, quotes = end + 3, ""
            found = _TOKEN.search(line, at)
            if found is None or found[0] == "#":
                break
            at = found.end()
            quotes = found[0] if found[0] in ('"""', "'''") else ""
    return lines


def _is_open(lines: list[str]) -> bool:
    """Whether these lines begin a list that they don't end."""
    bare = [_CLOSED.sub("", line) for line in lines]
    return sum(line.count("[") - line.count("]") for line in bare) > 0


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
    return "[" in line and "=" not in line and _HEADER.fullmatch(line.split("#")[0]) is not None


def _full_name(name: str, table: str) -> str:
    return f"{table}.{name}" if table else name
