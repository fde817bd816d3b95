"""Rows of a large JSON array for whoever looks at them: the first ones at once, all of them when they have been read.

A JSON array has to be read whole before its rows can be relied on; until then the first few are shown as they stand.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from core.data.columns import choose_columns
from core.data.json_records import decode_at, skip_space
from core.data.row import BadRow, Row
from core.data.rows import make_row, names_in, read_rows, texts_in
from core.data.written import written_rows
from core.errors import PoemError

EARLY_BYTES = 2**20
"""JSON arrays from this size on have their first rows shown while the rest is read."""
_HEAD_BYTES = 2**16
_HEAD_ROWS = 100


class ReadRows:
    """Rows of a file that is read whole: perhaps not yet, and then the first ones are there already."""

    def __init__(self, path: str, real: Path, columns: Mapping[str, str] | None) -> None:
        """Look at the head of a large JSON array; read any other file.

        Args:
            path: as a person typed it.
            real: the file.
            columns: field → column; None or empty for the rules.

        Raises:
            PoemError: it can't be read, no rule fits its columns, or none of its rows can be used.
        """
        self.path = path
        self._real, self._asked = real, columns
        self._sha256 = ""
        head = head_of(real)
        self.columns = names_in(head)
        self.mapping: Mapping[str, str] = {}
        self.rule = ""
        self._rows: list[Row | BadRow] = []
        self.complete = False
        try:
            if head:
                self.mapping, self.rule = choose_columns(self.columns, columns, real, text_columns=texts_in(head))
        except PoemError:
            head = []  # rows further on may have the columns that these lack
        if head:
            self._rows = [make_row(number, value, self.mapping, line=None) for number, value in enumerate(head)]
        else:
            self._read()

    def _read(self) -> None:
        file = read_rows(self.path, columns=self._asked, on_bad_row="skip")
        rows: list[Row | BadRow] = [*file.rows, *file.bad_rows]
        rows.sort(key=lambda row: row.number)
        self.columns, self.mapping, self.rule = file.columns, file.mapping, file.rule
        self._sha256, self._rows, self.complete = file.sha256, rows, True

    @property
    def count(self) -> int:
        """Rows known so far."""
        return len(self._rows)

    @property
    def is_changed(self) -> bool:
        """They are kept as they were read."""
        return False

    def row(self, position: int) -> Row | BadRow:
        """The row at a position."""
        return self._rows[position]

    def line(self, position: int) -> None:
        """The rows are at hand."""

    def index(self, go_on: Callable[[], bool]) -> None:
        """Read the whole file.

        Raises:
            PoemError: it can't be read, no rule fits its columns, or none of its rows can be used.
        """
        if not self.complete and go_on():
            self._read()

    def written(self, positions: Sequence[int]) -> Iterator[str]:
        """Rows as they are written in the file, which is read again."""
        self.index(lambda: True)
        good = (position for position in positions if isinstance(self._rows[position], Row))
        return written_rows(self._real, self._sha256, good)


def head_of(path: Path) -> list[object]:
    """The first elements of a large JSON array; none of any other file, and none of what can't be read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size < EARLY_BYTES:
            return []
        with path.open("rb") as file:
            text = codecs.getincrementaldecoder("utf-8-sig")().decode(file.read(_HEAD_BYTES))
    except (OSError, ValueError):
        return []  # whoever reads it whole finds out why, and says so
    at = skip_space(text, 0)
    values: list[object] = []
    mark = "["
    with contextlib.suppress(json.JSONDecodeError, RecursionError):  # the end of the head, or a fault: told later
        while text[at : at + 1] == mark and len(values) < _HEAD_ROWS:
            value, end = decode_at(text, skip_space(text, at + 1))
            values.append(value)
            at, mark = skip_space(text, end), ","
    return values
