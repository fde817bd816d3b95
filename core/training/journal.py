"""Writing a run's events so that a full disk loses none, and telling whoever listens.

A little of the disk is kept in reserve, so that the events that tell of a full disk still find room.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import Event, RunStarted
from core.runs.storage import DiskFull, open_private

_RESERVE_BYTES = 64 * 1024


class Journal:
    """The worker's end of the events file."""

    def __init__(self, run: RunDirectory, listeners: list[Callable[[Event], None]]) -> None:
        """Open the file; a full disk is no reason to fail here."""
        self._log = EventLog(run.events_path)
        self._listeners = listeners
        self._reserve = run.path / ".reserve"
        self.has_started = False
        """Whether this process has begun to train."""
        self._unwritten: list[tuple[Event, float]] = []
        self._make_reserve()

    @property
    def is_short(self) -> bool:
        """Whether the disk is so full that the reserve had to be used."""
        return bool(self._unwritten) or not self._reserve.exists()

    def tell(self, listener: Callable[[Event], None]) -> None:
        """Tell one more listener of every event from now on."""
        self._listeners.append(listener)

    def record(self, event: Event, *, sync: bool = False) -> None:
        """Write an event and tell it to the listeners. Where there is no room it waits for `catch_up`.

        Raises:
            PoemError: the file can't be written for another reason than room.
        """
        self.has_started |= isinstance(event, RunStarted)
        self._unwritten.append((event, time.time()))
        if not self._write(sync=sync):
            with contextlib.suppress(OSError):
                self._reserve.unlink()
            self._write(sync=sync)
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except OSError:
                self._listeners.remove(listener)  # its terminal is gone; the run is not

    def catch_up(self) -> bool:
        """Write what waits and restore the reserve, if there is room by now; whether there was."""
        return self._write(sync=True) and (self._reserve.exists() or self._make_reserve())

    def close(self) -> None:
        """Write what waits if that can be, and close the file."""
        self.catch_up()
        with contextlib.suppress(OSError):
            self._reserve.unlink()
        self._log.close()

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        self.close()

    def _write(self, *, sync: bool) -> bool:
        try:
            while self._unwritten:
                event, time_s = self._unwritten[0]
                self._log.append(event, time_s=time_s, sync=sync and len(self._unwritten) == 1)
                del self._unwritten[0]
        except DiskFull:
            return False
        return True

    def _make_reserve(self) -> bool:
        try:
            with open(self._reserve, "wb", opener=open_private) as file:
                file.write(bytes(_RESERVE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                Path(self._reserve).unlink()
            return False
        return True
