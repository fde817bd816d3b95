"""What the panes share: the open data, the open profile, the runs and the model process. The app owns and changes it.

A pane reads it from `self.workbench` and watches it with `self.watch(self.workbench, "runs", …)`. It knows no pane.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from textual import on, work
from textual.app import App
from textual.message import Message
from textual.reactive import var
from textual.worker import Worker, WorkerState, get_current_worker

from core.errors import PoemError
from core.i18n import _
from tui import messages

if TYPE_CHECKING:
    from core.advice.facts import Facts
    from core.client import ModelClient, ModelState
    from core.device_memory import DeviceMemory, MemoryMeter
    from core.profile.schema import Profile
    from core.runs.events import Event
    from core.runs.view import RunView
    from tui.follow import Follower

_LOOK_S = 0.5
_MEMORY_S = 5.0
_MEMORY_PARTS = 100
_AT_WORK = ("starting", "running", "paused")


class DataState(NamedTuple):
    """The data file in the Data pane."""

    path: str
    """As a person typed it, or `builtin:NAME`."""
    rows: int = 0
    """Rows found so far."""
    complete: bool = False
    """Whether that is all of them."""
    problem: str = ""
    """Why it can't be read; empty where it can."""


class Findings(NamedTuple):
    """What the last review found."""

    facts: Facts
    """What advice goes by."""
    path: str
    """The data file, as in `DataState`."""
    profile: str
    """The text of the profile that it was made with."""


class ProfileState(NamedTuple):
    """The profile in the editor."""

    source: str
    """What it was opened from: a preset's name or a file."""
    path: Path | None = None
    """The file that it is saved to; None: it has none yet."""
    text: str = ""
    """The text in the editor."""
    unsaved: bool = False
    """Whether that differs from what was saved or opened."""
    profile: Profile | None = None
    """The text as a profile; None while it has problems or hasn't been checked."""
    problems: int = 0
    """How many problems it has."""

    @property
    def base_dir(self) -> Path:
        """The folder that relative paths in it start from: the working directory, as on the command line."""
        return Path.cwd()


class RunSeen(NamedTuple):
    """A run at one moment."""

    view: RunView
    """What its events say, judged by its lock."""
    path: Path
    """Its directory."""
    status: str = ""
    """Its status in words."""
    tail: tuple[Event, ...] = ()
    """Its last events but steps and samples, oldest first."""
    problem: str = ""
    """Why it can't be read; empty where it can."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.view.id


class Workbench(App[None]):
    """The shared state of the app, and what keeps it true."""

    data_state: var[DataState] = var(DataState(""))
    profile_state: var[ProfileState] = var(ProfileState(""))
    findings: var[Findings | None] = var(None)
    """Of the last review, perhaps of another file or profile by now; None: there was none."""
    runs: var[tuple[RunSeen, ...]] = var(())
    """Newest first."""
    runs_problem: var[str] = var("")
    """Why the runs directory can't be read; empty where it can."""
    model_state: var[ModelState | None] = var(None)
    """How the model process is; None before its first request."""
    memory: var[DeviceMemory | None] = var(None)
    """How full the memory is that models live in."""

    def __init__(self, runs_dir: Path) -> None:
        """The state of a runs directory, which need not exist."""
        super().__init__()
        self.runs_dir = runs_dir
        self._follower: Follower | None = None
        self._looking = False
        self._model: ModelClient | None = None
        self._meter: MemoryMeter | None = None
        self._has_reported = False

    # -- the model process

    @property
    def model(self) -> ModelClient:
        """The model process; it starts at its first request."""
        if self._model is None:
            from core.client import ModelClient

            self._model = ModelClient(self._model_changed, runs_dir=self.runs_dir)
        return self._model

    def _model_changed(self, state: ModelState) -> None:
        self.model_state = state

    @on(messages.FreeDevice)
    async def _free_device(self) -> None:
        if self._model is not None:
            await self._model.unload()

    async def on_unmount(self) -> None:
        """The model process ends with the app; runs don't."""
        if self._model is not None:
            await self._model.close()

    # -- runs and memory

    def begin_to_look(self) -> None:
        """Look at runs and memory, now and from now on."""
        self._look()
        self.set_interval(_LOOK_S, self._look)
        self._read_memory()
        self.set_interval(_MEMORY_S, self._read_memory)

    @on(messages.LookAtRuns)
    def _look(self) -> None:
        if not self._looking:
            from tui.follow import Follower

            self._follower = self._follower or Follower(self.runs_dir)
            self._looking = True
            self._look_at_runs(self._follower)

    @work(thread=True, exit_on_error=False)
    def _look_at_runs(self, follower: Follower) -> None:
        worker = get_current_worker()
        try:
            runs, problem = follower.look(lambda: worker.is_cancelled), ""
        except PoemError as error:
            runs, problem = (), str(error)
        if not worker.is_cancelled:
            self.post_message(messages.RunsSeen(runs, problem))

    @on(messages.RunsSeen)
    def _seen(self, event: messages.RunsSeen) -> None:
        self._looking = False
        self.runs_problem = event.problem
        self.runs = event.runs  # equal ones change nothing

    def watch_runs(self, before: tuple[RunSeen, ...], now: tuple[RunSeen, ...]) -> None:
        """A run that has begun, here or elsewhere, gets the device that the warm model holds."""
        at_work = {run.id for run in before if run.view.status in _AT_WORK}
        if self._model is not None and any(run.view.status in _AT_WORK and run.id not in at_work for run in now):
            self.post_message(messages.FreeDevice())

    def _read_memory(self) -> None:
        from core.device_memory import MemoryMeter

        self._meter = self._meter or MemoryMeter()
        now, shown = self._meter.read(), self.memory
        if shown is None or abs(now.used_bytes - shown.used_bytes) * _MEMORY_PARTS >= now.total_bytes:
            self.memory = now  # smaller changes would be painted all day long

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A look at the runs that failed is reported, and the next one is tried."""
        if event.state == WorkerState.ERROR and event.worker.error is not None:
            from tui.widgets.dialogs import ErrorReport, report_of

            self._looking = False
            self.push_screen(ErrorReport(_("Looking at the runs failed"), report_of(event.worker.error)))

    async def _dispatch_message(self, message: Message) -> None:
        """Do what a message asks for; an accident in it ends that, and not the app's reading of messages."""
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            if self.is_headless:
                raise
            self._remember_what_is_left()
            self.call_later(self._report, error)

    def _handle_exception(self, error: Exception) -> None:
        """An accident in the app itself: what is open is kept, the person is told once, and can still leave.

        Textual would end the app with a traceback. Tests still see the exception.
        """
        if self._exit:
            return  # a widget that is being taken down was asked for something
        if not self.is_headless:
            self._remember_what_is_left()
        if self.is_headless or self._has_reported:
            super()._handle_exception(error)
            return
        self._has_reported = True
        self.call_later(self._report, error)

    def _remember_what_is_left(self) -> None:
        """After an accident, which may have taken a part of a pane with it; there is one accident to tell of."""
        with contextlib.suppress(Exception):
            self.remember()

    def _report(self, error: Exception) -> None:
        from tui.widgets.dialogs import ErrorReport, report_of

        if any(isinstance(screen, ErrorReport) for screen in self.screen_stack):
            return  # one at a time
        for screen in self.screen_stack[1:]:
            if not screen.is_running:  # a dialog that the accident happened in takes no key any more
                self._screen_stack.remove(screen)
        title = _("A part of the app has stopped; runs go on. Leave with ctrl+q and start it again.")
        self.push_screen(ErrorReport(title, report_of(error)))

    def remember(self) -> str:
        """Write down what the next start shall find again; returns why that can't be had, or nothing."""
        return ""
