"""Advice in the Profile pane: shown at its key, marked, gone to, followed, and what it goes by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import OptionList

from core import i18n
from core.advice.facts import Budget, Facts
from core.advice.rule import Advice, Fix
from core.profile.document import load_profile
from core.profile.schema import Profile
from tests.pilot import settle, until, whole_lines_of
from tests.profile_pane import HOSTILE, TEXT, PaneApp, drive, press, put_cursor
from tests.review_facts import BUDGET, MODEL, facts
from tests.train_stage import PLAN
from tui.advice import facts_for, value_words
from tui.panes.profile_budget import Planned, planned_keys
from tui.workbench import Findings

SHORT = replace(PLAN, budget=replace(BUDGET, verdict="will not fit"))


def rules(profile: Profile, facts: Facts | None) -> tuple[Advice, ...]:
    """A good word, a hint on a key that the text doesn't set, and a warning and an error on two that it does."""
    train, temperature = profile.train, profile.generation.temperature
    said = [Advice("r", "lora.r", "good", "16 is right.", profile.lora.r)]
    if temperature == 0.8:
        fix = Fix("generation.temperature", 0.9)
        said.append(Advice("t", "generation.temperature", "hint", "0.8 is stiff.", 0.8, fix))
    else:
        said.append(Advice("t", "generation.temperature", "good", "Lively.", temperature))
    if train.epochs < 5:
        said.append(Advice("e", "train.epochs", "warning", "3 are few.", 3, Fix("train.epochs", 5)))
    if train.batch_size == 16:
        said.append(Advice("b", "train.batch_size", "error", "Too large.", 16))
    return tuple(said)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def by_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.advice.advise.advise", rules)


async def line_after(app: PaneApp, pilot: Pilot[None], key: str) -> str:
    """The line of the cursor after a key."""
    await press(pilot, key)
    return app.editor.document.get_line(app.editor.cursor_location[0])


@pytest.mark.parametrize("size", [(80, 24), (53, 20), (120, 40)])
def test_the_key_under_the_cursor_shows_its_advice_which_one_key_applies(size: tuple[int, int], file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert not app.pane.check_action("fix", ())
        put_cursor(app, "epochs")
        await settle(pilot)
        help_ = app.shown("#profile-help")
        assert help_.startswith("train.epochs\nwarning  3 → 5\n3 are few.\n") and "How often training goes" in help_
        assert "warning  3 → 5" in app.text and "^f Fix" in app.text
        assert {cell_len(line) for line in whole_lines_of(app)} == {size[0]}
        await press(pilot, "ctrl+f")
        assert app.editor.text == TEXT.replace("epochs = 3   # 輪", "epochs = 5   # 輪")
        assert app.notes == ["train.epochs: 3 → 5"]
        assert "3 are few." not in app.shown("#profile-help") and not app.pane.check_action("fix", ())
        await press(pilot, "ctrl+f", "f")
        assert app.editor.text == TEXT.replace("epochs = 3 ", "epochs = 5 ").replace("epochs", "fepochs")
        await press(pilot, "backspace", "ctrl+z", "ctrl+z", "ctrl+z")
        assert app.editor.text == TEXT
        put_cursor(app, "\nr")
        await settle(pilot)
        assert app.shown("#profile-help").startswith("lora.r\ngood  16 is right.\n")
        assert app.notes == ["train.epochs: 3 → 5"]

    drive(file, steps, size)


def test_what_could_be_better_is_counted_and_its_lines_are_marked(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        marked = [line for line in range(13) if app.editor.get_line(line).spans]
        lines = TEXT.splitlines()
        assert [lines[line] for line in marked] == ["epochs = 3   # 輪", "batch_size = 16"]
        assert "advice: 3" in app.shown("#profile-head")
        app.editor.insert("x", (0, 0))
        await until(pilot, lambda: bool(app.profile_state.problems))
        assert [line for line in range(13) if app.editor.get_line(line).spans] == [0]
        assert "advice" not in app.shown("#profile-head")
        put_cursor(app, "epochs")
        await settle(pilot)
        assert "3 are few." not in app.shown("#profile-help")

    drive(file, steps)


def test_keys_go_from_one_to_the_next_and_those_without_a_line_come_last(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert await line_after(app, pilot, "ctrl+g") == "epochs = 3   # 輪"
        assert await line_after(app, pilot, "ctrl+g") == "batch_size = 16"
        assert await line_after(app, pilot, "ctrl+g") == "batch_size = 16"
        help_ = app.shown("#profile-help")
        assert help_.startswith("generation.temperature  not set in this text\nhint  0.8 → 0.9\n0.8 is stiff.\n")
        await press(pilot, "ctrl+g")
        assert "few" in app.shown("#profile-help")
        app.pane.focus()
        await press(pilot, "G")
        assert "stiff" in app.shown("#profile-help") and app.pane.has_focus
        await press(pilot, "f")
        assert app.editor.text == TEXT + "\n[generation]\ntemperature = 0.9\n"
        assert "generation.temperature\ngood  Lively." in app.shown("#profile-help")
        await press(pilot, "G")
        assert app.editor.has_focus and "large" in app.shown("#profile-help")
        assert await line_after(app, pilot, "up") == 'schedule = "cosine"'
        assert "schedule" in app.shown("#profile-help")

    drive(file, steps)


def test_all_fixes_are_applied_as_one_step(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await app.pane.run_action("fix_all")
        await settle(pilot)
        after = TEXT.replace("epochs = 3 ", "epochs = 5 ") + "\n[generation]\ntemperature = 0.9\n"
        assert app.editor.text == after
        assert app.notes == ["train.epochs: 3 → 5\ngeneration.temperature: 0.8 → 0.9"]
        await app.pane.run_action("fix_all")
        assert app.notes[1:] == ["There is nothing to change."]
        await press(pilot, "ctrl+z")
        assert app.editor.text == TEXT

    drive(file, steps)


def test_of_two_changes_of_one_key_the_graver_is_made(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def two(_profile: Profile, _facts: Facts | None) -> tuple[Advice, ...]:
        hint = Advice("a", "train.epochs", "hint", "More.", 3, Fix("train.epochs", 9))
        return hint, Advice("b", "lora.r", "warning", "Fewer.", 16, Fix("train.epochs", 2))

    monkeypatch.setattr("core.advice.advise.advise", two)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "\nr")
        await settle(pilot)
        assert "warning  train.epochs = 2\nFewer." in app.shown("#profile-help")
        await app.pane.run_action("fix_all")
        assert app.editor.text == TEXT.replace("epochs = 3 ", "epochs = 2 ") and app.notes == ["train.epochs = 2"]

    drive(file, steps)


def test_where_there_is_room_all_advice_is_listed_and_chosen(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        listed = app.query_one("#profile-problems", OptionList)
        wide = app.size.width > 100
        assert listed.display == wide == ("warning  train.epochs  3 → 5" in app.text)
        assert [str(option.prompt) for option in listed.options] == [
            "error  train.batch_size",
            "warning  train.epochs  3 → 5",
            "hint  generation.temperature  0.8 → 0.9",
        ]
        if wide:
            listed.focus()
            await press(pilot, "home", "enter")
            assert app.editor.has_focus and app.editor.cursor_location == (8, 0)
            listed.focus()
            await press(pilot, "end", "enter")
            assert listed.has_focus and "stiff" in app.shown("#profile-help")

    drive(file, steps, (120, 40))
    drive(file, steps, (80, 24))


def test_advice_is_as_harmless_as_any_text(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hostile(_profile: Profile, _facts: Facts | None) -> tuple[Advice, ...]:
        return (Advice("h", "train.epochs", "error", HOSTILE, HOSTILE, Fix("train.epochs", HOSTILE)),)

    monkeypatch.setattr("core.advice.advise.advise", hostile)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "epochs")
        await settle(pilot)
        assert app.shown("#profile-help").count("[/] 夜[bold]雨[@click=app.quit]寄北") == 3 and "␛[2J" in app.text
        assert "\x1b" not in app.text and "\u202e" not in app.text
        await press(pilot, "ctrl+f")
        assert app.notes[0].isprintable() and app.notes[0].count("[/] 夜[bold]雨[@click=app.quit]寄北") == 2

    drive(file, steps, (120, 40))


@pytest.mark.parametrize("language", ["zh-Hans", "zh-Hant"])
def test_in_chinese_it_still_fits(language: str, file: Path) -> None:
    i18n.use(language)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        for key in ("ctrl+g", "ctrl+g", "ctrl+g", "ctrl+f"):
            await press(pilot, key)
            assert {cell_len(line) for line in whole_lines_of(app)} == {app.size.width}

    for size in ((53, 20), (80, 24), (120, 40)):
        drive(file, steps, size)


def test_facts_are_taken_as_far_as_they_are_the_profiles() -> None:
    def known(*overrides: str, path: str = "a.json", text: str = "T", budget: Budget | None = None) -> Facts | None:
        profile = load_profile("tang-qwen2-1.5b", overrides=(f'data.path="{path}"', *overrides))
        return facts_for(profile, text, Findings(facts(), "a.json", "T"), budget)

    base = f'model.base="{MODEL.name}"'
    assert known(base) == facts()
    assert known(base, path=str(Path("a.json").absolute())) == facts()
    assert known(base, path="b.json") is None
    assert facts_for(Profile(), "T", None, BUDGET) is None
    # Another text may need other memory, and another base has another shape.
    assert known(base, text="other") == facts(budget=None)
    short = replace(BUDGET, verdict="tight")
    assert known(base, text="other", budget=short) == facts(budget=short) == known(base, budget=short)
    assert known("model.base='other'") == facts(model=None)


def test_a_review_and_a_plan_bring_further_advice(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Facts | None] = []

    def told(_profile: Profile, known: Facts | None) -> tuple[Advice, ...]:
        seen.append(known)
        rows, budget = (known.rows, known.budget) if known else (0, None)
        return (Advice("r", "train.epochs", "hint", f"{rows} rows, {budget.verdict if budget else 'who knows'}."),)

    monkeypatch.setattr("core.advice.advise.advise", told)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "epochs")
        await settle(pilot)
        help_ = app.shown("#profile-help")
        assert "0 rows, who knows." in help_ and "until the Data pane has reviewed" in help_
        app.findings = Findings(facts(), "other.json", TEXT)
        await until(pilot, lambda: "The review is of another file" in app.shown("#profile-help"))
        app.findings = Findings(facts(), "builtin:tang-sample", TEXT)
        await until(pilot, lambda: "25007 rows, fits." in app.shown("#profile-help"))
        assert "Data pane has reviewed" not in app.shown("#profile-help")
        app.pane.set_keys({"train.seed": 1})
        put_cursor(app, "epochs")
        await until(pilot, lambda: "25007 rows, who knows." in app.shown("#profile-help"))
        app.pane.planned = Planned(planned_keys(load_profile(str(file), overrides=["train.seed=1"])), SHORT)
        app.pane.plan_came()
        await until(pilot, lambda: "25007 rows, will not fit." in app.shown("#profile-help"))

    drive(file, steps)


def test_values_are_told_as_a_profile_has_them() -> None:
    assert value_words("cosine") == '"cosine"'
    assert value_words(("q_proj", "風")) == '["q_proj", "風"]'
    assert [value_words(value) for value in (2e-4, 0.05, 0.0, 1)] == ["2e-4", "0.05", "0.0", "1"]
    assert value_words("風" * 60) == '"' + "風" * 49 + "…"
