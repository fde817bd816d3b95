"""Runs that are not as one expects: none there, none saved, none that can be read."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from core.errors import PoemError
from core.runs.directory import RunDirectory
from core.runs.events import CheckpointSaved
from core.runs.facts import profile_of
from core.runs.view import RunView, view_run
from tests import train_stage
from tests.pilot import settle
from tests.profile_pane import PaneApp, drive, press
from tests.runs_stage import LUNAR, SONG, TANG, Stage, finished, look, play, until, write_run
from tui import follow, run_track
from tui.commands import PoemCommands
from tui.panes.runs_details import why_words
from tui.panes.runs_table import Listed
from tui.panes.training_words import note_of
from tui.widgets.dialogs import Choose
from tui.workbench import RunSeen

_SAVED = (CheckpointSaved(3, "checkpoints/step-000003"),)


@pytest.mark.parametrize(
    ("status", "checkpoints", "details", "note"),
    [
        ("died", _SAVED, "r goes on from its last checkpoint.", "r goes on after step 3, its last checkpoint."),
        ("died", (), "It has no checkpoint: r starts it from its beginning.", None),
        ("stopped", _SAVED, "r goes on from its last checkpoint.", "r goes on after step 3."),
        ("stopped", (), "It has no checkpoint: r starts it from its beginning.", None),
    ],
)
def test_what_r_does_with_a_run_that_has_ended(
    status: str, checkpoints: tuple[CheckpointSaved, ...], details: str, note: str | None
) -> None:
    view = RunView(TANG, status=status, step=5, checkpoints=checkpoints, stop_reason="stop")
    assert why_words(Listed(RunSeen(view, Path()))).endswith(details)
    assert note_of(view)[0].endswith(note or details)


def make_pipe(runs_dir: Path, run_id: str) -> RunDirectory:
    """A run whose events and profile are pipes."""
    run = RunDirectory(runs_dir / run_id)
    run.path.mkdir(parents=True, mode=0o700)
    os.mkfifo(run.events_path)
    os.mkfifo(run.profile_path)
    return run


def test_a_pipe_in_a_run_is_no_ordinary_file_and_holds_nobody_up(tmp_path: Path) -> None:
    run = make_pipe(tmp_path, TANG)
    said = f"{run.events_path}: it is no ordinary file"
    (seen,) = follow.Follower(tmp_path).look(lambda: False)
    assert seen.problem == said
    with pytest.raises(PoemError) as followed:
        run_track.Follower(run).look(lambda: False)
    with pytest.raises(PoemError) as viewed:
        view_run(run)
    assert str(followed.value) == said and str(viewed.value) == f"{run.profile_path}: it is no ordinary file"
    with pytest.raises(PoemError, match="it is no ordinary file"):
        profile_of(run)


def test_a_profile_is_not_compared_with_a_pipe(tmp_path: Path) -> None:
    run = make_pipe(tmp_path, TANG)
    rescue = threading.Timer(3, let_go, [run.profile_path])  # of a reader that waits, so that the test can fail
    rescue.start()

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.runs = (RunSeen(RunView(run.id), run.path),)
        app.pane.action_compare()
        await press(pilot, "end", "enter")
        assert app.notes == [f"{run.profile_path}: it is no ordinary file"]

    try:
        drive("", steps)
    finally:
        rescue.cancel()


def let_go(pipe: Path) -> None:
    """Whoever reads the pipe has read it to its end."""
    with suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_a_run_to_follow_takes_one_line_also_where_it_cannot_be_read(tmp_path: Path) -> None:
    train_stage.make_run(tmp_path, TANG, *train_stage.finished(TANG))
    make_pipe(tmp_path, SONG)
    make_pipe(tmp_path, LUNAR)
    (tmp_path / LUNAR).chmod(0o707)
    app = train_stage.Stage(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        lunar, song, tang = (str(option.prompt) for option in app.screen.query_one(OptionList).options)
        assert lunar.startswith("lunar  unreadable: Every user of this machine may write")
        assert len(lunar) == 68 and lunar.endswith("…")
        assert song == "song  unreadable: events.jsonl: it is no ordinary file"
        assert tang == "tang  finished 4/4 100 %"

    train_stage.play(app, steps)


def shown(app: Stage) -> list[str]:
    bindings = (found.binding for found in app.screen.active_bindings.values())
    return [binding.id for binding in bindings if binding.show and (binding.id or "").startswith("runs.")]  # type: ignore[misc]


async def offered(app: Stage) -> list[str]:
    hits = [hit.text async for hit in PoemCommands(app.screen).discover()]
    return [str(text).partition("   ")[0] for text in hits if str(text).startswith("Runs: ")]


def test_without_a_run_nothing_is_offered_that_is_done_to_one(tmp_path: Path) -> None:
    app = Stage(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        assert shown(app) == []
        assert "Follow" not in app.lines[-1] and "Quit" in app.lines[-1]
        assert set(await offered(app)) == {
            "Runs: Filter",
            "Runs: Sort",
            "Runs: Leave the filter; drop filter and marks",
            "Runs: Bring back what was deleted last",
            "Runs: Empty the trash",
        }
        await pilot.press("enter", "a", "x", "d", "y")
        await settle(pilot)
        assert app.told == [] and app.pane == "runs"
        write_run(tmp_path, TANG, *finished(TANG, 4.5))
        await look(pilot)
        await until(pilot, lambda: "Follow" in app.lines[-1])
        assert shown(app) == ["runs.follow", "runs.complete", "runs.resume", "runs.stop", "runs.compare"]
        assert "Runs: Follow" in await offered(app)

    play(app, steps)
