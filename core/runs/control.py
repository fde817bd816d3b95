"""Requests to a living worker: one small file each in the run's `control/`, answered by an event.

Who asks writes, the worker takes away; neither waits for the other. Knows nothing of how a request is met.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.runs.directory import RunDirectory, check_run
from core.runs.event_log import read_events
from core.runs.events import RequestAnswered
from core.runs.lock import is_locked
from core.runs.storage import DiskFull, open_private, read_json, storage_error, write_json

ACTIONS = ("stop", "stop-now", "checkpoint", "sample", "pause", "resume", "eval-every")
_ID = re.compile(r"\d{20}-\d{1,10}")
# A request is some 50 bytes; whatever is longer is none of ours.
_LONGEST_BYTES = 4096
_PID_BYTES = 32
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Request:
    """Something that a worker is asked to do."""

    id: str
    """Its file's name without `.json`; ids in order are requests in the order of asking."""
    action: str
    """One of `ACTIONS`; empty: the file holds no request."""
    value: int = 0
    """Steps between evaluations for eval-every; 0 for every other action."""


def ask(run: RunDirectory, action: str, value: int = 0) -> Request:
    """Put a request before the run's worker, and return at once.

    Raises:
        PoemError: no process is at work on the run, or the request can't be written.
    """
    check_run(run)
    if not is_locked(run):
        raise PoemError(
            _("No process is at work on the run {run}.").format(run=plain(run.id)),
            hint=_("See how it stands with: poemcore runs"),
        )
    try:
        run.control_path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise storage_error(error, run.control_path) from error
    # Time since the machine started: it is the same for every process and no one can set it back.
    request = Request(f"{time.monotonic_ns():020d}-{os.getpid()}", action, value)
    write_json(_path(run, request), {"action": action, "value": value})
    return request


def pending(run: RunDirectory) -> list[Request]:
    """The requests that wait, in the order of asking.

    Raises:
        PoemError: the directory can't be read.
    """
    try:
        names = sorted(os.listdir(run.control_path))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error(error, run.control_path) from error
    ids = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    return [
        _read(run.control_path / f"{request_id}.json", request_id) for request_id in ids if _ID.fullmatch(request_id)
    ]


def take_away(run: RunDirectory, request: Request) -> None:
    """Remove a request that has been seen to."""
    try:
        path = _path(run, request)
        if path.is_dir() and not path.is_symlink():
            path.rename(path.with_suffix(".not-a-request"))
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, run.control_path) from error


def begin(run: RunDirectory) -> None:
    """Void what was asked of an earlier process of the run. Only who has just taken its lock may do this."""
    for request in pending(run):
        take_away(run, request)
    write_pid(run, 0)


def write_pid(run: RunDirectory, pid: int) -> None:
    """Note the process that works on the run; 0: not known yet. On a full disk an existing note can be overwritten."""
    text = json.dumps({"pid": pid}).ljust(_PID_BYTES - 1) + "\n"
    try:
        with open(run.process_path, "ab", opener=open_private) as file:
            if os.fstat(file.fileno()).st_size != _PID_BYTES:
                file.truncate(0)
        descriptor = os.open(run.process_path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, text.encode("ascii"), 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not isinstance(storage_error(error, run.process_path), DiskFull):
            raise storage_error(error, run.process_path) from error


def signal_stop(run: RunDirectory, *, now: bool) -> None:
    """Ask for the end of a run by signal: the way that needs no room on the disk.

    Raises:
        PoemError: the worker's process is not known.
    """
    try:
        pid = read_json(run.process_path)["pid"]
        if type(pid) is not int or pid <= 1:
            raise ValueError
        # Whoever takes the lock voids the note first, so it is of the process that holds the lock now.
        for _time in range(2 if now else 1):
            os.kill(pid, signal.SIGTERM)
            time.sleep(_POLL_S)  # two of a kind at once would count as one
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise PoemError(
            _("The process of the run {run} is not known.").format(run=plain(run.id)),
            hint=_("Make room on the disk and try again."),
            where=plain(str(run.process_path)),
        ) from error


def await_answer(
    run: RunDirectory, request: Request, *, offset: int, timeout_s: float, wait: Callable[[float], None] = time.sleep
) -> RequestAnswered | None:
    """The worker's answer.

    Args:
        run: the run.
        request: what was asked.
        offset: length of the events file in bytes before it was asked.
        timeout_s: how long to wait.
        wait: sleeps for so many seconds.

    Returns:
        the answer; None where none came in time, or the worker's process ended without one.
    """
    until_s = time.monotonic() + timeout_s
    while True:
        locked = is_locked(run)  # before reading: a worker may answer and leave
        events, next_offset = read_events(run.events_path, offset)
        for event, _time_s in events:
            if isinstance(event, RequestAnswered) and event.request == request.id:
                return event
        if next_offset == offset:
            if not locked or time.monotonic() >= until_s:
                return None
            wait(_POLL_S)
        offset = next_offset


def _path(run: RunDirectory, request: Request) -> Path:
    return run.control_path / f"{request.id}.json"


def _read(path: Path, request_id: str) -> Request:
    nothing = Request(request_id, "")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            document = json.loads(os.read(descriptor, _LONGEST_BYTES))
        finally:
            os.close(descriptor)
    except (OSError, ValueError, RecursionError):
        return nothing
    if not isinstance(document, dict):
        return nothing
    action, value = document.get("action"), document.get("value", 0)
    if action not in ACTIONS or type(value) is not int or not 0 <= value <= 10**9:
        return nothing
    return Request(request_id, action, value)
