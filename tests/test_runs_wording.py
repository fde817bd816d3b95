"""Runs and events in words: one sentence for each kind, hostile text made plain, the statuses."""

from __future__ import annotations

import math

import pytest

from core.runs.events import (
    CLASSES,
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
    kind_of,
)
from core.runs.view import STATUSES, RunView
from core.runs.wording import duration, loss_words, sentence, status_words

SENTENCES: list[tuple[Event, str]] = [
    (
        RunStarted("r1", 0, 400, 20, 50, 2, "builtin:tang-tiny", "cpu", "float32", 9000, 1234),
        "started r1: 400 rows, 50 steps, base builtin:tang-tiny on cpu (float32)",
    ),
    (
        RunStarted("r1", 7, 400, 20, 50, 2, "builtin:tang-tiny", "cpu", "float32", 9000, 1234),
        "resumed r1 after step 7 of 50 on cpu (float32)",
    ),
    (RunQueued("cuda-0", ""), "queued: waits for cuda-0"),
    (RunQueued("cuda-0", "r0"), "queued: waits for cuda-0, which r0 has"),
    (DeviceTaken("cuda-0"), "its turn on cuda-0: loading model and data"),
    (RunPaused(7, "request", "Somebody asked."), "step 7: paused: Somebody asked."),
    (RunContinued(7), "step 7: goes on"),
    (RequestAnswered("1-1", "pause", ""), "asked: pause"),
    (RequestAnswered("1-1", "sample", "there are no prompts"), "asked: sample: there are no prompts"),
    (SettingChanged(7, "train.eval_every", "50", "10"), "step 7: train.eval_every 50 → 10"),
    (Note("alpaca, because"), "note: alpaca, because"),
    (StepDone(7, 0.5, 3.25, 2e-4, 1.5, 640, 1280.4, 0.5), "step 7/50  loss 3.2500  lr 2.00e-04  1280 tokens/s"),
    (
        StepDone(7, 0.5, math.nan, 2e-4, 1.5, 640, math.inf, 0.0),
        "step 7/50  loss nan  lr 2.00e-04  inf tokens/s",
    ),
    (EvalStarted(7, 20), "step 7: scoring 20 held-out rows"),
    (EvalDone(0, 4.5, 600, 1.25), "step 0: held-out loss 4.5000 nats per token, over 600 tokens"),
    (SampleMade(7, "白日依山盡", "黃河入海流"), "step 7: sample 白日依山盡 → 黃河入海流"),
    (CheckpointSaved(7, "checkpoints/step-000007"), "step 7: saved checkpoints/step-000007"),
    (BestChanged(7, 4.25), "step 7: best held-out loss so far, 4.2500"),
    (RunFinished(50, 5.0, 4.5, "adapter"), "finished after step 50: held-out loss 5.000 → 4.500, adapter in adapter"),
    (RunFinished(50, None, None, "adapter"), "finished after step 50: held-out loss - → -, adapter in adapter"),
    (RunStopped(7, "SIGTERM"), "stopped after step 7: SIGTERM"),
    (RunFailed("no memory", "halve it", "step 2"), "failed: step 2: no memory\n    halve it"),
    (RunFailed("no memory", "", ""), "failed: no memory"),
]


@pytest.mark.parametrize(("event", "text"), SENTENCES, ids=lambda value: str(value)[:30])
def test_the_sentence(event: Event, text: str) -> None:
    assert sentence(event, 50) == text


def test_every_kind_has_its_sentence() -> None:
    assert {kind_of(type(event)) for event, _text in SENTENCES} == set(CLASSES)


HOSTILE = "詩\x1b[2J\x9b\u202e\ud800\r"
SHOWN = "詩␛[2J\\u{009B}\\u{202E}\\u{D800}␍"


@pytest.mark.parametrize(
    ("event", "times"),
    [
        (RunStarted(HOSTILE, 0, 1, 1, 1, 1, HOSTILE, HOSTILE, HOSTILE, 1, 1), 4),
        (RunStarted(HOSTILE, 7, 1, 1, 1, 1, HOSTILE, HOSTILE, HOSTILE, 1, 1), 3),
        (RunQueued(HOSTILE, ""), 1),
        (RunQueued(HOSTILE, HOSTILE), 2),
        (DeviceTaken(HOSTILE), 1),
        (RunPaused(7, HOSTILE, HOSTILE), 1),
        (RequestAnswered(HOSTILE, HOSTILE, ""), 1),
        (RequestAnswered(HOSTILE, HOSTILE, HOSTILE), 2),
        (SettingChanged(7, HOSTILE, HOSTILE, HOSTILE), 3),
        (Note(HOSTILE), 1),
        (SampleMade(7, HOSTILE, HOSTILE), 2),
        (CheckpointSaved(7, HOSTILE), 1),
        (RunFinished(7, None, None, HOSTILE), 1),
        (RunStopped(7, HOSTILE), 1),
        (RunFailed(HOSTILE, HOSTILE, HOSTILE), 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_hostile_text_is_shown_not_sent(event: Event, times: int) -> None:
    text = sentence(event, 50)
    assert text.count(SHOWN) == times
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Note("one\ntwo"), "note: one\n    two"),
        (RunPaused(7, "disk", "one\ntwo"), "step 7: paused: one\n    two"),
        (RequestAnswered("1-1", "sample", "one\ntwo"), "asked: sample: one\n    two"),
        (SampleMade(7, "a\nb", "one\ntwo"), "step 7: sample a␊b → one\n    two"),
        (RunStopped(7, "one\ntwo"), "stopped after step 7: one\n    two"),
        (RunFailed("one\ntwo", "three\nfour", "w"), "failed: w: one\n    two\n    three\n    four"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_further_lines_are_indented(event: Event, text: str) -> None:
    assert sentence(event, 50) == text


def test_braces_in_a_text_are_text() -> None:
    assert sentence(Note("{step} {0} {"), 50) == "note: {step} {0} {"


def test_every_status_has_its_words() -> None:
    words = {status: status_words(RunView("r", status=status)) for status in STATUSES}
    assert words == {status: status for status in STATUSES}


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ("paused", "request", "paused"),
        ("paused", "disk", "paused: disk"),
        ("paused", "later", "paused"),
        ("died", "disk", "died"),
    ],
)
def test_a_pause_says_what_for(status: str, reason: str, words: str) -> None:
    assert status_words(RunView("r", status=status, pause_reason=reason)) == words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (754.2, "12:34"), (3599.5, "1:00:00"), (3723.0, "1:02:03")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("loss", "text"), [(None, "-"), (4.5, "4.500"), (0.0, "0.000"), (math.nan, "nan")])
def test_loss_words(loss: float | None, text: str) -> None:
    assert loss_words(loss) == text
