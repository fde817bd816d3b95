"""Training as the profile and the requests want it: samples, checkpoints, the best, and a run that is cut short."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.errors import PoemError
from core.profile.document import load_profile
from core.runs.checkpoints import checkpoints
from core.runs.control import ask
from core.runs.directory import RunDirectory
from core.runs.events import (
    BestChanged,
    EvalDone,
    RequestAnswered,
    RunFinished,
    RunPaused,
    RunStarted,
    RunStopped,
    SampleMade,
    SettingChanged,
)
from core.runs.view import view_run
from core.training import conductor, worker
from core.training.checkpoint import State, load_state
from core.training.loss import count_supervised
from tests.tiny import Tiny, adapter_bytes, at, events_of, ignore, make_tiny, names_of, notes_of

EVERYTHING = ("train.eval_every=2", "train.checkpoint_every=5", "train.sample_every=3")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def whole(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that nothing happens to."""
    runs_dir = tmp_path_factory.mktemp("whole")
    return worker.start(tiny.profile(*EVERYTHING), runs_dir=runs_dir, name="whole", on_event=ignore).run


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "_POLL_S", 0.001)


def script(monkeypatch: pytest.MonkeyPatch, losses: Sequence[float]) -> None:
    """Let the evaluations give these losses, in nats per token, one after the other, each of two batches."""
    left = iter(losses)

    def held_out_batches(_model: Any, items: Sequence[Any], **_options: Any) -> Iterator[float]:
        nats = next(left) * count_supervised(items)
        yield from (nats / 2, nats / 2)

    monkeypatch.setattr("core.training.loop.held_out_batches", held_out_batches)


def test_events_of_a_whole_run(whole: RunDirectory) -> None:
    events = events_of(whole)
    losses = {event.step: event.loss for event in events if isinstance(event, EvalDone)}
    assert losses[0] > losses[2] > losses[4] > losses[6]
    assert names_of(events) == [
        "DeviceTaken",
        "RunStarted",
        "EvalStarted 0",
        "EvalDone 0",
        "StepDone 1",
        "StepDone 2",
        "EvalStarted 2",
        "EvalDone 2",
        "CheckpointSaved 2",
        "BestChanged 2",
        "StepDone 3",
        "SampleMade 3",
        "StepDone 4",
        "EvalStarted 4",
        "EvalDone 4",
        "CheckpointSaved 4",
        "BestChanged 4",
        "StepDone 5",
        "CheckpointSaved 5",
        "StepDone 6",
        "EvalStarted 6",
        "EvalDone 6",
        "SampleMade 6",
        "CheckpointSaved 6",
        "BestChanged 6",
        "RunFinished 6",
    ]
    assert events[-1] == RunFinished(step=6, eval_loss_base=losses[0], eval_loss=losses[6], adapter="adapter")
    assert [event.loss for event in events if isinstance(event, BestChanged)] == [losses[2], losses[4], losses[6]]
    assert [item.step for item in checkpoints(whole)] == [4, 5, 6]  # the newest three
    assert load_state(checkpoints(whole)[-1]) == State(6, 2, True, losses)
    assert os.readlink(whole.best_path) == "../checkpoints/step-000006/adapter"
    assert sorted(path.name for path in whole.path.iterdir()) == [
        "adapter",
        "checkpoints",
        "events.jsonl",
        "lock",
        "manifest.json",
        "process.json",
        "profile.toml",
    ]


def test_what_is_watched_changes_nothing(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    bare = worker.start(tiny.profile(), runs_dir=tmp_path, name="bare", on_event=ignore)
    assert [name.split()[0] for name in names_of(events_of(bare.run))].count("EvalDone") == 2
    assert adapter_bytes(bare.run) == adapter_bytes(whole)


def test_the_best_is_kept_and_linked(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, [1.0, 5.0, 3.0, 4.0])
    links: dict[str, str] = {}
    deeds = {
        f"StepDone {step}": lambda run, step=step: links.setdefault(f"at {step}", os.readlink(run.best_path))
        for step in (3, 5)
    }
    settings = ("train.eval_every=2", "train.checkpoint_every=1", "train.keep_checkpoints=1")
    outcome = worker.start(tiny.profile(*settings), runs_dir=tmp_path, name="best", on_event=at(tmp_path, deeds))
    run = outcome.run
    assert (outcome.eval_loss_base, outcome.eval_loss) == (1.0, pytest.approx(4.0))
    assert [(event.step, event.loss) for event in events_of(run) if isinstance(event, BestChanged)] == [
        (2, pytest.approx(5.0)),
        (4, pytest.approx(3.0)),
    ]
    assert links == {"at 3": "../checkpoints/step-000002/adapter", "at 5": "../checkpoints/step-000004/adapter"}
    assert os.readlink(run.best_path) == "../checkpoints/step-000004/adapter"
    assert [item.step for item in checkpoints(run)] == [4, 6]
    assert (run.best_path / "adapter_config.json").is_file()
    assert view_run(run).best == (4, pytest.approx(3.0))


def test_a_held_out_loss_that_is_no_number_is_never_the_best(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, [1.0, float("nan"), 3.0, float("nan")])
    outcome = worker.start(tiny.profile("train.eval_every=2"), runs_dir=tmp_path, name=None, on_event=ignore)
    assert [event.step for event in events_of(outcome.run) if isinstance(event, BestChanged)] == [4]
    assert [item.step for item in checkpoints(outcome.run)] == [4, 6]
    assert load_state(checkpoints(outcome.run)[0]).evals == {0: 1.0, 4: pytest.approx(3.0)}
    assert outcome.eval_loss is None


def stopped(tiny: Tiny, tmp_path: Path, when: str, action: str = "stop") -> worker.Outcome:
    """A run that is asked to end at some event."""
    listener = at(tmp_path, {when: lambda run: ask(run, action)})
    return worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="cut", on_event=listener)


def resumed(outcome: worker.Outcome, whole: RunDirectory) -> list[str]:
    """The run goes on and ends as the undisturbed one; what happened in it from then on."""
    before = len(events_of(outcome.run))
    again = worker.resume(outcome.run, on_event=ignore)
    assert (again.status, again.step) == ("finished", 6)
    assert adapter_bytes(again.run) == adapter_bytes(whole)
    ends = [events_of(run)[-1] for run in (again.run, whole)]
    assert ends[0] == ends[1]  # both losses, bit for bit
    assert os.readlink(again.run.best_path) == os.readlink(whole.best_path)
    return names_of(events_of(again.run)[before:])


def test_stop_at_a_step(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    outcome = stopped(tiny, tmp_path, "StepDone 3")
    assert (outcome.status, outcome.step) == ("stopped", 3)
    events = events_of(outcome.run)
    # The sample that is due is broken off: nobody waits for a poem.
    assert names_of(events)[-4:] == ["StepDone 3", "RequestAnswered", "CheckpointSaved 3", "RunStopped 3"]
    answer = next(event for event in events if isinstance(event, RequestAnswered))
    assert (answer.action, answer.problem) == ("stop", "")
    assert events[-1] == RunStopped(step=3, reason="stop")
    assert list(outcome.run.control_path.iterdir()) == []
    assert not (outcome.run.adapter_path / "adapter_config.json").exists()
    started = resumed(outcome, whole)
    assert started[:3] == ["DeviceTaken", "RunStarted", "StepDone 4"]


def test_stop_in_an_evaluation(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    """It doesn't wait for the end of it; the resumed run makes up for it, and for what hangs on it."""
    outcome = stopped(tiny, tmp_path, "EvalStarted 4")
    assert (outcome.status, outcome.step) == ("stopped", 4)
    assert names_of(events_of(outcome.run))[-4:] == [
        "EvalStarted 4",
        "RequestAnswered",
        "CheckpointSaved 4",
        "RunStopped 4",
    ]
    state = load_state(checkpoints(outcome.run)[-1])
    assert (state.step, state.is_complete, sorted(state.evals)) == (4, False, [0, 2])
    assert os.readlink(outcome.run.best_path) == "../checkpoints/step-000002/adapter"
    after = resumed(outcome, whole)
    assert after[:6] == ["DeviceTaken", "RunStarted", "EvalStarted 4", "EvalDone 4", "BestChanged 4", "StepDone 5"]


def test_stop_in_the_first_evaluation(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    outcome = stopped(tiny, tmp_path, "EvalStarted 0")
    assert (outcome.status, outcome.step) == ("stopped", 0)
    assert checkpoints(outcome.run) == []
    assert events_of(outcome.run)[-1] == RunStopped(step=0, reason="stop")
    after = resumed(outcome, whole)
    assert after[:4] == ["DeviceTaken", "RunStarted", "EvalStarted 0", "EvalDone 0"]
    assert "The run has no checkpoint, so it begins again with its first step." in notes_of(outcome.run)


def test_stop_now_saves_nothing(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    outcome = stopped(tiny, tmp_path, "StepDone 3", "stop-now")
    assert (outcome.status, outcome.step) == ("stopped", 2)
    assert [item.step for item in checkpoints(outcome.run)] == [2]
    # At the first pulse, that after step 3: not even its sample is made.
    assert names_of(events_of(outcome.run))[-3:] == ["StepDone 3", "RequestAnswered", "RunStopped 2"]
    assert events_of(outcome.run)[-1] == RunStopped(step=2, reason="stop-now")
    assert resumed(outcome, whole)[2] == "StepDone 3"


def test_pause_and_wishes_meanwhile(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    statuses: list[str] = []

    def look(run: RunDirectory) -> None:
        statuses.append(view_run(run).status)
        for action in ("checkpoint", "sample", "resume"):
            ask(run, action)

    listener = at(tmp_path, {"StepDone 1": lambda run: ask(run, "pause"), "RunPaused 1": look})
    outcome = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="paused", on_event=listener)
    assert outcome.status == "finished"
    assert statuses == ["paused"]
    events = events_of(outcome.run)
    paused = next(event for event in events if isinstance(event, RunPaused))
    assert paused == RunPaused(step=1, reason="request", message="somebody asked it to wait")
    at_pause = events.index(paused)
    assert names_of(events[at_pause - 2 : at_pause + 1]) == ["StepDone 1", "RequestAnswered", "RunPaused 1"]
    actions = [event.action for event in events if isinstance(event, RequestAnswered)]
    assert actions == ["pause", "checkpoint", "sample", "resume"]
    assert adapter_bytes(outcome.run) == adapter_bytes(whole)


def test_checkpoint_and_sample_while_it_stays_paused(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    listener = at(
        tmp_path,
        {
            "StepDone 1": lambda run: ask(run, "pause"),
            "RunPaused 1": lambda run: ask(run, "sample"),
            "SampleMade 1": lambda run: ask(run, "checkpoint"),
            "CheckpointSaved 1": lambda run: ask(run, "stop"),
        },
    )
    outcome = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="paused", on_event=listener)
    names = [name for name in names_of(events_of(outcome.run)) if name != "RequestAnswered"]
    assert names[-4:] == ["RunPaused 1", "SampleMade 1", "CheckpointSaved 1", "RunStopped 1"]
    sample = next(event for event in events_of(outcome.run) if isinstance(event, SampleMade))
    assert sample.prompt == "白日依山盡，黃河入海流。"
    resumed(outcome, whole)


def test_stop_while_paused_saves(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    for action, names in (
        ("stop", ["RunPaused 1", "RequestAnswered", "CheckpointSaved 1", "RunStopped 1"]),
        ("stop-now", ["RunPaused 1", "RequestAnswered", "RunStopped 0"]),
    ):
        runs_dir = tmp_path / action
        listener = at(
            runs_dir,
            {"StepDone 1": lambda run: ask(run, "pause"), "RunPaused 1": lambda run, action=action: ask(run, action)},
        )
        outcome = worker.start(tiny.profile(*EVERYTHING), runs_dir=runs_dir, name="paused", on_event=listener)
        assert names_of(events_of(outcome.run))[-len(names) :] == names
        resumed(outcome, whole)


def test_wishes_are_met_within_an_evaluation(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    def wish(run: RunDirectory) -> None:
        for action in ("sample", "checkpoint"):
            ask(run, action)

    outcome = worker.start(
        tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="wishes", on_event=at(tmp_path, {"EvalStarted 4": wish})
    )
    names = names_of(events_of(outcome.run))
    first = names.index("EvalStarted 4")
    assert names[first : first + 8] == [
        "EvalStarted 4",
        "RequestAnswered",
        "RequestAnswered",
        "SampleMade 4",
        "CheckpointSaved 4",
        "EvalDone 4",
        "BestChanged 4",
        "StepDone 5",
    ]
    assert adapter_bytes(outcome.run) == adapter_bytes(whole)
    losses = [[e.loss for e in events_of(run) if isinstance(e, EvalDone)] for run in (outcome.run, whole)]
    assert losses[0] == losses[1]


def test_the_evaluations_change_on_request(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    listener = at(tmp_path, {"StepDone 2": lambda run: ask(run, "eval-every", 5)})
    outcome = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="rarer", on_event=listener)
    events = events_of(outcome.run)
    assert [event.step for event in events if isinstance(event, EvalDone)] == [0, 2, 5, 6]
    assert [event for event in events if isinstance(event, SettingChanged)] == [
        SettingChanged(step=2, key="train.eval_every", before="2", after="5")
    ]
    profile = load_profile(str(outcome.run.profile_path))
    assert profile.train.eval_every == 5
    assert adapter_bytes(outcome.run) == adapter_bytes(whole)
    # The run's own profile counts from then on; nothing else in it has changed.
    assert [event.steps for event in events if isinstance(event, RunStarted)] == [6]
    assert profile == tiny.profile(*EVERYTHING, "train.eval_every=5")


def test_a_sample_that_fails_is_a_note(
    tiny: Tiny, tmp_path: Path, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_args: Any, **_options: Any) -> Iterator[Any]:
        raise PoemError("the prompt is longer than the model takes")
        yield

    monkeypatch.setattr(conductor, "complete", failing)
    outcome = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="mute", on_event=ignore)
    assert outcome.status == "finished"
    assert notes_of(outcome.run).count("No sample: the prompt is longer than the model takes") == 2
    assert not any(isinstance(event, SampleMade) for event in events_of(outcome.run))
    assert adapter_bytes(outcome.run) == adapter_bytes(whole)
