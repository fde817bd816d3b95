"""One run, two processes that are told to go on with it: one does, the other is refused and changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from stage import Stage, await_end, ended, events, sha256, wait_for
from victim import LOADING, Fault

from core.runs.events import RunStarted


@pytest.mark.parametrize("detach", [pytest.param((), marks=pytest.mark.short), ("--detach",)])
def test_a_run_at_work_is_not_taken_up_again(
    stage: Stage, killed: Stage, undisturbed: str, detach: tuple[str, ...], strike: Callable[..., None]
) -> None:
    shutil.copytree(killed.runs_dir, stage.runs_dir, symlinks=True)
    run, gate = stage.run(), stage.gate()
    first = stage.victim("resume", run.id, faults=[Fault(LOADING, gate=str(gate))])
    wait_for(gate.exists)
    before = _contents(stage)
    _out, err = stage.poemcore("resume", run.id, "--from", "4", "--set", "train.eval_every=1", *detach, expect=2)
    strike()
    assert "is at work in another process" in err
    assert _contents(stage) == before
    gate.unlink()
    assert ended(first) == 0, stage.said()
    assert sha256(run) == undisturbed


def test_of_two_at_the_same_moment_one_is_refused(
    stage: Stage, killed: Stage, undisturbed: str, strike: Callable[..., None]
) -> None:
    shutil.copytree(killed.runs_dir, stage.runs_dir, symlinks=True)
    run = stage.run()
    both = [stage.start("resume", run.id, "--detach") for _number in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    strike()
    assert sorted(process.returncode for process in both) == [0, 2], said
    assert any("is at work in another process" in text for text in said)
    await_end(run)
    assert len(events(run, RunStarted)) == 2  # the killed process's, and one more
    assert sha256(run) == undisturbed


def _contents(stage: Stage) -> dict[str, bytes]:
    files = (path for path in stage.runs_dir.rglob("*") if path.is_file())
    return {str(path.relative_to(stage.runs_dir)): path.read_bytes() for path in files}
