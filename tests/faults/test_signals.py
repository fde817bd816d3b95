"""SIGHUP, SIGTERM and SIGINT from another process, in every phase of a run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest
from stage import Stage, await_end, await_event, ended, events, lost_steps, sha256, train, wait_for, worker_pid
from victim import ENCODING, IN_A_STEP, IN_AN_EVALUATION, LOADING, SAMPLING, Fault

from core.runs.directory import RunDirectory, list_runs
from core.runs.events import CheckpointSaved, RunQueued, RunStarted, RunStopped, StepDone

# Phase: the point, which time it is reached, and the optimiser steps that are done when a stop takes effect there.
PHASES = {
    "loading": (LOADING, 1, 0),
    "encoding": (ENCODING, 1, 0),
    "step": (IN_A_STEP, 10, 5),  # the second micro-batch of step 5
    "eval": (IN_AN_EVALUATION, 3, 6),
    "save": ("checkpoint: adapter written", 2, 4),
    "sample": (SAMPLING, 1, 6),
}
SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Case:
    """A signal in a phase."""

    phase: str
    """One of PHASES, or queued."""
    signal: signal.Signals
    """The signal."""

    def __str__(self) -> str:
        """How the test is called."""
        return f"{self.signal.name} while {self.phase}"


CASES = [Case(phase, number) for phase in ("queued", *PHASES) for number in SIGNALS]
SHORT = {f"SIGTERM while {phase}" for phase in ("queued", "loading", "save")} | {
    "SIGHUP while step",
    "SIGINT while eval",
}


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal, and wait until it has been delivered."""
    os.kill(pid, number)

    def is_delivered() -> bool:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        waiting = [int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd"))]
        return not any(mask >> (number - 1) & 1 for mask in waiting)

    wait_for(is_delivered)


def endure(case: Case, stage: Stage) -> tuple[str, list[int]]:
    """Live through it; the SHA-256 at the end and the steps lost."""
    gate = stage.gate()
    if case.phase == "queued":
        other = stage.victim(*train("other"), faults=[Fault(LOADING, gate=str(gate))])
        wait_for(gate.exists)
        process, steps = stage.victim(*train()), 0
        await_event(wait_for_run(stage), RunQueued)
        send(process.pid, case.signal)
        if case.signal != signal.SIGHUP:
            ended(process)
        gate.unlink()
        assert ended(other) == 0
        assert sha256(stage.run("other"))
    else:
        point, number, steps = PHASES[case.phase]
        process = stage.victim(*train(), faults=[Fault(point, number, gate=str(gate))])
        wait_for(gate.exists)
        send(process.pid, case.signal)
        gate.unlink()
    code = ended(process)
    stops = events(stage.run(), RunStopped)
    if case.signal == signal.SIGHUP:
        assert (code, stops) == (0, []), stage.said()
        return sha256(stage.run()), [0]
    assert code == 130, stage.said()
    assert stops == [RunStopped(step=steps, reason=case.signal.name)]
    stage.suffer("resume", stage.run().id, expect=0)
    return sha256(stage.run()), lost_steps(stage.run()) or [0]


def wait_for_run(stage: Stage) -> RunDirectory:
    """The run that a victim is about to make."""

    wait_for(lambda: [run for run in list_runs(stage.runs_dir) if run.id.endswith("-tried")])
    return stage.run()


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=str(c), marks=[pytest.mark.short] * (str(c) in SHORT)) for c in CASES]
)
def test_a_signal_ends_a_run_cleanly_or_not_at_all(
    case: Case,
    outcomes: dict[Case, Future[tuple[str, list[int]]]],
    undisturbed: str,
    strike: Callable[..., None],
) -> None:
    sha, lost = outcomes[case].result(timeout=900)
    assert sha == undisturbed
    assert lost == [0]
    strike(0)


def test_the_second_sigterm_ends_a_run_without_saving(
    stage: Stage, undisturbed: str, strike: Callable[..., None]
) -> None:
    gate = stage.gate()
    process = stage.victim(*train(), faults=[Fault(IN_A_STEP, 12, gate=str(gate))])  # in step 6; step 4 is saved
    wait_for(gate.exists)
    send(process.pid, signal.SIGTERM)
    send(process.pid, signal.SIGTERM)
    gate.unlink()
    assert ended(process) == 130, stage.said()
    run = stage.run()
    assert [event.step for event in events(run, CheckpointSaved)] == [3, 4]
    assert events(run, RunStopped) == [RunStopped(step=4, reason="SIGTERM")]
    stage.suffer("resume", run.id, expect=0)
    assert sha256(run) == undisturbed
    assert lost_steps(run) == [1]
    strike(1)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_a_detached_worker_has_even_begun(
    stage: Stage, undisturbed: str, number: signal.Signals, strike: Callable[..., None]
) -> None:
    run = stage.detach()
    os.kill(worker_pid(run), number)
    strike()
    if number != signal.SIGHUP:
        await_end(run)
        assert events(run, RunStopped) == [RunStopped(step=0, reason=number.name)]
        assert events(run, RunStarted, StepDone) == []
        stage.poemcore("resume", run.id, "--detach")
    await_end(run)
    assert stage.status() == "finished"
    assert sha256(run) == undisturbed
