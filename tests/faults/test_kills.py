"""`kill -9` at every kind of moment: the run is resumed and its adapter is, byte for byte, the undisturbed run's."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from stage import SEED, STEPS, Stage, await_end, await_event, ended, lost_steps, sha256, train, worker_pid
from victim import ENCODING, IN_A_STEP, IN_AN_EVALUATION, LOADING, SAMPLING, SIGKILL_SELF, Fault

from core.runs.events import StepDone

DRAWS = 2
CHAINS = 4
# Every kind of point, with the numbers to draw from: which time it is reached, or of which step it is.
CHECKPOINTS = range(1, 5)
KINDS: dict[str, range] = {
    LOADING: range(1, 2),
    ENCODING: range(1, 2),
    IN_A_STEP: range(1, 2 * STEPS + 1),
    "StepDone {number}": range(1, STEPS + 1),
    IN_AN_EVALUATION: range(1, 6),
    "EvalDone {number}": range(0, STEPS + 1, 3),
    SAMPLING: range(1, 3),
    "checkpoint: begun": CHECKPOINTS,
    "checkpoint: adapter written": CHECKPOINTS,
    "checkpoint: optimiser written": CHECKPOINTS,
    "checkpoint: sealed": CHECKPOINTS,
    "checkpoint: in place": CHECKPOINTS,
    "checkpoint: old ones removed": CHECKPOINTS,
    "adapter: written": range(1, 2),
    "adapter: a file in place": range(1, 3),
}


@dataclass(frozen=True, slots=True)
class Case:
    """What a run has to live through."""

    kills: tuple[Fault, ...] = ()
    """One after the other, each in the process that took the run up after the one before."""
    kill_after_step: int = 0
    """Killed from outside, as soon as the events tell of this step; 0: not at all."""

    def __str__(self) -> str:
        """How the test is called."""
        if self.kill_after_step:
            return f"from outside after step {self.kill_after_step}"
        return ", ".join(f"{kill.point} ({kill.number})" for kill in self.kills)


def _draw(chance: random.Random, kind: str) -> Fault:
    number = chance.choice(KINDS[kind])
    if "{number}" in kind:
        return Fault(kind.format(number=number), 1, SIGKILL_SELF)
    return Fault(kind, number, SIGKILL_SELF)


def _cases() -> list[Case]:
    chance = random.Random(SEED)
    cases = [Case((_draw(chance, kind),)) for kind in KINDS for _draw_number in range(DRAWS)]
    for _chain in range(CHAINS):
        # Each where a process that has taken the run up still comes by.
        first, last = f"StepDone {chance.randint(2, 5)}", f"StepDone {chance.randint(9, 11)}"
        middle = chance.choice(["checkpoint: adapter written", "checkpoint: sealed", IN_AN_EVALUATION])
        cases.append(Case(tuple(Fault(point, 1, SIGKILL_SELF) for point in (first, middle, last))))
    cases += [Case(kill_after_step=step) for step in sorted(chance.sample(range(1, STEPS), 4))]
    return list(dict.fromkeys(cases))


CASES = _cases()
SHORT = {4, 9, 14, 18, 21, 24, 29}


def endure(case: Case, stage: Stage) -> tuple[str, list[int]]:
    """Live through it; the SHA-256 at the end and the steps lost by each kill."""
    if case.kill_after_step:
        run = stage.detach()
        await_event(run, StepDone, step=case.kill_after_step)
        os.kill(worker_pid(run), signal.SIGKILL)
        await_end(run)
    for number, kill in enumerate(case.kills):
        arguments = ("resume", stage.run().id) if number else train()
        code = ended(stage.victim(*arguments, faults=[kill]))
        assert code == -signal.SIGKILL, f"{code}: {kill} wasn't reached\n{stage.said()}"
    stage.poemcore("resume", stage.run().id)
    return sha256(stage.run()), lost_steps(stage.run())


def test_a_victim_left_alone_writes_what_the_program_writes(stage: Stage, undisturbed: str) -> None:
    stage.suffer(*train(), expect=0)
    assert sha256(stage.run()) == undisturbed


def test_the_kills_are_as_many_as_promised() -> None:
    kills = [kill for case in CASES for kill in case.kills]
    assert len(kills) + len([case for case in CASES if case.kill_after_step]) >= 30
    assert len({kill.point.split(" ")[0] for kill in kills}) >= 8


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=str(c), marks=[pytest.mark.short] * (n in SHORT)) for n, c in enumerate(CASES)]
)
def test_a_killed_run_ends_as_if_nothing_had_happened(
    case: Case,
    outcomes: dict[Case, Future[tuple[str, list[int]]]],
    undisturbed: str,
    strike: Callable[..., None],
) -> None:
    sha, lost = outcomes[case].result(timeout=900)
    assert sha == undisturbed
    # A run that was killed before it began to train has no steps to lose, and says nothing of being resumed.
    for steps in (*lost, *[0] * (max(1, len(case.kills)) - len(lost))):
        strike(steps)
