"""Bringing a run to its end from outside: by asking its worker, by signal, or in the queue where it has no worker."""

from __future__ import annotations

from core.runs import queue
from core.runs.checkpoints import checkpoints
from core.runs.control import ask, signal_stop
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import RunStopped
from core.runs.lock import is_locked, lock_run
from core.runs.storage import DiskFull
from core.runs.view import view_run


def ask_to_end(run: RunDirectory, *, now: bool) -> bool:
    """Ask a run to end; whether it has ended already, as one that waited without a process does.

    Args:
        run: the run.
        now: don't save first; the steps since its checkpoint are lost.

    Raises:
        PoemError: no process is at work on it and it doesn't wait, or it can't be asked.
    """
    if not is_locked(run) and view_run(run).status == "queued":
        cancel_unattended(run)
        return True
    try:
        ask(run, "stop-now" if now else "stop")
    except DiskFull:
        signal_stop(run, now=now)
    return False


def cancel_unattended(run: RunDirectory) -> None:
    """Take a run whose process is gone out of the queue, and write down that it is stopped."""
    with lock_run(run):
        queue.leave(run)
        found = checkpoints(run)
        with EventLog(run.events_path) as log:
            log.append(RunStopped(step=found[-1].step if found else 0, reason="stop"), sync=True)
