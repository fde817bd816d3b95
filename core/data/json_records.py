"""JSON text → records: an array of rows, or one row a line, and exact places for what is wrong with them.

Numbers stay as they are written; NaN, repeated keys and raw control characters are kept visible, for
`core.data.rows` to judge. It must not know which columns matter.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from pathlib import Path

from core.data.records import Flaw, Records, quoted_names, suffix_format
from core.errors import PoemError
from core.i18n import _
from core.plain import plain

_SPACE = re.compile(r"[ \t\r\n]*")
_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")


class JsonNumber(str):
    """A JSON number as it is written in the file: exact, and safe however many digits it has."""

    __slots__ = ()


class JsonConstant(str):
    """NaN, Infinity or -Infinity: Python writes them, JSON has no such values."""

    __slots__ = ()


def _object_of(pairs: list[tuple[str, object]]) -> object:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    counts = Counter(key for key, _value in pairs)
    repeated = next(key for key, count in counts.items() if count > 1)
    return Flaw(_("holds the key {key} more than once").format(key=quoted_names([repeated])))


def _decoder(*, strict: bool) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_object_of,
        parse_int=JsonNumber,
        parse_float=JsonNumber,
        parse_constant=JsonConstant,
        strict=strict,
    )


_STRICT = _decoder(strict=True)
_LENIENT = _decoder(strict=False)


def decode_at(text: str, at: int) -> tuple[object, int]:
    """The JSON value at an offset, and the offset after it.

    Raises:
        json.JSONDecodeError: there is none.
        RecursionError: it is nested too deeply.
    """
    try:
        return _STRICT.raw_decode(text, at)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Invalid control character"):
            raise
        try:
            # One raw ESC makes its own row bad, as `rows` will find, and not the whole file.
            return _LENIENT.raw_decode(text, at)
        except json.JSONDecodeError:
            raise error from None


def skip_space(text: str, at: int) -> int:
    """The offset of the first character from `at` on that is no JSON white space; the length of the text if none is."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def read_array(text: str, start: int, path: Path) -> Records:
    """The elements of the JSON array that starts at an offset.

    Raises:
        PoemError: no elements, or not JSON; with line, column and row.
    """
    values: list[object] = []
    offsets: list[int] = []
    at = skip_space(text, start + 1)
    if text[at : at + 1] == "]":
        raise PoemError(_("the file holds an empty list: no rows"), where=str(path))
    try:
        while True:
            value, end = decode_at(text, at)
            values.append(value)
            offsets.append(at)
            at = skip_space(text, end)
            mark = text[at : at + 1]
            if mark == "]":
                break
            if mark != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            at = skip_space(text, at + 1)
        at = skip_space(text, at + 1)
        if at < len(text):
            raise json.JSONDecodeError("Extra data", text, at)
    except json.JSONDecodeError as error:
        raise _json_error(error, path, row=len(values)) from None
    except RecursionError:
        line = text.count("\n", 0, at) + 1
        where = _("{path}, line {line}, row {row}").format(path=path, line=line, row=len(values))
        raise PoemError(_("the row is nested too deeply to be read"), where=where) from None
    return Records("json", values, None, offsets, text)


def read_objects(text: str, start: int, path: Path) -> Records:
    """Text whose first character, at an offset, is `{`: JSONL.

    Raises:
        PoemError: it is one object, or objects over several lines.
    """
    first_end = text.find("\n", start)
    first_line = text[start : first_end if first_end >= 0 else len(text)]
    rest_at = skip_space(text, start + len(first_line))
    only_line = rest_at == len(text)
    first = decode_line(first_line, last=only_line)
    if not isinstance(first, Flaw):
        holds_rows = isinstance(first, dict) and bool(_lists_of_objects(first))
        if only_line and isinstance(first, dict) and (suffix_format(path) == "json" or holds_rows):
            raise _one_object(first, path)
    elif not only_line and text[rest_at] != "{":
        # The object goes on over several lines: a JSON document, not JSONL.
        raise _document_error(text, start, path)
    return _read_lines(text)


def _read_lines(text: str) -> Records:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line and not line.isspace()]
    last_number = lines[-1][0]
    values = [decode_line(line, last=number == last_number) for number, line in lines]
    return Records("jsonl", values, None, [number for number, _line in lines], text)


def decode_line(line: str, *, last: bool) -> object:
    """The value that one line of JSONL holds, or a `Flaw`; `last` where the file ends with it."""
    try:
        value, end = decode_at(line, skip_space(line, 0))
        end = skip_space(line, end)
        if end < len(line):
            raise json.JSONDecodeError("Extra data", line, end)
        return value
    except json.JSONDecodeError as error:
        if last and _looks_truncated(error):
            return Flaw(_("ends early, at column {column}: the file looks truncated").format(column=len(line) + 1))
        return Flaw(_("is not valid JSON at column {column}: {reason}").format(column=error.colno, reason=error.msg))
    except RecursionError:
        return Flaw(_("is nested too deeply to be read"))


def _looks_truncated(error: json.JSONDecodeError) -> bool:
    """Whether a JSON error is there only because the text ends too soon."""
    rest = error.doc[error.pos :].strip()
    return (
        not rest
        or error.msg.startswith("Unterminated string")
        or any(literal.startswith(rest) for literal in _LITERALS)
        or (error.msg.startswith("Invalid \\") and len(rest) < 6)
    )


def _json_error(error: json.JSONDecodeError, path: Path, *, row: int | None) -> PoemError:
    text = error.doc
    if _looks_truncated(error):
        end = len(text.rstrip())
        line, column = text.count("\n", 0, end) + 1, end - text.rfind("\n", 0, end)
        message = _("the JSON ends early, at line {line}, column {column}: the file looks truncated")
        hint = _("Copy or download the file again, or cut it after the last whole row and close the list with ].")
    else:
        line, column = error.lineno, error.colno
        message = _("this is not valid JSON at line {line}, column {column}: {reason}")
        hint = _("Mend the file there.")
    where = _("{path}, line {line}").format(path=path, line=line)
    if row is not None:
        where = _("{path}, line {line}, row {row}").format(path=path, line=line, row=row)
    return PoemError(message.format(line=line, column=column, reason=error.msg), hint=hint, where=where)


def _document_error(text: str, start: int, path: Path) -> PoemError:
    """Why a JSON document that starts with `{` and has several lines can't serve as rows."""
    try:
        value, end = decode_at(text, start)
        end = skip_space(text, end)
    except json.JSONDecodeError as error:
        return _json_error(error, path, row=None)
    except RecursionError:
        return PoemError(_("the JSON is nested too deeply to be read"), where=str(path))
    if end < len(text):
        line = text.count("\n", 0, end) + 1
        return PoemError(
            _("JSON objects one after another, each over several lines: a second one starts at line {line}").format(
                line=line
            ),
            hint=_("Put each on a line of its own: {command}").format(
                command=f"jq -c . {shlex.quote(str(path))} > rows.jsonl"
            ),
            where=_("{path}, line {line}").format(path=path, line=line),
        )
    if isinstance(value, Flaw):
        return PoemError(_("the file is one JSON object that {problem}").format(problem=value.problem), where=str(path))
    return _one_object(value if isinstance(value, dict) else {}, path)


def _lists_of_objects(value: dict[str, object]) -> list[str]:
    return [key for key, held in value.items() if isinstance(held, list) and any(isinstance(one, dict) for one in held)]


def _one_object(value: dict[str, object], path: Path) -> PoemError:
    message = _("the file is one JSON object (keys: {keys}), not a list of rows").format(keys=quoted_names(value))
    lists = _lists_of_objects(value) or [key for key, held in value.items() if isinstance(held, list)]
    if not lists:
        return PoemError(message, hint=_("Put the rows into a list: [ … ]."), where=str(path))
    program = f".[{json.dumps(plain(lists[0]), ensure_ascii=False)}]"
    return PoemError(
        message,
        hint=_("{key} holds a list; if those are the rows: {command}").format(
            key=quoted_names(lists[:1]),
            command=f"jq {shlex.quote(program)} {shlex.quote(str(path))} > rows.json",
        ),
        where=str(path),
    )
