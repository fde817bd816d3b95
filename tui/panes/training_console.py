"""The end of what a run's process wrote to its console. Its text is untrusted; it knows no widget."""

from __future__ import annotations

import os
import stat

from core.runs.directory import RunDirectory

_TAIL_BYTES = 16 * 1024
_LINES = 100
Mark = tuple[int, int]
"""What changes when the file does; (-1, -1): there is none."""


def mark_of(run: RunDirectory) -> Mark:
    """How the console file stands."""
    try:
        found = os.lstat(run.console_path)
    except OSError:
        return (-1, -1)
    return found.st_size, found.st_mtime_ns


def read_tail(run: RunDirectory) -> tuple[str, ...]:
    """Its last lines, oldest first. Of a line that was written over itself, as progress bars are, the last state."""
    try:
        descriptor = os.open(run.console_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ()
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return ()
        start = max(0, found.st_size - _TAIL_BYTES)
        data = os.pread(descriptor, _TAIL_BYTES, start)
    except OSError:
        return ()
    finally:
        os.close(descriptor)
    lines = data.decode("utf-8", "replace").split("\n")
    if start:
        lines = lines[1:]  # its beginning isn't there
    states = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    while states and not states[-1].strip():
        states.pop()
    return tuple(states[-_LINES:])
