"""What is measured of a data file, made by hand: the figures of 25,007 Tang poems with a base of 1.5 B, or changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.advice.facts import Budget, Distribution, Facts, Model, Tokens
from core.audit.structure import Structure
from core.data.row import Row

INSTRUCTION = "以下是一首唐詩的第一句話，請用你的知識判斷並完成整首詩。"
ROWS = 25_007
FORMS = {"五律": 9_830, "七絕": 7_127, "七律": 5_562, "五絕": 2_488}
GB = 1_000_000_000


def spread(mean: float, median: float, p95: int, p99: int, longest: int, total: int) -> Distribution:
    return Distribution(mean, median, p95, p99, longest, total)


TOKENS = Tokens(
    instruction=spread(21.0, 21.0, 21, 21, 21, 525_147),
    input=spread(14.54, 15.0, 18, 20, 26, 363_602),
    output=spread(31.67, 36.0, 52, 54, 60, 791_987),
    text=spread(67.21, 70.0, 90, 93, 101, 1_680_736),
    template=spread(21.0, 21.0, 21, 21, 21, 525_147),
    total=spread(88.21, 91.0, 111, 117, 122, 2_205_883),
    supervised_share=0.37,
    shared_prefix_tokens=35,
    characters=1_600_000,
    over_cutoff=(),
    nothing_supervised=(),
    estimated=False,
    tokenizer="Qwen2-1.5B",
)
MODEL = Model(
    name="models/Qwen2-1.5B",
    parameters=1_543_714_304,
    modules=dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), 28),
    trainable=9_232_384,
    source="published",
)
BUDGET = Budget(
    verdict="fits",
    bytes=9 * GB,
    memory_bytes=24 * GB,
    seconds=3_600.0,
    parts={"weights": 6 * GB, "adapters": 36_929_536, "gradients": 0, "activations": 2 * GB},
    device="cpu",
    dtype="float32",
)


def facts(*, tokens: dict[str, Any] | None = None, **changes: Any) -> Facts:
    """The facts, with other values for some fields; `tokens` for some fields of `Facts.tokens`."""
    whole = Facts(
        rows=ROWS,
        free_rows=24_800,
        eval_rows=200,
        instructions=1,
        columns=(),
        poems=True,
        tokens=replace(TOKENS, **(tokens or {})),
        repeats={1: 0.9, 2: 0.2, 3: 0.02, 4: 0.01, 5: 0.005, 6: 0.0, 7: 0.0, 8: 0.0},
        padding_share=0.006,
        model=MODEL,
        device="cpu",
        budget=BUDGET,
    )
    return replace(whole, **changes)


def structure(**changes: Any) -> Structure:
    """The structure, with other values for some fields."""
    starts = [sum(list(FORMS.values())[:place]) for place in range(len(FORMS))]
    whole = Structure(
        path="tang_25007.json",
        format="json",
        size_bytes=6_647_679,
        memory_bytes=20_000_000,
        rows=ROWS,
        bad_rows=0,
        text_lines=25_009,
        could_be_mistaken=False,
        columns=("instruction", "input", "output"),
        mapping={"instruction": "instruction", "input": "input", "output": "output"},
        rule="alpaca",
        example=Row(0, INSTRUCTION, "白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。", {}),
        instructions={INSTRUCTION: ROWS},
        distinct_instructions=1,
        distinct_inputs=ROWS,
        output_holds="rest",
        output_whole=0,
        line_counts={4: 9_615, 8: 15_392},
        task="completion",
        forms={
            form: tuple(range(start, start + count)) for (form, count), start in zip(FORMS.items(), starts, strict=True)
        },
        authors={},
        distinct_authors=0,
        scripts={"traditional": ROWS},
    )
    return replace(whole, **changes)
