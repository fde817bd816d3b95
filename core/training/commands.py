"""What a worker has been told to do, by signals and by requests, from its first moment to its last.

It takes requests away, answers them and remembers what they ask; the worker looks here whenever it may act.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from types import FrameType

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.runs.control import pending, take_away
from core.runs.directory import RunDirectory
from core.runs.events import Event, RequestAnswered
from core.runs.launch import HELD_BACK


class Interrupts:
    """SIGINT and SIGTERM are collected instead of died of; SIGHUP, a terminal that closes, means nothing."""

    def __init__(self) -> None:
        """Handle the signals from now on, those included that came while they were held back."""
        self.names: list[str] = []
        self._former = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        self._former[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # The third one means it: whatever hangs is broken off.
        if len(self.names) >= 2:
            raise KeyboardInterrupt
        self.names.append(signal.Signals(number).name)
        words = _("Ending after this step, with a checkpoint. Once more: end without one.")
        if len(self.names) > 1:
            words = _("Ending without a checkpoint.")
        with contextlib.suppress(OSError):
            os.write(2, f"\n{words}\n".encode())  # not by print, which may be what was interrupted

    def restore(self) -> None:
        """Leave the signals to whoever handled them before."""
        for number, handler in self._former.items():
            signal.signal(number, handler)


class Stopped(Exception):
    """Raised where a worker that was told to stop has nothing to save."""


class Commands:
    """The wishes that are open."""

    def __init__(self, run: RunDirectory, interrupts: Interrupts, record: Callable[[Event], None]) -> None:
        """Nothing is asked yet."""
        self._run, self._interrupts, self._record = run, interrupts, record
        self._stop = self._stop_now = ""
        self.is_queued = False
        """Whether the run still waits for its device."""
        self.pause = False
        """Somebody wants the run to wait (True), or to go on (False)."""
        self.checkpoint = False
        """Somebody wants a checkpoint."""
        self.sample = False
        """Somebody wants samples."""
        self.eval_every: int | None = None
        """Somebody wants this many steps between evaluations; None: no change."""
        self.retry = False
        """Somebody thinks that what the run waits for is there."""

    def _answer(self, request_id: str, action: str, problem: str = "") -> None:
        self._record(RequestAnswered(request=request_id, action=action, problem=problem))

    def look(self) -> None:
        """Take in what has been asked since the last look.

        Raises:
            PoemError: somebody has removed the run.
        """
        if _is_gone(self._run):
            raise PoemError(_("the run's directory was removed"), where=plain(str(self._run.path)))
        for request in pending(self._run):
            self._answer(request.id, request.action, self._take(request.action, request.value))
            take_away(self._run, request)

    def _take(self, action: str, value: int) -> str:
        if self.is_queued and action not in ("stop", "stop-now"):
            return _("the run waits in the queue; it can be stopped, or moved with: poemcore queue move")
        match action:
            case "stop":
                self._stop = action
            case "stop-now":
                self._stop_now = action
            case "checkpoint":
                self.checkpoint = True
            case "sample":
                self.sample = True
            case "pause":
                self.pause = True
            case "resume":
                self.pause, self.retry = False, True
            case "eval-every":
                self.eval_every = value
            case _:
                return _("The file holds no request.")
        return ""

    @property
    def stop(self) -> str:
        """Who or what wants the run to end; "" where nothing does."""
        return self.stop_now or self._stop or next(iter(self._interrupts.names), "")

    @property
    def stop_now(self) -> str:
        """The same, where it is to end without saving. A second signal says so too."""
        return self._stop_now or (self._interrupts.names[1] if len(self._interrupts.names) > 1 else "")

    def raise_if_stopped(self) -> None:
        """Look, and leave by `Stopped` where the run is to end."""
        self.look()
        if self.stop:
            raise Stopped(self.stop)


def _is_gone(run: RunDirectory) -> bool:
    try:
        run.path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # a network that is away for a moment
    return False
