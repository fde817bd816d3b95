"""What a person does with runs in the Runs pane, by key: it is done, after a question where one is due, and told."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from core import i18n
from core.errors import PoemError
from core.runs import control, ending, launch, queue
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import RunFailed, RunPaused, RunQueued, RunStopped
from core.runs.lock import HeldLock, lock_run
from core.runs.view import view_run
from tests.pilot import settle
from tests.runs_stage import LUNAR, SONG, TANG, Stage, finished, learnt, play, started, until, write_run
from tui.commands import PoemCommands
from tui.keys import keys_of
from tui.panes import runs_work
from tui.panes.runs import RunsPane
from tui.widgets.dialogs import Confirm, Dialog, ErrorReport


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of runs whose worker would have been started."""
    ids: list[str] = []

    def note(run: RunDirectory, _lock: HeldLock) -> int:
        ids.append(run.id)
        return 7

    monkeypatch.setattr(launch, "launch", note)
    return ids


def asks(app: Stage) -> str:
    """What the question on the screen says."""
    assert isinstance(app.screen, Dialog)
    return " ".join(" ".join(line.strip("│ ") for line in app.lines).split())


@pytest.mark.parametrize(("key", "pane"), [("enter", "train"), ("a", "complete")])
def test_a_run_goes_to_another_pane(tmp_path: Path, key: str, pane: str) -> None:
    write_run(tmp_path, TANG, *finished(TANG, 4.5))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await settle(pilot)
        assert (app.asked(pane), app.pane) == ([TANG], pane)

    app = Stage(tmp_path)
    play(app, steps)


def test_its_profile_goes_to_the_editor(tmp_path: Path) -> None:
    run = write_run(tmp_path, TANG, started(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("p")
        await settle(pilot)
        assert app.asked("profile") == [str(run.profile_path)]

    app = Stage(tmp_path)
    play(app, steps)


def test_a_run_without_an_adapter_completes_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, TANG, started(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("a")
        await settle(pilot)
        assert (app.told, app.asked("complete")) == ([f"{TANG} has no adapter yet."], [])

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("lang", ["en", "zh-Hans"])
def test_resuming_asks_first(tmp_path: Path, launched: list[str], lang: str) -> None:
    i18n.use(lang)
    write_run(tmp_path, TANG, started(TANG), *learnt(10, 6.0, 5.0), RunStopped(10, "stop"))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert TANG in asks(app) and " 10 " in asks(app) and "40" in asks(app)
        await pilot.press("n")
        await settle(pilot)
        assert launched == []
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: launched == [TANG])
        await until(pilot, lambda: any(TANG in told for told in app.told))
        assert [entry.run.id for entry in queue.waiting()] == [TANG]

    app = Stage(tmp_path)
    play(app, steps)


def test_what_cannot_be_resumed_says_why(tmp_path: Path, launched: list[str]) -> None:
    write_run(tmp_path, TANG, *finished(TANG, 4.5))
    broken = write_run(tmp_path, SONG, started(SONG), RunFailed("no", "", ""))
    broken.profile_path.write_text("epochs = [", encoding="utf-8")

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("r", "y")
        await until(pilot, lambda: bool(app.told))
        assert "profile.toml:1" in app.told[0]
        await pilot.press("down", "r")
        await settle(pilot)
        assert app.told[1].startswith(f"{TANG} is finished. To make it longer:")
        assert launched == []

    app = Stage(tmp_path)
    play(app, steps)


def test_a_paused_run_goes_on_and_one_at_work_is_left_alone(tmp_path: Path) -> None:
    paused = write_run(tmp_path, SONG, started(SONG), RunPaused(3, "request", ""))
    at_work = write_run(tmp_path, TANG, started(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: bool(app.told))
        assert [request.action for request in control.pending(paused)] == ["resume"]
        await pilot.press("down", "r", "d")
        await settle(pilot)
        assert app.told[1:] == [f"{TANG} is at work already.", f"{TANG} is at work. Stop it first: x."]

    app = Stage(tmp_path)
    with lock_run(paused, patience_s=0), lock_run(at_work, patience_s=0):
        play(app, steps)


@pytest.mark.parametrize(("key", "action"), [("x", "stop"), ("X", "stop-now")])
def test_stopping_asks_first(tmp_path: Path, key: str, action: str) -> None:
    run = write_run(tmp_path, TANG, started(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert control.pending(run) == []
        await pilot.press("y")
        await until(pilot, lambda: bool(app.told))
        assert [request.action for request in control.pending(run)] == [action]
        assert app.told == [f"Asked: {TANG} ends as soon as it can."]

    app = Stage(tmp_path)
    with lock_run(run, patience_s=0):
        play(app, steps)


def test_what_is_not_at_work_is_not_stopped(tmp_path: Path) -> None:
    write_run(tmp_path, TANG, *finished(TANG, 4.5))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("x")
        await settle(pilot)
        assert app.told == [f"{TANG} is not at work."]

    app = Stage(tmp_path)
    play(app, steps)


def test_a_full_disk_is_no_reason_not_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path, TANG, started(TANG))

    def full(*_given: Any) -> None:
        raise ending.DiskFull("full")

    with subprocess.Popen(["sleep", "60"]) as process, lock_run(run, patience_s=0):
        control.write_pid(run, process.pid)
        monkeypatch.setattr(ending, "ask", full)
        assert ending.ask_to_end(run, now=False) is False
        assert process.wait(timeout=10) == -15


def test_the_queue_is_reordered_and_left(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, run_id, RunQueued("cpu", "")) for run_id in (TANG, SONG, LUNAR)]
    for run in runs:
        queue.join(run, "cpu")

    def waiting() -> list[str]:
        return [entry.run.id for entry in queue.waiting()]

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "queued 3" in app.text)
        assert app.under_cursor == LUNAR
        await pilot.press("K")
        await until(pilot, lambda: waiting() == [TANG, LUNAR, SONG])
        await pilot.press("plus")
        await until(pilot, lambda: waiting() == [LUNAR, TANG, SONG])
        await until(pilot, lambda: "queued 1" in app.detail.splitlines()[0])
        assert app.told == []
        await pilot.press("K")
        await until(pilot, lambda: app.told[-1] == f"{LUNAR} is the next already.")
        await pilot.press("J")
        await until(pilot, lambda: waiting() == [TANG, LUNAR, SONG])
        await pilot.press("minus")
        await until(pilot, lambda: waiting() == [TANG, SONG, LUNAR])
        await pilot.press("J")
        await until(pilot, lambda: app.told[-1] == f"{LUNAR} is the last already.")
        app.clear_notifications()
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "out of the queue" in asks(app)
        await pilot.press("y")
        await until(pilot, lambda: waiting() == [TANG, SONG])
        await until(pilot, lambda: app.told[-1] == f"{LUNAR} is stopped.")
        assert view_run(runs[2]).status == "stopped"
        await until(pilot, lambda: "stopped" in app.detail.splitlines()[0])
        await pilot.press("K")
        await settle(pilot)
        assert app.told[-1] == f"{LUNAR} is not in the queue."

    app = Stage(tmp_path)
    play(app, steps)


def test_a_run_that_waits_for_its_turn_is_not_started_twice(tmp_path: Path, launched: list[str]) -> None:
    run = write_run(tmp_path, TANG, RunQueued("cpu", ""))
    with lock_run(run, patience_s=0):
        assert runs_work.go_on(run) == f"{TANG} waits for its turn already."
    queue.join(run, "cpu")
    queue.join(write_run(tmp_path, SONG, RunQueued("cpu", "")), "cpu")
    assert runs_work.go_on(run) == f"{TANG} goes on."
    assert launched == [TANG]
    assert [entry.run.id for entry in queue.waiting()] == [TANG, SONG]


def test_an_accident_in_a_thread_is_reported_and_the_pane_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path, TANG, *finished(TANG, 4.5))

    def fall(_run: RunDirectory) -> str:
        raise RuntimeError("[/] no")

    monkeypatch.setattr(runs_work, "delete", fall)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, ErrorReport))
        assert "RuntimeError: [/] no" in app.text
        await pilot.press("escape", "y")
        await settle(pilot)
        assert app.copied == [str(tmp_path / TANG)]

    app = Stage(tmp_path)
    play(app, steps)


def test_a_problem_of_the_state_directory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("POEMTUI_STATE", str(tmp_path / "file" / "state"))
    write_run(tmp_path / "runs", TANG, RunQueued("cpu", ""))

    async def steps(pilot: Pilot[None]) -> None:
        assert "queued" in app.detail
        await pilot.press("K")
        await until(pilot, lambda: bool(app.told))
        assert "The directory of the queue can't be made" in app.told[0]

    app = Stage(tmp_path / "runs")
    play(app, steps)
    with suppress(PoemError):
        queue.waiting()


def test_every_action_is_in_the_palette_and_can_be_remapped(tmp_path: Path) -> None:
    run = write_run(tmp_path, TANG, started(TANG))
    ids = [found.id for cls in RunsPane.__mro__ for found in keys_of(cls)]
    assert len(ids) == len(set(ids)) > 15
    assert all(name.startswith("runs.") for name in ids)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("f")
        assert app.copied == [str(run.path)]
        await pilot.press("ctrl+p", *"copy the path")
        await until(pilot, lambda: "Runs: Copy the path of its directory" in app.text)
        titles = [command.title for command in PoemCommands(app.screen)._actions() if command.title.startswith("Runs:")]
        assert len(titles) == len(ids)

    app = Stage(tmp_path, keys={"runs.path": "f"})
    play(app, steps)


def test_the_footer_holds_no_more_than_fits(tmp_path: Path) -> None:
    write_run(tmp_path, TANG, *finished(TANG, 4.5))

    async def steps(pilot: Pilot[None]) -> None:
        shown = [found.binding.id for found in app.screen.active_bindings.values() if found.binding.show]
        assert [name for name in shown if name and name.startswith("runs.")] == [
            "runs.follow",
            "runs.complete",
            "runs.resume",
            "runs.stop",
            "runs.compare",
        ]
        assert "^q Quit" in app.lines[-1] and "palette" in app.lines[-1]

    app = Stage(tmp_path)
    play(app, steps)


def test_more_written_to_a_stopped_run_is_seen(tmp_path: Path) -> None:
    run = write_run(tmp_path, TANG, started(TANG), RunStopped(0, "stop"))

    async def steps(pilot: Pilot[None]) -> None:
        assert "stopped" in app.text
        with EventLog(run.events_path) as log:
            log.append(RunQueued("cpu", ""))
        await until(pilot, lambda: "queued" in app.detail.splitlines()[0])

    app = Stage(tmp_path)
    play(app, steps)
