"""What the panes share: the open data, the open profile, the runs and the model process. The app owns and changes it.

A pane reads it from `self.workbench` and watches it with `self.watch(self.workbench, "runs", …)`. It knows no pane.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App
from textual.reactive import var

if TYPE_CHECKING:
    from core.client import ModelClient, ModelState

    from core.profile.schema import Profile
    from core.runs.events import Event
    from core.runs.view import RunView


@dataclass(frozen=True, slots=True)
class DataState:
    """The data file in the Data pane."""

    path: str
    """As a person typed it, or `builtin:NAME`."""
    rows: int = 0
    """Rows found so far."""
    complete: bool = False
    """Whether that is all of them."""
    problem: str = ""
    """Why it can't be read; empty where it can."""


@dataclass(frozen=True, slots=True)
class ProfileState:
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


@dataclass(frozen=True, slots=True)
class RunSeen:
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
    """The shared state of the app."""

    data_state: var[DataState] = var(DataState(""))
    profile_state: var[ProfileState] = var(ProfileState(""))
    runs: var[tuple[RunSeen, ...]] = var(())
    """Newest first."""
    runs_problem: var[str] = var("")
    """Why the runs directory can't be read; empty where it can."""
    model_state: var[ModelState | None] = var(None)
    """How the model process is; None before its first request."""

    runs_dir: Path

    @property
    def model(self) -> ModelClient:
        """The model process; it starts at its first request."""
        raise NotImplementedError
