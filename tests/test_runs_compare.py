"""Runs compared: marks, curves, figures, differences; and what is read of a run beyond its events."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static

from core.errors import PoemError
from core.runs.event_log import EventLog
from core.runs.events import (
    StepDone,
)
from core.runs.facts import OnDisk, Origin, on_disk, origin_of, profile_of
from core.runs.view import RunView
from tests.pilot import settle
from tests.runs_stage import LUNAR, SONG, TANG, Stage, finished, learnt, play, started, until, write_run
from tui.panes.runs_compare import Comparison, differences, smoothed
from tui.panes.runs_details import details, size_words
from tui.panes.runs_table import Listed
from tui.widgets.loss_chart import LossChart
from tui.workbench import RunSeen

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
def test_a_comparison(tmp_path: Path, size: tuple[int, int]) -> None:
    write_run(tmp_path, TANG, *finished(TANG, 4.5), overrides=("train.learning_rate=0.001", "lora.r=4"))
    song = write_run(tmp_path, SONG, started(SONG), *learnt(10, 6.0, 4.25), overrides=("train.learning_rate=0.002",))
    broken = write_run(tmp_path, LUNAR, started(LUNAR))
    broken.profile_path.write_text("[train]\nepochs = 'no[/]'\n", encoding="utf-8")

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("end", "space", "c")
        await settle(pilot)
        assert app.told == ["Mark two to four runs with the space bar first."]
        await pilot.press("up", "c")
        await until(pilot, lambda: isinstance(app.screen, Comparison) and "differ" in table())
        chart = app.screen.query_one(LossChart)
        assert [(series.name, tuple(series.points)) for series in chart._series] == [
            ("tang", ((0, 5.25), (40, 4.5))),
            ("song", ((10, 4.25),)),
        ]
        rows = {line[:24].strip(): line[24:].split() for line in table().splitlines()}
        assert rows["held-out loss now"] == ["4.500", "4.250"]
        assert rows["train.learning_rate"] == ["0.001", "0.002"]
        assert rows["lora.r"] == ["4", "16"]
        assert "epochs" not in table()
        await pilot.press("e")
        assert [tuple(series.points) for series in chart._series] == [((40, 5.0),), ((10, 6.0),)]
        with EventLog(song.events_path) as log:
            log.append(StepDone(11, 0.5, 5.0, 1e-3, 1.0, 100, 200.0, 0.5))
        await until(pilot, lambda: len(chart._series[1].points) == 2)
        assert all(cell_len(line) <= size[0] for line in app.lines)
        await pilot.press("escape", "home", "space", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, Comparison) and "epochs" in table())
        assert "train.epochs must be a whole number" in table()
        assert "Comparison of 3 runs" in app.text

    def table() -> str:
        return str(app.screen.query_one("#compare-table", Static).render())

    app = Stage(tmp_path)
    play(app, steps, size)


def test_at_most_four_are_marked_and_marks_show(tmp_path: Path) -> None:
    for number in range(6):
        write_run(tmp_path, f"20261124-10150{number}-r{number}", started("x"))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(*["space"] * 4)
        marks = [run.mark for run in app.runs_pane._listed]
        assert (marks, app.list.cursor) == ([1, 2, 3, 4, 0, 0], 4)
        await pilot.press("space")
        assert "At most 4 runs are compared." in app.told[0]
        await pilot.press("home", "space")
        assert [run.mark for run in app.runs_pane._listed] == [0, 1, 2, 3, 0, 0]
        await pilot.press("escape")
        assert {run.mark for run in app.runs_pane._listed} == {0}

    app = Stage(tmp_path)
    play(app, steps)


def test_figures_of_the_comparison(tmp_path: Path) -> None:
    assert smoothed(((1, 4.0), (2, 2.0))) == ((1, 4.0), (2, pytest.approx((0.95 * 4 + 2) / 1.95)))
    runs = [
        write_run(tmp_path, run_id, overrides=(f"train.epochs={epochs}",))
        for run_id, epochs in ((TANG, 2), (SONG, 2), (LUNAR, 3))
    ]
    found, problems = differences(runs)
    assert [(item.key, item.values) for item in found] == [("train.epochs", ("2", "2", "3"))]
    runs[0].profile_path.unlink()
    found, problems = differences(runs)
    assert [(item.key, item.values) for item in found] == [("train.epochs", ("", "2", "3"))]
    assert len(problems) == 1 and "profile.toml" in problems[0]


def test_facts(tmp_path: Path) -> None:
    run = write_run(tmp_path, TANG, overrides=("data.path='/data/詩.json'", "model.base='/models/Qwen2-1.5B'"))
    origin = origin_of(run)
    assert origin is not None
    assert (origin.base_name, origin.data_name) == ("Qwen2-1.5B", "詩.json")
    assert (Origin("builtin:tang-tiny").base_name, Origin().data_name) == ("tang-tiny", "")
    assert profile_of(run).data.path == "/data/詩.json"
    run.profile_path.write_bytes(b"\xff")
    assert origin_of(run) == Origin()
    with pytest.raises(PoemError, match="no profile"):
        profile_of(run)
    run.profile_path.unlink()
    assert origin_of(run) is None
    run.profile_path.symlink_to("/etc/hostname")
    with pytest.raises(PoemError, match="symbolic link"):
        profile_of(run)
    run.profile_path.unlink()
    run.profile_path.mkdir()
    assert origin_of(run) == Origin()
    assert on_disk(run) == OnDisk((), None, False, 0)
    assert [size_words(size) for size in (0, 1_940_000, 2_500_000_000)] == ["0.0 MB", "1.9 MB", "2.5 GB"]


def test_details_of_a_run_of_which_nothing_is_known(tmp_path: Path) -> None:
    seen = RunSeen(RunView(TANG), tmp_path / TANG, "starting")
    assert str(details(Listed(seen), None, None, 70)) == f"{TANG}  starting\n{tmp_path / TANG}"
    evaluated = seen._replace(view=RunView(TANG, evals=((5, 3.0),), eval_loss=3.0, best=(5, 3.0)))
    lines = str(details(Listed(evaluated), None, None, 40)).splitlines()
    assert lines[1:3] == ["held-out loss  - before, 3.000 now", "               best 3.000 at step 5"]
