"""What the Data pane does with files, by keys: open, export, map columns, train on; and how paths are completed."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from core.data.column_examples import column_examples
from core.data.rows import SAMPLE
from tests.data_pane import PaneApp, drive, field, lines_of, poem_file, poem_rows, with_profile, write_rows
from tests.pilot import settle, until
from tui.panes.dataset_files import check_target
from tui.panes.dataset_lengths import bins_of, length_words
from tui.widgets import path_input
from tui.widgets.histogram import Histogram
from tui.widgets.path_input import PathSuggester, completion_of
from tui.widgets.token_strip import token_content


def test_the_lengths_of_the_rows_found(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("h")
        await settle(pilot)
        assert app.screen.query_one(Histogram)
        assert "4 rows, 20 to 30 characters, half of them up to 20." in app.flat
        assert "20 (50 %) · 28 (25 %) · 30 (25 %)" in app.flat
        await pilot.press("h")
        await settle(pilot)
        assert len(app.screen_stack) == 1
        await pilot.press("slash", "詩", "escape", "h")
        await settle(pilot)
        assert "No row has a length." in app.flat

    drive(write_rows(tmp_path / "p.jsonl", *({**row, "instruction": ""} for row in poem_rows())), steps)


def test_bins_leave_out_the_longest_few_and_say_so() -> None:
    assert bins_of([(20, 2), (21, 1), (23, 1)]) == ([(20, 21, 2), (21, 22, 1), (22, 23, 0), (23, 24, 1)], 0)
    bins, longer = bins_of([(20, 999), (40, 1), (100_000, 1)])
    assert (sum(count for _low, _high, count in bins), longer, bins[0]) == (999, 2, (20, 21, 999))
    wide, _longer = bins_of([(1, 1), (640, 1)])
    assert (len(wide), wide[0], wide[-1]) == (64, (1, 11, 1), (631, 641, 1))
    assert bins_of([]) == ([], 0)
    assert length_words([(20, 3), (28, 1)]).startswith("4 rows, 20 to 28 characters, half of them up to 20.")


def test_exporting_the_rows_found_and_never_over_a_file_unasked(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", "李", "escape", "r", "e")
        await settle(pilot)
        assert "Export 2 rows" in app.flat
        field(app).value = str(tmp_path)
        await pilot.press("enter")
        await pilot.pause()
        assert "That is a folder" in app.flat
        field(app).value = str(target)
        await pilot.press("enter")
        await until(pilot, target.exists)
        await until(pilot, lambda: f"2 rows written to {target}" in app.notes)
        written = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
        assert written == [poem_rows()[2], poem_rows()[0]]
        target.write_text("mine", encoding="utf-8")
        for answer, content in (("enter", "mine"), ("y", None)):  # the cursor is on "no"
            await pilot.press("e")
            await settle(pilot)
            field(app).value = str(target)
            await pilot.press("enter")
            await settle(pilot)
            assert "What is in it would be lost." in app.flat
            await pilot.press(answer)
            await settle(pilot)
            if content is not None:
                assert target.read_text(encoding="utf-8") == content
        assert len(target.read_text(encoding="utf-8").splitlines()) == 2
        field(app).value = "nowhere"
        await settle(pilot)
        await pilot.press("e")
        await settle(pilot)
        assert app.notes[-1] == "There are no rows to export."

    drive(poem_file(tmp_path), steps)


def test_the_name_of_an_export(tmp_path: Path) -> None:
    assert check_target(str(tmp_path / "new.jsonl")) == ""
    assert check_target(" ") == "A name is needed."
    assert check_target(str(tmp_path / "no" / "new.jsonl")) == f"There is no folder {tmp_path / 'no'}."


def test_opening_another_file_by_tab_and_one_of_before(tmp_path: Path) -> None:
    poem_file(tmp_path)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", "月", "escape", "o")
        await settle(pilot)
        for character in str(tmp_path) + "/po":
            field(app).insert_text_at_cursor(character)
        await settle(pilot)
        await pilot.press("tab")
        await until(pilot, lambda: field(app).value == str(tmp_path / "poems.jsonl"))
        await pilot.press("enter")
        await until(pilot, lambda: app.data_state.rows == 4)
        assert (app.data_state.path, app.pane.state()["query"]) == (str(tmp_path / "poems.jsonl"), "")
        await pilot.press("o")
        await settle(pilot)
        assert [str(option.prompt) for option in app.screen.query_one(OptionList).options] == [SAMPLE]
        await pilot.press("tab", "enter")
        await until(pilot, lambda: app.data_state.rows == 400)
        await pilot.press("o")
        await settle(pilot)
        await pilot.press("b", "tab")
        await settle(pilot)
        assert field(app).value == SAMPLE
        await pilot.press("escape")
        await settle(pilot)
        assert app.pane.state()["recent"] == [SAMPLE, str(tmp_path / "poems.jsonl")]

    drive(SAMPLE, steps)


def unnamed(folder: Path) -> Path:
    """A file that no rule fits."""
    return write_rows(folder / "odd.jsonl", {"nr": 1, "head": "牀前看月光，", "poem": "舉頭望山月，"})


def test_a_file_that_no_rule_fits_is_mapped_by_a_dialog(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.pause()
        assert "no rule says which column is the output" in app.flat
        await pilot.press("enter")
        await pilot.pause()
        assert "The output needs a column." in app.flat
        await pilot.press("right", "right")  # nr, head
        await pilot.press("up", "right", "right")
        await pilot.press("enter")
        await pilot.pause()
        assert "One column is named for two fields." in app.flat and "牀前看月光" in app.flat
        await pilot.press("down", "right", "enter")
        await settle(pilot)
        assert "Shall the profile train on" in app.flat
        await pilot.press("y")
        await settle(pilot)
        columns = {"input": "head", "output": "poem"}
        assert app.keys_set == [{"data.path": str(tmp_path / "odd.jsonl"), "data.columns": columns}]
        assert "牀前看月光" in app.flat and app.data_state.rows == 1
        assert app.pane.state()["columns"] == columns
        app.pane.open_file(SAMPLE)
        await settle(pilot)
        app.pane.restore({"path": SAMPLE})
        await settle(pilot)
        assert app.data_state.rows == 400

    drive(unnamed(tmp_path), steps)


def test_where_the_profile_trains_on_it_the_mapping_goes_into_it_at_once(tmp_path: Path) -> None:
    file = unnamed(tmp_path)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("escape")
        await settle(pilot)
        assert "m says what its columns are." in app.flat
        with_profile(app, f"[data]\npath = {json.dumps(str(file))}\n")
        await pilot.press("m")
        await settle(pilot)
        await pilot.press("left", "enter")
        await settle(pilot)
        assert app.keys_set == [{"data.columns": {"output": "poem"}}]
        assert app.data_state.rows == 1

    drive(file, steps)


def test_a_profile_that_comes_with_the_mapping_opens_the_file(tmp_path: Path) -> None:
    file = unnamed(tmp_path)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(app.screen_stack) == 2)
        with_profile(app, f'[data]\npath = {json.dumps(str(file))}\ncolumns = {{ output = "head" }}\n')
        await until(pilot, lambda: app.data_state.rows == 1)
        assert len(app.screen_stack) == 1 and "牀前看月光" in app.flat

    drive(file, steps)


def test_the_columns_of_a_file_that_was_open_can_be_said_otherwise(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("m")
        await settle(pilot)
        await pilot.press("up", "right", "right", "enter")  # the input: from "input" over "output" to "author"
        await settle(pilot)
        await pilot.press("n")
        await settle(pilot)
        assert app.pane.state()["columns"] == {"instruction": "instruction", "input": "author", "output": "output"}
        assert app.keys_set == []
        assert any("李白舉頭望山月" in line for line in lines_of(app))

    drive(poem_file(tmp_path), steps)


def test_training_on_the_file(tmp_path: Path) -> None:
    file = poem_file(tmp_path)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("p")
        await settle(pilot)
        assert app.keys_set == [{"data.path": str(file)}]
        assert app.notes == [f"The profile trains on {file} now."]
        with_profile(app, '[data]\npath = "other.json"\ncolumns = { output = "poem" }\n')
        await pilot.press("p")
        await settle(pilot)
        assert app.keys_set[1] == {"data.path": str(file), "data.columns": {}}

    drive(file, steps)


def test_examples_of_columns(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", "{broken", {"a": " ", "b": 7}, {"a": " x ", "c": None})
    assert column_examples(str(file)) == {"a": "x", "b": "7", "c": ""}


def test_completing_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("poem-a.json", "poem-b.json", ".hidden", "bad\x1bname"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    base = f"{tmp_path}/"
    assert completion_of(base + "po") == base + "poem-"
    assert completion_of(base + "poem-") == base + "poem-a.json"
    assert completion_of(base + "poem-b.json") is None
    assert completion_of(base + "s") == base + "sub/"
    assert completion_of(base + ".h") == base + ".hidden"
    assert completion_of(base + "bad") is None
    assert completion_of(base + "po", folders_only=True) is None
    assert completion_of(base + "none/x") is None
    assert completion_of("\0") is None
    assert completion_of("buil", also=(SAMPLE,)) == SAMPLE
    monkeypatch.setenv("HOME", str(tmp_path))
    assert completion_of("~") == "~/"
    assert completion_of("~/su") == "~/sub/"
    monkeypatch.chdir(tmp_path)
    assert completion_of("su") == "sub/"


def test_a_slow_disk_is_asked_only_for_the_last_of_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    go_on = threading.Event()

    def slow(value: str, **_options: object) -> str:
        asked.append(value)
        assert go_on.wait(60)
        return value + "!"

    monkeypatch.setattr(path_input, "completion_of", slow)

    async def run() -> list[str | None]:
        suggester = PathSuggester()
        tasks = [asyncio.create_task(suggester.get_suggestion(value)) for value in ("a", "ab", "abc")]
        await asyncio.sleep(0)
        go_on.set()
        return list(await asyncio.gather(*tasks))

    assert asyncio.run(run())[1:] == [None, "abc!"]
    assert asked[-1] == "abc" and "ab" not in asked


def test_tab_without_a_completion_goes_on(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.recent = ["x.json"]
        await pilot.press("o")
        await settle(pilot)
        field(app).value = "/nowhere/at/all"
        field(app).cursor_position = 15
        await pilot.press("tab")
        await until(pilot, lambda: isinstance(app.focused, OptionList))
        await pilot.press("shift+tab")
        assert isinstance(app.focused, Input)

    drive(poem_file(tmp_path), steps)


def test_tokens_are_untrusted_and_many() -> None:
    text = token_content(["[/]", "\x1b[2J", "夜\n", "雨"] + ["x"] * 5000, 2, beyond=3).plain
    assert text.startswith("[/]␛[2J夜␊\n雨xx")
    assert text.endswith("… and 3504 more tokens")
