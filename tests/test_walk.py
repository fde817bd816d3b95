"""What a person who walks through the app by keyboard has stumbled over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from core.runs.view import RunView
from tests.frame_stage import make_app, play, seen_panes, told_by, until
from tui.messages import OpenProfile
from tui.panes.runs_table import ORDERS, Listed, fit_table
from tui.settings import write_state
from tui.start import Start
from tui.widgets.dialogs import Choose, Confirm
from tui.widgets.row_list import RowList
from tui.wording import header_facts
from tui.workbench import RunSeen


def test_escape_in_a_list_leaves_its_arrow_keys_alive(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        rows = app.query_one("#data RowList", RowList)
        await pilot.press("escape", "escape", "down", "down")
        assert rows.cursor == 2

    play(app, steps)


def test_the_keys_of_the_pane_live_on_where_a_file_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("", encoding="utf-8")
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.focused, Input))
        app.focused.value = str(tmp_path / "empty.json")  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.data_state.problem))
        await pilot.pause()
        await pilot.press("o")
        await until(pilot, lambda: len(app.screen_stack) == 2)

    play(app, steps)


@pytest.mark.parametrize("pane", [1, 2, 3, 4, 5])
def test_the_focus_comes_back_with_the_room(tmp_path: Path, pane: int) -> None:
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("escape", str(pane))
        shown = app.pane
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: not seen_panes(app))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: seen_panes(app) == [shown])
        await until(pilot, lambda: app.focused is not None and app.query_one(f"#{shown}").has_focus_within)

    play(app, steps)


def test_a_terminal_that_grows_behind_a_dialog_has_its_panes_side_by_side(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("f1")
        await pilot.resize_terminal(200, 60)
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: len(seen_panes(app)) == 5)

    play(app, steps)


def test_a_run_that_cannot_be_read_is_not_called_at_work(tmp_path: Path) -> None:
    app = make_app(tmp_path, Start())
    view = RunView("20260101-000003-dirs", status="starting")
    app.set_reactive(type(app).runs, (RunSeen(view, tmp_path, problem="Is a directory."),))
    assert [fact.text for fact in header_facts(app)] == ["poemtui"]


def test_a_short_name_makes_the_table_no_wider_than_its_list() -> None:
    run = Listed(RunSeen(RunView("20261124-133554-my", status="running", step=11, steps=12), Path()))
    for width in range(40, 100):
        table = fit_table([run], ORDERS[0], width)
        assert sum(cells + 1 for _column, cells in table.columns) - 1 <= width - 3, width


@pytest.mark.parametrize("junk", [{"pane": []}, {"pane": {}}, {"pane": None}, {"panes": {"data": [1], "runs": 5}}])
def test_a_memory_of_any_shape_is_borne(tmp_path: Path, junk: dict[str, Any]) -> None:
    write_state(tmp_path, junk)
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.pause()
        assert app.pane == "data"

    play(app, steps)


def test_a_dialog_that_is_answered_twice_closes_nothing_else(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    answers: list[bool | None] = []

    async def steps(pilot: Pilot[None]) -> None:
        below, dialog = Choose("below", ["a", "b"]), Confirm("Delete", "all of it?", yes="Delete", danger=True)
        app.push_screen(below)
        app.push_screen(dialog, answers.append)
        await pilot.pause()
        dialog.action_answer(True)
        dialog.action_answer(False)
        dialog.action_close()
        await pilot.pause()
        assert answers == [True] and app.screen is below
        await app.push_screen(Choose("over it", ["a", "b"]))
        below.action_close()
        below.action_close()
        await pilot.pause()
        assert len(app.screen_stack) == 1

    play(app, steps)


@pytest.mark.parametrize("keys", ["f1", "ctrl+p"])
def test_help_and_palette_bear_two_escapes_at_once(tmp_path: Path, keys: str) -> None:
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(keys)
        await until(pilot, lambda: len(app.screen_stack) == 2)
        over = app.screen
        over.dismiss()
        over.dismiss()
        await pilot.pause()
        assert len(app.screen_stack) == 1

    play(app, steps)


def test_a_pipe_as_a_profile_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        app.post_message(OpenProfile(str(tmp_path / "pipe.toml")))
        await until(pilot, lambda: "no ordinary file" in " ".join(told_by(app)))

    play(app, steps)
