"""The Train pane alone in the app's frame, a model that plans what a test says, and runs that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Static

from core.client import Plan
from core.profile.document import check_text, dump_profile
from core.runs import control
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import (
    BestChanged,
    CheckpointSaved,
    EvalDone,
    Event,
    RequestAnswered,
    RunFinished,
    RunStarted,
    SampleMade,
    StepDone,
)
from core.runs.lock import lock_run
from tests.pilot import OnePane, Steps, running, settle
from tests.runs_stage import look, until
from tui.pane import Pane
from tui.panes.training import TrainingPane
from tui.widgets.dialogs import Confirm
from tui.workbench import ProfileState

__all__ = ["look", "until"]

TANG, SONG, LUNAR = (f"20261124-10150{number}-{name}" for number, name in enumerate(("tang", "song", "lunar")))
GIVEN, REST = "白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。"
PLAN = Plan(
    base="builtin:tang-tiny",
    device="cpu",
    device_reason="the CPU: there is no GPU",
    dtype="float32",
    rows=380,
    eval_rows=20,
    dropped_rows=3,
    steps=48,
    steps_per_epoch=24,
    epochs=2,
    tokens=29285,
    supervised_tokens=10951,
    trainable_parameters=466944,
    disk_bytes=31 * 10**6,
    free_bytes=75 * 10**9,
    queued_behind="",
    notes=("Template: chatml",),
)


@dataclass
class FakeModel:
    """Answers a plan with what a test puts into `answers`."""

    answers: asyncio.Queue[Plan | BaseException] = field(default_factory=asyncio.Queue)
    asked: list[tuple[str, str]] = field(default_factory=list)
    unloaded: int = 0
    given_up: int = 0

    async def plan(self, profile: str, base_dir: str) -> Plan:
        self.asked.append((profile, base_dir))
        try:
            answer = await self.answers.get()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def unload(self) -> None:
        self.unloaded += 1

    async def close(self) -> None:
        pass


class Stage(OnePane):
    """The app with the Train pane, and one that stands for the profile's."""

    def __init__(self, runs_dir: Path, *, keys: Mapping[str, str] | None = None) -> None:
        super().__init__("train", runs_dir, keys)
        self.fake = FakeModel()
        self._model = self.fake  # type: ignore[assignment]

    def panes(self) -> tuple[Pane, ...]:
        return Pane(id="profile"), TrainingPane(id="train")

    @property
    def train(self) -> TrainingPane:
        return self.query_one(TrainingPane)

    @property
    def status(self) -> str:
        view = self.train.live_view
        return view.status if view is not None else ""

    def said(self, name: str) -> str:
        """What one of the pane's texts says."""
        return str(self.query_one(f"#train-{name}", Static).render())

    def set_profile(self, *overrides: str, source: str = "tang.toml") -> None:
        profile, problems = check_text("", overrides=overrides)
        assert profile is not None, problems
        self.profile_state = ProfileState(source, text=dump_profile(profile), profile=profile)


def play(app: Stage, steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        async with running(app, size) as pilot:
            await look(pilot)
            await steps(pilot)

    asyncio.run(run())


def make_run(runs_dir: Path, run_id: str, *events: Event) -> RunDirectory:
    """A run whose events come one second apart from 1000."""
    run = RunDirectory(runs_dir / run_id)
    run.path.mkdir(parents=True, mode=0o700)
    if events:
        with EventLog(run.events_path) as log:
            for number, event in enumerate(events):
                log.append(event, time_s=1000.0 + number)
    return run


def started(run_id: str, *, steps: int = 40) -> RunStarted:
    return RunStarted(run_id, 0, 380, 20, steps, 2, "builtin:tang-tiny", "cpu", "float32", 9000, 1234)


def step(number: int, loss: float = 4.0) -> StepDone:
    return StepDone(number, number / 20, loss, 1e-3, 0.5, 100, 200.0, 0.5, 3 * 2**29)


def finished(run_id: str) -> tuple[Event, ...]:
    """A run of four steps that tells of everything."""
    return (
        started(run_id, steps=4),
        EvalDone(0, 5.25, 100, 1.0),
        step(1, 5.0),
        step(2, 4.5),
        SampleMade(2, GIVEN, "春風不相識，何事入羅幃。"),
        CheckpointSaved(2, "checkpoints/step-000002"),
        step(3, 4.25),
        step(4, 4.0),
        EvalDone(4, 4.125, 100, 1.0),
        BestChanged(4, 4.125),
        SampleMade(4, GIVEN, REST),
        RunFinished(4, 5.25, 4.125, "adapter"),
    )


@dataclass
class Played:
    """A run at work whose worker is the test itself."""

    run: RunDirectory
    log: EventLog

    def answer(self, *events: Event, problem: str = "") -> str:
        """Take the request that waits, answer it, and let these things happen; what was asked, or nothing."""
        for request in control.pending(self.run):
            control.take_away(self.run, request)
            self.log.append(RequestAnswered(request.id, request.action, problem))
            for event in events:
                self.log.append(event)
            return request.action
        return ""

    async def asked(self, pilot: Pilot[None], *events: Event, problem: str = "") -> str:
        """Wait for a request and answer it."""
        for _turn in range(500):
            action = self.answer(*events, problem=problem)
            if action:
                await look(pilot)
                return action
            await pilot.pause(0.01)
        raise AssertionError("nobody asked")


@contextmanager
def at_work(runs_dir: Path, run_id: str, *events: Event) -> Iterator[Played]:
    """A run that a process holds."""
    run = make_run(runs_dir, run_id, *(events or (started(run_id), step(1))))
    with lock_run(run), EventLog(run.events_path) as log:
        yield Played(run, log)


async def in_question(pilot: Pilot[None]) -> str:
    """What is asked in the dialog that comes."""
    await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
    await settle(pilot)
    app = pilot.app
    assert isinstance(app, Stage)
    return " ".join(app.text.replace("│", " ").split())
