"""The Profile pane, driven by keys: typing, problems, help, values changed in place, completion, what others see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import OptionList

from core import i18n
from core.profile.presets import preset_names, preset_text
from tests.pilot import settle, until, whole_lines_of
from tests.profile_pane import HOSTILE, TEXT, PaneApp, drive, field, press, put_cursor
from tui.panes.profile import ProfilePane
from tui.panes.profile_advice import AdvisedPane
from tui.panes.profile_budget import PlannedPane
from tui.panes.profile_file import FiledPane
from tui.workbench import DataState

SIZES = [(80, 24), (53, 20), (120, 40), (200, 60)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.parametrize("size", SIZES)
def test_at_first_a_preset_is_open_and_the_key_under_the_cursor_explained(size: tuple[int, int]) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert app.editor.has_focus and app.editor.text == preset_text("tang-tiny-cpu")
        state = app.profile_state
        assert (state.source, state.path, state.unsaved, state.problems) == ("tang-tiny-cpu", None, False, 0)
        assert state.profile is not None and state.text == app.editor.text
        assert "Put the cursor on a key" in app.shown("#profile-help")
        put_cursor(app, "epochs")
        await settle(pilot)
        help_ = app.shown("#profile-help")
        for words in ("train.epochs", "How often training goes", "may be: 1 to 10,000 epochs", "default: 5", "now: 3"):
            assert words in help_
        assert ("\n\n" in help_) == (size[0] >= 110)
        assert "5 over 25,007 poems" in help_ and "How often training goes" in app.text
        await press(pilot, "left", "right")
        assert {cell_len(line) for line in whole_lines_of(app)} == {size[0]}

    drive("", steps, size)


def test_typing_is_checked_after_a_moment_every_time(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        for typed, problems in (("0", 0), ("x", 1), ("backspace", 0), ("9", 0), ("9", 0), ("9", 1)):
            put_cursor(app, "epochs = 3") if typed == "0" else None
            await pilot.press(typed)
            text = app.editor.text
            await until(pilot, lambda: app.profile_state.text == text)  # noqa: B023
            await until(pilot, lambda: app.profile_state.problems == problems)  # noqa: B023
            assert (app.profile_state.profile is None) == bool(problems), typed
        assert app.profile_state.unsaved and "not saved" in app.shown("#profile-head")
        assert "epochs = 30999   # 輪" in app.editor.text

    drive(file, steps)


def test_problems_are_marked_at_their_lines_listed_and_jumped_to(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[train]\nepochs = 0\nbatch = 3\n\n[lora]\nr = \n", encoding="utf-8")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert app.profile_state.problems == 3 and "problems: 3" in app.shown("#profile-head")
        listed = app.query_one("#profile-problems", OptionList)
        prompts = [str(option.prompt) for option in listed.options]
        assert [prompt.split(":")[0] for prompt in prompts] == ["line 2", "line 3", "line 6"]
        assert "train.epochs" in prompts[0] and "batch_size" in prompts[1]
        assert listed.display and "line 2" in app.text
        marked = [bool(app.editor.get_line(line).spans) for line in range(6)]
        assert marked == [False, True, True, False, False, True]
        seen = []
        for _turn in range(4):
            await press(pilot, "ctrl+g")
            seen.append(app.editor.cursor_location[0])
        assert seen == [1, 2, 5, 1]
        listed.focus()
        await press(pilot, "end", "enter")
        assert app.editor.has_focus and app.editor.cursor_location == (5, 0)
        app.editor.load_text("[train]\nepochs = 1\n")
        await until(pilot, lambda: app.profile_state.problems == 0)
        assert not listed.display and not app.editor.get_line(1).spans
        await press(pilot, "ctrl+g")
        assert app.editor.cursor_location == (0, 0)

    drive(path, steps)


def test_a_value_goes_up_and_down_in_place_and_each_step_is_undone_alone(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "epochs")
        await press(pilot, "f8")
        assert app.editor.text == TEXT.replace("epochs = 3 ", "epochs = 4 ")
        assert app.editor.cursor_location[0] == 5
        await press(pilot, "f8", "f8", "f7")
        assert app.editor.text == TEXT.replace("epochs = 3 ", "epochs = 5 ")
        await until(
            pilot, lambda: app.profile_state.profile is not None and app.profile_state.profile.train.epochs == 5
        )
        assert "now: 5" in app.shown("#profile-help")
        for value in (6, 5, 4, 3):
            await press(pilot, "ctrl+z")
            assert f"epochs = {value} " in app.editor.text
        assert app.editor.text == TEXT and not app.pane.unsaved
        await press(pilot, "ctrl+y")
        assert "epochs = 4 " in app.editor.text
        await app.pane.run_action("undo")
        assert app.editor.text == TEXT
        await app.pane.run_action("redo")
        assert "epochs = 4 " in app.editor.text
        put_cursor(app, "\nr")
        await press(pilot, "f8")
        assert app.editor.text.endswith("r = 32\n")
        put_cursor(app, "learning_rate")
        await press(pilot, "f7")
        assert "learning_rate = 0.0005\n" in app.editor.text
        put_cursor(app, "schedule")
        await press(pilot, "f8")
        assert 'schedule = "constant"' in app.editor.text

    drive(file, steps)


def test_the_last_line_without_an_end_can_be_stepped(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[lora]\nr = 8", encoding="utf-8")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "\nr")
        await press(pilot, "f8")
        assert app.editor.text == "[lora]\nr = 16"
        app.pane.set_keys({"lora.alpha": 32, "train.epochs": 2})
        await settle(pilot)
        assert app.editor.text == "[lora]\nr = 16\nalpha = 32\n\n[train]\nepochs = 2\n"
        await press(pilot, "ctrl+z", "ctrl+z", "ctrl+z")
        assert app.editor.text == "[lora]\nr = 8"

    drive(path, steps)


def test_steps_go_on_while_values_contradict_each_other_but_not_in_broken_toml(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "\nbatch_size")
        await press(pilot, "f7")
        assert "\nbatch_size = 8\n" in app.editor.text and app.profile_state.problems == 1
        await press(pilot, "f8")
        assert app.profile_state.problems == 0
        app.editor.insert("\nx = ", (0, 0))
        before = app.editor.text
        put_cursor(app, "epochs")
        await press(pilot, "f8", "f9")
        assert app.editor.text == before and len(app.screen_stack) == 1
        assert [note.split(":")[0] for note in app.notes] == ["line 2", "line 2"]
        put_cursor(app, "[model]")
        await press(pilot, "f8", "f9")
        assert app.notes[2:] == ["Put the cursor on a key."] * 2
        app.pane.set_keys({"train.epochs": 7})
        assert app.editor.text == before and app.notes[-1].startswith("line 2")

    drive(file, steps)


def test_a_value_is_picked_from_a_list(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "schedule")
        await press(pilot, "f9")
        assert app.options == ["linear", "cosine", "constant"]
        assert app.screen.query_one(OptionList).highlighted == 1
        await press(pilot, "down", "enter")
        assert app.editor.text == TEXT.replace('"cosine"', '"constant"')
        await press(pilot, "ctrl+t", "escape")
        assert len(app.screen_stack) == 1
        put_cursor(app, "epochs")
        await press(pilot, "f9")
        assert app.options == ["1", "2", "3", "4", "5", "6", "7"]
        await press(pilot, "home", "enter")
        assert "epochs = 1   # 輪" in app.editor.text
        app.pane.set_keys({"data.rows": "all", "data.path": "x.json"})
        put_cursor(app, "rows")
        await press(pilot, "f9")
        assert app.options == ["50", "100", "200", "500", "1000", "2000", "5000", "10000", "20000", "all"]
        assert app.screen.query_one(OptionList).highlighted == 9
        await press(pilot, "escape")
        put_cursor(app, "path")
        await press(pilot, "f9", "f8")
        assert app.notes == ["This value is typed.", "This value has no next one; F9 or typing changes it."]
        assert len(app.screen_stack) == 1

    drive(file, steps)


def test_words_are_completed(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "[train]")
        await press(pilot, "enter", "s", "e", "ctrl+n")
        assert app.editor.text == TEXT.replace("[train]\n", "[train]\nseed = 42\n")
        await press(pilot, "ctrl+z")
        assert app.editor.text == TEXT.replace("[train]\n", "[train]\nse\n")
        await press(pilot, "backspace", "backspace", "a", "ctrl+n")
        assert [option.split()[0] for option in app.options] == ["adam_beta1", "adam_beta2", "adam_epsilon"]
        assert "AdamW's memory of the mean of gradients." in app.options[0]
        await press(pilot, "down", "enter")
        assert "[train]\nadam_beta2 = 0.999\n" in app.editor.text and app.editor.has_focus
        put_cursor(app, 'schedule = "')
        await press(pilot, "ctrl+n")
        await press(pilot, "end", "enter")
        assert 'schedule = "constant"\n' in app.editor.text
        put_cursor(app, "# 我的")
        await press(pilot, "ctrl+n")
        assert app.notes == ["Nothing goes on from here."]
        await press(pilot, "enter", "[", "ctrl+n", "escape")
        assert app.editor.text.startswith("# 我的\n[\n") and app.editor.has_focus

    drive(file, steps)


def test_what_follows_goes_by_the_open_data(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert "gradient accumulation 1" in app.shown("#profile-head") and "steps" not in app.shown("#profile-head")
        app.data_state = DataState("builtin:tang-sample", 400, True)
        await settle(pilot)
        # 400 less 200 held out, in batches of 16: 13 steps, three times
        assert "about 39 steps" in app.shown("#profile-head")
        app.data_state = DataState("other.json", 9, True)
        await settle(pilot)
        assert "steps" not in app.shown("#profile-head")
        app.pane.set_keys({"data.rows": 160})
        await settle(pilot)
        assert "about 30 steps" in app.shown("#profile-head")

    drive(file, steps)


def test_a_model_folder_is_picked(file: Path, tmp_path: Path) -> None:
    model = tmp_path / "models" / "good"
    model.mkdir(parents=True)
    (tmp_path / "models" / "[b]ad\x1b").mkdir()
    (model / "config.json").write_text(json.dumps({"architectures": ["Qwen2ForCausalLM"], "num_hidden_layers": 2}))
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")
    (model / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        for keys in (("ctrl+l",), ("f9",)):
            put_cursor(app, "base")
            await press(pilot, *keys)
            assert field(app).value == "builtin:tang-tiny" and "6 layers of 256" in app.shown("#model-facts")
            await press(pilot, "escape")
            assert app.editor.text == TEXT
        await press(pilot, "ctrl+l")
        field(app).value = str(tmp_path / "models")
        await settle(pilot)
        assert "tokenizer.json is missing" in app.shown("#model-facts")
        assert app.options == ["../", "good/  a model", "[b]ad␛/"]
        field(app).focus()
        await press(pilot, "enter")
        assert len(app.screen_stack) == 2 and "tokenizer.json is missing" in app.shown("#model-facts")
        app.screen.query_one(OptionList).focus()
        await press(pilot, "home", "enter")
        assert field(app).value == str(tmp_path)
        field(app).value = str(tmp_path / "models" / "no" / "such")
        await settle(pilot)
        assert app.options == ["../", "good/  a model", "[b]ad␛/"]
        app.screen.query_one(OptionList).focus()
        await press(pilot, "home", "down", "enter")
        assert field(app).value == str(model) and "Qwen2ForCausalLM: 2 layers" in app.shown("#model-facts")
        await press(pilot, "enter")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.editor.text == TEXT.replace("builtin:tang-tiny", str(model))

    drive(file, steps)


def test_hostile_text_is_shown_and_edited(tmp_path: Path) -> None:
    path = tmp_path / "hostile.toml"
    path.write_text(f"# {HOSTILE}\n[train]\nepochs = 0 # {HOSTILE}\n{'x' * 3000} = 1\n", encoding="utf-8")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert "[/] 夜[bold]雨[@click=app.quit]寄北␛[2J" in app.text
        assert "\x1b" not in app.text and "\u202e" not in app.text
        assert {cell_len(line) for line in whole_lines_of(app)} == {80}
        assert HOSTILE in app.editor.text and app.profile_state.problems
        await press(pilot, "down", "down", "end", "a", "ctrl+n", "ctrl+g")
        assert f"epochs = 0 # {HOSTILE}a\n" in app.editor.text
        assert {cell_len(line) for line in whole_lines_of(app)} == {80}

    drive(path, steps)


def test_of_countless_problems_some_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "rows.toml"
    path.write_text("".join(f"a{number} = 1\n" for number in range(300)), encoding="utf-8")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert app.profile_state.problems == 300
        assert app.query_one("#profile-problems", OptionList).option_count == 200

    drive(path, steps)


def test_a_long_profile_can_be_edited(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text("# 山水山水山水\n" * 40_000 + "[train]\nepochs = 1\n", encoding="utf-8")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert path.stat().st_size > 800_000 and app.editor.language is None
        put_cursor(app, "epochs = 1")
        await press(pilot, "0", "f8")
        assert app.editor.text.endswith("epochs = 20\n")
        app.pane.open_profile("original-recipe")
        await settle(pilot)
        await press(pilot, "y")
        await settle(pilot)
        assert app.editor.language == "toml" and app.profile_state.source == "original-recipe"

    drive(path, steps)


@pytest.mark.parametrize("language", ["zh-Hans", "zh-Hant"])
@pytest.mark.parametrize("size", [(80, 24), (53, 20)])
def test_in_chinese_the_pane_still_fits(language: str, size: tuple[int, int], file: Path) -> None:
    i18n.use(language)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "schedule")
        for key in ("left", "f9", "ctrl+o", "ctrl+l", "ctrl+n"):
            await press(pilot, key)
            assert {cell_len(line) for line in whole_lines_of(app)} == {size[0]}, key
            await press(pilot, *(["escape"] if len(app.screen_stack) > 1 else []))

    drive(file, steps, size)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_opens_without_a_problem(preset: str) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert (app.profile_state.source, app.profile_state.problems, app.notes) == (preset, 0, [])

    drive(preset, steps)


def test_every_key_has_a_name_and_something_to_do() -> None:
    classes = (ProfilePane, AdvisedPane, PlannedPane, FiledPane)
    own = [binding for cls in classes for binding in cls.__dict__["BINDINGS"]]
    verbs = (
        "save", "save_as", "open", "new", "revert", "less", "more", "pick", "suggest", "problem", "problem.previous",
        "fix", "fix_all", "plan", "undo", "redo", "base", "diff", "edit",
    )  # fmt: skip
    assert {binding.id for binding in own} == {f"profile.{verb}" for verb in verbs}
    for binding in own:
        assert hasattr(ProfilePane, f"action_{binding.action.partition('(')[0]}"), binding.id
        assert not {"ctrl+a", "ctrl+b", "ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m"} & set(binding.key.split(","))
