"""The Train pane with a run of its own process: from the start to the resume, by key."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.runs.control import ask
from core.runs.directory import RunDirectory, find_run
from core.runs.lock import is_locked
from core.runs.view import view_run
from tests.tiny import Tiny, make_tiny
from tests.train_stage import GIVEN, PLAN, Stage, in_question, play, until


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


def test_a_real_run_from_start_to_resume(tiny: Tiny, tmp_path: Path) -> None:
    settings = tiny.settings("train.epochs=10000", "train.max_steps=0", f"train.sample_prompts=['{GIVEN}']")

    async def steps(pilot: Pilot[None]) -> None:
        app.set_profile(*settings)
        await pilot.press("s")
        app.fake.answers.put_nowait(PLAN)
        await in_question(pilot)
        await pilot.press("y")
        await until(pilot, lambda: app.status == "running" and bool(app.train.track and app.train.track.memory))
        assert app.train.track is not None and app.train.track.memory[-1][1] > 50 * 2**20
        await pilot.press("p")
        await until(pilot, lambda: app.status == "paused")
        await pilot.press("p")
        await until(pilot, lambda: app.status == "running")
        await pilot.press("v", "c")
        await until(pilot, lambda: bool(view_run(run()).samples and view_run(run()).checkpoints))
        await pilot.press("x")
        await in_question(pilot)
        await pilot.press("y")
        await until(pilot, lambda: app.status == "stopped" and not is_locked(run()))
        await pilot.press("r")
        await in_question(pilot)
        await pilot.press("y")
        await until(pilot, lambda: app.status == "running")

    def run() -> RunDirectory:
        return find_run(tmp_path, "last")

    app = Stage(tmp_path)
    try:
        play(app, steps)
        assert is_locked(run())  # the app has ended, the run hasn't
    finally:
        if is_locked(run()):
            ask(run(), "stop-now")
