"""One run at a time on a device: those that wait, those that are killed, and those that fail before them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from stage import Stage, await_end, await_event, ended, events, lost_steps, sha256, train, wait_for, worker_pid
from victim import LOADING, Fault

from core.runs.directory import RunDirectory
from core.runs.event_log import iter_events
from core.runs.events import DeviceTaken, Event, RunFailed, RunFinished, RunQueued, RunStopped, StepDone


@pytest.mark.short
def test_the_second_run_waits_and_then_runs_by_itself(
    stage: Stage, undisturbed: str, strike: Callable[..., None]
) -> None:
    first = stage.detach("first")
    await_event(first, DeviceTaken)
    second = stage.detach("second")
    queued = await_event(second, RunQueued)
    assert queued == RunQueued(device="cpu", behind=first.id)
    assert stage.status("second") == "queued"
    assert events(second, DeviceTaken) == []
    strike()
    await_end(first)
    await_end(second)
    assert [stage.status(name) for name in ("first", "second")] == ["finished", "finished"]
    assert _when(second, DeviceTaken) >= _when(first, RunFinished)
    assert [sha256(first), sha256(second)] == [undisturbed, undisturbed]


def test_the_second_run_starts_when_the_first_is_killed(
    stage: Stage, undisturbed: str, strike: Callable[..., None]
) -> None:
    first = stage.detach("first")
    await_event(first, DeviceTaken)
    second = stage.detach("second")
    await_event(second, RunQueued)
    await_event(first, StepDone, step=5)
    os.kill(worker_pid(first), signal.SIGKILL)
    await_end(first)
    assert stage.status("first") == "died"
    await_end(second)
    assert stage.status("second") == "finished"
    stage.poemcore("resume", first.id)
    assert [sha256(first), sha256(second)] == [undisturbed, undisturbed]
    strike(*lost_steps(first))


def test_runs_that_wait_are_killed_cancelled_moved_and_fail(
    stage: Stage, undisturbed: str, strike: Callable[..., None]
) -> None:
    gate = stage.gate()
    first = stage.victim(*train("first"), faults=[Fault(LOADING, gate=str(gate))])
    wait_for(gate.exists)
    killed, cancelled, failing, last = (
        _queued(stage, name, *sets)
        for name, *sets in (
            ("killed",),
            ("cancelled",),
            ("failing", 'lora.target_modules=["no_such_layer"]'),
            ("last",),
        )
    )

    os.kill(worker_pid(killed), signal.SIGKILL)
    await_end(killed)
    strike()
    assert stage.status("killed") == "queued"
    queue = stage.document("queue")
    assert [run["run"] for run in queue["running"]] == [stage.run("first").id]
    waits = [(run["run"], run["attended"]) for run in queue["queued"]]
    assert waits == [(killed.id, False), (cancelled.id, True), (failing.id, True), (last.id, True)]

    queue = stage.document("queue", "cancel", cancelled.id)
    await_end(cancelled)
    strike()
    assert stage.status("cancelled") == "stopped"
    assert [event.step for event in events(cancelled, RunStopped)] == [0]
    queue = stage.document("queue", "move", failing.id, "1")
    strike()
    assert [run["run"] for run in queue["queued"]] == [failing.id, killed.id, last.id]

    queue = stage.document("queue", "start")
    assert queue["started"] == [killed.id]
    assert [run["attended"] for run in queue["queued"]] == [True, True, True]
    gate.unlink()
    assert ended(first) == 0
    for run in (failing, killed, last):
        await_end(run)
    strike()
    statuses = [stage.status(name) for name in ("first", "failing", "killed", "last", "cancelled")]
    assert statuses == ["finished", "failed", "finished", "finished", "stopped"]
    assert "no_such_layer" in events(failing, RunFailed)[0].message + events(failing, RunFailed)[0].hint
    turns = [_when(run, DeviceTaken) for run in (stage.run("first"), failing, killed, last)]
    assert turns == sorted(turns)
    assert events(cancelled, DeviceTaken) == []
    assert [sha256(run) for run in (stage.run("first"), killed, last)] == [undisturbed] * 3
    assert stage.document("queue")["queued"] == []


def test_a_run_that_was_killed_while_it_waited_is_cancelled_or_resumed(
    stage: Stage, undisturbed: str, strike: Callable[..., None]
) -> None:
    gate = stage.gate()
    first = stage.victim(*train("first"), faults=[Fault(LOADING, gate=str(gate))])
    wait_for(gate.exists)
    for name in ("cancelled", "resumed"):
        run = _queued(stage, name)
        os.kill(worker_pid(run), signal.SIGKILL)
        await_end(run)
        strike()
    stage.document("queue", "cancel", stage.run("cancelled").id)
    assert stage.status("cancelled") == "stopped"
    gate.unlink()
    assert ended(first) == 0
    stage.poemcore("resume", stage.run("resumed").id)
    assert sha256(stage.run("resumed")) == undisturbed
    assert stage.document("queue")["queued"] == []


def _queued(stage: Stage, name: str, *sets: str) -> RunDirectory:
    run = stage.detach(name, *sets)
    await_event(run, RunQueued)
    return run


def _when(run: RunDirectory, kind: type[Event]) -> float:
    return next(time_s for event, time_s in iter_events(run.events_path) if isinstance(event, kind))
