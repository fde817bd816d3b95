"""What a worker is told, by signals and by requests: when it may be told, and what comes of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.runs import queue
from core.runs.checkpoints import checkpoints
from core.runs.control import ask
from core.runs.directory import RunDirectory, create_run
from core.runs.events import Event, RequestAnswered, RunQueued, RunStopped
from core.runs.lock import is_locked, lock_run
from core.runs.view import view_run
from core.training import conductor, turn, worker
from core.training.commands import Commands, Interrupts, Stopped
from tests.tiny import Tiny, adapter_bytes, at, events_of, ignore, make_tiny, names_of


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "_POLL_S", 0.001)
    monkeypatch.setattr(turn, "_POLL_S", 0.001)


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    made = Interrupts()
    yield made
    made.restore()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    """A run that this process holds, so that requests can be put before it."""
    made = create_run(tmp_path / "runs", name="told")
    with lock_run(made):
        yield made


@pytest.fixture
def answers() -> list[RequestAnswered]:
    return []


@pytest.fixture
def commands(run: RunDirectory, interrupts: Interrupts, answers: list[RequestAnswered]) -> Commands:
    return Commands(run, interrupts, answers.append)  # type: ignore[arg-type]


def test_one_signal_ends_and_two_end_at_once(commands: Commands) -> None:
    assert (commands.stop, commands.stop_now) == ("", "")
    signal.raise_signal(signal.SIGTERM)
    assert (commands.stop, commands.stop_now) == ("SIGTERM", "")
    signal.raise_signal(signal.SIGINT)
    assert (commands.stop, commands.stop_now) == ("SIGINT", "SIGINT")
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_a_terminal_that_closes_means_nothing(commands: Commands) -> None:
    signal.raise_signal(signal.SIGHUP)
    assert (commands.stop, commands.stop_now) == ("", "")


def test_the_former_handlers_come_back() -> None:
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = [signal.getsignal(number) for number in kinds]
    interrupts = Interrupts()
    assert all(signal.getsignal(number) != handler for number, handler in zip(kinds, former, strict=True))
    interrupts.restore()
    assert [signal.getsignal(number) for number in kinds] == former


def test_a_signal_that_was_held_back_is_not_lost() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.raise_signal(signal.SIGTERM)
    interrupts = Interrupts()
    try:
        assert interrupts.names == ["SIGTERM"]
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        interrupts.restore()


def test_requests_are_taken_in_order_and_answered(
    run: RunDirectory, commands: Commands, answers: list[RequestAnswered]
) -> None:
    asked = [
        ask(run, action, value)
        for action, value in (("pause", 0), ("checkpoint", 0), ("sample", 0), ("eval-every", 7), ("eval-every", 9))
    ]
    assert not (commands.pause or commands.checkpoint or commands.sample)
    commands.look()
    assert commands.pause and commands.checkpoint and commands.sample
    assert (commands.eval_every, commands.retry, commands.stop) == (9, False, "")
    assert answers == [RequestAnswered(request=item.id, action=item.action, problem="") for item in asked]
    assert list(run.control_path.iterdir()) == []
    ask(run, "resume")
    commands.look()
    assert (commands.pause, commands.retry) == (False, True)
    commands.look()
    assert len(answers) == 6


def test_the_last_of_pause_and_resume_counts(run: RunDirectory, commands: Commands) -> None:
    for action in ("resume", "pause"):
        ask(run, action)
    commands.look()
    assert commands.pause


@pytest.mark.parametrize(("action", "now"), [("stop", ""), ("stop-now", "stop-now")])
def test_a_request_to_end(run: RunDirectory, commands: Commands, action: str, now: str) -> None:
    commands.raise_if_stopped()
    ask(run, action)
    with pytest.raises(Stopped, match=f"^{action}$"):
        commands.raise_if_stopped()
    assert (commands.stop, commands.stop_now) == (action, now)


def test_a_file_that_holds_no_request(run: RunDirectory, commands: Commands, answers: list[RequestAnswered]) -> None:
    request = ask(run, "stop")
    (run.control_path / f"{request.id}.json").write_text('{"action": "rm"}', encoding="utf-8")
    commands.look()
    assert answers == [RequestAnswered(request=request.id, action="", problem="The file holds no request.")]
    assert commands.stop == ""
    assert list(run.control_path.iterdir()) == []


def test_what_is_asked_before_the_worker_looks_is_not_lost(
    run: RunDirectory, interrupts: Interrupts, answers: list[RequestAnswered]
) -> None:
    """From the moment that the lock is held, requests are to this process, however long it takes to start."""
    ask(run, "stop")
    commands = Commands(run, interrupts, answers.append)  # type: ignore[arg-type]
    commands.look()
    assert commands.stop == "stop"
    assert [answer.action for answer in answers] == ["stop"]


# The same in whole runs.


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def whole(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that nothing happens to."""
    return worker.start(tiny.profile(), runs_dir=tmp_path_factory.mktemp("whole"), name=None, on_event=ignore).run


def signalled(*numbers: int) -> Callable[[RunDirectory], None]:
    def deed(_run: RunDirectory) -> None:
        for number in numbers:
            signal.raise_signal(number)

    return deed


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@pytest.mark.parametrize(
    ("when", "numbers", "step", "reason", "saved"),
    [
        ("StepDone 3", [TERM], 3, "SIGTERM", [2, 3]),
        ("StepDone 3", [INT], 3, "SIGINT", [2, 3]),
        ("StepDone 3", [TERM, INT], 2, "SIGINT", [2]),
        ("StepDone 3", [TERM, TERM, TERM], 2, "SIGTERM", [2]),
        ("CheckpointSaved 2", [HUP, TERM], 2, "SIGTERM", [2]),
        ("EvalStarted 0", [INT], 0, "SIGINT", []),
        ("RunStarted", [TERM], 0, "SIGTERM", []),
        ("DeviceTaken", [TERM], 0, "SIGTERM", []),
    ],
)
def test_signals_at_a_moment(
    tiny: Tiny,
    tmp_path: Path,
    whole: RunDirectory,
    when: str,
    numbers: list[int],
    step: int,
    reason: str,
    saved: list[int],
) -> None:
    listener = at(tmp_path, {when: signalled(*numbers)})
    before = signal.getsignal(INT)
    outcome = worker.start(tiny.profile("train.checkpoint_every=2"), runs_dir=tmp_path, name=None, on_event=listener)
    assert (outcome.status, outcome.step) == ("stopped", step)
    assert signal.getsignal(INT) is before
    assert events_of(outcome.run)[-1] == RunStopped(step=step, reason=reason)
    assert [item.step for item in checkpoints(outcome.run)] == saved
    assert not is_locked(outcome.run)
    again = worker.resume(outcome.run, on_event=ignore)
    assert (again.status, again.step) == ("finished", 6)
    assert adapter_bytes(again.run) == adapter_bytes(whole)


def test_a_closed_terminal_does_not_end_a_run(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    listener = at(tmp_path, {f"StepDone {step}": signalled(HUP) for step in (1, 2, 3)})
    outcome = worker.start(tiny.profile(), runs_dir=tmp_path, name=None, on_event=listener)
    assert outcome.status == "finished"
    assert adapter_bytes(outcome.run) == adapter_bytes(whole)


def test_a_request_left_over_does_not_end_the_next_process(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    listener = at(tmp_path, {"StepDone 3": lambda run: ask(run, "stop")})
    run = worker.start(tiny.profile(), runs_dir=tmp_path, name=None, on_event=listener).run
    left = run.control_path / f"{5:020d}-77.json"
    left.write_text(json.dumps({"action": "stop", "value": 0}), encoding="utf-8")
    assert worker.resume(run, on_event=ignore).status == "finished"
    answers = [event for event in events_of(run) if isinstance(event, RequestAnswered)]
    assert len(answers) == 1  # the one that did end it
    assert not left.exists()
    assert adapter_bytes(run) == adapter_bytes(whole)


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Another run has the device until this is called."""
    other = create_run(tmp_path / "others", name="other")
    with lock_run(other):
        queue.join(other, "cpu")
        device = queue.take_turn(other, "cpu")
        assert device is not None
        queue.leave(other)
        held = [device]
        yield lambda: held.pop().release()
        for lock in held:
            lock.release()


def test_a_run_waits_for_its_turn(tiny: Tiny, tmp_path: Path, whole: RunDirectory, busy: Callable[[], None]) -> None:
    seen: list[tuple[str, list[str]]] = []

    def look(run: RunDirectory) -> None:
        seen.append((view_run(run).status, [entry.path for entry in queue.waiting()]))
        busy()

    listener = at(tmp_path / "runs", {"RunQueued": look})
    outcome = worker.start(tiny.profile(), runs_dir=tmp_path / "runs", name=None, on_event=listener)
    assert seen == [("queued", [str(outcome.run.path)])]
    events = events_of(outcome.run)
    assert isinstance(events[0], RunQueued)
    assert events[0].device == "cpu"
    assert events[0].behind.endswith("-other")
    assert names_of(events)[1:3] == ["DeviceTaken", "RunStarted"]
    assert queue.waiting() == ()
    assert queue.holders() == {}
    assert adapter_bytes(outcome.run) == adapter_bytes(whole)


@pytest.mark.parametrize("way", ["stop", "SIGTERM"])
def test_a_run_that_is_stopped_while_it_waits(
    tiny: Tiny, tmp_path: Path, whole: RunDirectory, busy: Callable[[], None], way: str
) -> None:
    deed = signalled(TERM) if way == "SIGTERM" else (lambda run: ask(run, "stop"))
    heard: list[Event] = []
    listener = at(tmp_path / "runs", {"RunQueued": deed})

    def listen(event: Event) -> None:
        heard.append(event)
        listener(event)

    outcome = worker.start(tiny.profile(), runs_dir=tmp_path / "runs", name=None, on_event=listen)
    assert (outcome.status, outcome.step) == ("stopped", 0)
    assert heard == events_of(outcome.run)
    assert names_of(heard) == ["RunQueued", *(["RequestAnswered"] if way == "stop" else []), "RunStopped 0"]
    assert heard[-1] == RunStopped(step=0, reason=way)
    assert queue.waiting() == ()
    busy()
    again = worker.resume(outcome.run, on_event=ignore)
    assert adapter_bytes(again.run) == adapter_bytes(whole)


def test_a_run_in_the_queue_can_t_be_paused(tiny: Tiny, tmp_path: Path, busy: Callable[[], None]) -> None:
    def look(run: RunDirectory) -> None:
        ask(run, "pause")
        ask(run, "stop")

    listener = at(tmp_path / "runs", {"RunQueued": look})
    outcome = worker.start(tiny.profile(), runs_dir=tmp_path / "runs", name=None, on_event=listener)
    answers = [event for event in events_of(outcome.run) if isinstance(event, RequestAnswered)]
    assert [(answer.action, bool(answer.problem)) for answer in answers] == [("pause", True), ("stop", False)]
