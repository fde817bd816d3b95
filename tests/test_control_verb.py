"""`poemcore control` and `poemcore stop`, as a person at another terminal meets them. The worker is played here."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core import cli
from core.runs import control, queue
from core.runs.control import pending, take_away
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog, iter_events
from core.runs.events import RequestAnswered, RunQueued, RunStarted, RunStopped, StepDone
from core.runs.lock import lock_run
from core.runs.storage import DiskFull

RUN = "20261124-041530-tang"
STEP = StepDone(7, 0.04, 4.25, 2e-4, 1.5, 640, 1280.4, 0.5)


class Worker:
    """Holds a run and does what a worker does when it has a moment."""

    def __init__(self, run: RunDirectory) -> None:
        self.run, self.asked, self.problem, self.is_busy = run, list[tuple[str, int]](), "", False
        self._held = ExitStack()
        self._held.enter_context(lock_run(run, patience_s=0))
        self.log = self._held.enter_context(EventLog(run.events_path))

    def work(self, _seconds: float) -> None:
        for request in [] if self.is_busy else pending(self.run):
            self.asked.append((request.action, request.value))
            self.log.append(RequestAnswered(request.id, request.action, self.problem))
            take_away(self.run, request)
            if request.action.startswith("stop"):
                self.log.append(RunStopped(7, request.action))
                self.leave()

    def leave(self, _seconds: float = 0.0) -> None:
        self._held.close()


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = RunDirectory(tmp_path / RUN)
    made.path.mkdir()
    with EventLog(made.events_path) as log:
        log.append(RunStarted(RUN, 0, 400, 20, 50, 2, "builtin:tang-tiny", "cpu", "float32", 9000, 1234))
        log.append(STEP)
    return made


@pytest.fixture
def worker(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker that gets its moments when others wait."""
    made = Worker(run)
    moments(monkeypatch, made.work)
    yield made
    made.leave()


def moments(monkeypatch: pytest.MonkeyPatch, wait: Callable[[float], None]) -> None:
    defaults = control.await_answer.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "wait", wait)
    monkeypatch.setattr("core.verbs.stop.time.sleep", wait)


@pytest.fixture
def poemcore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The exit code of a command line that knows these verbs."""
    monkeypatch.setattr(cli, "VERBS", ("control", "stop"))
    return lambda *arguments: cli.main([*arguments, "--runs-dir", str(tmp_path)])


@pytest.mark.parametrize("action", ["checkpoint", "sample", "pause", "resume", "stop", "stop-now"])
def test_a_request_is_taken(
    worker: Worker, poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str], action: str
) -> None:
    assert poemcore("control", "last", action) == 0
    assert capsys.readouterr().out == f"{RUN} has taken the request: {action}\n"
    assert worker.asked == [(action, 0)]
    assert pending(worker.run) == []


def test_evaluations_at_other_steps(worker: Worker, poemcore: Callable[..., int]) -> None:
    assert poemcore("control", "2026", "eval-every", "50") == 0
    assert poemcore("control", RUN, "eval-every", "0") == 0
    assert worker.asked == [("eval-every", 50), ("eval-every", 0)]


def test_the_answer_as_json(worker: Worker, poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("control", RUN, "pause", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    request = document.pop("request")
    assert document == {"run": RUN, "action": "pause", "answered": True, "problem": None}
    events = [event for event, _time_s in iter_events(worker.run.events_path)]
    assert events[-1] == RequestAnswered(request, "pause", "")


def test_what_can_t_be_done_is_told(
    worker: Worker, poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    worker.problem = "there are no prompts\x1b[2J"
    assert poemcore("control", RUN, "sample") == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "poemcore: there are no prompts␛[2J\n")
    assert poemcore("control", RUN, "sample", "--json") == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["problem"] == "there are no prompts\x1b[2J"
    assert captured.err == ""


def test_a_request_that_is_not_answered_in_time_stays(
    worker: Worker, poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    worker.is_busy = True
    assert poemcore("control", RUN, "checkpoint", "--timeout", "0") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "No answer yet. The request stays: the run takes it as soon as it can.\n"
    assert [request.action for request in pending(worker.run)] == ["checkpoint"]
    assert poemcore("control", RUN, "checkpoint", "--timeout", "0", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["answered"], document["problem"]) == (False, None)


def test_a_worker_that_ends_without_an_answer(
    worker: Worker,
    poemcore: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    moments(monkeypatch, worker.leave)
    assert poemcore("control", RUN, "checkpoint") == 1
    assert capsys.readouterr().err == "poemcore: its process ended before it took the request\n"
    assert pending(worker.run) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval-every"], "eval-every needs the number of steps, and no other action has a number"),
        (["pause", "5"], "eval-every needs the number of steps, and no other action has a number"),
        (["eval-every", "-1"], "argument N: -1 is no number of 0 or more"),
        (["eval-every", "1000000001"], "so many steps no run has"),
        (["eval-every", "many"], "argument N: many is no number of 0 or more"),
        (["evalevery", "5"], "evalevery is no ACTION"),
        (["../x"], "../x is no ACTION"),
        ([], "the following arguments are required: ACTION"),
    ],
)
def test_requests_that_are_none(
    worker: Worker,
    poemcore: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert poemcore("control", RUN, *arguments) == 2
    assert message in capsys.readouterr().err
    assert (worker.asked, worker.run.control_path.exists()) == ([], False)


@pytest.mark.parametrize("verb", [["control", RUN, "pause"], ["stop", RUN]])
def test_nobody_is_asked_who_is_not_there(
    run: RunDirectory, poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    assert poemcore(*verb) == 2
    assert capsys.readouterr().err == (
        f"poemcore: No process is at work on the run {RUN}.\nSee how it stands with: poemcore runs\n"
    )
    assert not run.control_path.exists()


@pytest.mark.parametrize(("options", "action"), [([], "stop"), (["--now"], "stop-now")])
def test_stopping_waits_for_the_end(
    worker: Worker,
    poemcore: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    action: str,
) -> None:
    assert poemcore("stop", RUN, *options) == 0
    assert capsys.readouterr().out == f"{RUN} is over: stopped after step 7\n"
    assert worker.asked == [(action, 0)]


def test_stopping_as_json(worker: Worker, poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("stop", RUN, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"run": RUN, "status": "stopped", "step": 7}
    assert worker.asked == [("stop", 0)]


def test_only_asking_for_the_end(
    worker: Worker, poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert poemcore("stop", RUN, "--timeout", "0") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"Asked. {RUN} will end as soon as it can.\n")
    assert [request.action for request in pending(worker.run)] == ["stop"]


def test_a_run_that_does_not_end_in_time(
    worker: Worker, poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    worker.is_busy = True
    assert poemcore("stop", RUN, "--timeout", "0.001", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"run": RUN, "status": "running", "step": 7}


def test_a_run_in_the_queue_whose_process_is_gone_is_taken_out(
    run: RunDirectory, poemcore: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    queue.join(run, "cpu")
    with EventLog(run.events_path) as log:
        log.append(RunQueued("cpu", ""))
    assert poemcore("stop", RUN) == 0
    assert capsys.readouterr().out == f"{RUN} is over: stopped after step 0\n"
    assert queue.waiting() == ()
    assert [event for event, _time_s in iter_events(run.events_path)][-1] == RunStopped(0, "stop")


@pytest.mark.parametrize(("options", "signals"), [([], 1), (["--now"], 2)])
def test_where_there_is_no_room_for_a_request_a_signal_stops(
    worker: Worker,
    poemcore: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    signals: int,
) -> None:
    def full(*_args: object) -> None:
        raise DiskFull("There is no space left on the disk.")

    sent: list[tuple[int, int]] = []
    worker.run.process_path.write_text('{"pid": 4242}', encoding="utf-8")
    monkeypatch.setattr(control, "write_json", full)
    monkeypatch.setattr("core.runs.control.os.kill", lambda pid, number: sent.append((pid, number)))
    assert poemcore("stop", RUN, "--timeout", "0", *options) == 0
    assert sent == [(4242, signal.SIGTERM)] * signals
