"""`poemcore runs`: its table and its JSON."""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from core import cli
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import (
    BestChanged,
    DeviceTaken,
    EvalDone,
    Event,
    RunFailed,
    RunFinished,
    RunPaused,
    RunQueued,
    RunStarted,
    StepDone,
)
from core.runs.lock import lock_run
from core.runs.view import RunView
from core.verbs import runs

FIRST, SECOND = "20261124-041530-tang", "20261124-060000-sung"


def start(run_id: str, base: str = "builtin:tang-tiny", resumed_from_step: int = 0) -> RunStarted:
    return RunStarted(run_id, resumed_from_step, 400, 20, 50, 2, base, "cpu", "float32", 9000, 1234)


STEP = StepDone(1, 0.04, 4.25, 2e-4, 1.5, 640, 1280.4, 0.5)
FINISHED = (
    EvalDone(0, 5.0, 600, 1.0),
    STEP,
    EvalDone(50, 4.5, 600, 1.0),
    BestChanged(50, 4.5),
    RunFinished(50, 5.0, 4.5, "adapter"),
)


def write_run(runs_dir: Path, run_id: str, *events: Event) -> RunDirectory:
    """A run whose events come one second apart from 1000."""
    run = RunDirectory(runs_dir / run_id)
    run.path.mkdir()
    with EventLog(run.events_path) as log:
        for number, event in enumerate(events):
            log.append(event, time_s=1000.0 + number)
    return run


def poemcore(*arguments: str) -> int:
    """The exit code of a command line that knows this verb."""
    with mock.patch.object(cli, "VERBS", ("runs",)):
        return cli.main(arguments)


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, FIRST, start(FIRST), *FINISHED)
    write_run(tmp_path, SECOND, start(SECOND, "模型/唐詩\x1b[2J"), STEP)
    assert poemcore("runs", "--runs-dir", str(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run                   status    step   held-out loss  base               time",
        "20261124-041530-tang  finished  50/50  5.000 → 4.500  builtin:tang-tiny  0:05",
        "20261124-060000-sung  died      1/50   - → -          模型/唐詩␛[2J      0:01",
    ]


def test_the_table_tells_every_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last: dict[str, Event] = {
        "20261124-000001-a": RunQueued("cpu", "20261124-000002-b"),
        "20261124-000002-b": RunPaused(1, "request", "m"),
        "20261124-000003-c": RunPaused(1, "disk", "m"),
        "20261124-000004-d": DeviceTaken("cpu"),
        "20261124-000005-e": STEP,
        "20261124-000006-f": RunFailed("m", "h", "w"),
    }
    runs_made = [write_run(tmp_path, run_id, start(run_id), STEP, event) for run_id, event in last.items()]
    write_run(tmp_path, "20261124-000007-g", RunQueued("cpu", ""))
    with ExitStack() as workers:
        for run in runs_made[:5]:
            workers.enter_context(lock_run(run, patience_s=0))
        assert poemcore("runs", "--runs-dir", str(tmp_path)) == 0
    assert [line[19:33].rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "status",
        "queued",
        "paused",
        "paused: disk",
        "starting",
        "running",
        "failed",
        "queued",
    ]


def test_a_run_that_everybody_may_write_in_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, FIRST, start(FIRST)).path.chmod(0o777)
    write_run(tmp_path, SECOND, start(SECOND))
    assert poemcore("runs", "--runs-dir", str(tmp_path), "--json") == 0
    captured = capsys.readouterr()
    assert [run["id"] for run in json.loads(captured.out)["runs"]] == [SECOND]
    assert captured.err.startswith(f"poemcore: {tmp_path / FIRST}: Every user of this machine may write")


def test_the_table_cuts_a_long_path_at_its_head() -> None:
    view = RunView("x", base="/data/" + "深" * 40 + "/Qwen2-1.5B")
    line = runs.table([view])[1]
    cell = next(part for part in line.split("  ") if "Qwen2" in part)
    assert cell == "…" + "深" * 10 + "/Qwen2-1.5B"
    assert runs.cell_width(cell) == 32


@pytest.mark.parametrize(("text", "cells"), [("", 0), ("abc", 3), ("唐詩，", 6), ("ｱ", 1), ("e\u0301", 1), ("ａ", 2)])
def test_cell_width(text: str, cells: int) -> None:
    assert runs.cell_width(text) == cells


def test_runs_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, FIRST, start(FIRST), *FINISHED)
    nan_step = StepDone(2, 0.08, math.nan, 2e-4, math.nan, 640, 1280.0, 0.5)
    write_run(tmp_path, SECOND, start(SECOND), nan_step, RunFailed("loss is not a number", "lower it", "step 2"))
    assert poemcore("runs", "--runs-dir", str(tmp_path), "--json") == 0
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert document == {
        "runs": [
            {
                "id": FIRST,
                "path": str(tmp_path / FIRST),
                "status": "finished",
                "step": 50,
                "steps": 50,
                "epochs": 2,
                "rows": 400,
                "eval_rows": 20,
                "base": "builtin:tang-tiny",
                "device": "cpu",
                "dtype": "float32",
                "loss": 4.25,
                "smoothed_loss": 4.25,
                "lr": 2e-4,
                "tokens_per_s": 1280.0,
                "eta_s": None,
                "eval_loss_base": 5.0,
                "eval_loss": 4.5,
                "adapter": "adapter",
                "best": {"step": 50, "loss": 4.5},
                "evaluating": False,
                "queued_behind": None,
                "pause_reason": None,
                "pause_message": None,
                "stop_reason": None,
                "error": None,
                "started_s": 1000.0,
                "ended_s": 1005.0,
                "worked_s": 5.0,
            },
            document["runs"][1],
        ]
    }
    second = document["runs"][1]
    assert (second["status"], second["loss"], second["smoothed_loss"]) == ("failed", None, None)
    assert second["error"] == {"message": "loss is not a number", "hint": "lower it", "where": "step 2"}


def test_runs_json_tells_what_a_run_waits_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, FIRST, RunQueued("cpu", SECOND))
    paused = write_run(tmp_path, SECOND, start(SECOND), RunPaused(3, "disk", "There is no space left."))
    with lock_run(paused, patience_s=0):
        assert poemcore("runs", "--runs-dir", str(tmp_path), "--json") == 0
    told = [
        [run[key] for key in ("status", "queued_behind", "pause_reason", "pause_message", "best")]
        for run in json.loads(capsys.readouterr().out)["runs"]
    ]
    assert told == [["queued", SECOND, None, None, None], ["paused", None, "disk", "There is no space left.", None]]


def test_no_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("runs", "--runs-dir", str(tmp_path / "none")) == 0
    assert capsys.readouterr().out == f"There are no runs in {tmp_path / 'none'}.\n"
    assert poemcore("runs", "--runs-dir", str(tmp_path / "none"), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"runs": []}
    assert not (tmp_path / "none").exists()


def test_a_run_that_cannot_be_read_hides_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = write_run(tmp_path, FIRST)
    bad.events_path.unlink()
    bad.events_path.symlink_to("/dev/zero")
    write_run(tmp_path, SECOND, start(SECOND))
    assert poemcore("runs", "--runs-dir", str(tmp_path), "--json") == 0
    captured = capsys.readouterr()
    assert [run["id"] for run in json.loads(captured.out)["runs"]] == [SECOND]
    assert str(bad.events_path) in captured.err
