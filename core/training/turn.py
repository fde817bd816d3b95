"""Waiting for the run's turn on its device, with next to nothing in memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from core.errors import PoemError
from core.runs import queue
from core.runs.directory import RunDirectory
from core.runs.events import DeviceTaken, Note, RunQueued
from core.runs.lock import HeldLock
from core.runs.storage import DiskFull
from core.training.commands import Commands

_POLL_S = 0.2


def wait_turn(run: RunDirectory, device: str, *, commands: Commands, record: Callable[..., None]) -> HeldLock:
    """Stand in line until the device is this run's.

    Args:
        run: the run, whose lock this process holds.
        device: what `model.device` says.
        commands: looked at while waiting.
        record: writes an event.

    Returns:
        the device's lock, to be held as long as the run uses the device.

    Raises:
        Stopped: the run was told to end.
        PoemError: the queue can't be used. Lack of room, and others at the list, are waited out.
    """
    name = queue.device_name(device)
    told: set[str] = set()

    def tell(event: RunQueued | Note) -> None:
        if type(event).__name__ not in told:
            told.add(type(event).__name__)
            record(event)

    commands.is_queued = True
    try:
        while True:
            commands.raise_if_stopped()
            try:
                queue.join(run, name)
                lock = queue.take_turn(run, name)
            except (queue.Busy, DiskFull) as error:
                lock = None
                tell(Note(f"{error.message} {error.hint}"))
            if lock is not None:
                # Before it leaves the line: a run that is killed in between must not be thought to wait.
                record(DeviceTaken(device=name), sync=True)
                return lock
            tell(RunQueued(device=name, behind=queue.holder(name)))
            time.sleep(_POLL_S)
    finally:
        commands.is_queued = False
        with contextlib.suppress(PoemError):
            queue.leave(run)
