"""`poemcore follow`, as a person at a terminal meets it."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from core import cli
from core.runs import event_log as events_module
from core.runs.directory import RunDirectory, typed
from core.runs.event_log import EventLog
from core.runs.events import (
    CheckpointSaved,
    EvalDone,
    Event,
    Note,
    RunFailed,
    RunFinished,
    RunQueued,
    RunStarted,
    RunStopped,
    SampleMade,
    StepDone,
    parse_line,
    to_line,
)
from core.runs.lock import lock_run
from core.verbs import follow

FIRST = "20261124-041530-tang"


def start(resumed_from_step: int = 0) -> RunStarted:
    return RunStarted(FIRST, resumed_from_step, 400, 20, 50, 2, "builtin:tang-tiny", "cpu", "float32", 9000, 1234)


STEP = StepDone(1, 0.04, 4.25, 2e-4, 1.5, 640, 1280.4, 0.5)
FINISHED = (EvalDone(0, 5.0, 600, 1.0), STEP, EvalDone(50, 4.5, 600, 1.0), RunFinished(50, 5.0, 4.5, "adapter"))


def write_run(runs_dir: Path, *events: Event) -> RunDirectory:
    """A run whose events come one second apart from 1000."""
    run = RunDirectory(runs_dir / FIRST)
    run.path.mkdir()
    with EventLog(run.events_path) as log:
        for number, event in enumerate(events):
            log.append(event, time_s=1000.0 + number)
    return run


def poemcore(*arguments: str) -> int:
    """The exit code of a command line that knows this verb."""
    with mock.patch.object(cli, "VERBS", ("follow",)):
        return cli.main(arguments)


def test_following_a_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(
        tmp_path,
        Note("template: chatml\nbecause \x1b[31mit knows it"),
        start(),
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
        (start(resumed_from_step=1), 1, f"resumed {FIRST} after step 1 of 50 on cpu (float32)"),
    ],
    ids=["stopped", "failed", "finished", "resumed and died"],
)
def test_how_a_run_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str], last: Event, code: int, line: str) -> None:
    write_run(tmp_path, start(), STEP, last)
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path)) == code
    assert capsys.readouterr().out.endswith(f"tokens/s\n{line}\n")


def test_following_a_run_that_died(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, start(), STEP)
    assert poemcore("follow", "2026", "--runs-dir", str(tmp_path), "--json") == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [to_line(start(), 1000.0), to_line(STEP, 1001.0)]
    assert captured.err.splitlines() == [
        f"The run {FIRST} has died: its process is gone and left no last word.",
        "Go on from its last checkpoint, or from the beginning where it has none, with: "
        f"poemcore resume {FIRST} --runs-dir {tmp_path}",
    ]


@pytest.mark.parametrize("ends", ["finishes", "stops", "dies"])
def test_following_live(tmp_path: Path, capsys: pytest.CaptureFixture[str], ends: str) -> None:
    run = write_run(tmp_path, start())
    seen: list[str] = []
    ends_with: dict[str, Event | None] = {
        "finishes": RunFinished(1, None, None, "adapter"),
        "stops": RunStopped(1, "r"),
        "dies": None,
    }
    last = ends_with[ends]
    with ExitStack() as worker, EventLog(run.events_path) as log:
        worker.enter_context(lock_run(run, patience_s=0))

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
    lines = [to_line(start(), 1000.0) + "\n", to_line(STEP, 1001.0) + "\n"]
    if last is None:
        assert (status, seen) == ("died", [*lines, ""])
    elif ends == "stops":  # until the lock is free, it may be a run that is being resumed
        assert (status, seen) == ("stopped", [*lines, to_line(last, 1002.0) + "\n", ""])
    else:
        assert (status, seen) == ("finished", [*lines, to_line(last, 1002.0) + "\n"])


def test_events_written_between_the_last_look_and_the_end_are_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path, start())
    with ExitStack() as worker, EventLog(run.events_path) as log:
        worker.enter_context(lock_run(run, patience_s=0))

        def wait() -> None:
            log.append(RunFinished(50, None, None, "adapter"))
            worker.close()

        assert follow.follow_run(run, as_json=False, wait=wait) == "finished"
    assert capsys.readouterr().out.endswith("adapter in adapter\n")


def test_json_lines_send_nothing_that_a_terminal_obeys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = Note("a\x9b2J\u202e\x1b\u2028詩\ud800")
    write_run(tmp_path, note)
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path), "--json") == 1
    line = capsys.readouterr().out
    assert line.rstrip("\n").isprintable()
    assert parse_line(line) == (note, 1000.0)


def test_ctrl_c_leaves_the_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path, start())
    with lock_run(run, patience_s=0):
        before = {path: path.read_bytes() for path in run.path.iterdir()}
        with mock.patch("core.verbs.follow.time.sleep", side_effect=KeyboardInterrupt):
            assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path)) == 130
        assert {path: path.read_bytes() for path in run.path.iterdir()} == before
    assert "Traceback" not in capsys.readouterr().err


def test_following_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path)
    assert poemcore("follow", "2027", "--runs-dir", str(tmp_path)) == 2
    assert capsys.readouterr().err == (
        f"poemcore: {tmp_path}: There is no run “2027”.\n"
        f"RUN is an id, the beginning of one, or “last”. There are: {FIRST}\n"
    )


NUMBERED = (start(), *(Note(str(number)) for number in range(1, 101)), RunStopped(0, "stop"))
AS_SENTENCES = [*(f"note: {number}" for number in range(1, 101)), "stopped after step 0: stop"]


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ([], 50),
        (["--last", "3"], 3),
        (["--last", "1"], 1),
        (["--last", "0"], 0),
        (["--last", "1000"], 102),
        (["--all"], 102),
        (["--json"], 102),
        (["--json", "--last", "3"], 3),
        (["--json", "--all"], 102),
    ],
)
def test_how_far_back_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], lines: int
) -> None:
    write_run(tmp_path, *NUMBERED)
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path), *options) == 0
    shown = capsys.readouterr().out.splitlines()
    if "--json" in options:
        every = [to_line(event, 1000.0 + number) for number, event in enumerate(NUMBERED)]
    else:
        every = ["started 20261124-041530-tang: 400 rows, 50 steps, base builtin:tang-tiny on cpu (float32)"]
        every += AS_SENTENCES
    assert shown == every[len(every) - lines :]


@pytest.mark.parametrize("options", [["--last", "-7"], ["--last", "x"], ["--all", "--last", "3"]])
def test_a_beginning_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    write_run(tmp_path, *NUMBERED)
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path), *options) == 2
    assert capsys.readouterr().out == ""


def test_a_run_that_is_removed_while_it_is_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path, *NUMBERED[:3])
    lock = lock_run(run)

    def wait(_seconds: float) -> None:
        run.path.rename(tmp_path / "elsewhere")
        lock.release()

    monkeypatch.setattr("core.verbs.follow.time.sleep", wait)
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path)) == 1
    assert capsys.readouterr().err == f"The directory of the run {FIRST} was removed.\n"


def test_a_run_is_typed_with_its_place_where_it_would_not_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path / "my runs" / FIRST)
    assert typed(run) == f"{FIRST} --runs-dir '{tmp_path}/my runs'"
    monkeypatch.setenv("POEMTUI_RUNS", str(tmp_path / "my runs"))
    assert typed(run) == FIRST
    monkeypatch.delenv("POEMTUI_RUNS")
    monkeypatch.chdir(tmp_path)
    assert typed(RunDirectory(tmp_path / "runs" / FIRST)) == FIRST


def test_the_number_of_steps_is_known_though_its_line_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, start(), STEP, RunStopped(1, "stop"))
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path), "--last", "2") == 0
    assert capsys.readouterr().out.startswith("step 1/50  loss")


@pytest.mark.parametrize("last", ["0", "1", "2"])
def test_how_it_ended_is_known_of_a_long_run_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], last: str
) -> None:
    write_run(tmp_path, *NUMBERED, Note("the notice could not be given"))
    monkeypatch.setattr(events_module, "READ_BYTES", 4000)
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path), "--last", last) == 0
    assert "has died" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("is_terminal", "options", "rings"), [(True, [], True), (False, [], False), (True, ["--json"], False)]
)
def test_the_bell_rings_on_a_terminal_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_terminal: bool,
    options: list[str],
    rings: bool,
) -> None:
    write_run(tmp_path, start(), *FINISHED)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path), *options) == 0
    out = capsys.readouterr().out
    assert out.endswith(f"\x1b]9;{FIRST}: finished\x07\x07") == rings
    assert out.count("\x07") == (2 if rings else 0)


def test_a_queued_run_whose_process_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, RunQueued("cpu", "20261124-041530-other"))
    assert poemcore("follow", FIRST, "--runs-dir", str(tmp_path)) == 0
    captured = capsys.readouterr()
    assert captured.out == "queued: waits for cpu, which 20261124-041530-other has\n"
    assert captured.err == (
        f"The run {FIRST} is in the queue, and its process is gone. Take it up again with: poemcore queue start\n"
    )
