"""An events file of 500 MB: whoever follows the run sees its end at once."""

from __future__ import annotations

import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from stage import Stage, ended, lost_steps, sha256

from core.runs.event_log import EventLog
from core.runs.events import Note, StepDone, to_line
from core.runs.lock import lock_run

_BYTES = 500 * 10**6


@pytest.fixture
def long(stage: Stage, killed: Stage) -> Stage:
    """A run whose events tell, before what really happened, of very many steps."""
    shutil.copytree(killed.runs_dir, stage.runs_dir, symlinks=True)
    path = stage.run().events_path
    own = path.read_bytes()
    step = StepDone(step=1, epoch=0.1, loss=3.0, lr=0.001, grad_norm=0.5, tokens=900, tokens_per_s=900.0, step_s=1.0)
    block = (to_line(step, 1.0) + "\n").encode() * 10_000
    with path.open("wb") as file:
        while file.tell() < _BYTES:
            file.write(block)
        file.write(own)
    return stage


@pytest.mark.short
def test_a_very_long_run_is_followed_as_quickly_as_a_short_one(long: Stage, strike: Callable[..., None]) -> None:
    run = long.run()
    with lock_run(run), EventLog(run.events_path) as log:  # it is at work
        started_s = time.monotonic()
        follower = long.start("follow", run.id)
        lines = _lines_of(follower)
        _await_line(lines, "step 10/12", until_s=started_s + 2.0)
        strike()
        log.append(Note("something new"))
        _await_line(lines, "something new", until_s=time.monotonic() + 1.0)
    assert follower.wait(timeout=30) == 1  # it died


def test_a_very_long_run_is_resumed(long: Stage, undisturbed: str, strike: Callable[..., None]) -> None:
    run = long.run()
    assert ended(long.victim("resume", run.id), timeout_s=300) == 0, long.said()
    strike(*lost_steps(run)[-1:])
    assert sha256(run) == undisturbed


def _lines_of(follower: subprocess.Popen[str]) -> queue.Queue[str]:
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert follower.stdout is not None
        for line in follower.stdout:
            lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _await_line(lines: queue.Queue[str], text: str, *, until_s: float) -> None:
    while text not in lines.get(timeout=max(0.001, until_s - time.monotonic())):
        pass
