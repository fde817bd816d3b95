"""TOML text → nested dict, with every syntax error and its line. It knows no keys."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from core.i18n import _
from core.plain import plain
from core.profile.lines import find_lines
from core.profile.problem import Problem

_MOST_ERRORS = 20
_MOST_DOTS = 64
_BOM = "\ufeff"
_POSITION = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY_LINE = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")
_DOT_BETWEEN_NAMES = re.compile(r"\.(?=[ \t]*[\w\"'-])")
_TOO_LONG_NUMBER = re.compile(r"[0-9_]{4301}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What could be read of a text."""

    document: dict[str, object] | None
    """The values; None where the errors hide the rest of the text."""
    text: str
    """What was read: the text with the lines that were passed over left blank."""
    problems: list[Problem]
    """The errors, in order."""


def parse_toml(text: str) -> Parsed:
    """Parse a whole text.

    A `key = value` line with an error is reported, then passed over, so that the rest of the text is still checked.
    """
    refusal = _refuse_outright(text)
    if refusal is not None:
        return Parsed(None, "", [refusal])
    remaining = text
    problems: list[Problem] = []
    while True:
        try:
            return Parsed(tomllib.loads(remaining), remaining, problems)
        except tomllib.TOMLDecodeError as caught:
            error = _read_error(caught, remaining)
        except RecursionError:
            return Parsed(None, "", [Problem("", None, _("the profile's values are nested too deeply to read"), "")])
        except ValueError:
            # Python's limit on the digits of an integer.
            return Parsed(None, "", [_too_long_number(text)])
        message = _("not TOML: {detail} (column {column})").format(detail=error.detail, column=error.column)
        problems.append(Problem("", error.line, message, _hint(error, remaining)))
        without = _without_line(remaining, error)
        if without is None or len(problems) == _MOST_ERRORS:
            # What follows can't be told from the error's consequences.
            return Parsed(None, "", problems)
        remaining = without


@dataclass(frozen=True, slots=True)
class _Error:
    """What tomllib says of an error."""

    detail: str
    """Its own words, without the position."""
    line: int
    """From 1; the last line with something in it where tomllib says "end of document"."""
    column: int
    """From 1: the first character that doesn't fit."""
    source: str
    """The line's text."""


def _refuse_outright(text: str) -> Problem | None:
    if text.startswith(_BOM):
        return Problem(
            "",
            1,
            _("the profile begins with a byte order mark"),
            _("Save it as UTF-8 without a byte order mark (BOM)."),
        )
    for number, line in enumerate(text.split("\n"), start=1):
        # tomllib needs memory that grows with the square of a dotted key's length.
        if line.count(".") > _MOST_DOTS and len(_DOT_BETWEEN_NAMES.findall(line)) > _MOST_DOTS:
            return Problem("", number, _("a key of more than {count} parts").format(count=_MOST_DOTS), "")
    return None


def _read_error(error: tomllib.TOMLDecodeError, text: str) -> _Error:
    detail = str(error)
    position = _POSITION.search(detail)
    detail = plain(_POSITION.sub("", detail))
    rows = text.split("\n")
    if position is not None and position[1] is not None:
        line, column = int(position[1]), int(position[2])
    else:
        line = max(1, len(text.rstrip().split("\n")))
        column = len(rows[line - 1].rstrip()) + 1
    return _Error(detail, line, column, rows[line - 1] if line <= len(rows) else "")


def _hint(error: _Error, text: str) -> str:
    key_line = _KEY_LINE.match(error.source)
    if error.detail.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate")):
        name = key_line[1] if key_line else error.source.strip().strip("[]").strip()
        parts = tuple(name.split("."))
        earlier = [at for path, at in find_lines(text).items() if at < error.line and path[-len(parts) :] == parts]
        if earlier:
            return _("It is there already, on line {line}; a key or table may come once.").format(line=max(earlier))
        return _("A key or table may come once.")
    if error.detail.startswith("Invalid value"):
        return _('Text stands between quotes: "…"; a number is written 0.001 or 1e-3.')
    if error.detail.startswith(("Invalid statement", "Expected '='")):
        return _("A line is a [table], a key = value, or a # comment.")
    if error.detail.startswith("Illegal character") and key_line and error.source.count('"') % 2:
        return _("A closing quote is missing.")
    return ""


def _without_line(text: str, error: _Error) -> str | None:
    """The text with the `key = value` line blanked that holds the error; None where it may be about more than that."""
    row = error.source
    key_line = _KEY_LINE.match(row)
    # Before the value, the error is of what came before, such as a list that never ended.
    if key_line is None or error.column <= key_line.end() or error.detail.startswith(("Unterminated", "Unclosed")):
        return None
    if '"""' in row or "'''" in row or row.count("[") != row.count("]") or row.count("{") != row.count("}"):
        return None
    rows = text.split("\n")
    rows[error.line - 1] = ""
    return "\n".join(rows)


def _too_long_number(text: str) -> Problem:
    found = _TOO_LONG_NUMBER.search(text)
    line = None if found is None else text.count("\n", 0, found.start()) + 1
    return Problem("", line, _("a number of more than 4,300 digits"), "")
