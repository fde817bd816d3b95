"""TOML text → nested dict, with every syntax error and its line. It knows no keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping

from core.i18n import _
from core.plain import plain
from core.profile.lines import KeyPath
from core.profile.problem import Problem

_MOST_ERRORS = 20
_MOST_DOTS = 64
_BOM = "\ufeff"
_POSITION = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY_LINE = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")
_DOT_BETWEEN_NAMES = re.compile(r"\.(?=[ \t]*[\w\"'-])")
_TOO_LONG_NUMBER = re.compile(r"[0-9_]{4301}")


def parse_toml(text: str, lines: Callable[[], Mapping[KeyPath, int]]) -> tuple[dict[str, object] | None, list[Problem]]:
    """Parse a whole text.

    A `key = value` line with an error is reported, then passed over, so that the rest of the text is still checked.

    Args:
        text: the profile.
        lines: gives the lines of its keys; called only where an error wants them.

    Returns:
        The values, None where the text can't be read beyond the errors; and the errors.
    """
    refusal = _refuse_outright(text)
    if refusal is not None:
        return None, [refusal]
    remaining = text
    problems: list[Problem] = []
    while True:
        try:
            return tomllib.loads(remaining), problems
        except tomllib.TOMLDecodeError as error:
            problem, line = _describe(error, text, lines)
        except RecursionError:
            return None, [Problem("", None, _("the profile's values are nested too deeply to read"), "")]
        except ValueError:
            # Python's limit on the digits of an integer.
            return None, [_too_long_number(text)]
        problems.append(problem)
        without = _without_line(remaining, line)
        if without is None or len(problems) == _MOST_ERRORS:
            # What follows the error can't be told from its consequences.
            return None, problems
        remaining = without


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


def _describe(
    error: tomllib.TOMLDecodeError, text: str, lines: Callable[[], Mapping[KeyPath, int]]
) -> tuple[Problem, int]:
    detail = str(error)
    position = _POSITION.search(detail)
    detail = plain(_POSITION.sub("", detail))
    if position is not None and position[1] is not None:
        line, column = int(position[1]), int(position[2])
    else:
        line = max(1, len(text.rstrip().split("\n")))
        column = len(text.rstrip().split("\n")[-1]) + 1
    source = text.split("\n")[line - 1] if line <= text.count("\n") + 1 else ""
    message = _("not TOML: {detail} (column {column})").format(detail=detail, column=column)
    return Problem("", line, message, _hint(detail, source, line, lines)), line


def _hint(detail: str, source: str, line: int, lines: Callable[[], Mapping[KeyPath, int]]) -> str:
    key_line = _KEY_LINE.match(source)
    if detail.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate")):
        name = key_line[1] if key_line else source.strip().strip("[]").strip()
        earlier = min(
            (at for path, at in lines().items() if at < line and _ends_with(path, name)),
            default=None,
            key=lambda at: line - at,
        )
        if earlier is not None:
            return _("It is there already, on line {line}; a key or table may come once.").format(line=earlier)
        return _("A key or table may come once.")
    if detail.startswith("Invalid value"):
        return _('Text stands between quotes: "…"; a number is written 0.001 or 1e-3.')
    if detail.startswith(("Invalid statement", "Expected '='")):
        return _("A line is a [table], a key = value, or a # comment.")
    if detail.startswith("Illegal character") and key_line and source.count('"') % 2:
        return _("A closing quote is missing.")
    return ""


def _ends_with(path: KeyPath, name: str) -> bool:
    parts = tuple(name.split("."))
    return path[-len(parts) :] == parts


def _without_line(text: str, line: int) -> str | None:
    """The text with one `key = value` line blanked; None where the line is anything else, or may run on."""
    rows = text.split("\n")
    if line > len(rows):
        return None
    row = rows[line - 1]
    if not _KEY_LINE.match(row) or '"""' in row or "'''" in row:
        return None
    if row.count("[") != row.count("]") or row.count("{") != row.count("}"):
        return None
    rows[line - 1] = ""
    return "\n".join(rows)


def _too_long_number(text: str) -> Problem:
    found = _TOO_LONG_NUMBER.search(text)
    line = None if found is None else text.count("\n", 0, found.start()) + 1
    return Problem("", line, _("a number of more than 4,300 digits"), "")
