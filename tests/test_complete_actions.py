"""Every action of the Complete pane by its keys, in the field and outside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from core.errors import PoemError
from tests.complete_stage import (
    GIVEN,
    REST,
    Stage,
    complete,
    make_finished_run,
    play,
    settle,
)
from tests.pilot import until
from tui.keys import keys_of
from tui.panes.completion import CompletionPane
from tui.panes.completion_field import EarlierList, FirstLines
from tui.panes.completion_rows import append_row, check_path, make_row
from tui.panes.completion_sampling import SamplingStrip, check_value, next_value, value_of
from tui.panes.completion_sheet import PoemSheet

LETTERS_ONLY = {"complete.cancel", "complete.write", "complete.field", "complete.seed.keep", "complete.poems"} | {
    "complete.free",
    "complete.save.elsewhere",
    "complete.recall.earlier",
    "complete.recall.later",
}


def test_every_action_has_a_key_that_works_while_typing() -> None:
    found = {help_.id: help_.keys for cls in CompletionPane.__mro__ for help_ in keys_of(cls)}
    pane_keys = {name: keys for name, keys in found.items() if name.startswith("complete.")}
    assert {name for name, keys in pane_keys.items() if "^" not in keys} == LETTERS_ONLY
    ctrl = [key[1] for keys in pane_keys.values() for key in keys.split() if key.startswith("^")]
    assert len(ctrl) == len(set(ctrl))
    # Neither what a terminal takes for another key, nor a multiplexer's prefix, nor what a text field does itself.
    assert not set(ctrl) & set("abhijm" + "aekuwdfcxv" + "pq")


@pytest.mark.parametrize("keys", [("ctrl+y",), ("escape", "c")])
def test_copy(tmp_path: Path, keys: tuple[str, ...]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+y")
        assert app.told == ["There is no poem yet."]
        await complete(pilot)
        await pilot.press(*keys)
        assert app.clipboard == f"{GIVEN}\n{REST}"
        assert app.told[-1].startswith("Copied, if the terminal permits it (OSC 52")

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("key", ["ctrl+s", "s"])
def test_save_asks_for_the_file_once(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_finished_run(tmp_path / "runs", "tang")
    run.manifest_path.write_text('{"instruction": "續寫。"}', encoding="utf-8")

    async def steps(pilot: Pilot[None]) -> None:
        app.complete_pane.use_run(run.id)
        await complete(pilot)
        app.set_focus(app.query_one(FirstLines) if key == "ctrl+s" else app.sheet)
        await pilot.press(key)
        await settle(pilot)
        assert app.screen.query_one(Input).value == "poems.jsonl"
        await pilot.press("enter")
        await until(pilot, lambda: app.told == ["Saved to poems.jsonl."])
        await pilot.press(key)
        await until(pilot, lambda: app.told[1:] == ["poems.jsonl has this poem already."])
        app.set_focus(app.sheet)
        await pilot.press("up", key)  # the base's poem
        await until(pilot, lambda: app.told[2:] == ["Saved to poems.jsonl."])
        rows = [json.loads(line) for line in (tmp_path / "poems.jsonl").read_text(encoding="utf-8").splitlines()]
        common = {"instruction": "續寫。", "input": GIVEN, "output": REST, "seed": "42"}
        assert rows == [{**common, "run": run.id}, {**common, "run": "builtin:tang-tiny"}]
        app.set_focus(app.sheet)
        await pilot.press("S")
        await settle(pilot)
        field = app.screen.query_one(Input)
        field.value = "nowhere/poems.jsonl"
        await pilot.press("enter")
        assert "There is no folder nowhere." in app.text
        field.value = "other.jsonl"
        await pilot.press("enter")
        await until(pilot, lambda: app.told[3:] == ["Saved to other.jsonl."])
        assert app.complete_pane.save_path == "other.jsonl"

    app = Stage(tmp_path / "runs")
    play(app, steps)


@pytest.mark.parametrize("key", ["ctrl+r", "r"])
def test_the_writer_is_chosen_among_runs_with_an_adapter(tmp_path: Path, key: str) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        if key == "r":
            await pilot.press("escape")
        await pilot.press(key)
        await settle(pilot)
        assert "the base alone: builtin:tang-tiny" in app.text
        assert "No run has an adapter yet." in app.text
        await pilot.press("escape")
        run = make_finished_run(tmp_path, "tang")
        app._look()
        await until(pilot, lambda: len(app.runs) == 1)
        await pilot.press(key)
        await settle(pilot)
        assert f"{run.id}    " in app.text and "final" in app.text
        await pilot.press("down", "enter")
        await settle(pilot)
        assert app.said("head") == "tang writes (final), the base beside it"
        assert app.focused is app.query_one(FirstLines)
        await pilot.press("ctrl+r")
        await settle(pilot)
        assert app.screen.query_one(OptionList).highlighted == 1
        await pilot.press("up", "enter")
        await settle(pilot)
        assert app.said("head") == "The base builtin:tang-tiny writes, without an adapter"

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("keys", [("ctrl+o",), ("escape", "b")])
def test_the_base_beside_the_adapter_or_not(tmp_path: Path, keys: tuple[str, ...]) -> None:
    run = make_finished_run(tmp_path, "tang")

    async def steps(pilot: Pilot[None]) -> None:
        app.complete_pane.use_run(run.id)
        await pilot.press(*keys)
        assert app.said("head") == "tang writes (final)"
        app.set_focus(app.query_one(FirstLines))
        await complete(pilot)
        assert not app.fake.requests[0].with_base

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("keys", [("ctrl+n",), ("escape", "n")])
def test_a_new_seed_each_time_can_be_fixed_afterwards(tmp_path: Path, keys: tuple[str, ...]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(*keys)
        assert "seed new each time" in app.text
        app.set_focus(app.query_one(FirstLines))
        await complete(pilot)
        app.query_one(FirstLines).value = ""
        await complete(pilot)
        first, second = (request.seed for request in app.fake.requests)
        assert first != second
        assert f"seed {second}" in app.text
        await pilot.press("escape", "f")
        await settle(pilot)
        assert app.profile_state.profile is not None
        assert app.profile_state.profile.generation.seed == second
        assert f"seed {second}" in str(app.query_one(SamplingStrip).render())
        await pilot.press("enter")  # outside the field: the same once more
        await until(pilot, lambda: len(app.fake.requests) == 3)
        assert app.fake.requests[2].seed == second

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_sampling_is_changed_in_the_profile(tmp_path: Path, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        def generation(key: str) -> float:
            assert app.profile_state.profile is not None
            value: float = getattr(app.profile_state.profile.generation, key)
            return value

        await pilot.press("ctrl+g")
        strip = app.query_one(SamplingStrip)
        assert app.focused is strip
        assert app.said("hint").startswith("temperature (0 to 10): Sharpens the odds")
        await pilot.press("right")
        await settle(pilot)
        assert generation("temperature") == 0.85
        assert "temperature 0.85" in " ".join(str(strip.render()).split())
        await pilot.press("left", "left")
        await settle(pilot)
        assert generation("temperature") == 0.75
        await pilot.press("down", "down", "j", "k")
        assert strip.key == "top_k"
        await pilot.press("up", "up", "up")
        assert strip.key == "seed"
        await pilot.press("up", "enter")
        await settle(pilot)
        assert app.screen.query_one(Input).value == "1"
        await pilot.press("end", "0", "0", "0", "0", "enter")
        await settle(pilot)
        assert "1 to 1,000" in app.text
        await pilot.press("backspace", "backspace", "backspace", "enter")
        await settle(pilot)
        assert generation("count") == 10
        await pilot.press("ctrl+g")
        assert app.focused is app.query_one(FirstLines)

    app = Stage(tmp_path)
    play(app, steps, size)


def test_values_that_are_typed_are_checked() -> None:
    assert (check_value("temperature", "0.5"), check_value("top_k", " 3 ")) == ("", "")
    assert all(check_value("temperature", typed) for typed in ("", "warm", "-1", "11", "nan", "1 2"))
    assert check_value("top_k", "1.5")
    for key, value, direction, wanted in (
        ("temperature", 0.0, -1, 0.0),
        ("temperature", 10.0, 1, 10.0),
        ("top_p", 0.05, -1, 0.05),
        ("top_p", 0.95, 1, 1.0),
        ("seed", 0, -1, 0),
        ("seed", 42, 1, 43),
        ("max_new_tokens", 128, 1, 256),
        ("count", 1, -1, 1),
    ):
        stepped = next_value(key, value, direction)
        assert (stepped, type(stepped)) == (wanted, type(value))
    assert (value_of("temperature", "1"), value_of("count", "4")) == (1.0, 4)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("keys", [("ctrl+l",), ("escape", "l")])
def test_earlier_completions_are_shown_again(tmp_path: Path, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(*keys)  # nothing is there
        assert app.focused is app.query_one(FirstLines)
        await complete(pilot, "春眠不覺曉，", "處處聞啼鳥。")
        app.query_one(FirstLines).value = ""
        await complete(pilot)
        await pilot.press("up", "up")
        assert app.query_one(FirstLines).value == "春眠不覺曉，"
        await pilot.press("down")
        assert app.query_one(FirstLines).value == GIVEN
        await pilot.press(*keys)
        await settle(pilot)
        assert app.focused is app.query_one(EarlierList)
        assert "› 白日依山盡" in app.text and "  春眠不覺曉，" in app.text
        await pilot.press("escape")
        await settle(pilot)
        assert app.query_one(PoemSheet).display
        await pilot.press("l", "down", "enter")
        await settle(pilot)
        assert "處處聞啼鳥。" in app.text
        assert app.focused is app.sheet

    app = Stage(tmp_path)
    play(app, steps, size)


def test_poems_are_walked_through_by_keys(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await complete(pilot)
        await pilot.press("escape", "p")
        assert app.focused is app.sheet
        seen = []
        for key in ("down", "j", "right", "k", "up", "end", "down", "home", "up", "left"):
            await pilot.press(key)
            seen.append(app.sheet.cursor)
        assert seen == [1, 2, 3, 2, 1, 39, 39, 0, 0, 0]
        await pilot.press("end")
        await settle(pilot)
        assert "base 40 · seed 81" in app.text
        assert await pilot.click(PoemSheet, offset=(45, 3))
        assert app.sheet.cursor is not None and app.sheet.cursor < 39
        await pilot.press("slash")
        assert app.focused is app.query_one(FirstLines)

    app = Stage(tmp_path)
    play(app, steps, (80, 24), "generation.count=40")


def test_the_palette_has_the_actions(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await complete(pilot)
        await pilot.press("ctrl+p")
        await settle(pilot)
        app.screen.query_one(Input).value = "Complete: Copy"
        await until(pilot, lambda: "Complete: Copy" in app.text.split("\n", 5)[-1])
        await pilot.press("enter")
        await until(pilot, lambda: app.clipboard == f"{GIVEN}\n{REST}")

    app = Stage(tmp_path)
    play(app, steps)


def test_rows_are_added_to_jsonl_only(tmp_path: Path) -> None:
    row = make_row(instruction="續", given="上", written="下\n\ud800", model="run", seed=7)
    path = tmp_path / "poems.jsonl"
    assert append_row(path, row)
    assert not append_row(path, row)
    with path.open("ab") as file:
        file.write(b'{"input": "hal')  # somebody was killed while writing
    assert append_row(path, {**row, "seed": "8"})
    lines = path.read_bytes().split(b"\n")
    assert [json.loads(line)["seed"] for line in (lines[0], lines[2])] == ["7", "8"]
    assert (lines[1], lines[3:]) == (b'{"input": "hal', [b""])
    for name, text in (("a.jsonl", "[\n{}\n]\n"), ("b.jsonl", "poems\n"), ("c.jsonl", "[1]\n"), ("d.jsonl", "text")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(PoemError, match="no JSONL file"):
            append_row(tmp_path / name, row)
        assert (tmp_path / name).read_text(encoding="utf-8") == text
    os.mkfifo(tmp_path / "pipe.jsonl")
    for name in ("pipe.jsonl", "nowhere/poems.jsonl", "."):
        with pytest.raises(PoemError):
            append_row(tmp_path / name, row)
    assert [bool(check_path(text)) for text in ("", " ", "poems.json", "nowhere/a.jsonl")] == [True] * 4
    assert check_path(str(path)) == ""


def test_free_asks_only_where_a_process_is(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("escape", "u")
        await settle(pilot)
        assert app.fake.unloaded == 0

    app = Stage(tmp_path)
    play(app, steps)
