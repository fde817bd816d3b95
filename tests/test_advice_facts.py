"""Every rule that goes by several values or by what was measured, on both sides of its threshold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.advice.advise import advise
from core.advice.facts import Facts
from core.advice.rules_rhythm import interval
from tests.advice_case import SEVEN, SHORT, TINY, costs, find, holds, lengths, measured, profile, sized, totals
from tests.review_facts import BUDGET, GB, MODEL

USUAL = measured()
SHORT_OF_TWO = measured(budget=replace(SHORT, fits_with={"train.micro_batch_size": 2}))
SHORT_OF_HALF = measured(budget=replace(SHORT, fits_with={"model.dtype": "bfloat16"}))
FEW = measured(rows=219, free_rows=199, eval_rows=20)
STYLE = 'data.tasks=[{name = "style", instruction = "{author}"}]'
MUTE = ("train.sample_every=0", "train.sample_prompts=[]")
Case = tuple[tuple[str, ...], Facts]


def mix(instruction: str, weight: float) -> str:
    """The row as it stands, with a weight of 1, and another task."""
    return f'data.tasks=[{{name = "row"}}, {{name = "other", instruction = "{instruction}", weight = {weight}}}]'


# id, key, severity, fix, then what triggers it, then what nearly does.
RULES: list[tuple[str, str, str, Any, Case, Case]] = [
    ("base-unknown", "model.base", "hint", None, ((), measured(model=None)), ((), USUAL)),
    ("base-tiny", "model.base", "hint", None, ((), sized(parameters=99_999_999)), ((), sized(parameters=100_000_000))),
    ("base-size", "model.base", "good", None, ((), USUAL), ((), measured(model=TINY))),
    (
        "dtype-slow",
        "model.dtype",
        "hint",
        "auto",
        (("model.dtype=bfloat16",), USUAL),
        (("model.dtype=bfloat16",), measured(device="cuda")),
    ),
    (
        "dtype-wide",
        "model.dtype",
        "hint",
        "auto",
        (("model.dtype=float32",), measured(device="cuda")),
        (("model.dtype=float32",), measured(device="mps")),
    ),
    ("time-long", "model.device", "hint", None, ((), costs(seconds=86_401.0)), ((), costs(seconds=86_400.0))),
    ("device", "model.device", "good", None, ((), USUAL), ((), costs(seconds=90_000.0))),
    ("memory-unknown", "train.micro_batch_size", "hint", None, ((), measured(budget=None)), ((), USUAL)),
    ("memory-tight", "train.micro_batch_size", "hint", None, ((), costs(verdict="tight", bytes=22 * GB)), ((), USUAL)),
    (
        "memory-short",
        "train.micro_batch_size",
        "error",
        2,
        ((), SHORT_OF_TWO),
        (("train.micro_batch_size=2",), SHORT_OF_TWO),
    ),
    ("memory-fits", "train.micro_batch_size", "good", None, ((), USUAL), ((), measured(budget=SHORT))),
    (
        "memory-needs",
        "model.dtype",
        "error",
        "bfloat16",
        ((), SHORT_OF_HALF),
        (("model.dtype=bfloat16",), SHORT_OF_HALF),
    ),
    ("memory-needs-met", "model.dtype", "good", None, (("model.dtype=bfloat16",), SHORT_OF_HALF), ((), SHORT_OF_HALF)),
    (
        "memory-spare",
        "train.micro_batch_size",
        "hint",
        None,
        ((), measured(device="cuda", budget=replace(BUDGET, bytes=12 * GB))),
        ((), measured(device="cuda", budget=replace(BUDGET, bytes=12 * GB + 1))),
    ),
    (
        "padding-wide",
        "train.micro_batch_size",
        "hint",
        None,
        ((), measured(padding_share=0.101)),
        ((), measured(padding_share=0.1)),
    ),
    (
        "packing",
        "train.micro_batch_size",
        "good",
        None,
        ((), measured(padding_share=0.1)),
        ((), measured(padding_share=0.101)),
    ),
    ("activations-large", "train.micro_batch_size", "hint", None, ((), measured(budget=SHORT)), ((), USUAL)),
    ("gradient-checkpointing", "train.micro_batch_size", "good", None, ((), USUAL), ((), measured(budget=SHORT))),
    ("data-tiny", "data.path", "warning", None, ((), holds(99)), ((), holds(100))),
    ("data-few", "data.path", "hint", None, ((), holds(999)), ((), holds(1_000))),
    ("data-scale", "data.path", "hint", None, ((), totals(9_999_999)), ((), totals(10_000_000))),
    (
        "data-enough",
        "data.path",
        "good",
        None,
        ((), sized(parameters=999_999_999)),
        ((), sized(parameters=1_000_000_000)),
    ),
    (
        "eval-rows-all",
        "data.eval_rows",
        "error",
        50,
        (("data.eval_rows=500",), holds(500)),
        (("data.eval_rows=499",), holds(500)),
    ),
    (
        "eval-rows-many",
        "data.eval_rows",
        "hint",
        50,
        (("data.eval_rows=101",), holds(500)),
        (("data.eval_rows=100",), holds(500)),
    ),
    # 999 rows that could train are a small file; 1,000 are none.
    (
        "rows-part",
        "data.rows",
        "hint",
        "all",
        (("data.rows=500",), measured(rows=1_199, free_rows=999)),
        (("data.rows=500",), measured(rows=1_200, free_rows=1_000)),
    ),
    (
        "samples-leak",
        "data.hold_out",
        "warning",
        ["黃河", "白日依山盡"],
        (('data.hold_out=["黃河"]', 'train.sample_prompts=["白日依山盡，長河落日圓。"]'), USUAL),
        (('data.hold_out=["長河"]', 'train.sample_prompts=["白日依山盡，長河落日圓。"]'), USUAL),
    ),
    ("columns-known", "data.columns", "good", None, ((), USUAL), (("data.columns.output=text",), USUAL)),
    ("columns-named", "data.columns", "good", None, (("data.columns.output=text",), USUAL), ((), USUAL)),
    # The next multiple of 64 over the longest row.
    (
        "cutoff-cuts",
        "data.cutoff_len",
        "warning",
        384,
        (("data.cutoff_len=299",), lengths(300, 330)),
        (("data.cutoff_len=300",), lengths(300, 330)),
    ),
    (
        "cutoff-tail",
        "data.cutoff_len",
        "hint",
        384,
        (("data.cutoff_len=329",), lengths(300, 330)),
        (("data.cutoff_len=330",), lengths(300, 330)),
    ),
    (
        "cutoff-wide",
        "data.cutoff_len",
        "good",
        None,
        (("data.cutoff_len=330",), lengths(300, 330)),
        (("data.cutoff_len=329",), lengths(300, 330)),
    ),
    # A row of 100,000 tokens among rows of 300 can't be made room for.
    (
        "overlong-stops",
        "data.overlong",
        "error",
        "drop",
        (("data.overlong=error",), lengths(300, 100_000)),
        (("data.overlong=error",), lengths(300, 330)),
    ),
    (
        "overlong-truncates",
        "data.overlong",
        "warning",
        "drop",
        (("data.overlong=truncate",), lengths(300, 100_000)),
        (("data.overlong=truncate",), lengths(300, 330)),
    ),
    ("overlong-drops", "data.overlong", "good", None, ((), lengths(300, 100_000)), ((), lengths(300, 330))),
    ("overlong-none", "data.overlong", "good", None, ((), lengths(300, 330)), ((), lengths(300, 100_000))),
    # 1,600,000 characters in 25,007 rows are 63.98 a row.
    (
        "system-prompt-long",
        "data.system_prompt",
        "hint",
        None,
        ((f"data.system_prompt={'詩' * 64}",), USUAL),
        ((f"data.system_prompt={'詩' * 63}",), USUAL),
    ),
    ("system-prompt-missing", "data.system_prompt", "hint", None, ((mix("續", 1),), USUAL), ((), USUAL)),
    ("system-prompt-none", "data.system_prompt", "good", None, ((), USUAL), ((mix("續", 1),), USUAL)),
    ("instruction-diversity", "data.tasks", "hint", None, ((), USUAL), ((), measured(instructions=2))),
    ("instructions-many", "data.tasks", "good", None, ((), measured(instructions=2)), ((), USUAL)),
    ("tasks-unsuited", "data.tasks", "error", None, ((STYLE,), USUAL), ((STYLE,), measured(columns=("author",)))),
    ("tasks-columns", "data.tasks", "hint", None, ((mix("{author}", 1),), USUAL), ((mix("{input}", 1),), USUAL)),
    ("tasks-row-rare", "data.tasks", "hint", None, ((mix("續", 2.01),), USUAL), ((mix("續", 2),), USUAL)),
    ("tasks-mixed", "data.tasks", "good", None, ((mix("續", 2),), USUAL), ((mix("續", 2.01),), USUAL)),
    # 199 free rows: 5 passes in batches of 20 are 50 steps, in batches of 28 are 40.
    (
        "steps-few",
        "train.batch_size",
        "warning",
        20,
        (("train.batch_size=28", "data.eval_rows=20"), FEW),
        (("train.batch_size=20", "data.eval_rows=20"), FEW),
    ),
    (
        "batch-small",
        "train.batch_size",
        "hint",
        9,
        (("train.batch_size=3", "train.micro_batch_size=3"), USUAL),
        (("train.batch_size=4", "train.micro_batch_size=4"), USUAL),
    ),
    # 0.37 of 2,205,883 tokens are 816,177.
    ("rank-full", "lora.r", "hint", None, ((), sized(trainable=408_088)), ((), sized(trainable=408_089))),
    (
        "dropout-low",
        "lora.dropout",
        "hint",
        0.1,
        (("train.epochs=11",), holds(1_199)),
        (("train.epochs=10",), holds(1_199)),
    ),
    (
        "targets-partial",
        "lora.target_modules",
        "hint",
        SEVEN,
        (('lora.target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]',), USUAL),
        ((f"lora.target_modules={SEVEN}",), USUAL),
    ),
    (
        "warmup-none",
        "train.warmup_ratio",
        "hint",
        0.03,
        (("train.warmup_ratio=0", "train.max_steps=500", "train.batch_size=64"), USUAL),
        (("train.warmup_ratio=0", "train.max_steps=499", "train.batch_size=64"), USUAL),
    ),
    (
        "eval-every-idle",
        "train.eval_every",
        "good",
        None,
        (("data.eval_rows=0",), holds(9)),
        (("data.eval_rows=1",), holds(9)),
    ),
    ("samples-never", "train.sample_every", "hint", 500, (("train.sample_every=0",), USUAL), (MUTE, USUAL)),
    ("sample-prompts-none", "train.sample_prompts", "hint", None, (MUTE, USUAL), ((), USUAL)),
    ("sample-prompts", "train.sample_prompts", "good", None, ((), USUAL), (MUTE, USUAL)),
    ("notify-none", "notify.command", "hint", None, ((), costs(seconds=3_601.0)), ((), costs(seconds=3_600.0))),
    (
        "top-p-off",
        "generation.top_p",
        "hint",
        0.9,
        (("generation.top_p=1",), USUAL),
        (("generation.top_p=1", "generation.top_k=40"), USUAL),
    ),
    (
        "ngram-strict",
        "generation.no_repeat_ngram_size",
        "hint",
        5,
        ((), measured(repeats={3: 0.051, 4: 0.051, 5: 0.05})),
        ((), measured(repeats={3: 0.05})),
    ),
]


@pytest.mark.parametrize(("id", "key", "severity", "fix", "case", "near"), RULES, ids=[rule[0] for rule in RULES])
def test_both_sides(id: str, key: str, severity: str, fix: Any, case: Case, near: Case) -> None:
    advice = find(id, *case)
    assert advice is not None
    assert (advice.key, advice.severity) == (key, severity)
    assert (advice.fix and (advice.fix.key, advice.fix.value)) == (None if fix is None else (key, fix))
    assert type(advice.fix and advice.fix.value) is type(fix)
    assert find(id, *near) is None


@pytest.mark.parametrize(
    ("count", "epochs", "id"),
    [
        (1_999, 20, "epochs"),  # small: 3 to 20
        (1_999, 21, "epochs-many"),
        (2_000, 20, "epochs-many"),  # ordinary: 3 to 10
        (99_999, 2, "epochs-few"),
        (100_000, 1, "epochs"),  # large: 1 to 5
        (100_000, 6, "epochs-many"),
    ],
)
def test_epochs_go_by_the_rows(count: int, epochs: int, id: str) -> None:
    known = measured(rows=count + 200, free_rows=count)
    assert find(id, (f"train.epochs={epochs}",), known) is not None


def test_a_tiny_base_takes_a_higher_rate() -> None:
    tiny = measured(model=TINY)
    assert find("learning-rate", ("train.learning_rate=1e-3",), tiny) is not None
    low = find("learning-rate-low", ("train.learning_rate=2e-4",), tiny)
    assert low is not None and low.fix is not None and low.fix.value == 1e-3
    huge = find(
        "learning-rate-high", ("train.learning_rate=2.1e-4",), measured(model=replace(MODEL, parameters=30 * GB))
    )
    assert huge is not None and huge.fix is not None and huge.fix.value == 1e-4


def test_a_few_passes_bear_a_higher_rate() -> None:
    large = measured(rows=100_200, free_rows=100_000)
    assert find("learning-rate", ("train.learning_rate=3e-4", "train.epochs=2"), large) is not None
    high = find("learning-rate-high", ("train.learning_rate=3e-4", "train.epochs=3"), large)
    assert high is not None and "3e-4 is high" in high.reason


def test_a_model_without_some_of_the_layers() -> None:
    model = replace(MODEL, modules={"q_proj": 4, "v_proj": 4, "fc1": 4})
    missing = find("targets-missing", (), measured(model=model))
    assert missing is not None and missing.fix is not None and missing.fix.value == ["q_proj", "v_proj"]
    alien = find("targets-missing", (), sized(modules={"c_attn": 12, "c_proj": 24}))
    assert alien is not None and alien.fix is not None and alien.fix.value == ["c_attn", "c_proj"]


def test_targets_say_what_they_do() -> None:
    advice = find("targets-all", (), USUAL)
    assert advice is not None
    assert advice.reason == (
        "All linear layers. q_proj, k_proj: which earlier characters a new one goes by. v_proj, o_proj: what is "
        "carried over from them. gate_proj, up_proj, down_proj: words and phrasing. 196 layers, 9.2 M numbers."
    )


def test_a_micro_batch_that_fits_divides_the_batch() -> None:
    short = measured(budget=replace(SHORT, fits_with={"train.micro_batch_size": 5}))
    advice = find("memory-short", ("train.batch_size=18", "train.micro_batch_size=6"), short)
    assert advice is not None and advice.fix is not None and advice.fix.value == 3


def test_memory_goes_before_speed() -> None:
    """What makes a run fit isn't undone by a rule that would rather have it quick."""
    short = measured(budget=replace(SHORT, fits_with={"model.dtype": "bfloat16", "train.micro_batch_size": 1}))
    overrides = ("model.dtype=bfloat16", "train.micro_batch_size=1")
    assert [one.fix for one in advise(profile(*overrides), short) if one.fix is not None] == []
    assert find("memory-fits", overrides, short) is not None


def test_a_freak_row_is_not_made_room_for() -> None:
    known = lengths(100, 401)
    assert find("max-new-tokens", (), known) is not None  # room for 100 and an end, not for 401
    tail = find("cutoff-tail", ("data.cutoff_len=128",), known)
    assert tail is not None and tail.fix is None


def test_estimated_lengths_say_so() -> None:
    advice = find("cutoff-wide", (), measured(tokens={"estimated": True}))
    assert advice is not None and advice.reason.endswith("Lengths are estimated from characters.")


def test_a_short_prompt_is_held_out_as_a_whole() -> None:
    leak = find("samples-leak", ("data.hold_out=[]", 'train.sample_prompts=["春，夏，秋，冬"]'), USUAL)
    assert leak is not None and leak.fix is not None and leak.fix.value == ["春，夏，秋，冬"]
    leak = find("samples-leak", ("data.hold_out=[]", 'train.sample_prompts=["春"]'), USUAL)
    assert leak is not None and leak.fix is None  # it would hold out every spring


@pytest.mark.parametrize(
    ("steps", "best"),
    [(1, 1), (19, 1), (20, 2), (49, 2), (50, 5), (99, 5), (100, 10), (4_999, 200), (5_000, 500), (10**6, 500)],
)
def test_interval(steps: int, best: int) -> None:
    assert interval(steps) == best
