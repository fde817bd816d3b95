"""The course of one run for the Train pane: view and series as one frozen snapshot, folded from events as they come.

It knows events and the disk, and no widget. One thread at a time may use a track.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from core.runs.directory import RunDirectory
from core.runs.event_log import read_events
from core.runs.events import DeviceTaken, Event, RunQueued, RunStarted, SampleMade, StepDone
from core.runs.health import Course, Finding, findings
from core.runs.lock import is_locked
from core.runs.storage import check_private
from core.runs.view import SMOOTHING, RunView, fold_all, judged_by_lock

_EVENTS_KEPT = 200
Points = tuple[tuple[int, float], ...]
Timed = tuple[Event, float]
"""An event, and its time in unix seconds."""


@dataclass(frozen=True, slots=True)
class RunTrack:
    """A run at one moment, with all that the Train pane shows of it."""

    view: RunView
    """What its events say, judged by its lock."""
    epoch: float = 0.0
    """Epochs done."""
    smoothed: Points = ()
    """(step, smoothed loss)."""
    rates: Points = ()
    """(step, learning rate)."""
    grad_norms: Points = ()
    """(step, gradient norm), before clipping."""
    speeds: Points = ()
    """(step, tokens per second)."""
    memory: Points = ()
    """(step, bytes); steps that don't know it are left out."""
    told: tuple[Timed, ...] = ()
    """Its last events but steps and samples, oldest first."""
    findings: tuple[Finding, ...] = ()
    """What stands out."""


@dataclass(slots=True)
class Fold:
    """Folds events into tracks."""

    view: RunView
    """The run so far."""
    _epoch: float = 0.0
    _smoothed: list[tuple[int, float]] = field(default_factory=list)
    _rates: list[tuple[int, float]] = field(default_factory=list)
    _grad_norms: list[tuple[int, float]] = field(default_factory=list)
    _speeds: list[tuple[int, float]] = field(default_factory=list)
    _memory: list[tuple[int, float]] = field(default_factory=list)
    _not_finite: list[int] = field(default_factory=list)
    _sum: float = 0.0
    _weight: float = 0.0
    _told: tuple[Timed, ...] = ()

    def take(self, events: Sequence[Timed]) -> None:
        """Further events, in order."""
        self.view = fold_all(self.view, events)
        for event, _time_s in events:
            if isinstance(event, StepDone):
                self._take_step(event)
            elif isinstance(event, RunStarted):
                self._go_back_to(event.resumed_from_step)
        told = (timed for timed in events if not isinstance(timed[0], (StepDone, SampleMade)))
        self._told = (*self._told, *told)[-_EVENTS_KEPT:]

    def track(self, *, locked: bool = True) -> RunTrack:
        """The run now; `locked`: whether a process held it before its last events were read."""
        view = judged_by_lock(self.view, locked=locked)
        grad_norms, speeds = tuple(self._grad_norms), tuple(self._speeds)
        course = Course(view.losses, view.evals, grad_norms, speeds, tuple(self._not_finite))
        return RunTrack(
            view,
            self._epoch,
            tuple(self._smoothed),
            tuple(self._rates),
            grad_norms,
            speeds,
            tuple(self._memory),
            self._told,
            findings(course),
        )

    def _take_step(self, event: StepDone) -> None:
        step = event.step
        self._epoch = event.epoch
        if math.isfinite(event.loss):
            self._smooth(step, event.loss)
        if not (math.isfinite(event.loss) and math.isfinite(event.grad_norm)):
            self._not_finite.append(step)
        self._rates.append((step, event.lr))
        self._grad_norms.append((step, event.grad_norm))
        self._speeds.append((step, event.tokens_per_s))
        if event.memory_bytes:
            self._memory.append((step, float(event.memory_bytes)))

    def _smooth(self, step: int, loss: float) -> None:
        self._sum, self._weight = SMOOTHING * self._sum + loss, SMOOTHING * self._weight + 1.0
        self._smoothed.append((step, self._sum / self._weight))

    def _go_back_to(self, step: int) -> None:
        """What was done after the step will be done again."""
        for points in (self._rates, self._grad_norms, self._speeds, self._memory):
            del points[bisect_right(points, step, key=itemgetter(0)) :]
        self._not_finite = [bad for bad in self._not_finite if bad <= step]
        self._sum = self._weight = 0.0
        self._smoothed = []
        for kept, loss in self.view.losses:
            if kept <= step:
                self._smooth(kept, loss)
        self._epoch = self._epoch if step else 0.0


@dataclass(slots=True)
class Follower:
    """Follows one run on the disk; it reads no more than what has been added."""

    run: RunDirectory
    """The run."""
    _fold: Fold = field(init=False)
    _offset: int = 0

    def __post_init__(self) -> None:
        """Nothing has been read."""
        self._fold = Fold(RunView(self.run.id))

    def look(self, is_cancelled: Callable[[], bool]) -> RunTrack:
        """The run as it is now.

        Raises:
            PoemError: it can't be read.
        """
        check_private(self.run.path)
        locked = is_locked(self.run)  # before the events: a worker that writes its last one and leaves has not died
        for events in self._new(is_cancelled):
            self._fold.take(events)
        return self._fold.track(locked=locked)

    def _new(self, is_cancelled: Callable[[], bool]) -> Iterator[Sequence[Timed]]:
        while not is_cancelled():
            events, offset = read_events(self.run.events_path, self._offset)
            if offset == self._offset:
                return
            self._offset = offset
            yield events


def replay(events: Iterable[Timed], *, speed: Callable[[], float], frame_s: float) -> Iterator[list[Timed]]:
    """The events of an ended run again, frame by frame, as far apart as they were.

    The time between two processes of the run, and that of loading, is left out. A clock that was set back counts as
    standing still.

    Args:
        events: in order.
        speed: asked at every frame for how many seconds of the run go by in one.
        frame_s: how often a frame is asked for, in seconds.

    Yields:
        the events of the next frame, which may be none; the first frame holds the first event.
    """
    clock_s = due_s = 0.0
    before_s: float | None = None
    frame: list[Timed] = []
    for event, time_s in events:
        if before_s is not None and not isinstance(event, (RunStarted, RunQueued, DeviceTaken)):
            due_s += max(0.0, time_s - before_s)
        before_s = time_s
        while due_s > clock_s:
            yield frame
            frame = []
            clock_s += frame_s * speed()
        frame.append((event, time_s))
    if frame:
        yield frame
