"""Where the rows of a JSONL file lie, found piece by piece, so that a file of any size can be looked into at once.

It counts lines as `core.data.json_records` does, and must not know what is in them.
"""

from __future__ import annotations

import os
import weakref
from array import array
from bisect import bisect_right
from pathlib import Path

from core.data.records import Flaw
from core.i18n import _

_BOM = b"\xef\xbb\xbf"
_LONGEST_BYTES = 64 * 2**20
"""A longer line is named, not read."""
_BEGUN_BYTES = 2**16
"""So much of a line that goes on in the next piece is kept, to tell whether it is blank."""


class RowIndex:
    """The places of the lines that hold something. One thread may call `scan` while others read."""

    def __init__(self, path: Path) -> None:
        """Open the file; nothing is known of it yet.

        Raises:
            OSError: it can't be opened.
            ValueError: it has no possible name.
        """
        # Read by position, never mapped: where a mapped file is cut short, the system kills whoever looks there.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)
        found = os.fstat(self._descriptor)
        self.size_bytes = found.st_size
        """When it was opened; what is added later does not count."""
        self.count = 0
        """Rows found so far."""
        self.complete = False
        """Whether these are all."""
        self._written_ns = found.st_mtime_ns
        self._first = len(_BOM) if os.pread(self._descriptor, len(_BOM), 0) == _BOM else 0
        self._starts = array("Q")
        self._blanks = array("Q")  # for each blank line, how many rows lie before it
        self._scanned = self._end = self._first  # how far it was read, and where the last unfinished line starts
        self._begun = b""

    @property
    def is_changed(self) -> bool:
        """Whether the file was written to since it was opened; one that was put in its place is another file."""
        found = os.fstat(self._descriptor)
        return (found.st_size, found.st_mtime_ns) != (self.size_bytes, self._written_ns)

    def scan(self, piece_bytes: int) -> None:
        """Find the rows in the next piece of the file."""
        at = self._scanned
        piece = os.pread(self._descriptor, min(piece_bytes, self.size_bytes - at), at)
        self._scanned += len(piece)
        at_end = not piece or self._scanned >= self.size_bytes
        lines = piece.split(b"\n")
        start = self._end
        left_out = at - start - len(self._begun)
        lines[0] = self._begun + lines[0]
        self._begun = b"" if at_end else lines.pop()[:_BEGUN_BYTES]
        starts = array("Q")
        for line in lines:
            if line.startswith(b"{") or _holds_something(line):
                starts.append(start)
            else:
                self._blanks.append(self.count + len(starts))
            start += len(line) + 1 + left_out
            left_out = 0
        self._starts.extend(starts)
        self._end = min(start, self.size_bytes)
        self.count = len(self._starts)  # last, as other threads go by it
        self.complete = at_end

    def line_number(self, position: int) -> int:
        """The line of a row, from 1."""
        return position + 1 + bisect_right(self._blanks, position)

    def line(self, position: int) -> bytes | Flaw:
        """A row as it is written, without the line feed; or why it can't be had."""
        start = self._starts[position]
        end = self._starts[position + 1] if position + 1 < len(self._starts) else self._end
        if end - start > _LONGEST_BYTES:
            return Flaw(_("is too long to be looked at: {size_bytes:,} bytes").format(size_bytes=end - start))
        before = min(1, start - self._first)
        found = os.pread(self._descriptor, before + end - start, start - before)
        line, feed, rest = found[before:].partition(b"\n")
        # In a file that was written over, what lies here need not be one line any more.
        whole = len(found) == before + end - start and (feed or end == self.size_bytes)
        if not whole or found[:before].strip(b"\n") or _holds_something(rest):
            return Flaw(_("is no longer in its place: the file has changed since it was opened"))
        return line


def _holds_something(line: bytes) -> bool:
    text = line.decode("utf-8", "replace")
    return bool(text) and not text.isspace()
