"""What is asked in the Train pane, key by key: starting, ending, pausing, going on, saving, sampling, replaying."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.errors import PoemError
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import CheckpointSaved, RunContinued, RunPaused, RunQueued, RunStopped, SampleMade
from tests.pilot import settle
from tests.train_stage import (
    GIVEN,
    LUNAR,
    PLAN,
    REST,
    TANG,
    Stage,
    at_work,
    finished,
    in_question,
    look,
    make_run,
    play,
    started,
    step,
    until,
)
from tui import messages
from tui.commands import PoemCommands
from tui.panes.training_reading import SPEEDS

ACTIONS = ("end", "end_now", "pause", "go_on", "save", "sample", "resume", "replay")


def offered(app: Stage) -> set[str]:
    return {action for action in ACTIONS if app.train.check_action(action, ())}


# -- starting


def test_starting_shows_what_would_run_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[int, Path, str | None]] = []

    def start_detached(profile: object, runs_dir: Path, name: str | None) -> RunDirectory:
        begun.append((profile.train.max_steps, runs_dir, name))  # type: ignore[attr-defined]
        return make_run(tmp_path, TANG, started(TANG), RunStopped(0, "stop"))

    monkeypatch.setattr("core.runs.launch.start_detached", start_detached)

    async def steps(pilot: Pilot[None]) -> None:
        app.set_profile("train.max_steps=7", "notify.command='say[/] done'")
        app.profile_state = app.profile_state._replace(unsaved=True)
        await pilot.press("s")
        await pilot.pause()
        assert "working out what would run …" in app.text
        assert app.fake.asked == [(app.profile_state.text, str(Path.cwd()))]
        app.fake.answers.put_nowait(replace(PLAN, queued_behind="20261124-101500-other[/]"))
        said = await in_question(pilot)
        for fact in (
            "profile tang.toml (as it is in the editor)",
            "base builtin:tang-tiny",
            "data builtin:tang-sample",
            "rows 380 train, 20 held out 3 left out",
            "steps 48, 24 an epoch; epochs: 2",
            "tokens 29,285 an epoch the loss over 10,951",
            "parameters 466,944 are trained",
            "device cpu, float32",
            "disk 31.0 MB needed, 75.0 GB free",
            "It will wait: other[/] has the device.",
            "At the end this program will be run: say[/] done",
        ):
            assert fact in said, fact
        assert begun == [] and app.fake.unloaded == 0
        await pilot.press("y")
        await until(pilot, lambda: app.status == "stopped")
        assert begun == [(7, tmp_path, "tang")]
        assert app.fake.unloaded >= 1
        assert app.told[-1] == "Started, or in the queue: tang. It goes on when the app is closed."

    app = Stage(tmp_path)
    play(app, steps)


def test_starting_is_given_up_by_escape_and_by_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runs.launch.start_detached", lambda *_args: pytest.fail("nobody wanted that"))

    async def steps(pilot: Pilot[None]) -> None:
        app.set_profile()
        await pilot.press("s")
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: app.fake.given_up == 1)
        assert len(app.screen_stack) == 1
        app.train.ask_to_start()
        app.fake.answers.put_nowait(PLAN)
        await in_question(pilot)
        await pilot.press("n")
        await settle(pilot)
        assert len(app.screen_stack) == 1 and app.fake.unloaded == 0

    app = Stage(tmp_path)
    play(app, steps)


def test_a_plan_or_a_start_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> RunDirectory:
        raise PoemError("the disk[/] is full")

    monkeypatch.setattr("core.runs.launch.start_detached", refuse)

    async def steps(pilot: Pilot[None]) -> None:
        app.set_profile()
        await pilot.press("s")
        app.fake.answers.put_nowait(PoemError("no such data[/]", hint="look"))
        await until(pilot, lambda: bool(app.told))
        assert "no such data[/]" in app.told[0]
        assert len(app.screen_stack) == 1
        await pilot.press("s")
        app.fake.answers.put_nowait(PLAN)
        await in_question(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.told) == 2)
        assert "the disk[/] is full" in app.told[1]

    app = Stage(tmp_path)
    play(app, steps)


def test_a_faulty_profile_is_refused(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("s")
        assert "No profile is open." in await in_question(pilot)
        await pilot.press("n")
        app.set_profile()
        app.profile_state = app.profile_state._replace(text="[train]\nepochs = 0\n", profile=None, problems=1)
        await pilot.press("s")
        assert "train.epochs" in await in_question(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert app.pane == "profile"
        assert app.fake.asked == []

    app = Stage(tmp_path)
    play(app, steps)


def test_another_pane_has_it_ask(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app.action_show("profile")
        app.set_profile()
        app.post_message(messages.TrainProfile())
        for _turn in range(5):
            await pilot.pause()  # `until` would wait for the plan
        assert len(app.fake.asked) == 1
        assert app.pane == "train"
        await pilot.press("escape")

    app = Stage(tmp_path)
    play(app, steps)


# -- asking a run at work


def test_what_makes_no_sense_is_not_offered(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        assert offered(app) == set()
        with at_work(tmp_path, TANG) as played:
            await until(pilot, lambda: app.status == "running")
            assert offered(app) == {"end", "end_now", "pause", "save", "sample"}
            played.log.append(RunPaused(1, "request", "wait"))
            await until(pilot, lambda: app.status == "paused")
            assert offered(app) == {"end", "end_now", "go_on", "save", "sample"}
            assert "p Go on" in app.text and "Pause" not in app.lines[-1]
            played.log.append(RunQueued("cpu", ""))
            await until(pilot, lambda: app.status == "queued")
            assert offered(app) == {"end", "end_now"}
        with EventLog(RunDirectory(tmp_path / TANG).events_path) as log:
            log.append(RunStopped(1, "stop"))
        await until(pilot, lambda: app.status == "stopped")
        assert offered(app) == {"resume", "replay"}
        make_run(tmp_path, LUNAR, *finished(LUNAR))
        app.train.follow(LUNAR)
        await look(pilot)
        await until(pilot, lambda: app.status == "finished")
        assert offered(app) == {"replay"}
        await pilot.press("x", "X", "p", "c", "v", "r")
        await settle(pilot)
        assert len(app.screen_stack) == 1 and app.told == []

    app = Stage(tmp_path)
    play(app, steps)


def test_pausing_and_going_on(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("p")
        assert await played.asked(pilot, RunPaused(1, "request", "wait")) == "pause"
        await until(pilot, lambda: app.status == "paused")
        await pilot.press("p")
        assert await played.asked(pilot, RunContinued(1)) == "resume"
        await until(pilot, lambda: app.status == "running" and len(app.told) == 2)
        assert app.told == ["tang pauses.", "tang goes on."]

    with at_work(tmp_path, TANG) as played:
        app = Stage(tmp_path)
        play(app, steps)


def test_what_is_asked_from_the_palette_is_judged_by_the_run_as_it_is(tmp_path: Path) -> None:
    """The pane reads nothing while it is behind others, and its actions are in the palette all the same."""

    async def steps(pilot: Pilot[None]) -> None:
        app.action_show("profile")
        await settle(pilot)
        played.log.append(RunPaused(1, "request", "wait"))
        await look(pilot)
        assert app.train.track is not None and app.train.track.view.status == "running"
        await PoemCommands(app.screen)._act("train", "go_on")
        assert await played.asked(pilot, RunContinued(1)) == "resume"

    with at_work(tmp_path, TANG) as played:
        app = Stage(tmp_path)
        play(app, steps)


@pytest.mark.parametrize(
    ("key", "action", "event", "told"),
    [
        ("c", "checkpoint", CheckpointSaved(1, "checkpoints/step-000001"), "tang saves a checkpoint."),
        ("v", "sample", SampleMade(1, GIVEN, REST), "tang writes samples."),
    ],
)
def test_saving_and_sampling(
    tmp_path: Path, key: str, action: str, event: CheckpointSaved | SampleMade, told: str
) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        assert await played.asked(pilot, event) == action
        await until(pilot, lambda: app.told == [told])
        view = lambda: app.train.track.view if app.train.track else None  # noqa: E731
        await until(pilot, lambda: bool(view() and (view().checkpoints or view().samples)))  # type: ignore[union-attr]

    with at_work(tmp_path, TANG) as played:
        app = Stage(tmp_path)
        play(app, steps)


@pytest.mark.parametrize(("key", "action"), [("x", "stop"), ("X", "stop-now")])
def test_ending_asks_first(tmp_path: Path, key: str, action: str) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        assert f"End {TANG}" in await in_question(pilot)
        await pilot.press("n")
        await settle(pilot)
        assert played.answer() == ""
        await pilot.press(key)
        await in_question(pilot)
        await pilot.press("y")
        assert await played.asked(pilot, RunStopped(1, action)) == action
        await until(pilot, lambda: app.status == "stopped")

    with at_work(tmp_path, TANG) as played:
        app = Stage(tmp_path)
        play(app, steps)


def test_a_run_that_waits_without_a_process_leaves_the_queue(tmp_path: Path) -> None:
    make_run(tmp_path, TANG, RunQueued("cpu", ""))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("x")
        assert f"Take {TANG} out of the queue?" in await in_question(pilot)
        await pilot.press("y")
        await until(pilot, lambda: app.status == "stopped")
        assert app.told == ["tang has left the queue."]

    app = Stage(tmp_path)
    play(app, steps)


def test_a_run_that_refuses_says_why(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("v")
        assert await played.asked(pilot, problem="no prompts[/]") == "sample"
        await until(pilot, lambda: app.told == ["tang: no prompts[/]"])

    with at_work(tmp_path, TANG) as played:
        app = Stage(tmp_path)
        play(app, steps)


# -- resuming


def test_resuming_asks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed: list[str] = []
    monkeypatch.setattr("core.runs.launch.resume_detached", lambda run: resumed.append(run.id))
    make_run(
        tmp_path, TANG, started(TANG), step(1), CheckpointSaved(1, "checkpoints/step-000001"), RunStopped(1, "stop")
    )
    make_run(tmp_path, LUNAR, started(LUNAR), step(1))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        assert f"Start {LUNAR} again from its beginning?" in await in_question(pilot)
        await pilot.press("n", "comma")
        await until(pilot, lambda: app.status == "stopped")
        await pilot.press("r")
        assert f"Go on with {TANG} after step 1 of 40?" in await in_question(pilot)
        await pilot.press("y")
        await until(pilot, lambda: resumed == [TANG] and app.told == ["tang goes on."])
        assert app.fake.unloaded >= 1

    app = Stage(tmp_path)
    play(app, steps)


def test_a_run_that_cannot_go_on_says_why(tmp_path: Path) -> None:
    make_run(tmp_path, TANG, started(TANG), RunStopped(0, "stop"))  # without a profile

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await in_question(pilot)
        await pilot.press("y")
        await until(pilot, lambda: bool(app.told))
        assert "profile.toml" in app.told[0]

    app = Stage(tmp_path)
    play(app, steps)


# -- replay


def test_an_ended_run_is_replayed(tmp_path: Path) -> None:
    make_run(tmp_path, TANG, *finished(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.status == "finished")
        app.train._speed = SPEEDS.index(1)
        await pilot.press("y")
        await until(pilot, lambda: app.train.replaying)
        assert app.train._replay_timer is not None and app.train.track is not None
        app.train._replay_timer.stop()  # the test turns the crank
        assert app.said("status").startswith("tang  replay  1×  0:0")
        assert offered(app) == {"replay"}
        await pilot.press("greater_than_sign", "greater_than_sign", "greater_than_sign")
        assert "10×" in app.said("status")
        await pilot.press("less_than_sign")
        assert "5×" in app.said("status")
        # A frame is 1.25 s: at most two events, and eleven in all.
        for _frame in range(3):
            app.train._next_frame()
        assert 1 <= app.train.track.view.step <= 3
        assert app.train.live_view is not None and app.train.live_view.step == 4
        await pilot.press("y")
        await settle(pilot)
        assert not app.train.replaying and "finished" in app.said("status")
        await pilot.press("y")
        await until(pilot, lambda: app.train.replaying)
        app.train.action_replay_speed(len(SPEEDS))
        assert app.train._speed == SPEEDS.index(1000)
        await until(pilot, lambda: not app.train.replaying)
        assert app.train.track.view.status == "finished"

    app = Stage(tmp_path)
    play(app, steps)
