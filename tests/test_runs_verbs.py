"""`poemcore runs` and `poemcore follow`, as a person at a terminal meets them."""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from core import cli
from core.runs.directory import RunDirectory, lock_run
from core.runs.events import (
    CheckpointSaved,
    EvalDone,
    Event,
    EventLog,
    Note,
    RunFailed,
    RunFinished,
    RunStarted,
    RunStopped,
    SampleMade,
    StepDone,
    parse_line,
    to_line,
)
from core.runs.view import RunView
from core.verbs import follow, runs

FIRST, SECOND = "20261124-041530-tang", "20261124-060000-sung"


def start(run_id: str, base: str = "builtin:tang-tiny", resumed_from_step: int = 0) -> RunStarted:
    return RunStarted(run_id, resumed_from_step, 400, 20, 50, 2, base, "cpu", "float32", 9000, 1234)


STEP = StepDone(1, 0.04, 4.25, 2e-4, 1.5, 640, 1280.4, 0.5)
FINISHED = (EvalDone(0, 5.0, 600, 1.0), STEP, EvalDone(50, 4.5, 600, 1.0), RunFinished(50, 5.0, 4.5, "adapter"))


def write_run(runs_dir: Path, run_id: str, *events: Event) -> RunDirectory:
    """A run whose events come one second apart from 1000."""
    run = RunDirectory(runs_dir / run_id)
    run.path.mkdir()
    with EventLog(run.events_path) as log:
        for number, event in enumerate(events):
            log.append(event, time_s=1000.0 + number)
    return run


def poemcore(*arguments: str) -> int:
    """The exit code of a command line that knows these two verbs."""
    with mock.patch.object(cli, "VERBS", ("runs", "follow")):
        return cli.main(arguments)


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, FIRST, start(FIRST), *FINISHED)
    write_run(tmp_path, SECOND, start(SECOND, "模型/唐詩\x1b[2J"), STEP)
    assert poemcore("runs", "--runs-dir", str(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run                   status    step   held-out loss  base               time",
        "20261124-041530-tang  finished  50/50  5.000 → 4.500  builtin:tang-tiny  0:04",
        "20261124-060000-sung  died      1/50   - → -          模型/唐詩␛[2J      0:01",
    ]


def test_the_table_cuts_a_long_path_at_its_head() -> None:
    view = RunView("x", base="/data/" + "深" * 40 + "/Qwen2-1.5B")
    line = runs.table([view])[1]
    cell = next(part for part in line.split("  ") if "Qwen2" in part)
    assert cell == "…" + "深" * 10 + "/Qwen2-1.5B"
    assert runs.cell_width(cell) == 32


@pytest.mark.parametrize(("text", "cells"), [("", 0), ("abc", 3), ("唐詩，", 6), ("ｱ", 1), ("e\u0301", 1), ("ａ", 2)])
def test_cell_width(text: str, cells: int) -> None:
    assert runs.cell_width(text) == cells


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0:00"), (59.6, "1:00"), (754.2, "12:34"), (3723.0, "1:02:03")])
def test_duration(seconds: float, text: str) -> None:
    assert runs.duration(seconds) == text


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
                "stop_reason": None,
                "error": None,
                "started_s": 1000.0,
                "ended_s": 1004.0,
                "worked_s": 4.0,
            },
            document["runs"][1],
        ]
    }
    second = document["runs"][1]
    assert (second["status"], second["loss"], second["smoothed_loss"]) == ("failed", None, None)
    assert second["error"] == {"message": "loss is not a number", "hint": "lower it", "where": "step 2"}


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


def test_following_a_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(
        tmp_path,
        FIRST,
        Note("template: chatml\nbecause \x1b[31mit knows it"),
        start(FIRST),
        *FINISHED[:2],
        SampleMade(1, "白日依山盡", "黃河\n入海流"),
        CheckpointSaved(1, "checkpoints/step-000001"),
        *FINISHED[2:],
    )
    assert poemcore("follow", "last", "--runs-dir", str(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "note: template: chatml",
        "    because ␛[31mit knows it",
        "started 20261124-041530-tang: 400 rows, 50 steps, base builtin:tang-tiny on cpu (float32)",
        "step 0: held-out loss 5.0000 nats per token, over 600 tokens",
        "step 1/50  loss 4.2500  lr 2.00e-04  1280 tokens/s",
        "step 1: sample 白日依山盡 → 黃河",
        "    入海流",
        "step 1: saved checkpoints/step-000001",
        "step 50: held-out loss 4.5000 nats per token, over 600 tokens",
        "finished after step 50: held-out loss 5.000 → 4.500, adapter in adapter",
    ]


@pytest.mark.parametrize(
    ("last", "code", "line"),
    [
        (RunStopped(1, "Ctrl-C"), 0, "stopped after step 1: Ctrl-C"),
        (RunFailed("no memory", "halve it", "step 2"), 1, "failed: step 2: no memory\n    halve it"),
        (RunFinished(1, None, None, "adapter"), 0, "finished after step 1: held-out loss - → -, adapter in adapter"),
        (start(FIRST, resumed_from_step=1), 1, f"resumed {FIRST} after step 1 of 50 on cpu (float32)"),
    ],
    ids=["stopped", "failed", "finished", "resumed and died"],
)
def test_how_a_run_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str], last: Event, code: int, line: str) -> None:
    write_run(tmp_path, FIRST, start(FIRST), STEP, last)
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path)) == code
    assert capsys.readouterr().out.endswith(f"tokens/s\n{line}\n")


def test_following_a_run_that_died(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, FIRST, start(FIRST), STEP)
    assert poemcore("follow", "2026", "--runs-dir", str(tmp_path), "--json") == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [to_line(start(FIRST), 1000.0), to_line(STEP, 1001.0)]
    assert captured.err.splitlines() == [
        f"The run {FIRST} has died: its process is gone and left no last word.",
        f"Go on from its last checkpoint with: poemcore resume {FIRST}",
    ]


@pytest.mark.parametrize("ends", ["finishes", "stops", "dies"])
def test_following_live(tmp_path: Path, capsys: pytest.CaptureFixture[str], ends: str) -> None:
    run = write_run(tmp_path, FIRST, start(FIRST))
    seen: list[str] = []
    ends_with: dict[str, Event | None] = {
        "finishes": RunFinished(1, None, None, "adapter"),
        "stops": RunStopped(1, "r"),
        "dies": None,
    }
    last = ends_with[ends]
    with ExitStack() as worker, EventLog(run.events_path) as log:
        worker.enter_context(lock_run(run))

        def wait() -> None:
            seen.append(capsys.readouterr().out)
            match len(seen):
                case 1:
                    log.append(STEP, time_s=1001.0)
                case 2 if last is not None:
                    log.append(last, time_s=1002.0)
                case _:
                    worker.close()

        status = follow.follow_run(run, as_json=True, wait=wait)
    seen.append(capsys.readouterr().out)
    lines = [to_line(start(FIRST), 1000.0) + "\n", to_line(STEP, 1001.0) + "\n"]
    if last is None:
        assert (status, seen) == ("died", [*lines, ""])
    elif ends == "stops":  # until the lock is free, it may be a run that is being resumed
        assert (status, seen) == ("stopped", [*lines, to_line(last, 1002.0) + "\n", ""])
    else:
        assert (status, seen) == ("finished", [*lines, to_line(last, 1002.0) + "\n"])


def test_events_written_between_the_last_look_and_the_end_are_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path, FIRST, start(FIRST))
    with ExitStack() as worker, EventLog(run.events_path) as log:
        worker.enter_context(lock_run(run))

        def wait() -> None:
            log.append(RunFinished(50, None, None, "adapter"))
            worker.close()

        assert follow.follow_run(run, as_json=False, wait=wait) == "finished"
    assert capsys.readouterr().out.endswith("adapter in adapter\n")


def test_json_lines_send_nothing_that_a_terminal_obeys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = Note("a\x9b2J\u202e\x1b\u2028詩\ud800")
    write_run(tmp_path, FIRST, note)
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path), "--json") == 1
    line = capsys.readouterr().out
    assert line.rstrip("\n").isprintable()
    assert parse_line(line) == (note, 1000.0)


def test_ctrl_c_leaves_the_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path, FIRST, start(FIRST))
    with lock_run(run):
        before = {path: path.read_bytes() for path in run.path.iterdir()}
        with mock.patch("core.verbs.follow.time.sleep", side_effect=KeyboardInterrupt):
            assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path)) == 130
        assert {path: path.read_bytes() for path in run.path.iterdir()} == before
    assert "Traceback" not in capsys.readouterr().err


def test_following_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, FIRST)
    assert poemcore("follow", "2027", "--runs-dir", str(tmp_path)) == 2
    assert capsys.readouterr().err == (
        f"poemcore: {tmp_path}: There is no run “2027”.\n"
        f"RUN is an id, the beginning of one, or “last”. There are: {FIRST}\n"
    )
