"""`events.jsonl`: appended to by one process, read by any number, from any byte on.

A last line that isn't finished yet is left for later; one that never will be is passed over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from core.paths import refuse_pipe
from core.runs.events import Event, parse_line, to_line
from core.runs.storage import storage_error

# A line longer than this is skipped. The longest of ours is a sample of a very long prompt.
READ_BYTES = 4 * 1024 * 1024
_BLOCK_BYTES = 64 * 1024


class EventLog:
    """The writing end of `events.jsonl`. One process at a time has one: the holder of the run's lock."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending; it is made (mode 0600) where it is missing."""
        self._path = path
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(path, flags, 0o600)
            size = os.fstat(self._descriptor).st_size
            # A killed writer can leave half a line; ours must not become the other half.
            self._mid_line = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        except OSError as error:
            raise storage_error(error, path) from error

    def append(self, event: Event, *, time_s: float | None = None, sync: bool = False) -> None:
        """Add one line.

        Args:
            event: what happened.
            time_s: when, in unix seconds; None: now.
            sync: return only when the line would survive a power cut.

        Raises:
            PoemError: it can't be written. A part of the line may be in the file; readers pass over it.
        """
        line = to_line(event, time.time() if time_s is None else time_s) + "\n"
        # A lone surrogate has no UTF-8; \udXXX, which backslashreplace writes, is its JSON escape.
        data = line.encode("utf-8", "backslashreplace")
        if self._mid_line:
            data = b"\n" + data
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
                self._mid_line = bool(data)
            if sync:
                os.fsync(self._descriptor)
        except OSError as error:
            raise storage_error(error, self._path) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def _open(path: Path) -> int | None:
    """A descriptor to read from; None where there is no such file."""
    try:
        refuse_pipe(path)
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error(error, path) from error


def read_events(path: Path, offset: int = 0) -> tuple[list[tuple[Event, float]], int]:
    """The next events of a file, at most `READ_BYTES` of it, however long it is.

    Args:
        path: an `events.jsonl`; a missing one has no events yet.
        offset: byte to read from: 0, or what an earlier call returned.

    Returns:
        (event, time in unix seconds) for every known event read, and the offset to go on from. The end is reached
        (for now) when that equals `offset`. A last line without a line feed is left for a later call.

    Raises:
        PoemError: it can't be read, or is no ordinary file.
    """
    descriptor = _open(path)
    if descriptor is None:
        return [], offset
    try:
        offset = min(offset, os.fstat(descriptor).st_size)  # somebody cut the file: go on from its new end
        data = os.pread(descriptor, READ_BYTES, offset)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        os.close(descriptor)
    end = data.rfind(b"\n") + 1
    if end == 0:
        return [], offset + (len(data) if len(data) == READ_BYTES else 0)
    parsed = (parse_line(line) for line in data[:end].split(b"\n"))
    return [(event, time_s) for event, time_s in parsed if event is not None], offset + end


def offset_of_last(path: Path, lines: int) -> int:
    """The byte at which the last so many whole lines of a file begin; it is read from its end, however long it is."""
    descriptor = _open(path)
    if descriptor is None:
        return 0
    try:
        end = os.fstat(descriptor).st_size
        wanted = lines + 1  # the feed before the first of them
        while end > 0:
            begin = max(0, end - _BLOCK_BYTES)
            block = os.pread(descriptor, end - begin, begin)
            feeds = block.count(b"\n")
            if feeds >= wanted:
                at = len(block)
                for _number in range(wanted):
                    at = block.rfind(b"\n", 0, at)
                return begin + at + 1
            wanted -= feeds
            end = begin
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        os.close(descriptor)
    return 0


def iter_events(path: Path) -> Iterator[tuple[Event, float]]:
    """Every event that the file holds now, with its time in unix seconds, a few megabytes in memory at a time."""
    offset = 0
    while True:
        events, next_offset = read_events(path, offset)
        if next_offset == offset:
            return
        yield from events
        offset = next_offset
