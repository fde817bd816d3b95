"""Rows of a data file for whoever looks at them: there at once, however large the file, and the bad ones among them.

Most files are read whole. A large JSONL is indexed instead, and its rows are read when they are looked at.
It knows no screen. Numbers are those of `core.data.rows`.
"""

from __future__ import annotations

import functools
import json
import os
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from core.data.columns import choose_columns
from core.data.json_records import decode_line
from core.data.rows import BadRow, Row, RowFile, make_row, names_in, read_rows, resolve_data_path, texts_in
from core.errors import PoemError
from core.i18n import _

INDEXED_BYTES = 48 * 2**20
"""JSONL files from this size on are indexed."""
_HEAD_BYTES = 2**20
_CHUNK_BYTES = 4 * 2**20
_LONGEST_LINE_BYTES = 64 * 2**20
_BLANK_AT_MOST = 16
_SUFFIXES = (".jsonl", ".ndjson")


class Rows(Protocol):
    """Rows to be looked at."""

    path: str
    """As a person typed it, or `builtin:NAME`."""
    columns: tuple[str, ...]
    """Names of all columns that are known, in order of first sight."""
    mapping: Mapping[str, str]
    """Field → column, as in `RowFile`."""
    rule: str
    """Which rule chose the mapping."""

    @property
    def count(self) -> int:
        """Rows known so far, bad ones included."""

    @property
    def complete(self) -> bool:
        """Whether these are all."""

    def row(self, position: int) -> Row | BadRow:
        """The row at a position, from 0."""

    def line(self, position: int) -> str | None:
        """The row as it is written in the file, at little cost; None where the rows themselves are at hand."""

    def index(self, go_on: Callable[[], bool]) -> None:
        """Find the rest, for as long as `go_on` says so; it is called between pieces of some milliseconds."""


def open_rows(path: str, columns: Mapping[str, str] | None = None) -> Rows:
    """Open a data file.

    Args:
        path: the file, or `builtin:NAME`.
        columns: field → column; None or empty for the rules of `choose_columns`.

    Raises:
        PoemError: it can't be read, no rule fits its columns, or none of its rows can be used.
    """
    real = resolve_data_path(path)
    if real.suffix.lower() in _SUFFIXES and real.is_file() and real.stat().st_size >= INDEXED_BYTES:
        return IndexedRows(path, real, columns)
    return ReadRows(path, read_rows(path, columns=columns, on_bad_row="skip"))


class ReadRows:
    """Rows of a file that was read whole."""

    complete = True

    def __init__(self, path: str, file: RowFile) -> None:
        """The rows, the bad ones in their places."""
        self.path, self.columns, self.mapping, self.rule = path, file.columns, file.mapping, file.rule
        rows: list[Row | BadRow] = [*file.rows, *file.bad_rows]
        rows.sort(key=lambda row: row.number)
        self._rows = rows

    @property
    def count(self) -> int:
        """All of them."""
        return len(self._rows)

    def row(self, position: int) -> Row | BadRow:
        """The row at a position."""
        return self._rows[position]

    def line(self, position: int) -> None:
        """The rows are at hand."""

    def index(self, go_on: Callable[[], bool]) -> None:
        """Nothing is left to find."""


class IndexedRows:
    """Rows of a JSONL file of which only the beginnings of lines are kept."""

    def __init__(self, path: str, real: Path, columns: Mapping[str, str] | None) -> None:
        """Look at the first rows, by which columns are chosen.

        Raises:
            PoemError: it can't be read, or no rule fits.
        """
        self.path = path
        try:
            # Read by position, never mapped: a file that is cut off meanwhile would kill the process.
            self._descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise PoemError(
                _("can't read the file: {reason}").format(reason=error.strerror or error), where=str(real)
            ) from error
        self._size_bytes = os.fstat(self._descriptor).st_size
        self._starts = array("Q")  # of the lines that hold something
        self._ends = array("Q")
        self._lines = array("L")  # their numbers, from 1
        self.complete = False
        self._scanned_bytes, self._line = 0, 1
        head = os.pread(self._descriptor, _HEAD_BYTES, 0)
        if head.startswith(b"\xef\xbb\xbf"):
            self._scanned_bytes = 3
        values = [self._decode(line) for line in head.splitlines()[:200] if line.strip()]
        self.columns = names_in(values)
        self.mapping: Mapping[str, str]
        self.mapping, self.rule = choose_columns(self.columns, columns, real, text_columns=texts_in(values))
        self._cached = functools.lru_cache(maxsize=4096)(self._read)
        self._scan()

    def __del__(self) -> None:
        """Let the file go."""
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    @property
    def count(self) -> int:
        """Rows found so far."""
        return len(self._ends)

    def row(self, position: int) -> Row | BadRow:
        """The row at a position, read from the file or remembered."""
        return self._cached(position)

    def line(self, position: int) -> str:
        """The row as it is written in the file."""
        start = self._starts[position]
        return os.pread(self._descriptor, self._ends[position] - start, start).decode("utf-8", "replace")

    def index(self, go_on: Callable[[], bool]) -> None:
        """Find the other rows."""
        while not self.complete and go_on():
            self._scan()

    def _scan(self) -> None:
        """Find the lines in the next piece of the file; the last, unfinished one is left for the next time."""
        at = self._scanned_bytes
        size_bytes = _CHUNK_BYTES
        while True:
            chunk = os.pread(self._descriptor, size_bytes, at)
            last = at + len(chunk) >= self._size_bytes or len(chunk) < size_bytes
            end = len(chunk) if last else chunk.rfind(b"\n") + 1
            if end or size_bytes >= _LONGEST_LINE_BYTES:
                break
            size_bytes *= 2
        end = end or len(chunk)
        begin = 0
        starts, ends, lines = array("Q"), array("Q"), array("L")
        for line in chunk[:end].split(b"\n"):
            length = len(line)
            if length > _BLANK_AT_MOST or line.strip():
                starts.append(at + begin)
                ends.append(at + begin + length)
                lines.append(self._line)
            begin += length + 1
            self._line += 1
        self._line -= 1  # what follows the last line feed is no line yet
        self._starts.extend(starts)
        self._lines.extend(lines)
        self._ends.extend(ends)  # last: `count` goes by it
        self._scanned_bytes = at + end
        self.complete = last

    def _decode(self, line: bytes) -> object:
        return decode_line(line.decode("utf-8", "surrogateescape"), last=False)

    def _read(self, position: int) -> Row | BadRow:
        start, end = self._starts[position], self._ends[position]
        line = os.pread(self._descriptor, end - start, start)
        if len(line) < end - start:
            return BadRow(position, self._lines[position], _("is no longer in the file, which has become shorter"))
        return make_row(position, self._decode(line), self.mapping, line=self._lines[position])


def export_rows(rows: Rows, positions: list[int], path: Path, *, overwrite: bool = False) -> int:
    """Write rows as JSONL, under the names that their columns have in the file; the whole of it, or nothing.

    Args:
        rows: where they are.
        positions: which; bad rows are left out.
        path: the file to make.
        overwrite: whether another file of that name may go.

    Returns:
        how many were written.

    Raises:
        PoemError: there is such a file already, or it can't be written.
    """
    if path.exists() and not overwrite:
        raise PoemError(_("there is a file of that name already"), hint=_("Choose another name."), where=str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    written = 0
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            for position in positions:
                row = rows.row(position)
                if isinstance(row, Row):
                    file.write(json.dumps(_columns_of(row, rows.mapping), ensure_ascii=False) + "\n")
                    written += 1
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PoemError(
            _("can't write the file: {reason}").format(reason=error.strerror or error),
            hint=_("Choose another place."),
            where=str(path),
        ) from error
    return written


def _columns_of(row: Row, mapping: Mapping[str, str]) -> dict[str, str]:
    fields = {"instruction": row.instruction, "input": row.input, "output": row.output}
    return {column: fields[field] for field, column in mapping.items()} | dict(row.extra)
