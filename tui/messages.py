"""What panes and threads tell the app; nobody but the app answers, so no pane need know another.

Messages are dataclasses for their constructor only: what else those can do takes a third of a millisecond each to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from tui.workbench import RunSeen


@dataclass(eq=False, repr=False)
class ShowPane(Message):
    """Bring a pane to the front."""

    pane: str
    """Its id: data, profile, train, complete or runs."""


@dataclass(eq=False, repr=False)
class OpenData(Message):
    """Open another data file."""

    path: str
    """As a person typed it, or `builtin:NAME`."""


@dataclass(eq=False, repr=False)
class OpenProfile(Message):
    """Open another profile in the editor."""

    source: str
    """A preset's name, a profile file, or a run's own profile."""


@dataclass(eq=False, repr=False)
class SetKeys(Message):
    """Change keys of the profile in the editor, in place."""

    values: Mapping[str, Any]
    """Key → value, such as `generation.temperature` → 0.8."""


class TrainProfile(Message):
    """Go to the Train pane and ask whether to start a run of the profile in the editor."""


@dataclass(eq=False, repr=False)
class FollowRun(Message):
    """Show a run in the Train pane."""

    run_id: str


@dataclass(eq=False, repr=False)
class CompleteWith(Message):
    """Complete with a run's adapter."""

    run_id: str


class FreeDevice(Message):
    """A run is about to start: the warm model makes room for it."""


class LookAtRuns(Message):
    """Something about the runs has just been changed: look at once, not at the next turn."""


@dataclass(eq=False, repr=False)
class RunsSeen(Message):
    """The runs as they are now; the later of two such messages holds all that the earlier did."""

    runs: tuple[RunSeen, ...]
    """Newest first."""
    problem: str
    """Why the runs directory can't be read; empty where it can."""

    def can_replace(self, message: Message) -> bool:
        """Only the latest matters."""
        return isinstance(message, RunsSeen)
