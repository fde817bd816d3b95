"""A process that does what `poemcore ARGUMENTS` does, until a point of its work is reached at which a fault strikes.

It is forked from a process that has imported everything and computed nothing, which spares each its start. Nothing of
the product is replaced: what is wrapped here does its work as ever and says when it begins. tests/faults/test_kills.py
checks that a victim that nothing happens to writes the same bytes as the program itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

# Beside the points that the product names.
LOADING, ENCODING, SAMPLING = "loading", "encoding", "sampling"
IN_A_STEP, IN_AN_EVALUATION = "in a step", "in an evaluation"
SIGKILL_SELF = (signal.SIGKILL,)
_GATE_S = 120.0
_started: list[ForkServerProcess] = []
_HOUR_S = 3600.0
_JUMPS_S = (5 * _HOUR_S, -9 * _HOUR_S, 0.0, 48 * _HOUR_S, -72 * _HOUR_S)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a victim, and when."""

    point: str
    """The point of its work."""
    number: int = 1
    """Which time it is reached, from 1."""
    signals: tuple[int, ...] = ()
    """The process sends itself these."""
    gate: str = ""
    """A file that the process makes, and then waits until somebody removes it; empty: it doesn't wait."""


def prepare_forks() -> None:
    """Start the process that victims are forked from."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(["victim", "core.training.conductor"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # Python 3.11 doesn't hand it our sys.path
        forkserver.ensure_running()


def start(
    arguments: Sequence[str],
    *,
    faults: Sequence[Fault] = (),
    environment: Mapping[str, str],
    output: Path,
    clock_jumps: bool = False,
) -> ForkServerProcess:
    """Start a victim; `exitcode` of what is returned is negative where a signal ended it."""
    process = multiprocessing.get_context("forkserver").Process(
        target=_live, args=(tuple(arguments), tuple(faults), dict(environment), str(output), clock_jumps)
    )
    process.start()
    _started.append(process)
    return process


def kill_what_is_left() -> None:
    """End the victims that a failed test has left behind."""
    for process in _started:
        if process.is_alive():
            process.kill()


def _live(
    arguments: tuple[str, ...], plan: tuple[Fault, ...], environment: dict[str, str], output: str, clock_jumps: bool
) -> None:
    os.setsid()
    os.environ.update(environment)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    if clock_jumps:
        _make_the_clock_jump()
    _strike_at(plan)
    from core.cli import main

    sys.exit(main(arguments))


def _strike_at(plan: tuple[Fault, ...]) -> None:
    from core.runs import faults
    from core.training import conductor, loop, ready

    times: Counter[str] = Counter()

    def on_reached(point: str) -> None:
        times[point] += 1
        for fault in plan:
            if (fault.point, fault.number) == (point, times[point]):
                _strike(fault)

    faults.on_reached = on_reached
    for module, name, point in (
        (ready, "load_base", LOADING),
        (ready, "prepare", ENCODING),
        (conductor, "complete", SAMPLING),
        (loop, "supervised_nats", IN_A_STEP),
        (loop, "held_out_batches", IN_AN_EVALUATION),
    ):
        setattr(module, name, _announced(getattr(module, name), point))


def _announced(work: Callable[..., Any], point: str) -> Callable[..., Any]:
    from core.runs.faults import reached

    def announced(*args: Any, **kwargs: Any) -> Any:
        reached(point)
        return work(*args, **kwargs)

    return announced


def _strike(fault: Fault) -> None:
    for number in fault.signals:
        os.kill(os.getpid(), number)
        if number == signal.SIGKILL:
            time.sleep(_GATE_S)  # nothing may happen between the signal and the end
    if fault.gate:
        gate = Path(fault.gate)
        gate.touch()
        until_s = time.monotonic() + _GATE_S
        while gate.exists():
            if time.monotonic() > until_s:
                os._exit(99)
            time.sleep(0.005)


def _make_the_clock_jump() -> None:
    """From here on `time.time` of this process leaps to and fro by hours, at every look."""
    true_time, looks = time.time, 0

    def jumping() -> float:
        nonlocal looks
        looks += 1
        return true_time() + _JUMPS_S[looks % len(_JUMPS_S)]

    time.time = jumping
