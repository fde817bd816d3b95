"""The sections that a person reads: the numbers that they hold, and what follows from these."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from core import i18n
from core.advice.advise import advise
from core.advice.facts import Facts
from core.audit.kinds import EXCLUDABLE, KINDS
from core.audit.problem import Problem
from core.profile.document import load_profile
from core.profile.schema import Profile
from core.report.document import RowLinks, Section
from core.report.markdown import to_markdown
from core.report.terminal import to_text
from core.review.plan import advised, plan_of
from core.review.section_audit import audit_section
from core.review.section_next import next_section
from core.review.section_parameters import parameters_section
from core.review.section_plan import plan_section
from core.review.section_value import value_section
from core.review.value import value_of
from tests.review_facts import BUDGET, GB, MODEL, TOKENS, facts, structure
from tests.section_parts import changed, codes, row_of, tables, texts

RECIPE = load_profile("original-recipe")
RECOMMENDED = load_profile("tang-qwen2-1.5b")


@pytest.fixture(autouse=True)
def english() -> None:
    i18n.use("en")


def problem(kind: str, *rows: int) -> Problem:
    return Problem(kind, rows, {row: f"what {row} has" for row in rows})


# -- audit


def test_audit_lists_the_gravest_first_and_then_the_commonest() -> None:
    problems = [
        problem("broken-rhyme", *range(30)),
        problem("duplicate", 5, 7),
        problem("nothing-supervised", 9),
        problem("near-duplicate", 1, 2, 3),
    ]
    links = [block for block in audit_section(problems, 200).blocks if isinstance(block, RowLinks)]
    assert [link.kind for link in links] == ["nothing-supervised", "near-duplicate", "duplicate", "broken-rhyme"]
    assert [link.tone for link in links] == ["error", "warning", "warning", "hint"]
    assert links[0].title.startswith("1 row (0.5 %): ")
    assert links[1].title.startswith("3 rows (1.5 %): ")
    assert links[1].rows == (1, 2, 3)
    assert links[1].examples == ("1: what 1 has", "2: what 2 has", "3: what 3 has")
    assert links[1].remedy == KINDS["near-duplicate"].remedy
    assert len(links[3].examples) == 5


def test_audit_counts_rows_once() -> None:
    problems = [problem("duplicate", 1, 2), problem("bracket", 2, 3), problem("odd-lines", 3, 4)]
    summary = texts(audit_section(problems, 1_000))[0]
    assert f"{len(KINDS)} kinds of problems were looked for in 1,000 rows, and 3 found." in summary
    assert "4 rows (0.4 %) have some problem, 3 (0.3 %) one that is graver" in summary


def test_audit_says_that_nothing_was_found() -> None:
    section = audit_section([], 25_007)
    found, absent = texts(section)
    assert found == f"Nothing was found: {len(KINDS)} kinds of problems were looked for in 25,007 rows."
    assert absent.count("; ") == len(KINDS) - 1


def test_audit_says_what_was_looked_for_in_vain() -> None:
    absent = texts(audit_section([problem("overlong", 8)], 100))[1]
    assert absent.startswith("Looked for and not found: Rows that can't be used; ")
    assert "Training rows that are nearly the same as a held-out row" in absent
    assert "Longer than" not in absent


def test_audit_shows_how_to_leave_rows_out_with_what_there_is() -> None:
    toml, command = codes(audit_section([problem("overlong", 8), problem("duplicate", 17, 20)], 100))
    assert tomllib.loads(toml) == {"exclude": ["duplicate", 17]}
    assert command == "poemcore review FILE --write-clean OUT --exclude duplicate"
    toml, command = codes(audit_section([problem("overlong", 8)], 100))
    assert tomllib.loads(toml) == {"exclude": [8]}
    assert command == "poemcore review FILE --write-clean OUT"
    assert "overlong" not in EXCLUDABLE


# -- plan


def test_plan_of_the_first_experiment() -> None:
    plan = plan_of(RECIPE, facts())
    assert (plan.rows, plan.steps, plan.gradient_accumulation) == (520, 65, 4)
    assert (plan.p99_tokens, plan.max_tokens, plan.holding_tokens) == (117, 122, 128)
    assert plan.usual_epochs == (5, 20)  # 520 rows are a small file
    assert plan.usual_rates[1] == 2e-4
    assert plan.tokens == round(88.21 * 520)
    assert plan.flop == 4 * 1_543_714_304 * plan.tokens
    assert plan.seconds == 3_600


@pytest.mark.parametrize(("rows", "usual"), [(1_999, (5, 20)), (2_000, (3, 10)), (99_999, (3, 10)), (100_000, (1, 5))])
def test_usual_epochs_follow_from_the_rows(rows: int, usual: tuple[int, int]) -> None:
    assert plan_of(RECOMMENDED, facts(rows=rows + 200, free_rows=rows)).usual_epochs == usual


@pytest.mark.parametrize(
    ("parameters", "best"), [(99_999_999, 1e-3), (100_000_000, 2e-4), (29_999_999_999, 2e-4), (30_000_000_000, 1e-4)]
)
def test_usual_rates_follow_from_the_base(parameters: int, best: float) -> None:
    assert plan_of(RECIPE, facts(model=replace(MODEL, parameters=parameters))).usual_rates[1] == best


def test_holding_tokens_pass_over_a_freak() -> None:
    def holding(p99: int, longest: int) -> int:
        return plan_of(RECIPE, facts(tokens={"total": replace(TOKENS.total, p99=p99, max=longest)})).holding_tokens

    assert (holding(128, 128), holding(128, 129)) == (128, 256)
    assert (holding(100, 400), holding(100, 401)) == (512, 128)


def test_time_as_advised_is_in_proportion_to_the_steps() -> None:
    measured = facts()
    then = advised(RECIPE, measured, advise(RECIPE, measured))
    plan = plan_of(then, measured, budgeted=RECIPE)
    assert (plan.rows, plan.epochs, plan.learning_rate) == (24_800, 5, 2e-4)
    assert plan.steps == 24_800 // 8 * 5
    assert plan.seconds == pytest.approx(3_600 * 15_500 / 65)
    assert plan_of(RECIPE, replace(measured, budget=None)).seconds is None


def plan(measured: Facts, profile: Profile = RECIPE) -> Section:
    return plan_section(profile, measured, advise(profile, measured))


def test_the_plan_stands_beside_the_rule_of_thumb() -> None:
    section = plan(facts())
    settings, memory, rule = tables(section)
    assert "1,543,714,304" in texts(section)[0]
    assert "9,232,384 beside them, 0.60 %" in texts(section)[0]
    assert row_of(settings, "rows that train")[1:3] == ("520", "24,800")
    assert row_of(settings, "number of epochs")[1:] == ("1", "5", "3 to 10 for 24,800 rows")
    assert row_of(settings, "number of steps")[1:] == ("65", "15,500", "⌈24,800 rows / 8⌉ × 5 epochs")
    assert row_of(settings, "micro-batch × accumulation = batch")[1] == "2 × 4 = 8"
    assert "at most 117 tokens, the longest 122; 128 would hold them" in row_of(settings, "sequence length")[3]
    assert row_of(settings, "optimiser and rate")[1:3] == ("AdamW, 3e-4, linear", "AdamW, 2e-4, linear")
    assert [row[:2] for row in memory.rows] == [
        ("weights of the base", "6.0 GB"),
        ("adapters", "37 MB"),
        ("activations", "2.0 GB"),
        ("at once, at most", "9.0 GB"),
    ]
    assert [row[1] for row in rule.rows] == ["256–512", "4–8", "5–20", "2e-4", "30–60 minutes on a laptop GPU"]
    assert row_of(rule, "learning rate")[2] == "3e-4 in this profile, 2e-4 as advised"
    assert row_of(rule, "batch")[2] == "8 in this profile, and as advised"
    # 88.21 tokens × 15,500 steps × 8 rows × 4 × 1,543,714,304 / 10 TFLOP/s = 6,754 s
    assert "1.9 hours on a GPU that sustains 10 TFLOP/s" in row_of(rule, "time")[2]


@pytest.mark.parametrize(
    ("changes", "tone", "words"),
    [
        ({}, "good", "It fits: 9.0 GB of the 24.0 GB"),
        ({"verdict": "tight", "memory_bytes": int(9.5 * GB)}, "warning", "9.0 GB of the 9.5 GB of cpu, less than"),
        (
            {"verdict": "will not fit", "memory_bytes": 8 * GB, "fits_with": {"train.micro_batch_size": 1}},
            "error",
            "The nearest setting that fits: train.micro_batch_size = 1.",
        ),
        ({"verdict": "will not fit", "memory_bytes": 2 * GB}, "error", "No setting makes it fit"),
        ({"verdict": "unknown", "memory_bytes": 0}, "hint", "How much memory cpu has isn't known."),
    ],
)
def test_the_verdict_on_memory(changes: dict[str, Any], tone: str, words: str) -> None:
    shown = texts(plan(facts(budget=replace(BUDGET, **changes))), tone)
    assert any(words in text for text in shown)


def test_a_run_of_a_day_on_a_cpu_wants_a_gpu() -> None:
    def warned(measured: Facts) -> bool:
        return any("is a run for a GPU" in text for text in texts(plan(measured, RECOMMENDED), "warning"))

    assert warned(facts(budget=replace(BUDGET, seconds=86_400.0)))
    assert not warned(facts(budget=replace(BUDGET, seconds=86_399.0)))
    assert not warned(facts(device="cuda", budget=replace(BUDGET, device="cuda:0", seconds=86_400.0)))


def test_the_plan_says_whether_it_is_an_estimate() -> None:
    guessed, probed = plan(facts()), plan(facts(budget=replace(BUDGET, probed=True)))
    assert "Memory by parts, an estimate." in texts(guessed)
    assert any(text.endswith("That is an estimate; --probe measures it.") for text in texts(plan(facts(), RECOMMENDED)))
    assert "Memory by parts, probed here." in texts(probed)
    assert any("That follows from a few steps made here." in text for text in texts(probed))
    assert "Lengths and tokens are estimated from characters." in texts(plan(facts(tokens={"estimated": True})), "hint")
    assert "Lengths and tokens are estimated from characters." not in texts(guessed)


def test_the_plan_says_when_max_steps_ends_the_run() -> None:
    def reason(most: int) -> str:
        return row_of(tables(plan_section(changed(RECIPE, "train", max_steps=most), facts()))[0], "number of steps")[3]

    assert reason(64) == "train.max_steps; the epochs would take more"
    assert reason(65) == "⌈520 rows / 8⌉ × 1 epochs"


def test_the_plan_without_a_base_and_a_budget() -> None:
    section = plan(facts(model=None, budget=None))
    assert "its size isn't known" in texts(section)[0]
    assert "How much memory the run needs isn't known." in texts(section, "hint")
    assert row_of(tables(section)[-1], "time")[2] == "unknown"


# -- all of them


HOSTILE = "\x1b[2J{0}{x}%s|`<b>` \u202e" + "長" * 50_000


def test_hostile_text_becomes_neither_an_error_nor_markup() -> None:
    profile = changed(changed(RECIPE, "model", base=HOSTILE), "train", sample_prompts=(HOSTILE,), sample_every=5)
    measured = facts(model=replace(MODEL, name=HOSTILE), columns=(HOSTILE, "author"))
    file = structure(instructions={HOSTILE: 25_007}, path=HOSTILE, forms={HOSTILE: (0,), "": (1,)})
    problems = [Problem("bracket", (1, 2), {1: HOSTILE, 2: HOSTILE})]
    advice = advise(profile, measured)
    sections = [
        audit_section(problems, 25_007),
        value_section(value_of(file, measured, problems, profile), file, measured, profile),
        plan_section(profile, measured, advice),
        parameters_section(profile, advice, facts=measured, source=HOSTILE, file=HOSTILE),
        next_section(profile, measured, file, advice, problems, source=HOSTILE, file=HOSTILE),
    ]
    assert [section.id for section in sections] == ["audit", "value", "plan", "parameters", "next"]
    assert HOSTILE in sections[0].blocks[1].examples[0]  # type: ignore[union-attr]
    for section in sections:
        assert "\x1b" not in to_text(section, 80, False)
    assert "\x1b" not in to_markdown(sections, "T")
