"""The fold: figures computed by hand, resumes, and the status that the lock decides."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs import event_log as events_module
from core.runs.directory import create_run
from core.runs.event_log import EventLog
from core.runs.events import (
    BestChanged,
    CheckpointSaved,
    DeviceTaken,
    EvalDone,
    EvalStarted,
    Event,
    Note,
    RequestAnswered,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunQueued,
    RunStarted,
    RunStopped,
    SampleMade,
    SettingChanged,
    StepDone,
)
from core.runs.lock import lock_run
from core.runs.view import RunView, fold, fold_all, judged_by_lock, view_run


def start(resumed_from_step: int = 0, steps: int = 50) -> RunStarted:
    return RunStarted("id", resumed_from_step, 400, 20, steps, 2, "builtin:tang-tiny", "cpu", "float32", 9000, 1234)


def step(number: int, loss: float = 2.0, *, lr: float = 1e-3, tokens: int = 100, step_s: float = 0.5) -> StepDone:
    return StepDone(number, number / 25, loss, lr, 1.0, tokens, tokens / step_s, step_s)


def view_of(*events: Event, first_s: float = 1000.0) -> RunView:
    """The fold of events that come one second apart."""
    return fold_all(RunView("id"), [(event, first_s + number) for number, event in enumerate(events)])


def test_before_any_event() -> None:
    view = RunView("id")
    assert (view.status, view.smoothed_loss, view.tokens_per_s, view.eta_s, view.started_s) == (
        "starting",
        None,
        None,
        None,
        None,
    )
    with pytest.raises(FrozenInstanceError):
        view.step = 1  # type: ignore[misc]


def test_start() -> None:
    view = view_of(Note("alpaca, because"), start())
    assert view == RunView(
        "id",
        status="running",
        steps=50,
        epochs=2,
        rows=400,
        eval_rows=20,
        base="builtin:tang-tiny",
        device="cpu",
        dtype="float32",
        notes=("alpaca, because",),
        started_s=1000.0,
        last_s=1001.0,
    )
    assert view.eta_s is None


def test_smoothed_loss() -> None:
    assert view_of(start(), step(1, 4.0)).smoothed_loss == 4.0
    # (0.95·4 + 3) / (0.95 + 1)
    assert view_of(start(), step(1, 4.0), step(2, 3.0)).smoothed_loss == pytest.approx(6.8 / 1.95, abs=1e-15)
    # (0.95·(0.95·4 + 3) + 1) / (0.95·1.95 + 1)
    three = view_of(start(), step(1, 4.0), step(2, 3.0), step(3, 1.0))
    assert three.smoothed_loss == pytest.approx(7.46 / 2.8525, abs=1e-15)
    assert three.losses == ((1, 4.0), (2, 3.0), (3, 1.0))
    assert (three.step, three.loss, three.lr) == (3, 1.0, 1e-3)


def test_a_loss_that_is_not_finite_is_shown_but_not_drawn() -> None:
    view = view_of(start(), step(1, 4.0), step(2, math.nan))
    assert view.loss is not None
    assert math.isnan(view.loss)
    assert view.losses == ((1, 4.0),)
    assert view.smoothed_loss == 4.0
    assert view.step == 2


def test_speed_and_remaining_time_are_of_the_last_twenty_steps() -> None:
    slow = [step(number, tokens=1000, step_s=9.0) for number in range(1, 6)]
    fast = [step(number, tokens=100, step_s=0.25) for number in range(6, 16)]
    faster = [step(number, tokens=300, step_s=0.75) for number in range(16, 26)]
    view = view_of(start(), *slow, *fast, *faster)
    assert view.tokens_per_s == (10 * 100 + 10 * 300) / (10 * 0.25 + 10 * 0.75)
    assert view.eta_s == (50 - 25) * 0.5
    assert view_of(start(), step(1, step_s=3.0)).eta_s == 49 * 3.0


def test_steps_that_took_no_time_have_no_speed() -> None:
    event = StepDone(1, 0.1, 2.0, 1e-3, 1.0, 100, math.nan, 0.0)
    assert view_of(start(), event).tokens_per_s is None


def test_a_run_that_is_over_has_no_remaining_time() -> None:
    assert view_of(start(), step(1), RunStopped(1, "Ctrl-C")).eta_s is None
    assert judged_by_lock(view_of(start(), step(1)), locked=False).eta_s is None


def test_finish() -> None:
    view = view_of(
        start(),
        EvalDone(0, 5.0, 600, 1.0),
        step(1),
        SampleMade(1, "白日", "依山"),
        EvalDone(1, 4.5, 600, 1.0),
        CheckpointSaved(1, "checkpoints/step-000001"),
        RunFinished(1, 5.0, 4.5, "adapter"),
    )
    assert view.status == "finished"
    assert view.evals == ((0, 5.0), (1, 4.5))
    assert (view.eval_loss_base, view.eval_loss) == (5.0, 4.5)
    assert view.samples == (SampleMade(1, "白日", "依山"),)
    assert view.checkpoints == (CheckpointSaved(1, "checkpoints/step-000001"),)
    assert (view.adapter, view.started_s, view.ended_s, view.worked_s) == ("adapter", 1000.0, 1006.0, 6.0)


def test_the_losses_while_it_runs_are_the_evaluations_so_far() -> None:
    view = view_of(start(), EvalDone(0, 5.0, 600, 1.0))
    assert (view.eval_loss_base, view.eval_loss) == (5.0, None)
    view = fold(fold(view, step(1), 1002.0), EvalDone(1, 4.5, 600, 1.0), 1003.0)
    assert (view.eval_loss_base, view.eval_loss) == (5.0, 4.5)


def test_failure_keeps_what_was_said() -> None:
    failed = RunFailed("no memory", "halve train.micro_batch_size", "step 1")
    view = view_of(start(), failed)
    assert (view.status, view.error, view.ended_s) == ("failed", failed, 1001.0)


def test_resuming_drops_what_is_done_again() -> None:
    before = (
        start(),
        EvalDone(0, 5.0, 600, 1.0),
        step(1, 4.0),
        step(2, 3.0),
        EvalDone(2, 4.5, 600, 1.0),
        CheckpointSaved(2, "checkpoints/step-000002"),
        step(3, 9.0, lr=5e-4),
        SampleMade(3, "p", "t"),
        EvalDone(3, 4.4, 600, 1.0),
        CheckpointSaved(3, "checkpoints/step-000003"),
        RunFailed("m", "", ""),
    )
    view = view_of(*before, start(resumed_from_step=2))
    assert view.status == "running"
    assert (view.step, view.loss, view.lr) == (2, 3.0, None)
    assert view.losses == ((1, 4.0), (2, 3.0))
    assert view.evals == ((0, 5.0), (2, 4.5))
    assert (view.eval_loss_base, view.eval_loss) == (5.0, 4.5)
    assert view.checkpoints == (CheckpointSaved(2, "checkpoints/step-000002"),)
    assert view.samples == ()
    assert view.smoothed_loss == pytest.approx(6.8 / 1.95, abs=1e-15)
    assert (view.recent, view.error, view.ended_s) == ((), None, None)

    again = fold_all(view, [(step(3, 1.0), 1012.0), (EvalDone(3, 4.3, 600, 1.0), 1013.0)])
    assert again.losses == ((1, 4.0), (2, 3.0), (3, 1.0))
    assert again.evals == ((0, 5.0), (2, 4.5), (3, 4.3))


def test_waiting_for_its_turn() -> None:
    queued = view_of(RunQueued("cpu", "other"))
    assert (queued.status, queued.queued_behind) == ("queued", "other")
    assert judged_by_lock(queued, locked=False) == queued  # it keeps its place, whatever became of its process
    taken = fold(queued, DeviceTaken("cpu"), 1001.0)
    assert (taken.status, taken.queued_behind) == ("starting", "")
    assert judged_by_lock(taken, locked=False).status == "died"
    assert fold(taken, start(), 1002.0).status == "running"


def test_a_run_that_is_resumed_and_waits_is_open_again() -> None:
    for closing in (RunStopped(1, "stop"), RunFailed("m", "h", "w"), RunFinished(1, None, None, "adapter")):
        view = view_of(start(), step(1), closing, RunQueued("cpu", ""))
        assert (view.status, view.step, view.stop_reason, view.error, view.ended_s) == ("queued", 1, "", None, None)


@pytest.mark.parametrize("reason", ["request", "disk"])
def test_a_pause(reason: str) -> None:
    paused = view_of(start(), step(1), RunPaused(1, reason, "it waits"))
    assert (paused.status, paused.pause_reason, paused.pause_message) == ("paused", reason, "it waits")
    assert (paused.step, paused.eta_s) == (1, None)
    assert judged_by_lock(paused, locked=True) == paused
    assert judged_by_lock(paused, locked=False).status == "died"
    going = fold(paused, RunContinued(1), 1003.0)
    assert (going.status, going.pause_reason, going.pause_message, going.eta_s) == ("running", "", "", 49 * 0.5)
    stopped = fold(paused, RunStopped(1, "stop"), 1003.0)
    assert (stopped.status, stopped.pause_reason, stopped.stop_reason) == ("stopped", "", "stop")


def test_an_evaluation_is_seen_while_it_goes_on() -> None:
    view = view_of(start(), EvalStarted(0, 20))
    assert (view.status, view.evaluating) == ("running", True)
    assert not fold(view, EvalDone(0, 5.0, 600, 1.0), 1002.0).evaluating
    for closing in (RunStopped(0, "stop-now"), RunFailed("m", "h", "w"), start()):
        assert not fold(view, closing, 1002.0).evaluating


def test_the_best_checkpoint_is_the_last_that_was_named_and_is_lost_with_its_steps() -> None:
    view = view_of(start(), BestChanged(2, 4.5), BestChanged(4, 4.25), RunStopped(4, "stop"))
    assert view.best == (4, 4.25)
    assert fold(view, start(resumed_from_step=4), 1004.0).best == (4, 4.25)
    assert fold(view, start(resumed_from_step=2), 1004.0).best is None


def test_what_is_asked_and_changed_makes_a_closed_run_no_open_one() -> None:
    events = (start(), step(1), RunStopped(1, "stop"))
    after = view_of(*events, RequestAnswered("1-1", "stop", "late"), SettingChanged(1, "train.epochs", "2", "3"))
    assert after == view_of(*events)


def test_starting_over_keeps_only_the_notes() -> None:
    view = view_of(start(), EvalDone(0, 5.0, 600, 1.0), step(1), RunStopped(1, "r"), Note("n"), start())
    assert (view.step, view.losses, view.loss, view.smoothed_loss, view.stop_reason) == (0, (), None, None, "")
    assert view.notes == ("n",)
    assert fold(view, EvalDone(0, 5.1, 600, 1.0), 1006.0).evals == ((0, 5.1),)


def test_time_between_processes_is_not_work() -> None:
    first = fold_all(RunView("id"), [(start(), 100.0), (step(1), 110.0), (RunStopped(1, "r"), 115.0)])
    assert (first.worked_s, first.ended_s) == (15.0, 115.0)
    second = fold_all(
        first, [(Note("n"), 9000.0), (start(resumed_from_step=1), 9005.0), (step(2), 9007.0), (step(3), 9001.0)]
    )
    assert (second.started_s, second.last_s, second.worked_s) == (100.0, 9001.0, 17.0)


def test_waiting_loading_and_pauses_are_no_work() -> None:
    view = fold_all(
        RunView("id"),
        [
            (RunQueued("cpu", ""), 0.0),
            (DeviceTaken("cpu"), 100.0),
            (start(), 130.0),
            (step(1), 131.0),
            (RunPaused(1, "request", "m"), 132.0),
            (RequestAnswered("1-1", "resume", ""), 500.0),
            (RunContinued(1), 600.0),
            (RequestAnswered("1-2", "sample", ""), 601.0),
            (step(2), 604.0),
        ],
    )
    assert (view.started_s, view.last_s, view.worked_s) == (0.0, 604.0, 2.0 + 4.0)


def test_folding_all_is_folding_one_by_one() -> None:
    events: list[Event] = [
        start(),
        EvalDone(0, 5.0, 1, 1.0),
        *(step(n, 5.0 / n) for n in range(1, 30)),
        start(7),
        step(8),
        Note("n"),
    ]
    one_by_one = RunView("id")
    for number, event in enumerate(events):
        one_by_one = fold(one_by_one, event, 1000.0 + number)
    assert one_by_one == view_of(*events)


@pytest.mark.parametrize(
    ("last", "held", "free"),
    [
        (None, "running", "died"),
        (RunFinished(1, None, None, "adapter"), "finished", "finished"),
        (RunStopped(1, "r"), "stopped", "stopped"),
        (RunFailed("m", "h", "w"), "failed", "failed"),
        (RunPaused(1, "disk", "m"), "paused", "died"),
        (RunQueued("cpu", ""), "queued", "queued"),
        (DeviceTaken("cpu"), "starting", "died"),
    ],
    ids=["open", "finished", "stopped", "failed", "paused", "queued", "its turn"],
)
def test_the_lock_tells_the_living_from_the_dead(tmp_path: Path, last: Event | None, held: str, free: str) -> None:
    run = create_run(tmp_path)
    with lock_run(run, patience_s=0):
        assert view_run(run).status == "starting"
        with EventLog(run.events_path) as log:
            for event in (start(), step(1), last):
                if event is not None:
                    log.append(event)
        assert view_run(run).status == held
    assert view_run(run).status == free
    assert view_run(run).losses == ((1, 2.0),)


def test_a_run_that_everybody_may_write_in_is_not_read(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    run.path.chmod(0o777)
    with pytest.raises(PoemError, match="Every user of this machine may write"):
        view_run(run)


def test_view_run_reads_a_file_of_many_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tmp_path)
    with EventLog(run.events_path) as log:
        log.append(start())
        for number in range(1, 40):
            log.append(step(number))
    monkeypatch.setattr(events_module, "READ_BYTES", 1000)
    assert [number for number, _loss in view_run(run).losses] == list(range(1, 40))
