"""What a data file is worth: each rule on both sides of its threshold, and the tasks that its columns allow."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from core import i18n
from core.audit.problem import Problem
from core.data.recipe import Task, eligible_tasks
from core.data.row import Row
from core.profile.document import check_text, load_profile, preset_names, preset_text
from core.profile.schema import DataKeys, Profile
from core.report.document import Code, Section, Text
from core.review.finding import Finding
from core.review.section_value import value_section
from core.review.task_mix import mix_tasks
from core.review.value import value_of
from core.review.value_lessons import Wordings, wordings
from tests.review_facts import INSTRUCTION, MODEL, ROWS, TOKENS, facts, structure

RECIPE = load_profile("original-recipe")
ALL_COLUMNS = ("author", "title", "explanation", "translation", "notes", "appreciation")


@pytest.fixture(autouse=True)
def english() -> None:
    i18n.use("en")


def problem(kind: str, count: int, first: int = 0) -> Problem:
    rows = tuple(range(first, first + count))
    return Problem(kind, rows, dict.fromkeys(rows, "what"))


def found(
    *,
    problems: tuple[Problem, ...] = (),
    profile: Profile = RECIPE,
    regulated_share: float | None = None,
    tokens: dict[str, Any] | None = None,
    of_facts: dict[str, Any] | None = None,
    **of_structure: Any,
) -> dict[str, Finding]:
    findings = value_of(
        structure(**of_structure),
        facts(tokens=tokens, **(of_facts or {})),
        problems,
        profile,
        regulated_share=regulated_share,
    )
    by_id = {finding.id: finding for finding in findings}
    assert len(by_id) == len(findings)
    return by_id


def with_data(**changes: Any) -> Profile:
    return replace(Profile(), data=replace(DataKeys(), **changes))


def spread(length: int, *, p99: int | None = None) -> dict[str, Any]:
    return {"total": replace(TOKENS.total, p99=length if p99 is None else p99, max=length)}


# -- the file of 25,007 poems with the first experiment's profile


def test_what_the_first_review_found() -> None:
    findings = found(regulated_share=0.7689)
    assert [finding.id for finding in findings.values() if finding.kind == "strength"] == [
        "clean",
        "one-template",
        "regular-forms",
        "regulated",
        "short-rows",
        "continuation",
    ]
    assert [finding.id for finding in findings.values() if finding.kind == "limit"] == [
        "short-outputs",
        "traditional-only",
        "scale-small",
        "one-instruction",
        "no-authors",
        "no-explanations",
        "no-system-prompt",
        "not-taught",
    ]
    scale = findings["scale-small"]
    # 2,205,883 × 520 / 25,007
    assert scale.numbers == {"tokens": 2_205_883, "parameters": 1_543_714_304, "wanted": 10_000_000, "used": 45_870}
    for figure in ("2,205,883", "1.54 B", "10,000,000", "520 rows", "45,870"):
        assert figure in scale.reason
    assert INSTRUCTION in findings["one-instruction"].reason
    assert findings["one-instruction"].numbers == {"instructions": 1, "share": 1.0}
    assert "816,177" in findings["continuation"].reason  # 37 % of 2,205,883
    assert "五絕 2,488, 七絕 7,127, 五律 9,830, 七律 5,562" in findings["regular-forms"].reason


# -- each rule on both sides


def test_clean_up_to_five_percent() -> None:
    most = found(problems=(problem("duplicate", 60), problem("near-duplicate", 50, first=50)), rows=2_000)
    assert most["clean"].numbers == {"rows": 2_000, "problem_rows": 100, "share": 0.05}  # ten rows have both
    more = found(problems=(problem("duplicate", 101),), rows=2_000)
    assert more["unclean"].kind == "limit"
    assert "101 of 2,000 rows" in more["unclean"].reason
    assert "clean" not in more


def test_hints_leave_a_file_clean_and_unusable_rows_do_not() -> None:
    assert found(problems=(problem("broken-rhyme", 1_000),), rows=2_000)["clean"].numbers["problem_rows"] == 0
    assert "unclean" in found(rows=94, bad_rows=6)
    assert found(rows=95, bad_rows=5)["clean"].numbers == {"rows": 100, "problem_rows": 5, "share": 0.05}
    told = found(rows=95, bad_rows=5, problems=(problem("bad-row", 5),))  # as the audit tells them too
    assert told["clean"].numbers["problem_rows"] == 5


def test_one_template() -> None:
    assert "one-template" in found()
    assert "one-template" not in found(distinct_instructions=2, instructions={"a": ROWS - 1, "b": 1})


def test_regular_forms_from_ninety_percent() -> None:
    assert found(rows=10, forms={"五絕": tuple(range(9)), "雜言": (9,)})["regular-forms"].numbers["share"] == 0.9
    mixed = found(rows=10, forms={"五絕": tuple(range(8)), "雜言": (8,), "": (9,)})
    assert mixed["mixed-forms"].numbers == {"rows": 10, "regular": 8, "share": 0.8}
    assert "雜言 1, no form 1" in mixed["mixed-forms"].reason
    assert "regular-forms" not in mixed
    assert not {"regular-forms", "mixed-forms"} & set(found(of_facts={"poems": False}))


def test_regulated_from_half() -> None:
    assert "50.0 %" in found(regulated_share=0.5)["regulated"].reason
    assert found(regulated_share=0.499)["unregulated"].kind == "limit"
    assert not {"regulated", "unregulated"} & set(found())
    assert not {"regulated", "unregulated"} & set(found(regulated_share=0.5, of_facts={"poems": False}))


def test_rows_are_short_up_to_512_tokens() -> None:
    assert "short-rows" in found(tokens=spread(900, p99=512))
    long = found(tokens=spread(900, p99=513))
    assert long["long-rows"].numbers == {"p99": 513, "max": 900}
    assert "short-rows" not in long


def test_outputs_are_short_below_256_tokens() -> None:
    assert "short-outputs" in found(tokens={"output": replace(TOKENS.output, max=255)})
    assert "short-outputs" not in found(tokens={"output": replace(TOKENS.output, max=256)})


def test_what_is_taught_follows_from_the_task() -> None:
    assert "continuation" in found()
    assert {"writing"} == {"continuation", "writing"} & set(found(task="writing"))
    assert not {"continuation", "writing"} & set(found(task="other"))


def test_repeated_inputs_above_five_percent() -> None:
    assert "repeats-input" not in found(rows=100, output_whole=5)
    assert found(rows=100, output_whole=6)["repeats-input"].numbers == {"rows": 6, "share": 0.06}


@pytest.mark.parametrize(
    ("tokens", "parameters", "id"),
    [
        (9_999_999, 1_000_000_000, "scale-small"),
        (10_000_000, 1_000_000_000, "scale"),
        (9_999_999, 999_999_999, "scale"),
    ],
)
def test_scale_against_the_base(tokens: int, parameters: int, id: str) -> None:
    findings = found(
        tokens={"total": replace(TOKENS.total, sum=tokens)},
        of_facts={"model": replace(MODEL, parameters=parameters)},
    )
    assert {id} == {"scale", "scale-small"} & set(findings)


def test_scale_says_nothing_of_an_unknown_base_and_no_more_than_all_rows() -> None:
    assert not {"scale", "scale-small"} & set(found(of_facts={"model": None}))
    assert "used" not in found(profile=Profile())["scale-small"].numbers


def test_wordings_vary_where_the_commonest_has_at_most_four_fifths() -> None:
    assert "one-instruction" in found(rows=1_000, instructions={"a": 801, "b": 199}, distinct_instructions=2)
    varied = found(rows=1_000, instructions={"a": 800, "b": 200}, distinct_instructions=2)
    assert varied["varied-instructions"].numbers == {"instructions": 2, "share": 0.8}
    none = found(instructions={"": ROWS})
    assert "no instruction" in none["one-instruction"].reason


def test_tasks_count_by_weight_where_the_columns_allow_them() -> None:
    tasks = (
        Task("row", None, None, None, 0.6),
        Task("again", "{instruction}", None, None, 0.2),
        Task("other", "續寫。", None, None, 0.2),
        Task("style", "模仿{author}。", None, None, 1.0),
        Task("never", "作詩。", None, None, 0.0),
    )
    profile = with_data(tasks=tasks)
    assert wordings(structure(), profile, ()) == Wordings(2, INSTRUCTION, pytest.approx(0.8))
    assert wordings(structure(), profile, ("author",)) == Wordings(3, "模仿{author}。", pytest.approx(0.5))
    assert wordings(structure(), with_data(tasks=tasks[3:]), ()) == Wordings(1, INSTRUCTION, 1.0)
    alone = found(profile=with_data(tasks=tasks[2:3]))["one-instruction"]
    assert "“續寫。”" in alone.reason
    assert "varied-instructions" in found(profile=load_profile("tang-mixed-tasks"))


def test_authors_and_explanations_by_column() -> None:
    there = found(of_facts={"columns": ("author", "translation")}, distinct_authors=1_634)
    assert there["authors"].numbers == {"authors": 1_634}
    assert there["explanations"].kind == "strength"
    assert not {"no-authors", "no-explanations"} & set(there)
    prose = found(of_facts={"poems": False})
    assert not {"no-authors", "no-explanations", "not-taught"} & set(prose)


def test_system_prompt() -> None:
    assert found(profile=with_data(system_prompt="你是詩人。"))["system-prompt"].numbers == {"characters": 5}
    assert "no-system-prompt" in found(profile=with_data(system_prompt=" "))


@pytest.mark.parametrize(
    ("scripts", "id"),
    [
        ({"traditional": 95, "mixed": 5}, "traditional-only"),
        ({"traditional": 94, "mixed": 6}, "mixed-scripts"),
        ({"simplified": 95, "traditional": 5}, "simplified-only"),
        ({"simplified": 94, "traditional": 6}, "mixed-scripts"),
        ({"traditional": 48, "simplified": 2, "other": 50}, "traditional-only"),  # 48 of 50 that are Chinese
        ({"traditional": 49, "other": 51}, None),
    ],
)
def test_scripts(scripts: dict[str, int], id: str | None) -> None:
    findings = found(rows=100, scripts=scripts, forms={"五絕": tuple(range(100))})
    assert {name for name in findings if name.endswith(("-only", "-scripts"))} == ({id} if id else set())


def test_what_is_not_taught() -> None:
    assert "free verse, explanation, dialogue" in found()["not-taught"].reason
    other = found(rows=10, forms={"雜言": tuple(range(10))}, of_facts={"columns": ("explanation",)})
    assert other["not-taught"].reason.endswith(": dialogue.")


# -- the mix of tasks


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("columns", [(), ("author",), ALL_COLUMNS, ("AUTHOR", "賞析")])
@pytest.mark.parametrize("task", ["completion", "writing"])
def test_a_mix_pasted_into_a_preset_checks_clean(preset: str, columns: tuple[str, ...], task: str) -> None:
    before, _problems = check_text(preset_text(preset))
    assert before is not None
    mix = mix_tasks(structure(task=task), columns, taken=[one.name for one in before.data.tasks])
    after, problems = check_text(f"{preset_text(preset)}\n{mix.toml}\n")
    assert problems == ()
    assert after is not None
    assert after.data.tasks == (*before.data.tasks, *mix.tasks)


def test_a_mix_follows_the_columns() -> None:
    names = [task.name for task in mix_tasks(structure(), ()).tasks]
    assert names == ["row", "continue", "rest", "old-verse"]
    every = mix_tasks(structure(), ALL_COLUMNS)
    assert [task.name for task in every.tasks] == [
        *names,
        "style",
        "title",
        "explain",
        "translate",
        "annotate",
        "appreciate",
    ]
    assert (every.purposes, every.missing) == (("style", "title", "explain"), ())
    none = mix_tasks(structure(), ())
    assert (none.purposes, none.missing) == ((), ("style", "title", "explain"))
    row = Row(0, INSTRUCTION, "一。", "二。", dict.fromkeys(ALL_COLUMNS, "三"))
    assert eligible_tasks(row, every.tasks) == every.tasks
    assert mix_tasks(structure(task="other"), ALL_COLUMNS).toml == ""


def test_the_row_as_it_stands_gets_two_fifths() -> None:
    for columns in ((), ("author",), ALL_COLUMNS):
        weights = [task.weight for task in mix_tasks(structure(), columns).tasks]
        assert weights[0] / sum(weights) == pytest.approx(0.4, abs=0.005)


def test_a_mix_is_in_the_script_of_the_file_and_holds_the_whole_poem_once() -> None:
    simplified = mix_tasks(structure(scripts={"simplified": ROWS}, output_holds="whole"), ("title", "meaning"))
    by_name = {task.name: task for task in simplified.tasks}
    assert by_name["continue"].instruction == "请继续补全这首诗。"
    assert by_name["title"] == Task("title", "以《{title}》为题，写一首诗。", "", "{output}", 0.1)
    assert by_name["explain"] == Task("explain", "请解释这首诗的意思。", "{output}", "{meaning}", 0.1)
    assert "简体" in simplified.system_prompt
    traditional = {task.name: task for task in mix_tasks(structure(), ("meaning",)).tasks}
    assert traditional["explain"].input == "{input}{output}"


# -- the section


def section(profile: Profile = RECIPE, **of_facts: Any) -> Section:
    measured = facts(**of_facts)
    return value_section(value_of(structure(), measured, (), profile), structure(), measured, profile)


def test_the_section_says_every_finding_and_brings_the_lines_to_paste() -> None:
    shown = section()
    findings = value_of(structure(), facts(), (), RECIPE)
    texts = [(block.text, block.tone) for block in shown.blocks if isinstance(block, Text)]
    for finding in findings:
        assert (f"{finding.title}: {finding.reason}", "good" if finding.kind == "strength" else "hint") in texts
    assert texts[0][0].startswith("5 strengths (Clean, Uniform, Regular forms, Short rows,")
    tasks, prompt = [block.text for block in shown.blocks if isinstance(block, Code)]
    assert len(tomllib.loads(tasks)["data"]["tasks"]) == 4
    assert tomllib.loads(prompt)["system_prompt"].startswith("你是")
    assert any("imitation of a poet, a poem on a given title, explanation" in text for text, _tone in texts)


def test_the_section_brings_no_mix_where_there_is_one() -> None:
    shown = section(load_profile("tang-mixed-tasks"))
    assert not [block for block in shown.blocks if isinstance(block, Code)]


def test_the_section_says_what_is_estimated() -> None:
    def says(shown: Section) -> bool:
        return any(isinstance(block, Text) and "estimated" in block.text for block in shown.blocks)

    assert says(section(tokens={"estimated": True}))
    assert not says(section())


def test_hostile_text_passes_through() -> None:
    wording = "\x1b[2J{0}{author}[b]</b>" + "長" * 100_000
    findings = found(instructions={wording: ROWS})
    assert findings["one-instruction"].reason.count("長") < 60
    assert "\x1b[2J{0}{author}[b]" in findings["one-instruction"].reason
    assert mix_tasks(structure(), ("author.__class__", "{", "", " title ", "\x1b", "author}")).purposes == ()
