"""Runs deleted, brought back and removed for good from the Runs pane; what of them is copied."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from core.runs.directory import RunDirectory, list_runs
from core.runs.events import RunStopped
from core.runs.lock import lock_run
from core.runs.trash import in_trash
from tests.pilot import settle
from tests.runs_stage import LUNAR, SONG, TANG, Stage, finished, learnt, look, play, started, until, write_run
from tui.panes import runs_work
from tui.widgets.dialogs import Choose, Confirm, Dialog


def asks(app: Stage) -> str:
    """What the question on the screen says."""
    assert isinstance(app.screen, Dialog)
    return " ".join(" ".join(line.strip("│ ") for line in app.lines).split())


@pytest.mark.parametrize("key", ["d", "delete"])
def test_deleting_asks_and_can_be_undone(tmp_path: Path, key: str) -> None:
    for run_id in (TANG, SONG, LUNAR):
        write_run(tmp_path, run_id, *finished(run_id, 4.5))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("down", key)
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")  # the cursor is where it does no harm
        await look(pilot)
        assert len(app.ids) == 3
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: app.ids == [LUNAR, TANG])
        assert app.under_cursor == TANG
        assert [item.id for item in in_trash(tmp_path)] == [SONG]
        assert app.told == [f"{SONG} is in the trash. u brings it back."]
        await pilot.press("home", "u")
        await until(pilot, lambda: app.ids == [LUNAR, SONG, TANG])
        assert app.under_cursor == SONG
        await pilot.press("u")
        await until(pilot, lambda: app.told[-1] == "The trash is empty.")

    app = Stage(tmp_path)
    play(app, steps)


def test_a_run_that_is_at_work_by_its_lock_alone_is_not_deleted(tmp_path: Path) -> None:
    run = write_run(tmp_path, TANG, *finished(TANG, 4.5))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: bool(app.told))
        assert "at work in another process" in app.told[0]
        assert list_runs(tmp_path) == (run,)

    app = Stage(tmp_path)
    with lock_run(run, patience_s=0):
        play(app, steps)


def test_an_unreadable_run_can_be_deleted(tmp_path: Path) -> None:
    write_run(tmp_path, TANG, *finished(TANG, 4.5)).path.chmod(0o777)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: app.ids == [])
        assert [item.id for item in in_trash(tmp_path)] == [TANG]

    app = Stage(tmp_path)
    play(app, steps)


def test_emptying_the_trash_says_how_much_that_is(tmp_path: Path) -> None:
    for run_id in (TANG, SONG):
        run = write_run(tmp_path, run_id, *finished(run_id, 4.5))
        (run.path / "console.log").write_bytes(bytes(3_000_000))
        runs_work.delete(run)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "Runs: 2, 6.0 MB." in asks(app)
        await pilot.press("enter")
        await settle(pilot)
        assert len(in_trash(tmp_path)) == 2
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: app.told == ["The trash is empty now. Runs removed: 2."])
        assert os.listdir(tmp_path / ".trash") == []
        await pilot.press("E")
        await until(pilot, lambda: app.told[-1] == "The trash is empty.")

    app = Stage(tmp_path)
    play(app, steps)


def test_the_path_is_copied(tmp_path: Path) -> None:
    run = write_run(tmp_path, TANG, started(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("y")
        assert (app.copied, app.told) == ([str(run.path)], [f"Copied: {run.path}"])

    app = Stage(tmp_path)
    play(app, steps)


def test_a_command_line_is_chosen_and_copied(tmp_path: Path) -> None:
    write_run(tmp_path / "my runs", TANG, started(TANG), *learnt(10, 6.0, 5.0), RunStopped(10, "stop"))
    rest = f"{TANG} --runs-dir '{tmp_path / 'my runs'}'"
    wanted = [
        f"poemcore follow {rest}",
        f"poemcore resume {rest}",
        f"poemcore resume {rest} --detach",
        f"poemcore complete 白日依山盡，黃河入海流。 --run {rest}",
        f"poemcore evaluate --run {rest}",
        f"poemcore train '{tmp_path / 'my runs' / TANG / 'profile.toml'}' --runs-dir '{tmp_path / 'my runs'}'",
    ]

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        options = app.screen.query_one(OptionList)
        assert [str(options.get_option_at_index(index).prompt) for index in range(options.option_count)] == wanted
        await pilot.press("down", "enter")
        assert app.copied == [wanted[1]]
        await pilot.press("l", "escape")
        assert len(app.copied) == 1

    app = Stage(tmp_path / "my runs")
    play(app, steps)


@pytest.mark.parametrize(
    ("status", "verbs"),
    [
        ("running", ["follow", "stop", "train"]),
        ("queued", ["follow", "stop", "train"]),
        ("paused", ["follow", "stop", "resume", "resume", "train"]),
        ("finished", ["follow", "resume", "train"]),
    ],
)
def test_every_command_line_is_one_that_the_command_line_takes(tmp_path: Path, status: str, verbs: list[str]) -> None:
    import shlex
    from dataclasses import replace

    from core import cli
    from core.runs.view import RunView

    view = replace(RunView(TANG), status=status, epochs=2)
    lines = runs_work.command_lines(RunDirectory(tmp_path / TANG), view)
    assert [line.split()[1] for line in lines] == verbs
    with_adapter = runs_work.command_lines(RunDirectory(tmp_path / TANG), replace(view, adapter="adapter"))
    for line in with_adapter:
        words = shlex.split(line)
        assert words.pop(0) == "poemcore"
        assert cli.build_parser().parse_args(words).runs_dir == str(tmp_path)
