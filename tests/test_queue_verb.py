"""`poemcore queue`: what it shows, and what it does to runs whose process lives or is gone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core import cli
from core.runs import control, queue
from core.runs.checkpoints import STATE_FILE, seal
from core.runs.control import pending, take_away
from core.runs.directory import RunDirectory, typed
from core.runs.event_log import EventLog, iter_events
from core.runs.events import RequestAnswered, RunStopped
from core.runs.lock import HeldLock, lock_run

A, B, C = "20261124-041530-a", "20261124-041530-b", "20261124-041530-c"


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, RunDirectory]:
    """Three runs that wait for the CPU in this order."""
    made = {run_id: RunDirectory(tmp_path / "runs" / run_id) for run_id in (A, B, C)}
    for run in made.values():
        run.path.mkdir(parents=True)
        queue.join(run, "cpu")
    return made


@pytest.fixture
def poemcore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The exit code of the verb, run where no runs are kept."""
    monkeypatch.setattr(cli, "VERBS", ("queue",))
    return lambda *arguments: cli.main(["queue", *arguments, "--runs-dir", str(tmp_path / "runs")])


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The ids of the runs whose worker was started; they are held as if it lived."""
    started: list[str] = []
    locks: list[HeldLock] = []

    def launch(run: RunDirectory, lock: HeldLock) -> int:
        started.append(run.id)
        locks.append(HeldLock(os.dup(lock.descriptor)))
        return 4242

    monkeypatch.setattr("core.runs.launch.launch", launch)
    yield started
    for lock in locks:
        lock.release()


def order() -> list[str]:
    return [entry.run.id for entry in queue.waiting()]


def last_event(run: RunDirectory) -> object:
    return [event for event, _time_s in iter_events(run.events_path)][-1]


def test_nothing_to_show(poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore() == 0
    assert capsys.readouterr().out == "No run is at work and none waits.\n"
    assert poemcore("list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"started": [], "running": [], "queued": []}


def test_who_has_a_device_and_who_waits(
    runs: dict[str, RunDirectory], poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    queue.leave(runs[C])
    queue.join(runs[C], "cuda-0")
    with ExitStack() as held:
        held.enter_context(lock_run(runs[A], patience_s=0))
        held.enter_context(lock_run(runs[C], patience_s=0))
        turn = queue.take_turn(runs[A], "cpu")
        assert turn is not None
        held.enter_context(turn)
        queue.leave(runs[A])
        assert poemcore() == 0
        captured = capsys.readouterr()
        assert captured.out.splitlines() == [
            f"cpu: {typed(runs[A])} has it",
            f"cpu: 1. {typed(runs[B])}  (its process is gone)",
            f"cuda-0: 1. {typed(runs[C])}",
        ]
        assert captured.err == "Take up those whose process is gone with: poemcore queue start\n"
        assert poemcore("--json") == 0
        path = {run_id: str(run.path) for run_id, run in runs.items()}
        assert json.loads(capsys.readouterr().out) == {
            "started": [],
            "running": [{"run": A, "path": path[A], "device": "cpu"}],
            "queued": [
                {"run": B, "path": path[B], "device": "cpu", "attended": False},
                {"run": C, "path": path[C], "device": "cuda-0", "attended": True},
            ],
        }


def test_cancelling_a_run_whose_process_is_gone(runs: dict[str, RunDirectory], poemcore: Callable[..., int]) -> None:
    assert poemcore("cancel", A) == 0
    assert order() == [B, C]
    assert last_event(runs[A]) == RunStopped(0, "stop")
    folder = runs[B].checkpoint_path(4)
    folder.mkdir(parents=True)
    (folder / STATE_FILE).write_text('{"step": 4}', encoding="utf-8")
    seal(folder)
    assert poemcore("cancel", B) == 0
    assert last_event(runs[B]) == RunStopped(4, "stop")
    assert order() == [C]


@pytest.mark.parametrize("answers", [True, False])
def test_cancelling_a_run_that_waits(
    runs: dict[str, RunDirectory], poemcore: Callable[..., int], monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    asked: list[str] = []
    worker = ExitStack()
    worker.enter_context(lock_run(runs[B], patience_s=0))

    def work(_seconds: float) -> None:
        for request in pending(runs[B]):
            asked.append(request.action)
            if answers:
                with EventLog(runs[B].events_path) as log:
                    log.append(RequestAnswered(request.id, request.action, ""))
                take_away(runs[B], request)
                queue.leave(runs[B])
        worker.close()

    defaults = control.await_answer.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "wait", work)
    assert poemcore("cancel", B) == 0
    assert asked == ["stop"]
    assert order() == [A, C]


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        (["move", C, "1"], [C, A, B]),
        (["move", A, "2"], [B, A, C]),
        (["move", A, "9"], [B, C, A]),
        (["move", "last", "1"], [C, A, B]),
    ],
)
def test_moving(
    runs: dict[str, RunDirectory], poemcore: Callable[..., int], arguments: list[str], after: list[str]
) -> None:
    assert poemcore(*arguments) == 0
    assert order() == after


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cancel"], "cancel needs RUN; move needs RUN and PLACE"),
        (["cancel", A, "1"], "cancel needs RUN; move needs RUN and PLACE"),
        (["move", A], "cancel needs RUN; move needs RUN and PLACE"),
        (["move", A, "0"], "the first place is 1"),
        (["move", A, "-1"], "the first place is 1"),
        (["move", A, "first"], "argument PLACE: invalid int value: 'first'"),
        (["list", A], "list takes no run"),
        (["start", A], "start takes no run"),
        (["stat"], "stat is no ACTION"),
        (["cancel", "2027"], "There is no run “2027”"),
        (["cancel", "../x"], "There is no run “../x”"),
        (["cancel", ""], "There is no run “”"),
        (["cancel", "20261124"], "“20261124” is the beginning of 3 runs"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    runs: dict[str, RunDirectory],
    poemcore: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert poemcore(*arguments) == 2
    assert message in capsys.readouterr().err
    assert order() == [A, B, C]
    assert not any(run.events_path.exists() for run in runs.values())


@pytest.mark.parametrize("action", [["cancel", A], ["move", A, "1"]])
def test_a_run_that_does_not_wait(
    runs: dict[str, RunDirectory], poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str], action: list[str]
) -> None:
    queue.leave(runs[A])
    assert poemcore(*action) == 2
    assert f"The run {A} is not in the queue." in capsys.readouterr().err
    assert not runs[A].events_path.exists()


def test_a_run_that_is_kept_elsewhere_is_found_by_its_place_in_the_line(
    runs: dict[str, RunDirectory], tmp_path: Path, poemcore: Callable[..., int]
) -> None:
    elsewhere = RunDirectory(tmp_path / "elsewhere" / "20261125-000000-x")
    elsewhere.path.mkdir(parents=True)
    queue.join(elsewhere, "cpu")
    assert poemcore("move", "20261125", "1") == 0
    assert order() == [elsewhere.id, A, B, C]


def test_those_whose_process_is_gone_are_taken_up(
    runs: dict[str, RunDirectory],
    poemcore: Callable[..., int],
    launched: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs[A].control_path.mkdir()
    (runs[A].control_path / "00000000000000000007-1.json").write_text('{"action": "stop"}', encoding="utf-8")
    with lock_run(runs[B], patience_s=0):
        assert poemcore("start") == 0
    assert launched == [A, C]
    assert pending(runs[A]) == []  # asked of a process that is no more
    assert order() == [A, B, C]
    out = capsys.readouterr().out
    assert out.startswith(f"Started: {A}\nStarted: {C}\ncpu: 1. {typed(runs[A])}\n")
    assert poemcore("start", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["started"] == [B]
    assert [entry["attended"] for entry in document["queued"]] == [True, True, True]


@pytest.mark.parametrize("fault", ["lock is a link", "world-writable"])
def test_a_run_that_can_t_be_taken_up_holds_no_other_up(
    runs: dict[str, RunDirectory],
    tmp_path: Path,
    poemcore: Callable[..., int],
    launched: list[str],
    capsys: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    if fault == "world-writable":
        runs[A].path.chmod(0o777)
    else:
        runs[A].lock_path.symlink_to(tmp_path / "elsewhere")
    poemcore("start")
    assert launched == [B, C]
    assert A in capsys.readouterr().err
