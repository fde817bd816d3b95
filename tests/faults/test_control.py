"""Requests from another process while the held-out rows are scored and while a checkpoint is being written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from stage import Stage, await_event, ended, events, sha256, train, wait_for
from victim import IN_AN_EVALUATION, Fault

from core.runs.control import pending
from core.runs.events import (
    CheckpointSaved,
    RequestAnswered,
    RunContinued,
    RunPaused,
    RunStopped,
    SampleMade,
    SettingChanged,
)

# Phase: the point, which times the run waits there (at step 3, at 6, and at 7 or 8), and how many steps later it has
# seen to a request. While the rows are scored it looks between two batches; a checkpoint is one piece of work.
PHASES = {"evaluation": (IN_AN_EVALUATION, (2, 3, 4), 0), "checkpoint": ("checkpoint: adapter written", (1, 3, 5), 1)}


@pytest.mark.short
@pytest.mark.parametrize("phase", PHASES)
def test_a_busy_run_takes_every_request(
    stage: Stage, undisturbed: str, phase: str, strike: Callable[..., None]
) -> None:
    point, numbers, later = PHASES[phase]
    gates = [stage.gate(f"gate{number}") for number in numbers]
    faults = [Fault(point, number, gate=str(gate)) for number, gate in zip(numbers, gates, strict=True)]
    process = stage.victim(*train(), faults=faults)

    wait_for(gates[0].exists)
    run = stage.run()
    asked = _ask(stage, "pause")
    gates[0].unlink()
    _answered(asked)
    strike()
    await_event(run, RunPaused, reason="request", step=3 + later)
    assert stage.status() == "paused"
    _answered(_ask(stage, "sample", wait_until_there=False))
    await_event(run, SampleMade, step=3 + later)
    strike()
    stage.poemcore("resume", run.id)
    await_event(run, RunContinued, step=3 + later)
    strike()

    wait_for(gates[1].exists)  # step 6
    several = [_ask(stage, *words) for words in (["checkpoint"], ["sample"], ["eval-every", "1"])]
    gates[1].unlink()
    for one in several:
        _answered(one)
        strike()
    changed = SettingChanged(step=6 + later, key="train.eval_every", before="3", after="1")
    assert await_event(run, SettingChanged) == changed
    await_event(run, CheckpointSaved, step=6 + later)
    await_event(run, SampleMade, step=6)  # the one that was due
    wait_for(lambda: len(events(run, SampleMade)) == 3)

    # From here on every step is evaluated.
    asked_at = events(run, CheckpointSaved)[-1].step
    wait_for(gates[2].exists)
    asked = _ask(stage, "stop")
    gates[2].unlink()
    _answered(asked)
    strike()
    assert ended(process) == 130, stage.said()
    stopped = events(run, RunStopped)
    assert [event.reason for event in stopped] == ["stop"]
    assert stopped[0].step == events(run, CheckpointSaved)[-1].step >= asked_at

    gate = stage.gate("last")
    process = stage.victim("resume", run.id, faults=[Fault(point, 1, gate=str(gate))])
    wait_for(gate.exists)
    asked = _ask(stage, "stop-now")
    gate.unlink()
    _answered(asked)
    strike()
    assert ended(process) == 130, stage.said()
    assert events(run, RunStopped)[-1].reason == "stop-now"
    stage.suffer("resume", run.id, expect=0)
    assert sha256(run) == undisturbed
    answers = events(run, RequestAnswered)
    actions = ["pause", "sample", "resume", "stop", "stop-now"]
    assert sorted(event.action for event in answers) == sorted([*actions, "checkpoint", "sample", "eval-every"])
    assert [event.problem for event in answers] == [""] * 8
    assert list(run.control_path.iterdir()) == []


def _ask(stage: Stage, *words: str, wait_until_there: bool = True) -> subprocess.Popen[str]:
    """Ask from another process; it waits for its answer. The request is in its place when this returns."""
    before = len(pending(stage.run()))
    asking = stage.start("control", stage.run().id, *words)
    if wait_until_there:
        wait_for(lambda: len(pending(stage.run())) > before)
    return asking


def _answered(asking: subprocess.Popen[str]) -> None:
    _out, err = asking.communicate(timeout=60)
    assert asking.returncode == 0, err
