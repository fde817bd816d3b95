"""A data file → its rows, numbered from 0, with every row that can't be used named.

It must not know what is made of a row: tasks, templates and the held-out split are for `core.data.recipe`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.data.columns import FIELDS, choose_columns
from core.data.formats import read_records
from core.data.json_records import JsonConstant, JsonNumber
from core.data.records import Flaw, Records, quoted_names
from core.data.row import SAMPLE as SAMPLE
from core.data.row import BadRow as BadRow
from core.data.row import Row as Row
from core.data.text_file import read_text_file
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of

_BUILTIN_PREFIX = "builtin:"
_BUILTIN_FILES = {"tang-sample": Path(__file__).parent / "sample" / "tang_sample_400_rich.jsonl"}
# C0 without tab and line feed, DEL, and unpaired surrogates: nothing that a poem has, and each a hazard further on.
_ILLEGAL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RowFile:
    """A data file that has been read."""

    path: Path
    """The file; the real place of a built-in one."""
    format: str
    """"json", "jsonl", "csv" or "tsv"; gzip is not a format of its own."""
    size_bytes: int
    """Size on disk, compressed where it is."""
    sha256: str
    """Hex digest of the bytes on disk."""
    text_lines: int
    """Lines of text, which are not rows: a pretty-printed row takes five."""
    columns: tuple[str, ...]
    """Names of all columns, in order of first sight."""
    mapping: Mapping[str, str]
    """"instruction", "input", "output" → its column; only the fields that have one, and "output" always."""
    rule: str
    """Which rule chose the mapping: "alpaca", "prompt-completion" or "profile"."""
    rows: tuple[Row, ...]
    """The rows that can be used, in file order; at least one."""
    bad_rows: tuple[BadRow, ...]
    """The others, in file order; empty unless bad rows are skipped."""


def resolve_data_path(path: str, *, relative_to: Path | None = None) -> Path:
    """The file that `data.path` means: `builtin:NAME`, or a path with `~` expanded.

    Args:
        path: as written in a profile or on the command line.
        relative_to: the folder that a relative path starts from; None for the working directory.

    Raises:
        PoemError: no such built-in file.
    """
    if path.startswith(_BUILTIN_PREFIX):
        name = path.removeprefix(_BUILTIN_PREFIX)
        if name not in _BUILTIN_FILES:
            known = ", ".join(_BUILTIN_PREFIX + builtin for builtin in _BUILTIN_FILES)
            raise PoemError(
                _("there is no built-in data file {name}").format(name=quoted_names([name])),
                hint=_("Built in: {names}").format(names=known),
                where="data.path",
            )
        return _BUILTIN_FILES[name]
    expanded = path_of(path)
    return relative_to / expanded if relative_to else expanded


def read_rows(path: Path | str, *, columns: Mapping[str, str] | None = None, on_bad_row: str = "error") -> RowFile:
    """Read a JSON, JSONL, CSV or TSV file, plain or gzip, or a built-in one.

    Args:
        path: the file, or `builtin:NAME`.
        columns: field → column, as `[data.columns]`; None or empty for the rules of `choose_columns`.
        on_bad_row: "error" or "skip", as `data.on_bad_row`.

    Raises:
        PoemError: the file can't be read, no rule fits its columns, a row is bad and bad rows are not skipped, or all
            rows are bad.
    """
    if on_bad_row not in ("error", "skip"):
        raise ValueError(f"on_bad_row is {on_bad_row!r}, not 'error' or 'skip'")
    file = read_text_file(resolve_data_path(str(path)))
    records = read_records(file.text, file.path)
    names = _column_names(records)
    if not names:
        raise _bad_rows_error(_number_problems(records, _problems_without_columns(records)), 0, file.path)
    mapping, rule = choose_columns(names, columns, file.path, text_columns=texts_in(records.values))
    rows, problems = _make_rows(records.values, mapping, names)
    bad_rows = _number_problems(records, problems)
    if bad_rows and (on_bad_row == "error" or not rows):
        raise _bad_rows_error(bad_rows, len(rows), file.path)
    return RowFile(
        path=file.path,
        format=records.format,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        text_lines=file.text.count("\n") + (not file.text.endswith("\n")),
        columns=names,
        mapping=mapping,
        rule=rule,
        rows=rows,
        bad_rows=bad_rows,
    )


def _column_names(records: Records) -> tuple[str, ...]:
    return names_in(records.values) if records.header is None else records.header


def names_in(values: Iterable[object]) -> tuple[str, ...]:
    """The column names of records, in order of first sight."""
    names: dict[str, None] = {}
    for value in values:
        if isinstance(value, dict):
            names.update(dict.fromkeys(value))
    return tuple(names)


def texts_in(values: Iterable[object]) -> set[str]:
    """The columns that hold text in some record."""
    return {name for value in values if isinstance(value, dict) for name, held in value.items() if type(held) is str}


def make_row(number: int, value: object, mapping: Mapping[str, str], *, line: int | None) -> Row | BadRow:
    """One record as a row, or what keeps it from being one.

    Args:
        number: position in the file, from 0.
        value: the record.
        mapping: field → column, as in `RowFile`.
        line: its line in the file, from 1.
    """
    names = names_in([value])
    rows, problems = _make_rows([value], mapping, names)
    if problems:
        return BadRow(number, line, problems[0])
    return replace(rows[0], number=number)


def _make_rows(
    values: Sequence[object], mapping: Mapping[str, str], names: Sequence[str]
) -> tuple[tuple[Row, ...], dict[int, str]]:
    """The good rows, and the problem of each other one by its number."""
    instruction, input_, output = (mapping.get(field) for field in FIELDS)
    mapped = [column for column in mapping.values() if column != output]
    illegal_names = {name for name in names if _ILLEGAL.search(name)}
    unmapped = set(names) - set(mapping.values()) - {""}
    rows: list[Row] = []
    problems: dict[int, str] = {}
    once: dict[str, str] = {}  # the instruction, an author or a form is in thousands of rows, and in memory once
    for number, value in enumerate(values):
        problem = _problem(value, str(output), mapped, illegal_names)
        if problem is not None or not isinstance(value, dict):
            problems[number] = problem or ""
            continue
        extra = {
            name: once.setdefault(held, str(held))
            for name, held in value.items()
            if name in unmapped and isinstance(held, str)  # a JsonNumber, too
        }
        instructed = value.get(instruction, "") if instruction else ""
        rows.append(
            Row(
                number,
                once.setdefault(instructed, instructed),
                value.get(input_, "") if input_ else "",
                value[output],
                extra,
            )
        )
    return tuple(rows), problems


def _problem(value: object, output: str, mapped: Sequence[str], illegal_names: set[str]) -> str | None:
    """What keeps a record from being a row; None where nothing does."""
    if isinstance(value, Flaw):
        return value.problem
    if not isinstance(value, dict):
        return _("is {kind}, not an object").format(kind=_kind(value))
    if illegal_names and not illegal_names.isdisjoint(value):
        return _("has a column name with a character that no text has: {names}").format(
            names=quoted_names(illegal_names.intersection(value))
        )
    if output not in value:
        return _("lacks the column {column}").format(column=quoted_names([output]))
    for column in (output, *mapped):
        if column in value and type(value[column]) is not str:
            return _("holds {kind} in {column}, not text").format(
                kind=_kind(value[column]), column=quoted_names([column])
            )
    for column, held in value.items():
        if type(held) is str:
            found = _ILLEGAL.search(held)
            if found:
                return _illegal_character(column, ord(found.group()))
        elif isinstance(held, JsonConstant):
            return _("holds {constant} in {column}, which JSON does not have").format(
                constant=held, column=quoted_names([column])
            )
    if not value[output].strip():
        return _("has a blank {column}: there is nothing to learn").format(column=quoted_names([output]))
    return None


def _illegal_character(column: str, code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:
        message = _("holds half of a surrogate pair, U+{code}, in {column}")
    else:
        message = _("holds the control character U+{code} in {column}")
    return message.format(code=f"{code:04X}", column=quoted_names([column]))


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, JsonConstant):
        return str(value)
    if isinstance(value, JsonNumber):
        return _("a number")
    if isinstance(value, str):
        return _("a string")
    return _("a list") if isinstance(value, list) else _("an object")


def _problems_without_columns(records: Records) -> dict[int, str]:
    """The problem of every record of a file that has no column at all."""
    return {number: _problem(value, "output", (), set()) or "" for number, value in enumerate(records.values)}


def _number_problems(records: Records, problems: Mapping[int, str]) -> tuple[BadRow, ...]:
    lines = records.lines_of(problems)
    return tuple(BadRow(number, line, problems[number]) for number, line in zip(problems, lines, strict=True))


def _bad_rows_error(bad_rows: Sequence[BadRow], good_rows: int, path: Path) -> PoemError:
    first = bad_rows[0]
    where = _("{path}, line {line}, row {row}").format(path=path, line=first.line, row=first.number)
    message = _("row {row} {problem}").format(row=first.number, problem=first.problem)
    if not good_rows:
        message = _("none of the {count} rows can be used; the first: {problem}").format(
            count=len(bad_rows), problem=message
        )
        return PoemError(message, hint=_("Is this the right file? Rows count from 0."), where=where)
    more = len(bad_rows) - 1
    skip = _('Mend it, or leave bad rows out with data.on_bad_row = "skip".')
    if more:
        skip = _('Further bad rows: {count}. Mend them, or leave bad rows out with data.on_bad_row = "skip".').format(
            count=more
        )
    return PoemError(message, hint=skip, where=where)
