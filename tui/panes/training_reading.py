"""Which run the Train pane shows, and how its course gets there: read in threads as it grows, or replayed.

It knows no widget: who shows it is told by `track_changed` and `console_changed`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from textual import on, work
from textual.binding import Binding
from textual.message import Message
from textual.timer import Timer
from textual.worker import Worker, WorkerState, get_current_worker

from core.errors import PoemError
from core.i18n import N_, _
from core.plain import plain
from core.runs.directory import LAST, RunDirectory
from core.runs.view import OPEN_STATUSES, RunView
from core.runs.wording import duration
from tui.pane import Pane
from tui.panes import training_console as console
from tui.plain import fit
from tui.run_track import Fold, Follower, RunTrack, Timed, replay
from tui.widgets.dialogs import Choose
from tui.wording import progress_words, short_id
from tui.workbench import RunSeen

SPEEDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""How many times as fast as it was a run may be replayed."""
_FIRST_SPEED = SPEEDS.index(20)
_FRAME_S = 0.25
_READ_S = 0.9
"""A run that goes on as it did isn't read more often than this."""
_CONSOLE_S = 1.0
_CHOICE_CELLS = 68
"""What a line of a dialog holds at 80 columns."""


class ReadingPane(Pane):
    """A pane that follows one run."""

    BINDINGS = [
        Binding("comma", "other_run(1)", N_("Older run"), id="train.older", show=False),
        Binding("full_stop", "other_run(-1)", N_("Newer run"), id="train.newer", show=False),
        Binding("less_than_sign", "replay_speed(-1)", N_("Replay slower"), id="train.slower", show=False),
        Binding("greater_than_sign", "replay_speed(1)", N_("Replay faster"), id="train.faster", show=False),
    ]

    @dataclass
    class TrackRead(Message):
        """The followed run was read: all that there is of it, so that a later one makes an earlier one void."""

        run_id: str
        track: RunTrack | None
        """None: it can't be read."""
        problem: str
        """Why it can't; empty where it can."""

        def can_replace(self, message: Message) -> bool:
            """One is enough."""
            return isinstance(message, ReadingPane.TrackRead)

    @dataclass
    class ConsoleRead(Message):
        """The end of the followed run's console."""

        run_id: str
        mark: console.Mark
        lines: tuple[str, ...]

    @dataclass
    class EventsRead(Message):
        """All events of a run that is to be replayed."""

        run_id: str
        events: list[Timed]

    def __init__(self, *, id: str) -> None:
        """Nothing is followed."""
        super().__init__(id=id)
        self.followed: RunDirectory | None = None
        self.problem = ""
        self.console_lines: tuple[str, ...] = ()
        self.wanted = ""
        """What a person asked for, as they named it; empty: the newest run at work."""
        self._before = ""
        self._read_track: RunTrack | None = None
        self._follower: Follower | None = None
        self._reading = self._read_again = False
        self._read_s = -_READ_S
        self._read_timer: Timer | None = None
        self._console_mark: console.Mark = (-1, -1)
        self._frames: Iterator[list[Timed]] | None = None
        self._replayed: Fold | None = None
        self._replay_track: RunTrack | None = None
        self._replay_timer: Timer | None = None
        self._speed = _FIRST_SPEED

    def on_mount(self) -> None:
        """Watch the runs."""
        self.watch(self.workbench, "runs", self._runs_changed, init=False)
        self.set_interval(_CONSOLE_S, self._look_at_console)
        self._runs_changed()

    def track_changed(self) -> None:
        """Another run is shown, or more of it."""
        raise NotImplementedError

    def console_changed(self) -> None:
        """More has been written to the console."""
        raise NotImplementedError

    def console_is_shown(self) -> bool:
        """Whether anybody sees it."""
        raise NotImplementedError

    # -- which run

    @property
    def track(self) -> RunTrack | None:
        """What is shown: the followed run as it is, or as it was; None: nothing has been read of it."""
        return self._replay_track if self._replayed is not None else self._read_track

    @property
    def live_view(self) -> RunView | None:
        """The followed run as it is: what the workbench knows, as a pane behind others has read nothing lately."""
        seen = self._seen_run()
        if seen is not None and not seen.problem:
            return seen.view
        return self._read_track.view if self._read_track is not None else None

    def _seen_run(self) -> RunSeen | None:
        """What the workbench knows of the followed run."""
        followed = self.followed
        return next((run for run in self.workbench.runs if followed is not None and run.path == followed.path), None)

    @property
    def replaying(self) -> bool:
        """Whether what is shown is a replay."""
        return self._replayed is not None

    def follow(self, run_id: str) -> None:
        """Show a run: an id, the beginning of one, or `last`; one that isn't there yet as soon as it is."""
        self.wanted = run_id
        self._runs_changed()

    def prefer(self, run_id: str) -> None:
        """Show this run as long as none is at work and no other is asked for."""
        self._before = run_id

    def _runs_changed(self) -> None:
        run = self._choose()
        if run is None:
            self._turn_to(None)
        elif self.followed is None or self.followed.path != run.path:
            self._turn_to(RunDirectory(run.path))
        self._read_soon()

    def _choose(self) -> RunSeen | None:
        runs = self.workbench.runs
        if self.wanted:
            found = _meant(runs, self.wanted)
            if found is not None:
                self.wanted = found.id
                return found
        shown = self.followed.id if self.followed is not None else self._before
        open_run = next((run for run in runs if run.view.status in OPEN_STATUSES and not run.problem), None)
        return open_run or next((run for run in runs if run.id == shown), runs[0] if runs else None)

    def _turn_to(self, run: RunDirectory | None) -> None:
        self._end_replay()
        self.followed, self._read_track, self.problem = run, None, ""
        self._follower = Follower(run) if run is not None else None
        self._console_mark, self.console_lines = (-1, -1), ()
        self._look_at_console()
        self.console_changed()
        self.track_changed()

    def place_words(self) -> str:
        """Which of the runs this is; empty where there is no other."""
        ids = [run.id for run in self.workbench.runs]
        if len(ids) < 2 or self.followed is None or self.followed.id not in ids:
            return ""
        return _("run {number} of {count}").format(number=len(ids) - ids.index(self.followed.id), count=len(ids))

    def action_other_run(self, by: int) -> None:
        """Follow the run that is so many older, or newer where that is negative."""
        ids = [run.id for run in self.workbench.runs]
        if self.followed is None or self.followed.id not in ids:
            return
        at = ids.index(self.followed.id) + by
        if 0 <= at < len(ids):
            self.follow(ids[at])
        else:
            said = _("There is no older run.") if by > 0 else _("There is no newer run.")
            self.tell(said, severity="information")

    def action_choose_run(self) -> None:
        """Follow one of a list."""
        runs = self.workbench.runs
        if not runs:
            self.tell(_("There is no run here."), severity="information")
            return
        ids = [run.id for run in runs]

        def chosen(answer: int | None) -> None:
            if answer is not None:
                self.follow(ids[answer])

        words = [fit(_choice_words(run), _CHOICE_CELLS).rstrip() for run in runs]
        at = ids.index(self.followed.id) if self.followed is not None and self.followed.id in ids else 0
        self.app.push_screen(Choose(_("Follow a run"), words, at=at), chosen)

    # -- reading

    def on_show(self) -> None:
        """What has happened while nobody looked."""
        self._read_soon()
        self._look_at_console()

    def _read_soon(self) -> None:
        """Read what is new, at once or after the reading that goes on; not while nobody looks."""
        if self._follower is None or not self.display:
            return
        read, seen = self._read_track, self._seen_run()
        urgent = read is None or seen is None or seen.view.status != read.view.status
        due_s = self._read_s + _READ_S - time.monotonic()
        if due_s > 0 and not urgent:
            self._read_timer = self._read_timer or self.set_timer(due_s, self._read_due)
            return
        self._read_again = self._reading
        if not self._reading:
            self._reading, self._read_s = True, time.monotonic()
            self._read(self._follower)

    def _read_due(self) -> None:
        self._read_timer = None
        self._read_soon()

    @work(thread=True, group="train.read", exit_on_error=False)
    def _read(self, follower: Follower) -> None:
        worker = get_current_worker()
        track, problem = None, ""
        try:
            track = follower.look(lambda: worker.is_cancelled)
        except PoemError as error:
            problem = str(error)
        if not worker.is_cancelled:
            self.post_message(self.TrackRead(follower.run.id, track, problem))

    @on(TrackRead)
    def _take_track(self, event: TrackRead) -> None:
        self._reading = False
        if self._read_again:
            self._read_soon()
        if self.followed is None or event.run_id != self.followed.id:
            return
        if (event.track, event.problem) != (self._read_track, self.problem):
            self._read_track, self.problem = event.track, event.problem
            if not self.replaying:
                self.track_changed()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A reading that fell over is over."""
        if event.worker.group == "train.read" and event.state in (WorkerState.ERROR, WorkerState.CANCELLED):
            self._reading = False
        super().on_worker_state_changed(event)

    def _look_at_console(self) -> None:
        if self.followed is not None and self.display and self.console_is_shown():
            self._read_console(self.followed, self._console_mark)

    @work(thread=True, exclusive=True, group="train.console", exit_on_error=False)
    def _read_console(self, run: RunDirectory, known: console.Mark) -> None:
        mark = console.mark_of(run)
        if mark != known:
            self.post_message(self.ConsoleRead(run.id, mark, console.read_tail(run)))

    @on(ConsoleRead)
    def _take_console(self, event: ConsoleRead) -> None:
        if self.followed is not None and event.run_id == self.followed.id:
            self._console_mark = event.mark
            if event.lines != self.console_lines:
                self.console_lines = event.lines
                self.console_changed()

    # -- replay

    def replay_words(self) -> str:
        """How fast it is replayed, and how far; empty: it isn't."""
        if self._replayed is None or self._read_track is None:
            return ""
        done, whole = (duration(view.worked_s) for view in (self._replayed.view, self._read_track.view))
        return _("{speed}×  {done} of {whole}").format(speed=SPEEDS[self._speed], done=done, whole=whole)

    def may_replay(self) -> bool:
        """Whether the run has ended and did something."""
        view = self.live_view
        return view is not None and view.status not in OPEN_STATUSES and view.step > 0

    def action_replay(self) -> None:
        """Show the run again as it went, or as it is."""
        if self.replaying:
            self._end_replay()
            self.track_changed()
        elif self.followed is not None and self.may_replay():
            self._read_events(self.followed)

    def action_replay_speed(self, by: int) -> None:
        """Faster or slower."""
        self._speed = max(0, min(self._speed + by, len(SPEEDS) - 1))
        self.track_changed()

    @work(thread=True, exclusive=True, group="train.replay", exit_on_error=False)
    def _read_events(self, run: RunDirectory) -> None:
        from core.runs.event_log import iter_events

        try:
            events = list(iter_events(run.events_path))
        except PoemError as error:
            self.tell(error)
            return
        if not get_current_worker().is_cancelled:
            self.post_message(self.EventsRead(run.id, events))

    @on(EventsRead)
    def _start_replay(self, event: EventsRead) -> None:
        if self.followed is None or event.run_id != self.followed.id or self.replaying:
            return
        self._replayed = Fold(RunView(event.run_id))
        self._frames = replay(event.events, speed=lambda: SPEEDS[self._speed], frame_s=_FRAME_S)
        self._replay_timer = self.set_interval(_FRAME_S, self._next_frame)
        self._next_frame()

    def _next_frame(self) -> None:
        if self._replayed is None or self._frames is None or not self.display:
            return
        frame = next(self._frames, None)
        if frame is None:
            self._end_replay()
        else:
            if frame or self._replay_track is None:
                self._replayed.take(frame)
                self._replay_track = self._replayed.track()
        self.track_changed()

    def _end_replay(self) -> None:
        if self._replay_timer is not None:
            self._replay_timer.stop()
        self._frames = self._replayed = self._replay_track = self._replay_timer = None


def _choice_words(run: RunSeen) -> str:
    """A run among others; of one that can't be read the beginning of why, without the path that its name is part of."""
    if not run.problem:
        return f"{short_id(run.id)}  {progress_words(run.view, run.status)}"
    why = run.problem.partition("\n")[0].removeprefix(plain(str(run.path))).lstrip("/: ")
    return _("{run}  unreadable: {problem}").format(run=short_id(run.id), problem=why)


def _meant(runs: tuple[RunSeen, ...], wanted: str) -> RunSeen | None:
    """The run that a person means by an id, the beginning of one, or `last`."""
    exact = [run for run in runs if run.id == wanted] or (list(runs[:1]) if wanted == LAST else [])
    beginning = [run for run in runs if run.id.startswith(wanted)]
    return exact[0] if exact else beginning[0] if len(beginning) == 1 else None
