"""A clock that jumps to and fro by hours: no reader and no worker draws conclusions from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from stage import Stage, ended, events, lost_steps, sha256, train, wait_for
from victim import SIGKILL_SELF, Fault

from core.runs.event_log import iter_events
from core.runs.events import StepDone


@pytest.mark.short
def test_a_run_on_a_jumping_clock(stage: Stage, undisturbed: str, strike: Callable[..., None]) -> None:
    gate = stage.gate()
    faults = [Fault("StepDone 5", gate=str(gate)), Fault("StepDone 7", signals=SIGKILL_SELF)]
    process = stage.victim(*train(), faults=faults, jumps=True)
    wait_for(gate.exists)
    run = stage.run()
    times = [time_s for _event, time_s in iter_events(run.events_path)]
    assert max(times) - min(times) > 100 * 3600
    assert any(after < before for before, after in zip(times, times[1:], strict=False))
    strike()
    shown = stage.document("runs")["runs"][0]
    assert (shown["status"], shown["step"], shown["steps"]) == ("running", 5, 12)
    assert shown["worked_s"] >= 0
    assert 0 < shown["eta_s"] < 60
    follower = stage.start("follow", run.id)
    gate.unlink()
    assert ended(process) == -9
    out, err = follower.communicate(timeout=30)
    assert follower.returncode == 1
    assert "step 7/12" in out
    assert "has died" in err
    assert stage.status() == "died"
    stage.suffer("resume", run.id, expect=0, jumps=True)
    assert stage.status() == "finished"
    assert sha256(run) == undisturbed
    strike(*lost_steps(run))
    assert {event.step for event in events(run, StepDone)} == set(range(1, 13))
