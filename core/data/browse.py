"""Rows of a data file for whoever looks at them: there at once, however large the file, and the bad ones among them.

Most files are read whole, a large JSON array after its first rows are there. A large JSONL is indexed instead, and its
rows are read when they are looked at.
It knows no screen. Numbers are those of `core.data.rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from core.data.array_rows import ReadRows
from core.data.columns import choose_columns
from core.data.json_records import decode_line
from core.data.records import Flaw
from core.data.row_index import RowIndex
from core.data.rows import BadRow, Row, make_row, names_in, resolve_data_path, texts_in
from core.data.written import file_changed, write_new
from core.i18n import _

INDEXED_BYTES = 4 * 2**20
"""JSONL files from this size on are indexed."""
_CHUNK_BYTES = 4 * 2**20
_HEAD_ROWS = 200
_KEPT_ROWS = 4096


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

    @property
    def is_changed(self) -> bool:
        """Whether rows that are yet to be read may be others than they were, or gone."""

    def row(self, position: int) -> Row | BadRow:
        """The row at a position, from 0."""

    def line(self, position: int) -> str | None:
        """The row as it is written in the file, at little cost; None where the rows themselves are at hand."""

    def index(self, go_on: Callable[[], bool]) -> None:
        """Find the rest, for as long as `go_on` says so; it is called between pieces of some milliseconds.

        Raises:
            PoemError: the rest can't be read.
        """

    def written(self, positions: Sequence[int]) -> Iterator[str]:
        """Rows as JSON, each in one line and as it is written in the file; bad rows are left out.

        Raises:
            PoemError: the file has changed since it was opened.
        """


def open_rows(path: str, columns: Mapping[str, str] | None = None) -> Rows:
    """Open a data file.

    Args:
        path: the file, or `builtin:NAME`.
        columns: field → column; None or empty for the rules of `choose_columns`.

    Raises:
        PoemError: it can't be read, no rule fits its columns, or none of its rows can be used. Of a large file only the
            first rows are looked at for that.
    """
    real = resolve_data_path(path)
    index = _index_of(real)
    if index is not None:
        return IndexedRows(path, real, index, columns)
    return ReadRows(path, real, columns)


def _index_of(path: Path) -> RowIndex | None:
    """The index of a large JSONL file, begun; None for any other, and for what can't be read."""
    try:
        if not path.is_file() or path.stat().st_size < INDEXED_BYTES:
            return None
        index = RowIndex(path)
        index.scan(_CHUNK_BYTES)
    except (OSError, ValueError):
        return None  # whoever reads it whole finds out why, and says so
    # By the content, as `read_records` tells it.
    first, second = (index.line(position) if index.count > 1 else b"" for position in (0, 1))
    if isinstance(first, Flaw) or not first.lstrip().startswith(b"{"):
        return None
    is_jsonl = not isinstance(_decode(first, last=False), Flaw)
    if not is_jsonl and isinstance(second, bytes):  # a bad row, or the first line of one object over several
        is_jsonl = second.lstrip().startswith(b"{")
    return index if is_jsonl else None


class IndexedRows:
    """Rows of a JSONL file of which only the places are kept."""

    def __init__(self, path: str, real: Path, index: RowIndex, columns: Mapping[str, str] | None) -> None:
        """Look at the first rows, by which columns are chosen.

        Raises:
            PoemError: no rule fits.
        """
        self.path = path
        self._real, self._index = real, index
        values = [_value(index, position) for position in range(min(index.count, _HEAD_ROWS))]
        self.columns = names_in(values)
        self.mapping: Mapping[str, str]
        self.mapping, self.rule = choose_columns(self.columns, columns, real, text_columns=texts_in(values))
        self._row = lru_cache(_KEPT_ROWS)(partial(_row_of, index, self.mapping))

    @property
    def count(self) -> int:
        """Rows found so far."""
        return self._index.count

    @property
    def complete(self) -> bool:
        """Whether these are all."""
        return self._index.complete

    @property
    def is_changed(self) -> bool:
        """Whether the file was written to since it was opened."""
        return self._index.is_changed

    def row(self, position: int) -> Row | BadRow:
        """The row at a position, read from the file or remembered."""
        return self._row(position)

    def line(self, position: int) -> str:
        """The row as it is written in the file; "" where it is no longer there."""
        line = self._index.line(position)
        return "" if isinstance(line, Flaw) else line.decode("utf-8", "replace")

    def index(self, go_on: Callable[[], bool]) -> None:
        """Find the other rows."""
        while not self.complete and go_on():
            self._index.scan(_CHUNK_BYTES)
        self._row.cache_clear()  # only now is it known which row is the last, and cut short by the end of the file

    def written(self, positions: Sequence[int]) -> Iterator[str]:
        """Rows as they are written in the file."""
        for position in positions:
            if isinstance(_row_of(self._index, self.mapping, position), Row):
                yield self.line(position).strip()
        if self.is_changed:
            raise file_changed(self._real)


def _row_of(index: RowIndex, mapping: Mapping[str, str], position: int) -> Row | BadRow:
    return make_row(position, _value(index, position), mapping, line=index.line_number(position))


def _value(index: RowIndex, position: int) -> object:
    line = index.line(position)
    if isinstance(line, Flaw):
        return line
    return _decode(line, last=index.complete and position == index.count - 1)


def _decode(line: bytes, *, last: bool) -> object:
    try:
        return decode_line(line.decode("utf-8"), last=last)
    except UnicodeDecodeError as error:
        return Flaw(_("is not UTF-8: byte {offset} of the line").format(offset=error.start))


def export_rows(rows: Rows, positions: Sequence[int], path: Path, *, overwrite: bool = False) -> int:
    """Write rows as JSONL, with the columns and values that they have in the file; the whole of it, or nothing.

    Args:
        rows: where they are.
        positions: which, in the order wanted; bad rows are left out.
        path: the file to make.
        overwrite: whether another file of that name may go.

    Returns:
        how many were written.

    Raises:
        PoemError: there is such a file already, it can't be written, or the rows' own file has changed.
    """
    written = 0

    def lines() -> Iterator[str]:
        nonlocal written
        for text in rows.written(positions):
            yield text + "\n"
            written += 1

    write_new(path, lines(), overwrite=overwrite)
    return written
