"""The runs of a directory as they are now, read from what they write to the disk; their processes aren't touched.

A look reads only what has been added since the last one, and of ended runs nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import PoemError
from core.runs import events
from core.runs.directory import RunDirectory, list_runs
from core.runs.event_log import read_events
from core.runs.lock import is_locked
from core.runs.storage import check_private
from core.runs.view import OPEN_STATUSES, RunView, fold_all, judged_by_lock
from core.runs.wording import status_words
from tui.workbench import RunSeen

_EVENTS_KEPT = 12
_SHOWN_ELSEWHERE = (events.SampleMade, events.StepDone)


@dataclass(slots=True)
class _Followed:
    """How far one run has been read."""

    view: RunView
    seen: RunSeen
    offset: int = 0
    mark: tuple[int, int] = (-1, -1)
    tail: tuple[events.Event, ...] = ()


@dataclass(slots=True)
class Follower:
    """Follows every run of a directory. One thread at a time may look."""

    runs_dir: Path
    """The directory, which need not exist yet."""
    _known: dict[str, _Followed] = field(default_factory=dict)

    def look(self, is_cancelled: Callable[[], bool]) -> tuple[RunSeen, ...]:
        """Every run, newest first; cut short where it is cancelled.

        Raises:
            PoemError: the directory can't be read.
        """
        directories = list_runs(self.runs_dir)
        self._known = {run.id: self._known[run.id] for run in directories if run.id in self._known}
        seen = []
        for run in reversed(directories):
            if is_cancelled():
                break
            seen.append(self._look_at(run, is_cancelled))
        return tuple(seen)

    def _look_at(self, run: RunDirectory, is_cancelled: Callable[[], bool]) -> RunSeen:
        known = self._known.get(run.id)
        if known is None:
            view = RunView(run.id)
            known = self._known[run.id] = _Followed(view, RunSeen(view, run.path))
        try:
            mark = _mark_of(run)
            ended = known.view.status not in OPEN_STATUSES
            if ended and mark == known.mark and not known.seen.problem:
                return known.seen
            check_private(run.path)
            locked = is_locked(run)  # before the events: a worker that writes its last one and leaves has not died
            while not is_cancelled():
                new, offset = read_events(run.events_path, known.offset)
                if offset == known.offset:
                    break
                known.offset = offset
                known.view = fold_all(known.view, new)
                told = (event for event, _time_s in new if not isinstance(event, _SHOWN_ELSEWHERE))
                known.tail = (*known.tail, *told)[-_EVENTS_KEPT:]
            view = judged_by_lock(known.view, locked=locked)
            # A lock that is still held means that it may go on: look again.
            known.mark = (-1, -1) if locked else mark
            seen = RunSeen(view, run.path, status_words(view), known.tail)
        except PoemError as error:
            seen = RunSeen(RunView(run.id), run.path, problem=str(error))
        if seen != known.seen:
            known.seen = seen
        return known.seen


def _mark_of(run: RunDirectory) -> tuple[int, int]:
    try:
        found = run.events_path.stat()
    except OSError:
        return (-1, -1)
    return found.st_size, found.st_mtime_ns
