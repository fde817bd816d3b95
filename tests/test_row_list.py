"""The list, alone in an app: it makes only what is seen, and paints only what becomes different."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tui.widgets.row_list import Cells, RowList, lay_out

COUNT = 25_000


class ListApp(App[None]):
    """Nothing but a list that counts the lines it is asked for and those that are painted."""

    CSS = "RowList { height: 1fr; } .row-list--cursor { background: $primary; }"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.painted: list[int] = []
        self.moved = 0
        self.suffix = ""

    def compose(self) -> ComposeResult:
        yield CountedList(id="list")

    def cells(self, index: int) -> Cells:
        self.asked.append(index)
        return ((str(index), 6, "muted"), (f"夜雨寄北{index % 7}{self.suffix}", 30))

    def on_row_list_cursor_moved(self) -> None:
        self.moved += 1

    @property
    def rows(self) -> RowList:
        return self.query_one(RowList)

    def forget(self) -> None:
        self.asked.clear()
        self.painted.clear()


class CountedList(RowList):
    """Tells the app which lines the terminal gets."""

    def render_line(self, y: int):  # type: ignore[no-untyped-def]
        self.app.painted.append(y)  # type: ignore[attr-defined]
        return super().render_line(y)


def drive(steps: Callable[[ListApp, Pilot[None]], Awaitable[None]]) -> None:
    async def run() -> None:
        app = ListApp()
        async with app.run_test(size=(60, 10)) as pilot:
            app.rows.show(COUNT, app.cells)
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(run())


def lines_of(app: App[None]) -> list[str]:
    return ["".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips()]


def test_only_visible_lines_are_made() -> None:
    async def steps(app: ListApp, pilot: Pilot[None]) -> None:
        assert set(app.asked) == set(range(10))
        app.forget()
        await pilot.press("end")
        await pilot.pause()
        assert set(app.asked) == set(range(COUNT - 10, COUNT))
        assert lines_of(app)[-1].startswith("› 24999")
        assert {cell_len(line) for line in lines_of(app)} <= set(range(61))

    drive(steps)


def test_the_cursor_repaints_two_lines_unless_it_scrolls() -> None:
    async def steps(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("down")
        await pilot.pause()
        app.forget()
        await pilot.press("j")
        await pilot.pause()
        assert sorted(set(app.painted)) == [1, 2]
        assert sorted(set(app.asked)) in ([], [2], [1, 2])
        app.forget()
        await pilot.press("k", "home")  # back up; at the top there is nowhere to go
        await pilot.pause()
        app.forget()
        await pilot.press("up")
        await pilot.pause()
        assert app.painted == []
        await pilot.press("pagedown")
        await pilot.pause()
        assert app.rows.cursor == 9
        app.forget()
        await pilot.press("down")
        await pilot.pause()
        assert sorted(set(app.painted)) == list(range(10))
        assert app.asked == [10, 10] or app.asked == [10]

    drive(steps)


def test_growing_paints_only_new_lines_and_keeps_the_place() -> None:
    async def steps(app: ListApp, pilot: Pilot[None]) -> None:
        app.rows.show(4, app.cells, cursor=2)
        await pilot.pause()
        app.forget()
        moved = app.moved
        app.rows.grow(6)
        await pilot.pause()
        assert sorted(set(app.painted)) == [4, 5]
        assert (app.rows.cursor, app.moved) == (2, moved)
        app.forget()
        app.rows.grow(1000)  # here the scroll bar comes
        await pilot.pause()
        app.forget()
        app.rows.grow(2000)
        await pilot.pause()
        assert app.painted == []
        app.rows.move_to(1999)
        await pilot.pause()
        assert lines_of(app)[-1].startswith("› 1999")
        app.rows.show(3, app.cells)
        await pilot.pause()
        assert [line[:7].rstrip() for line in lines_of(app)[:4]] == ["› 0", "  1", "  2", ""]
        assert app.rows.max_scroll_y == 0

    drive(steps)


def test_showing_the_same_again_paints_nothing() -> None:
    async def steps(app: ListApp, pilot: Pilot[None]) -> None:
        app.forget()
        app.rows.show(COUNT, app.cells)
        await pilot.pause()
        assert app.painted == []
        app.suffix = "!"
        app.rows.show(COUNT, app.cells)
        await pilot.pause()
        assert sorted(set(app.painted)) == list(range(10))

    drive(steps)


def test_an_empty_list_has_no_cursor_and_a_click_moves_it() -> None:
    async def steps(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.click(RowList, offset=(4, 6))
        assert app.rows.cursor == 6
        app.rows.show(0, app.cells)
        await pilot.press("down", "end")
        await pilot.pause()
        assert app.rows.cursor is None
        assert "".join(lines_of(app)) == ""
        await pilot.click(RowList, offset=(4, 6))
        assert app.rows.cursor is None

    drive(steps)


def test_the_list_keeps_its_cursor_in_view_when_the_terminal_shrinks() -> None:
    async def steps(app: ListApp, pilot: Pilot[None]) -> None:
        app.rows.move_to(9)
        await pilot.resize_terminal(40, 5)
        await pilot.pause()
        assert any(line.startswith("› 9") for line in lines_of(app))

    drive(steps)


def test_a_line_is_laid_out_by_cells() -> None:
    assert lay_out((("7", 3), ("夜雨寄北", 6, "muted"), ("[/]", 4))) == "  7   夜雨…  [/] "
