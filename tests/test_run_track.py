"""The course of a run: series of its events, what a resume makes void, reading piece by piece, and replay."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import EvalDone, Event, Note, RunFinished, RunStarted, RunStopped, SampleMade, StepDone
from core.runs.lock import lock_run
from core.runs.view import RunView
from tui.run_track import Fold, Follower, replay

RUN = "20261124-101500-tang"


def started(resumed_from_step: int = 0) -> RunStarted:
    return RunStarted(RUN, resumed_from_step, 380, 20, 40, 2, "builtin:tang-tiny", "cpu", "float32", 9000, 1234)


def step(number: int, loss: float = 4.0, memory_bytes: int = 0) -> StepDone:
    return StepDone(number, number / 20, loss, number * 1e-3, number / 2, 100, 100.0 * number, 0.5, memory_bytes)


def fold(*events: Event) -> Fold:
    folded = Fold(RunView(RUN))
    folded.take([(event, 1000.0 + second) for second, event in enumerate(events)])
    return folded


def nobody() -> bool:
    return False


def test_the_series() -> None:
    track = fold(started(), step(1, 4.0, 2**30), step(2, 2.0), Note("n"), SampleMade(2, "p", "t")).track()
    assert track.view.losses == ((1, 4.0), (2, 2.0))
    # (0.95 × 4 + 2) / (0.95 + 1)
    assert track.smoothed == ((1, 4.0), (2, pytest.approx(5.8 / 1.95)))
    assert track.rates == ((1, 1e-3), (2, 2e-3))
    assert track.grad_norms == ((1, 0.5), (2, 1.0))
    assert track.speeds == ((1, 100.0), (2, 200.0))
    assert track.memory == ((1, 2.0**30),)
    assert track.epoch == 0.1
    assert [type(event).__name__ for event, _time_s in track.told] == ["RunStarted", "Note"]
    assert track.view.smoothed_loss == track.smoothed[-1][1]


def test_a_resume_makes_void_what_came_after_its_step() -> None:
    folded = fold(started(), step(1), step(2, 3.0), step(3, float("nan")), RunStopped(1, "stop"), started(1))
    track = folded.track()
    assert (track.rates, track.smoothed) == (((1, 1e-3),), ((1, 4.0),))
    assert track.grad_norms == ((1, 0.5),)
    assert track.findings == ()
    folded.take([(step(2, 2.0), 2000.0)])
    assert folded.track().smoothed == ((1, 4.0), (2, pytest.approx(5.8 / 1.95)))
    assert track.smoothed == ((1, 4.0),)  # what was handed out doesn't change


def test_a_loss_that_is_no_number_is_told_of() -> None:
    track = fold(started(), step(1), step(2, float("nan"))).track()
    assert [(found.rule, found.step) for found in track.findings] == [("not-finite", 2)]
    assert track.smoothed == ((1, 4.0),)


def test_a_run_is_read_as_it_grows(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / RUN)
    run.path.mkdir(mode=0o700)
    follower = Follower(run)
    with lock_run(run), EventLog(run.events_path) as log:
        assert follower.look(nobody).view.status == "starting"
        log.append(started())
        log.append(step(1))
        assert follower.look(nobody).rates == ((1, 1e-3),)
        log.append(step(2))
        track = follower.look(nobody)
        assert (track.view.status, track.rates) == ("running", ((1, 1e-3), (2, 2e-3)))
    assert follower.look(nobody).view.status == "died"
    run.path.chmod(0o777)
    with pytest.raises(PoemError):
        follower.look(nobody)


def test_a_long_run_is_read_quickly(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / RUN)
    run.path.mkdir(mode=0o700)
    with EventLog(run.events_path) as log:
        log.append(started())
        for number in range(1, 15_001):
            log.append(step(number, 4.0 - number / 10_000))
    began_s = time.perf_counter()
    track = Follower(run).look(nobody)
    taken_s = time.perf_counter() - began_s
    assert len(track.smoothed) == 15_000
    assert taken_s < 2.0  # 0.2 s by itself; the tests run beside others
    assert Follower(run).look(lambda: True).view.step == 0  # nobody wants it any more


def test_replay_keeps_the_distances() -> None:
    events = [(step(number), 1000.0 + number) for number in (1, 2, 4)]
    frames = list(replay(iter(events), speed=lambda: 4.0, frame_s=0.25))
    # A frame is a second of the run: steps in the first, the second and the fourth.
    assert [[event.step for event, _time_s in frame] for frame in frames] == [[1], [2], [], [4]]
    (frame,) = [frame for frame in replay(iter(events), speed=lambda: 1000.0, frame_s=0.25) if len(frame) > 1]
    assert [time_s for _event, time_s in frame] == [1002.0, 1004.0]


def test_replay_changes_its_speed_on_the_way() -> None:
    events = [(step(number), float(number)) for number in range(1, 8)]
    speeds = iter((1.0, 1.0, 4.0))
    frames = replay(iter(events), speed=lambda: next(speeds), frame_s=1.0)
    assert [[event.step for event, _time_s in frame] for frame in frames] == [[1], [2], [3], [4, 5, 6, 7]]


def test_replay_leaves_out_the_time_between_processes() -> None:
    events: list[tuple[Event, float]] = [
        (started(), 0.0),
        (step(1), 1.0),
        (RunStopped(1, "stop"), 1.5),
        (started(1), 1e6),
        (EvalDone(1, 4.0, 10, 1.0), 1e6 - 50.0),  # the clock was set back
        (step(2), 1e6 - 49.0),
        (RunFinished(2, None, None, "adapter"), 1e6 - 49.0),
    ]
    frames = list(replay(iter(events), speed=lambda: 1.0, frame_s=1.0))
    assert [len(frame) for frame in frames] == [1, 1, 3, 2]
    assert list(replay(iter(()), speed=lambda: 1.0, frame_s=1.0)) == []
