"""The Runs pane alone in the app's frame, with panes beside it that only note what is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from core.profile.document import dump_profile, load_profile
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import CheckpointSaved, EvalDone, Event, RunFinished, RunStarted, StepDone
from tests.pilot import OnePane, Steps, running, settle
from tests.pilot import until as pilot_until
from tui.pane import Pane
from tui.panes.runs import RunsPane
from tui.widgets.row_list import RowList

TANG, SONG, LUNAR = (f"20261124-10150{number}-{name}" for number, name in enumerate(("tang", "song", "lunar")))


def write_run(runs_dir: Path, run_id: str, *events: Event, overrides: tuple[str, ...] = ()) -> RunDirectory:
    """A run whose events come one second apart from 1000, with a profile."""
    run = RunDirectory(runs_dir / run_id)
    run.path.mkdir(parents=True, mode=0o700)
    run.profile_path.write_text(dump_profile(load_profile("tang-tiny-cpu", overrides=overrides)), encoding="utf-8")
    if events:
        with EventLog(run.events_path) as log:
            for number, event in enumerate(events):
                log.append(event, time_s=1000.0 + number)
    return run


def started(run_id: str, *, steps: int = 40, base: str = "builtin:tang-tiny") -> RunStarted:
    return RunStarted(run_id, 0, 380, 20, steps, 2, base, "cpu", "float32", 9000, 1234)


def learnt(step: int, loss: float, held_out: float) -> tuple[Event, ...]:
    """A step with its checkpoint and evaluation."""
    done = StepDone(step, 0.5, loss, 1e-3, 1.0, 100, 200.0, 0.5)
    return done, CheckpointSaved(step, f"checkpoints/step-{step:06d}"), EvalDone(step, held_out, 100, 1.0)


def finished(run_id: str, held_out: float, *, steps: int = 40) -> tuple[Event, ...]:
    """All that a run tells that has begun with a held-out loss of 5.25 and ends with another."""
    before = EvalDone(0, 5.25, 100, 1.0)
    end = RunFinished(steps, 5.25, held_out, "adapter")
    return started(run_id, steps=steps), before, *learnt(steps, held_out + 0.5, held_out), end


class Noting(Pane):
    """Notes what is asked of it."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.asked: list[str] = []

    def follow(self, run_id: str) -> None:
        self.asked.append(run_id)

    use_run = open_profile = follow


class Stage(OnePane):
    """The app with the Runs pane and three that note."""

    def __init__(self, runs_dir: Path, *, keys: Mapping[str, str] | None = None) -> None:
        super().__init__("runs", runs_dir, keys)
        self.copied: list[str] = []

    def panes(self) -> tuple[Pane, ...]:
        return *(Noting(id=name) for name in ("profile", "train", "complete")), RunsPane(id="runs")

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)

    @property
    def runs_pane(self) -> RunsPane:
        return self.query_one(RunsPane)

    @property
    def list(self) -> RowList:
        return self.query_one("#runs-list", RowList)

    @property
    def under_cursor(self) -> str:
        run = self.runs_pane.run_under_cursor()
        return run.seen.id if run else ""

    @property
    def ids(self) -> list[str]:
        """The runs in the table, from the top."""
        return [run.seen.id for run in self.runs_pane._listed]

    @property
    def detail(self) -> str:
        return str(self.query_one("#run", Static).render())

    def asked(self, pane: str) -> list[str]:
        return self.query_one(f"#{pane}", Noting).asked


def play(app: Stage, steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        async with running(app, size) as pilot:
            await look(pilot)
            await steps(pilot)

    asyncio.run(run())


async def look(pilot: Pilot[Any]) -> None:
    """See the runs as they are on the disk now."""
    await settle(pilot)
    pilot.app._look()  # type: ignore[attr-defined]
    await settle(pilot)


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    """Look at the disk until something holds; the app does so by the clock."""
    await pilot_until(pilot, holds, meanwhile=look)
