"""The Complete pane: what is typed, streamed, laid out, remembered and said, at both sizes and with hostile text."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from core import i18n
from core.client import ModelGone, ModelState, Superseded
from core.errors import PoemError
from core.runs.directory import create_run
from core.runs.event_log import EventLog
from core.runs.events import RunStarted
from core.runs.lock import lock_run
from tests.complete_stage import GIVEN, REST, Stage, complete, make_finished_run, play, settle, type_line
from tests.pilot import until
from tui.panes.completion_field import FirstLines
from tui.panes.completion_history import Entry, Poem, Recall, awaited, from_state, to_state
from tui.panes.completion_layout import Layout, columns_for, verse, verse_text

SIZES = [(80, 24), (120, 40)]
HOSTILE = "\x1b[2J[/][@click=app.quit]夜雨\u202e寄北\x07。"


def state_of(**known: object) -> ModelState:
    plain = {"status": "ready", "doing": "", "pid": 7, "memory_bytes": 0, "device": "", "loaded": "", "problem": ""}
    return ModelState(**{**plain, **known})


@pytest.mark.parametrize("size", SIZES)
def test_a_line_is_completed_as_it_is_written(tmp_path: Path, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        assert "Type the first line or couplet of a poem and press Enter." in app.text
        await type_line(pilot, GIVEN)
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.fake.requests))
        request = app.fake.requests[0]
        assert (request.text, request.run, request.with_base, request.count, request.seed) == (GIVEN, "", False, 1, 42)
        assert (request.profile, request.instruction) == (app.profile_state.text, None)
        assert "waits for its first token …" in app.text
        app.fake.say("欲窮")
        await until(pilot, lambda: "2 characters …" in app.text)
        assert app.said("status").startswith("writing, esc stops · no model")
        app.fake.say(done=True)
        await until(pilot, lambda: "12 tokens, ended by itself" in app.text)
        await settle(pilot)
        lines = [line.strip(" ▌").partition("│")[0].rstrip() for line in app.text.split("\n")]
        assert lines.index(REST) == lines.index(GIVEN, 3) + 1 == lines.index("base 1 · seed 42") + 2
        assert app.said("status").startswith("12 tokens, 80/s · ")
        assert app.focused is app.query_one(FirstLines)
        assert {cell_len(line) <= size[0] for line in app.text.split("\n")} == {True}

    app = Stage(tmp_path)
    play(app, steps, size)


@pytest.mark.parametrize("size", SIZES)
def test_base_and_adapter_stand_beside_each_other_with_the_same_seeds(tmp_path: Path, size: tuple[int, int]) -> None:
    run = make_finished_run(tmp_path, "tang")

    async def steps(pilot: Pilot[None]) -> None:
        app.complete_pane.use_run(run.id)
        await settle(pilot)
        assert app.said("head") == "tang writes (final), the base beside it"
        await complete(pilot, stop="length")
        request = app.fake.requests[0]
        assert (request.run, request.with_base, request.count) == (str(run.path), True, 2)
        heads = [line for line in app.text.split("\n") if "seed 43" in line]
        assert len(heads) == 1 and "base 2 · seed 43" in heads[0] and "adapter 2 · seed 43" in heads[0]
        assert app.text.count("cut off by max_new_tokens: 12") == 4
        assert app.said("status").startswith("48 tokens, base 80/s, adapter 90/s · ")
        assert app.sheet.poem is not None and app.sheet.poem.side == "adapter"

    app = Stage(tmp_path)
    play(app, steps, size, "generation.count=2")


def test_escape_stops_at_once_and_leaves_the_field_only_then(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await type_line(pilot, GIVEN)
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.fake.requests))
        app.fake.say("欲窮")
        await until(pilot, lambda: "欲窮" in app.text)
        await pilot.press("escape")
        await until(pilot, lambda: app.fake.closed == 1)
        await settle(pilot)
        assert "stopped after 2 characters" in app.text
        assert app.focused is app.query_one(FirstLines)
        await pilot.press("escape")
        assert app.focused is app.complete_pane
        await pilot.press("i")
        assert app.focused is app.query_one(FirstLines)

    app = Stage(tmp_path)
    play(app, steps)


def test_a_new_line_takes_the_place_of_the_one_being_written(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await type_line(pilot, "春眠不覺曉，")
        await pilot.press("enter")
        await until(pilot, lambda: len(app.fake.requests) == 1)
        app.fake.say("處處")
        await until(pilot, lambda: "處處" in app.text)
        app.query_one(FirstLines).value = ""
        await complete(pilot)
        assert app.fake.closed == 2
        assert [request.text for request in app.fake.requests] == ["春眠不覺曉，", GIVEN]
        shown = [(entry.text, [poem.stop for poem in entry.poems]) for entry in app.complete_pane._entries]
        assert shown == [(GIVEN, ["end"]), ("春眠不覺曉，", ["stopped"])]

    app = Stage(tmp_path)
    play(app, steps)


def test_a_burst_of_snapshots_is_painted_ten_times_a_second_at_most(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await type_line(pilot, GIVEN)
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.fake.requests))
        painted: list[int] = []
        show = app.sheet.show
        app.sheet.show = lambda entry, *, other: (painted.append(1), show(entry, other=other))  # type: ignore
        for _snapshot in range(500):
            app.fake.say("欲")
        app.fake.say(done=True)
        await until(pilot, lambda: not app.complete_pane._writing)
        assert len(painted) < 20
        assert app.sheet.poem is not None and app.sheet.poem.text == REST

    app = Stage(tmp_path)
    play(app, steps)


def test_trouble_is_told_in_place_and_the_next_completion_works(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        for error, words in (
            (ModelGone("out of memory [/]\x1b", hint="Take a smaller base."), "Take a smaller base."),
            (PoemError("there is no such base", hint="Name one."), "Name one."),
            (Superseded(), ""),
        ):
            app.query_one(FirstLines).value = GIVEN
            asked = len(app.fake.requests)
            await pilot.press("enter")
            await until(pilot, lambda asked=asked: len(app.fake.requests) > asked)
            app.fake.fail(error)
            await until(pilot, lambda: not app.complete_pane._writing)
            await settle(pilot)
            assert words in app.said("problem")
            assert str(error).partition("\x1b")[0] in app.said("problem")
        assert "\x1b" not in app.text
        app.query_one(FirstLines).value = ""
        await complete(pilot)
        assert app.said("problem") == ""
        assert REST in app.text

    app = Stage(tmp_path)
    play(app, steps)


def test_what_cannot_be_asked_is_refused_in_words(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        assert app.said("problem") == "Type the first line or couplet of a poem."
        app.profile_state = app.profile_state._replace(profile=None, problems=2)
        await type_line(pilot, GIVEN)
        await pilot.press("enter")
        await settle(pilot)
        assert "has problems" in app.said("problem") and "has problems" in app.text
        app.complete_pane.use_run("20260101-000000-none")
        await pilot.press("enter")
        await until(pilot, lambda: "There are no runs here." in app.said("problem"))
        assert app.fake.requests == []

    app = Stage(tmp_path / "empty")
    play(app, steps)


def test_the_model_process_is_told_in_words(tmp_path: Path) -> None:
    run = create_run(tmp_path, name="tang")
    loaded = {"loaded": "builtin:tang-tiny", "device": "cpu", "memory_bytes": 1_610_612_736}

    async def steps(pilot: Pilot[None]) -> None:
        def status_with(state: ModelState) -> str:
            app.model_state = state
            return app.said("status")

        assert app.said("status") == "no model is loaded; the first completion loads it"
        assert status_with(state_of(status="starting")) == "the model process starts …"
        assert status_with(state_of(status="busy", doing="loads the base")) == "loads the base"
        assert status_with(state_of(**loaded)) == "ready: builtin:tang-tiny on cpu 1.5 GB"
        again = "; the next completion loads the model again"
        with EventLog(run.events_path) as log, lock_run(run, patience_s=0):
            log.append(RunStarted(run.id, 0, 380, 20, 40, 2, "base", "cpu", "float32", 9000, 1234))
            app._look()
            await until(pilot, lambda: app.fake.unloaded == 1)
            assert status_with(state_of(status="off")) == "the device was given to the run tang" + again
        status_with(state_of(**loaded))
        await pilot.press("escape", "u")
        await until(pilot, lambda: app.fake.unloaded == 2)
        assert status_with(state_of()) == "the device is free" + again
        status_with(state_of(status="off", problem="killed: out of memory [/]"))
        assert app.said("problem") == "killed: out of memory [/]"

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("size", SIZES)
def test_hostile_output_is_harmless(tmp_path: Path, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await complete(pilot, rest=HOSTILE + "長" * 100_000)
        assert "␛[2J[/][@click=app.quit]夜雨\\u{202E}寄北␇。" in app.text.replace("\n", "")
        assert not {"\x1b", "\u202e", "\x07"} & set(app.text)
        assert app.sheet.virtual_size.height < 400
        await pilot.press("p", "end", "c")
        app.set_focus(app.sheet)
        await pilot.press("end", "c")
        await settle(pilot)
        assert "\x1b" not in app.clipboard and "\u202e" not in app.clipboard
        await pilot.press("l")
        await settle(pilot)
        assert app.is_running

    app = Stage(tmp_path)
    play(app, steps, size)


def test_simplified_text_is_converted_in_the_open(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await type_line(pilot, "白日依山尽，")
        await until(pilot, lambda: app.said("hint") != "")
        assert app.said("hint") == "Completed as: 白日依山盡，   ^t leaves it as typed"
        await pilot.press("ctrl+t")
        assert app.said("hint") == "The poems have no 尽.   ^t completes: 白日依山盡，"
        await pilot.press("enter")
        await until(pilot, lambda: len(app.fake.requests) == 1)
        await pilot.press("ctrl+t", "enter")
        await until(pilot, lambda: len(app.fake.requests) == 2)
        assert [request.text for request in app.fake.requests] == ["白日依山尽，", "白日依山盡，"]
        assert "白日依山盡，" in app.text

    app = Stage(tmp_path)
    play(app, steps)


def test_several_lines_pasted_are_one(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await type_line(pilot, "  白日依山盡，\n黃河\x1b[2J\u202e入海流。\r\n" + "長" * 5000)
        value = app.query_one(FirstLines).value
        assert value.startswith("白日依山盡，黃河[2J入海流。長") and len(value) == 2000

    app = Stage(tmp_path)
    play(app, steps)


def test_a_state_is_taken_up_again_whatever_it_holds(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, "tang")
    kept: dict[str, object] = {}

    async def first(pilot: Pilot[None]) -> None:
        app.complete_pane.use_run(run.id)
        await pilot.press("ctrl+o", "ctrl+n")
        await complete(pilot)
        kept.update(app.complete_pane.state())

    async def second(pilot: Pilot[None]) -> None:
        pane = app.complete_pane
        for broken in ({}, {"history": 7, "run": [], "text": 3}, {"history": [None, {"text": 1}, {"poems": []}]}):
            pane.restore(broken)
        assert pane._entries == []
        pane.restore(kept)
        await settle(pilot)
        assert (pane.wish.run, pane.wish.with_base, pane.wish.new_seed) == (run.id, False, True)
        assert app.query_one(FirstLines).value == GIVEN
        assert REST in app.text
        assert dict(pane.state()) == kept

    app = Stage(tmp_path)
    play(app, first)
    app = Stage(tmp_path)
    play(app, second)


@pytest.mark.parametrize("lang", ["zh-Hans", "zh-Hant"])
def test_the_pane_speaks_chinese_within_its_width(tmp_path: Path, lang: str) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+g")
        await settle(pilot)
        await pilot.press("ctrl+g")
        await complete(pilot)
        assert {cell_len(line) <= 80 for line in app.text.split("\n")} == {True}
        assert REST in app.text

    i18n.use(lang)
    app = Stage(tmp_path)
    play(app, steps)


def test_verse_is_laid_out_by_couplets_with_what_was_given_apart() -> None:
    assert list(verse("白日依山", "盡，黃河入海流。欲窮千里目，更上一層樓。", 33)) == [
        (("白日依山", "given"), ("盡，黃河入海流。", "")),
        (("欲窮千里目，更上一層樓。", ""),),
    ]
    narrow = ["".join(text for text, _style in line) for line in verse("", "故人西辭黃鶴樓，煙花三月下揚州。", 20)]
    assert narrow == ["故人西辭黃鶴樓，", "煙花三月下揚州。"]
    assert [line[0][0] for line in verse("", "長" * 25, 20)] == ["長" * 10, "長" * 10, "長" * 5]
    assert verse_text("白日依山", "盡，黃河入海流。\x1b欲窮。") == "白日依山盡，黃河入海流。\n␛欲窮。"
    assert verse("", "長" * 4005, 40) is not None
    assert list(verse("", "長" * 4005, 40))[-1] == (("… and 5 more characters", "cut"),)


def test_columns_hold_both_sides_or_one() -> None:
    assert [columns_for(1, 1, 200), columns_for(8, 1, 79), columns_for(8, 2, 120)] == [1, 2, 2]
    assert columns_for(8, 2, 145) == 4
    assert columns_for(8, 2, 53) == columns_for(8, 1, 20) == 1
    layout = Layout()
    entry = awaited(GIVEN, run="r", base="b", with_base=True, count=2, seed=1)
    sheet = layout.lay_out(entry, 79)
    order = [(side, seed) for seed in (1, 2) for side in ("base", "adapter")]
    assert [(poem.side, poem.seed) for poem in entry.poems] == order
    assert (sheet.columns, sheet.tops, sheet.lines_of(3)) == (2, (0, 4, 8), range(4, 7))
    assert [sheet.card_at(0, 0), sheet.card_at(39, 4), sheet.card_at(0, 8)] == [0, 3, None]


def test_the_history_that_is_kept_stays_small() -> None:
    long = Entry("上", "", "b", (Poem("base", 1, "長" * 40_000, 9, "end"),))
    short = [Entry(f"{number}", "", "b", (Poem("base", 1, "長", 9, "length"),)) for number in range(80)]
    assert len(to_state([long, long])) == 1
    assert list(from_state(to_state(short))) == short[:50]
    assert to_state([awaited("上", run="", base="b", with_base=False, count=3, seed=1)])[0]["poems"] == []


def test_earlier_lines_are_recalled_as_in_a_shell() -> None:
    recall, lines = Recall(), ["三", "二", "三", "一"]
    assert [recall.move(lines, "新", back) for back in (1, 1, 1, 1, -1, -1, -1, -1)] == list("三二一一二三新新")
    recall.forget()
    assert recall.move(lines, "別", 1) == "三"
    assert recall.move([], "別", -1) == "別"
