"""The sections on parameters and next steps: every key, every reason, and commands that do what they say."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from core import i18n
from core.advice.advise import advise
from core.advice.facts import Facts
from core.advice.rule import Advice, Fix
from core.audit.problem import Problem
from core.data.recipe import Task
from core.profile.document import load_profile
from core.profile.reference import DERIVED, KEYS
from core.profile.schema import Profile
from core.report.document import Items, Section, Text
from core.review.section_next import next_section
from core.review.section_parameters import parameters_section
from core.review.shown import fix_command, shown_setting
from tests.review_facts import BUDGET, MODEL, TOKENS, facts, structure
from tests.section_parts import changed, codes, row_of, tables, texts

RECIPE = load_profile("original-recipe")
RECOMMENDED = load_profile("tang-qwen2-1.5b")


@pytest.fixture(autouse=True)
def english() -> None:
    i18n.use("en")


def problem(kind: str, *rows: int) -> Problem:
    return Problem(kind, rows, {row: f"what {row} has" for row in rows})


# -- parameters


def parameters(profile: Profile, advice: Sequence[Advice] | None = None) -> Section:
    given = advise(profile, facts()) if advice is None else advice
    return parameters_section(profile, given, facts=facts(), source="original-recipe", file="a b.json")


def test_every_key_stands_in_a_table_with_its_judgement() -> None:
    section = parameters(RECIPE)
    *groups, derived = tables(section)
    shown = [row[0] for table in groups for row in table.rows]
    assert sorted(shown) == sorted(name for name in KEYS if name.count(".") == 1)
    data, train, lora, generation = groups
    assert row_of(data, "data.rows")[3:] == ("! warning", '520 → "all"')
    assert row_of(train, "train.epochs")[3:] == ("! warning", "1 → 5")
    assert row_of(train, "train.learning_rate")[1] == "3e-4"
    assert row_of(train, "train.learning_rate")[4] == "3e-4 → 2e-4"
    assert row_of(generation, "generation.temperature")[4] == "0.1 → 0.8"
    assert row_of(generation, "generation.top_p")[4] == "0.3 → 0.9"
    for name in ("lora.r", "lora.alpha", "lora.dropout", "lora.bias", "lora.target_modules"):
        assert row_of(lora, name)[3:] == ("✓ good", "")
    assert row_of(data, "data.cutoff_len")[3] == "✓ good"
    assert row_of(train, "train.batch_size")[3] == "✓ good"
    assert [row[0] for row in derived.rows] == list(DERIVED)
    assert row_of(derived, "train.steps")[1] == "65"
    assert row_of(derived, "train.gradient_accumulation")[1] == "4"
    assert row_of(derived, "lora.scaling")[1] == "2"


def test_steps_of_all_rows_need_the_facts() -> None:
    advice = advise(RECOMMENDED, facts())
    without = parameters_section(RECOMMENDED, advice)
    assert row_of(tables(without)[-1], "train.steps")[1] == "unknown"
    assert row_of(tables(parameters(RECOMMENDED))[-1], "train.steps")[1] == "15,500"


def test_every_judgement_gives_its_reason_the_gravest_first() -> None:
    advice = advise(RECIPE, facts())
    section = parameters(RECIPE, advice)
    for one in advice:
        assert f"{one.key}: {one.reason} [{one.id}]" in texts(section, one.severity)
    tones = [block.tone for block in section.blocks if isinstance(block, Text) and block.tone]
    assert tones == sorted(tones, key=["error", "warning", "hint", "good"].index)
    assert len(tones) == len(advice)


def test_a_key_with_several_judgements_shows_the_gravest() -> None:
    advice = [
        Advice("one", "lora.r", "good", "fine", 8),
        Advice("two", "lora.r", "error", "bad", 8, Fix("lora.alpha", 32)),
    ]
    lora = tables(parameters(RECIPE, advice))[2]
    assert row_of(lora, "lora.r")[3:] == ("✗ error", "lora.alpha = 32")
    assert row_of(lora, "lora.alpha")[3:] == ("–", "")
    keys = len([name for name in KEYS if name.count(".") == 1])
    assert texts(parameters(RECIPE, advice))[0].startswith(
        f"{keys} keys, 2 judgements. Errors: 1, warnings: 0, hints: 0, good: 1."
    )


def test_the_command_applies_every_fix() -> None:
    advice = advise(RECIPE, facts())
    (command,) = codes(parameters(RECIPE, advice))
    ids = {one.id for one in advice if one.fix is not None}
    before, _apply, rest = command.partition(" --apply ")
    assert before == "poemcore profile fix original-recipe --data 'a b.json'"
    assert rest.removesuffix(" -o my-original-recipe.toml").split() == sorted(ids, key=rest.index)
    assert len(ids) == 9
    assert codes(parameters(RECIPE, [one for one in advice if one.fix is None])) == []


def test_the_command_changes_a_file_in_its_place_and_quotes_names() -> None:
    advice = [Advice("one", "lora.r", "hint", "", 8, Fix("lora.r", 16))] * 2
    assert fix_command(advice, source="$(x).toml", file="; rm -r") == (
        "poemcore profile fix '$(x).toml' --data '; rm -r' --apply one"
    )


def test_values_are_shown_as_profiles_have_them() -> None:
    assert [shown_setting(value) for value in (2e-4, 2.5e-4, 1e-8, 0.01, 0.009, 0.0, 1.0, 520, "all")] == [
        "2e-4",
        "2.5e-4",
        "1e-8",
        "0.01",
        "9e-3",
        "0",
        "1",
        "520",
        '"all"',
    ]
    assert shown_setting(["q_proj", "v_proj"]) == '["q_proj", "v_proj"]'
    assert shown_setting({"output": "rest"}) == 'output = "rest"'
    assert shown_setting([]) == "[]"
    assert shown_setting("長" * 100_000) == '"' + "長" * 78 + "…"


def test_tasks_are_shown_by_name_and_weight() -> None:
    profile = changed(
        RECIPE, "data", tasks=(Task("row", None, None, None, 0.4), Task("style", "{author}", None, None, 1))
    )
    assert row_of(tables(parameters(profile))[0], "data.tasks")[1] == "[row 0.4, style 1]"


def test_meanings_are_one_sentence() -> None:
    data = tables(parameters(RECIPE))[0]
    assert row_of(data, "data.overlong")[2] == "What happens to a row of more than data.cutoff_len tokens."


# -- next steps


def following(
    profile: Profile, problems: Sequence[Problem] = (), measured: Facts | None = None, **of_structure: Any
) -> Section:
    known = facts() if measured is None else measured
    return next_section(
        profile,
        known,
        structure(**of_structure),
        advise(profile, known),
        problems,
        source="original-recipe",
        file="tang.json",
    )


def test_the_next_steps_of_the_first_experiment() -> None:
    section = following(RECIPE, [problem("duplicate", 3, 4), problem("bracket", 4), problem("overlong", 9)])
    grave, hints, exclude, convert, train, verse, complete, review = codes(section)
    advice = advise(RECIPE, facts())
    for one in advice:
        if one.fix is not None:
            assert (one.id in grave.split()) == (one.severity in ("error", "warning"))
            assert (one.id in hints.split()) == (one.severity == "hint")
    assert grave.startswith("poemcore profile fix original-recipe ")
    assert grave.endswith(" -o my-original-recipe.toml")
    assert hints.startswith("poemcore profile fix my-original-recipe.toml ")
    assert " -o " not in hints
    assert tomllib.loads(exclude) == {"exclude": ["duplicate", "bracket"]}
    assert "Leave out what has a problem graver than a hint (rows: 2), in [data]:" in texts(section)
    assert convert.startswith("poemcore convert SOURCE ")
    assert train.splitlines() == [
        "poemcore train my-original-recipe.toml --set data.path=tang.json",
        "poemcore evaluate --run last",
    ]
    assert verse == "poemcore verse tang.json"
    assert complete == "poemcore complete '白日依山盡，黃河入海流。' --run last --count 8"
    assert review == "poemcore review tang.json --profile my-original-recipe.toml --probe --loss"
    # 10,000,000 − 2,205,883 = 7,794,117 tokens, at 88.21 a row
    assert any("7,794,117 more tokens" in text and "88,359 more rows" in text for text in texts(section))
    items = [item for block in section.blocks if isinstance(block, Items) for item in block.items]
    assert 'data.rows: 520 → "all"' in items
    assert "A column is missing for imitation of a poet." in items


def test_commands_say_what_the_review_was_told() -> None:
    told = {"source": "mine.toml", "file": "tang.json", "overrides": ["train.epochs=1"], "tokenizer": "my tokens"}
    known = facts()
    section = next_section(RECIPE, known, structure(), advise(RECIPE, known), **told)
    grave, hints, *_others, review = codes(section)
    set_epochs, counting = " --set train.epochs=1", " --tokenizer 'my tokens'"
    assert grave.startswith(f"poemcore profile fix mine.toml --data tang.json{set_epochs}{counting} --apply ")
    assert hints.startswith(f"poemcore profile fix mine.toml --data tang.json{counting} --apply ")
    assert review == f"poemcore review tang.json --profile mine.toml{counting} --probe --loss"
    section = next_section(RECOMMENDED, known, structure(), advise(RECOMMENDED, known), **told)  # nothing to write
    assert any(code.startswith(f"poemcore train mine.toml{set_epochs} --set data.path=") for code in codes(section))
    assert codes(section)[-1] == f"poemcore review tang.json --profile mine.toml{set_epochs}{counting} --probe --loss"


def test_prose_is_not_judged_as_verse() -> None:
    section = following(RECIPE, measured=facts(poems=False))
    assert not any("poemcore verse" in code for code in codes(section))


def test_the_recommended_preset_has_nothing_to_mend() -> None:
    section = following(RECOMMENDED)
    assert "The profile has no error and no warning: it can train as it is." in texts(section, "good")
    assert not [code for code in codes(section) if "profile fix" in code]


def test_what_has_no_single_better_value_is_said() -> None:
    advice = [Advice("memory-short", "model.base", "error", "too large", "x")]
    section = next_section(RECIPE, facts(), structure(), advice)
    assert any("no single better value" in text for text in texts(section, "warning"))


def test_more_data_up_to_ten_million_tokens_and_for_large_bases_alone() -> None:
    def wants_more(measured: Facts) -> bool:
        return any("more tokens make 10,000,000" in text for text in texts(following(RECOMMENDED, measured=measured)))

    assert wants_more(facts(tokens={"total": replace(TOKENS.total, sum=9_999_999)}))
    assert not wants_more(facts(tokens={"total": replace(TOKENS.total, sum=10_000_000)}))
    assert not wants_more(facts(model=replace(MODEL, parameters=999_999_999)))
    assert wants_more(facts(model=None))


def test_tasks_that_the_columns_allow() -> None:
    items = [
        item
        for block in following(RECOMMENDED, measured=facts(columns=("author",))).blocks
        if isinstance(block, Items)
        for item in block.items
    ]
    assert "The columns allow imitation of a poet." in items
    assert "A column is missing for explanation." in items
    mixed = following(load_profile("tang-mixed-tasks"))
    assert not any("Mix tasks" in text or "system prompt" in text for text in texts(mixed))
    assert not any("Mix tasks" in text for text in texts(following(RECOMMENDED, task="other")))


def test_sample_prompts_are_to_be_held_out() -> None:
    held = texts(following(RECOMMENDED), "good")
    assert any("are held out" in text for text in held)
    leaking = texts(following(changed(RECOMMENDED, "data", hold_out=())), "warning")
    assert any("白日依山盡，黃河入海流。" in text for text in leaking)


def test_evaluation_needs_held_out_rows() -> None:
    assert any("score the 200 held-out rows" in text for text in texts(following(RECOMMENDED)))
    none = texts(following(changed(RECOMMENDED, "data", eval_rows=0)))
    assert any("Hold rows out with data.eval_rows = 200" in text for text in none)


def test_what_was_done_already_is_not_advised() -> None:
    probed = following(RECOMMENDED, measured=facts(budget=replace(BUDGET, probed=True)))
    assert codes(probed)[-1] == "poemcore review tang.json --profile original-recipe --loss"
    eight = following(changed(RECOMMENDED, "generation", count=8))
    assert not any("poemcore complete" in code for code in codes(eight))
