"""The Data pane, driven by keys: list, search, order, row, tokens and example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input

from core import i18n
from core.client import EncodedRow, Superseded
from core.data.rows import SAMPLE, Row
from core.errors import PoemError
from tests.data_pane import (
    HOSTILE,
    PaneApp,
    drive,
    field,
    lines_of,
    poem_file,
    poem_rows,
    shown,
    typed,
    with_profile,
    write_rows,
)
from tests.pilot import settle, until
from tui.panes.dataset_table import columns_for
from tui.verse import verse_lines

SIZES = [(80, 24), (53, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
def test_rows_stand_in_columns_and_the_poem_as_verse(size: tuple[int, int]) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        lines = lines_of(app)
        assert {cell_len(line) for line in lines} == {size[0]}
        assert "400 rows" in lines[0]
        first = next(line for line in lines if line.startswith("›"))
        assert "0 劉禹錫 " in first and " 和樂天春詞" in first and " 28 新妝" in first
        heads = lines[1]
        for title, value in (("author", "劉禹錫"), ("title", "和樂天"), ("text", "新妝")):
            assert cell_len(heads[: heads.index(title)]) == cell_len(first[: first.index(value)])
        poem = "\n".join(re.split(r"│|  +", line.rstrip())[-1].strip() for line in lines)
        assert "新妝面面下朱樓，深鎖春光一院愁。\n行到中庭數花朵，蜻蜓飛上玉搔頭。" in poem
        assert app.data_state.rows == 400 and app.data_state.complete
        assert app.fake.asked == []

    drive(SAMPLE, steps, size)


def test_search_by_words_author_title_and_length(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash")
        await typed(pilot, "三 月")
        assert list(app.pane.order) == [1]
        assert "1 of 4 rows" in app.text and "春望" in app.text and "靜夜思" not in app.text
        for query, numbers in (
            ("author:李白", [0, 2]),
            ("title:春", [1, 3]),
            ("length:20", [0, 3]),
            ("length:>=28 author:李白", [2]),
            ("output:三", [1, 2]),
            ("", [0, 1, 2, 3]),
        ):
            field(app).value = query
            await settle(pilot)
            assert list(app.pane.order) == numbers, query
        field(app).value = "length:many"
        await settle(pilot)
        assert "length: takes" in shown(app, "#data-head")
        assert app.query_one("#data-head").has_class("-problem")
        field(app).value = "nowhere"
        await settle(pilot)
        assert "0 of 4 rows" in app.text and "No row holds that." in app.text
        assert not app.query_one("#data-head").has_class("-problem")

    drive(poem_file(tmp_path), steps)


def test_escape_leaves_the_search_then_ends_it_at_the_same_row(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", "三")
        await settle(pilot)
        await pilot.press("escape", "down")
        await settle(pilot)
        assert (app.focused, app.rows.cursor, field(app).value) == (app.rows, 1, "三")
        await pilot.press("escape")
        await settle(pilot)
        assert (field(app).value, app.rows.cursor, len(app.pane.order)) == ("", 2, 4)
        await pilot.press("slash", "曉", "enter")
        await settle(pilot)
        assert (app.focused, app.pane.state()["row"]) == (app.rows, 3)

    drive(poem_file(tmp_path), steps)


def test_sorting_keeps_the_row_under_the_cursor(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "s")
        await pilot.pause()
        assert [str(option.prompt) for option in app.screen.query_one("OptionList").options] == [  # type: ignore[attr-defined]
            "as in the file",
            "author",
            "title",
            "length",
            "text",
        ]
        await pilot.press("down", "down", "down", "enter")
        await settle(pilot)
        assert list(app.pane.order) == [0, 3, 2, 1]
        assert (app.rows.cursor, app.pane.state()["row"]) == (3, 1)
        assert "↑len" in shown(app, "#data-head")
        await pilot.press("r")
        await settle(pilot)
        assert (list(app.pane.order), app.rows.cursor) == ([1, 2, 0, 3], 0)
        assert "↓len" in shown(app, "#data-head")
        await pilot.press("slash", "李")
        await settle(pilot)
        assert list(app.pane.order) == [2, 0]

    drive(poem_file(tmp_path), steps)


def test_going_to_a_row_by_number(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", "春", "escape", "g")
        await pilot.pause()
        await typed(pilot, "4")
        await pilot.press("enter")
        await pilot.pause()
        assert "A number from 0 to 3." in app.text
        await pilot.press("backspace", "2", "enter")
        await settle(pilot)
        assert (app.pane.state()["row"], field(app).value, len(app.pane.order)) == (2, "", 4)
        assert list(app.pane.find_rows("三", 9)) == [
            (1, "國破山河在，城春草木深。感時花濺淚，恨別鳥驚心。烽火連三月，家書抵萬金。"),
            (2, "日照香爐生紫煙，遙看瀑布挂前川。飛流直下三千尺，疑是銀河落九天。"),
        ]
        assert [number for number, _text in app.pane.find_rows("3", 9)] == [3]
        assert [number for number, _text in app.pane.find_rows("，", 2)] == [0, 1]
        assert list(app.pane.find_rows(" ", 2)) == []

    drive(poem_file(tmp_path), steps)


def test_moving_by_keys() -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        height = app.rows.size.height
        for key, cursor in (
            ("j", 1),
            ("down", 2),
            ("k", 1),
            ("up", 0),
            ("pagedown", height - 1),
            ("pageup", 0),
            ("end", 399),
            ("home", 0),
        ):
            await pilot.press(key)
            assert app.rows.cursor == cursor, key

    drive(SAMPLE, steps)


def test_tokens_only_when_asked_for_and_only_where_the_cursor_rests(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "up")
        await pilot.pause(0.3)
        assert app.fake.asked == []
        await pilot.press("x")
        await until(pilot, lambda: app.fake.asked == [(0, 0)])
        shown = ("6 tokens  2 learned  task row  chatml", "<|im_start|>user␊", "牀前舉頭<|im_end|>")
        await until(pilot, lambda: all(text in app.text for text in shown))
        learned = next(
            segment
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if "舉頭" in segment.text and len(segment.text) == 2
        )
        assert learned.style is not None and learned.style.bold
        for line in (1, 2, 3):  # quicker than any key: on a busy machine the cursor may come to rest between two
            app.rows.move_to(line)
        await until(pilot, lambda: len(app.fake.asked) > 1)
        assert app.fake.asked == [(0, 0), (3, 0)]
        await pilot.press("n")
        await until(pilot, lambda: app.fake.asked[-1] == (3, 1))
        await pilot.press("x", "up")
        await pilot.pause(0.3)
        assert app.fake.asked[-1] == (3, 1) and "tokens" not in shown_below(app)
        assert app.pane.state()["tokens"] is False

    drive(poem_file(tmp_path), steps)


def test_a_search_in_a_small_file_waits_for_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        monkeypatch.setattr(app.pane, "_find", None)
        await pilot.press("slash", "曉")
        await until(pilot, lambda: "1 of 4 rows" in app.flat)
        await pilot.press("backspace")
        await until(pilot, lambda: " 4 rows" in app.flat)
        assert list(app.pane.order) == [0, 1, 2, 3]

    drive(poem_file(tmp_path), steps)


def shown_below(app: PaneApp) -> str:
    return "\n".join(lines_of(app)[:-1]).partition("─")[2]


def test_token_errors_are_told_in_place_and_late_answers_forgotten(tmp_path: Path) -> None:
    def refuse(row: Row) -> EncodedRow:
        if row.number == 1:
            raise Superseded
        raise PoemError("the base [/] is gone", hint="Choose another.", where="model.base")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.fake.answer = refuse
        await pilot.press("x")
        await until(pilot, lambda: "is gone" in shown(app, "#tokens-head"))
        assert shown(app, "#tokens-head") == "model.base: the base [/] is gone Choose another."
        await pilot.press("down")
        await until(pilot, lambda: app.fake.asked[-1] == (1, 0))
        await settle(pilot)
        assert shown(app, "#tokens-head") == "tokens …"
        app.fake.answer = lambda row: EncodedRow(("一", "二", "三"), (1, 2, 3), 1, "row", "", "chatml", 1)
        await pilot.press("down")
        await until(pilot, lambda: "3 tokens" in app.text)
        assert shown(app, "#tokens-head") == "3 tokens  1 learned  1 beyond data.cutoff_len  task row  chatml"

    drive(poem_file(tmp_path), steps, (120, 40))


TASKS = """
[data]
system_prompt = "你是唐代詩人。"
[[data.tasks]]
name = "style"
instruction = "模仿{author}的風格。"
[[data.tasks]]
name = "plain"
instruction = "作詩。"
"""


def test_the_example_follows_profile_and_draw(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert shown(app, "#example") == ""
        with_profile(app, TASKS)
        await settle(pilot)
        first = shown(app, "#example")
        assert re.search(r"task (style|plain), draw 1\nsystem：你是唐代詩人。\ninstruction：", first)
        seen = {first.splitlines()[0].split()[1]}
        for draw in range(2, 12):
            await pilot.press("n")
            await settle(pilot)
            assert f"draw {draw}" in shown(app, "#example")
            seen.add(shown(app, "#example").split()[1])
        assert seen == {"style,", "plain,"}
        await pilot.press("down")
        await settle(pilot)
        assert "draw 1\n" in shown(app, "#example")
        with_profile(app, '[[data.tasks]]\nname = "rhyme"\ninstruction = "{rhyme}"\n')
        await settle(pilot)
        assert "row 1 has the columns of no task" in shown(app, "#example")
        with_profile(app, "[data]\nrows = -1\n")
        await settle(pilot)
        assert "The profile has problems" in shown(app, "#example")

    drive(poem_file(tmp_path), steps, (120, 40))


def test_bad_and_hostile_rows_stand_in_place(tmp_path: Path) -> None:
    hostile = {
        "instruction": HOSTILE,
        "input": HOSTILE,
        "output": HOSTILE + "長" * 100_000,
        HOSTILE: HOSTILE,
        "author": "𠀀" * 9,
        "title": "a\nb",
    }
    bad = ['{"input": "x", "output": 7}', "{broken", '{"output": "\\ud800"}', '{"output": "a\\u001b[2J"}']
    file = write_rows(tmp_path / "rows.jsonl", hostile, *bad, poem_rows()[0])

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert "6 rows" in lines_of(app)[0]
        for number, problem in enumerate(("a number", "JSON", "half of a surrogate", "control character"), start=1):
            assert any(re.search(rf"^  +{number} .*{problem}", line) for line in lines_of(app)), problem
        assert "𠀀" in app.text and "a␊b" in app.text and "\x1b" not in app.text and "\u202e" not in app.text
        await pilot.press("x")
        await settle(pilot)
        for _row in range(6):
            assert {cell_len(line) for line in lines_of(app)} == {80}
            await pilot.press("down")
            await settle(pilot)
        await pilot.press("home", "down")
        await settle(pilot)
        assert "holds a number" in shown(app, "#poem") and "line 2" in shown(app, "#poem")
        assert app._exit is False

    drive(file, steps)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert "there is no such file" in app.text and "o opens another file." in app.text
        assert app.data_state.problem and app.data_state.rows == 0
        await pilot.press("s", "g", "h", "e", "x", "n", "r", "m", "slash", "a", "escape")
        await settle(pilot)
        app.pane.go_to_row(3)
        assert list(app.pane.find_rows("a", 3)) == []
        app.pane.open_file(SAMPLE)
        await settle(pilot)
        assert "劉禹錫" in app.text and "no such file" not in app.text

    drive(tmp_path / "missing.jsonl", steps)


def test_state_and_what_restore_bears(tmp_path: Path) -> None:
    file = poem_file(tmp_path)
    states = []

    async def leave(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", "李", "escape", "s", "down", "down", "enter")
        await settle(pilot)
        await pilot.press("end", "x")
        await settle(pilot)
        states.append(dict(app.pane.state()))

    async def come_back(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.restore(states[0])
        await settle(pilot)
        assert dict(app.pane.state()) == states[0]
        assert (list(app.pane.order), field(app).value) == ([2, 0], "李")
        for broken in (
            {"path": 7},
            {"path": str(file), "query": 1, "sort": "rhyme", "row": "x", "recent": 3, "columns": [1], "tokens": 1},
            {"path": str(file), "row": 10**9, "recent": [None, 3]},
        ):
            app.pane.restore(broken)
            await settle(pilot)
        app.pane.restore({"path": str(file), "row": 3})
        await settle(pilot)
        assert app.pane.state()["row"] == 3

    drive(file, leave)
    assert states[0] | {"recent": []} == {
        "path": str(file), "columns": {}, "recent": [], "query": "李", "sort": "title", "descending": False, "row": 0,
        "tokens": True,
    }  # fmt: skip
    drive(file, come_back)


def test_no_key_typed_right_after_the_slash_is_lost(tmp_path: Path) -> None:
    from textual.events import Key

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        for key in "/月/":
            app.post_message(Key("slash" if key == "/" else key, key))
        await until(pilot, lambda: app.query_one(Input).value == "月/")

    drive(poem_file(tmp_path), steps)


@pytest.mark.parametrize("language", ["zh-Hans", "zh-Hant"])
def test_in_chinese_the_pane_still_fits(language: str) -> None:
    i18n.use(language)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert {cell_len(line) for line in lines_of(app)} == {80}
        for key in ("s", "h", "o", "e", "g"):
            await pilot.press(key)
            await settle(pilot)
            assert len(app.screen_stack) == 2, key
            assert {cell_len(line) for line in lines_of(app)} == {80}
            await pilot.press("escape")
            await settle(pilot)

    drive(SAMPLE, steps)


def test_columns_by_file_and_width() -> None:
    rich = ("instruction", "input", "output", "author", "title", "form")
    names = {width: [column.name for column in columns_for(rich, 25_007, width)] for width in (36, 52, 79, 130)}
    assert names[130] == names[79] == ["number", "author", "title", "form", "length", "text"]
    assert names[52] == ["number", "author", "title", "length", "text"]
    assert names[36] == ["number", "author", "length", "text"]
    assert [column.name for column in columns_for(rich[:3], 10, 130)] == ["number", "length", "text"]
    for width in (36, 52, 79, 130):
        assert 2 + sum(column.cells + 1 for column in columns_for(rich, 25_007, width)) == width


def test_verse() -> None:
    assert list(verse_lines("春眠不覺曉，處處聞啼鳥。夜來風雨聲")) == ["春眠不覺曉，處處聞啼鳥。", "夜來風雨聲"]
