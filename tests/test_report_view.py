"""The report on the screen: folded, unfolded, laid out anew, gone through by keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from core.report.document import Code, RowLinks, Section, Text
from tests.pilot import lines_of, running
from tui.widgets.report_view import ReportView

LINKS = RowLinks("k", "2 rows: k", (1, 2), ("1: x",), "Mend it.", "error")
SECTIONS = (
    Section("a", "First", (Text("one"), Text("two", "hint"))),
    Section("b", "Second", (LINKS, Code("x = 1"), Text("bad", "error"))),
    Section("c", "Third", (Text("three " * 12),)),
)


class ViewApp(App[None]):
    ENABLE_COMMAND_PALETTE = False

    def __init__(self) -> None:
        super().__init__()
        self.got: list[object] = []

    def compose(self) -> ComposeResult:
        yield ReportView(id="view")

    @property
    def view(self) -> ReportView:
        return self.query_one(ReportView)

    @property
    def lines(self) -> list[str]:
        return [line[2:].rstrip() for line in lines_of(self)]

    @property
    def here(self) -> str:
        """The line under the cursor."""
        return next(line[2:].rstrip() for line in lines_of(self) if line.startswith("› "))

    def on_report_view_followed(self, event: ReportView.Followed) -> None:
        self.got.append(event.links)

    def on_report_view_taken(self, event: ReportView.Taken) -> None:
        self.got.append(event.text)


def drive(steps: Callable[[ViewApp, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (40, 30)) -> None:
    async def run() -> None:
        app = ViewApp()
        async with running(app, size) as pilot:
            app.view.show_report([Text("Head")], SECTIONS)
            app.view.focus()
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(run())


def test_sections_stand_under_their_headings_with_what_is_in_them() -> None:
    async def steps(app: ViewApp, pilot: Pilot[None]) -> None:
        assert app.here == "Head"
        assert app.lines[:23] == [
            "Head",
            "",
            "▾ First  ›1",
            "",
            "one",
            "",
            "› two",
            "",
            "▾ Second  ✗2",
            "",
            "✗ 2 rows: k",
            "  → Mend it.",
            "  • 1: x",
            "  rows 1, 2",
            "",
            "    x = 1",
            "",
            "✗ bad",
            "",
            "▾ Third",
            "",
            "three three three three three three",
            "three three three three three three",
        ]

    drive(steps)


def test_a_heading_folds_and_unfolds_its_section() -> None:
    async def steps(app: ViewApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        assert (app.here, app.lines[3:6]) == ("▸ First  ›1", ["", "▾ Second  ✗2", ""])
        await pilot.press("space")
        await pilot.pause()
        assert (app.here, app.lines[4]) == ("▾ First  ›1", "one")
        await pilot.press("down", "down", "left")
        await pilot.pause()
        assert app.here == "▸ First  ›1"
        await pilot.press("left", "right")
        await pilot.pause()
        assert (app.here, app.lines[4]) == ("▾ First  ›1", "one")

    drive(steps)


def test_all_fold_and_unfold_around_the_cursor() -> None:
    async def steps(app: ViewApp, pilot: Pilot[None]) -> None:
        await pilot.press("end", "minus")
        await pilot.pause()
        assert app.lines[:6] == ["Head", "", "▸ First  ›1", "▸ Second  ✗2", "▸ Third", ""]
        assert app.here == "▸ Third"
        await pilot.press("plus")
        await pilot.pause()
        assert app.here == "▾ Third"
        assert "three three three" in "\n".join(app.lines)

    drive(steps, (40, 12))


def test_enter_follows_a_finding_and_takes_code_and_leaves_text_alone() -> None:
    async def steps(app: ViewApp, pilot: Pilot[None]) -> None:
        app.view.move_to(11)
        assert app.view.links == LINKS
        await pilot.press("enter")
        app.view.move_to(15)
        await pilot.press("enter")
        app.view.move_to(4)
        await pilot.press("enter")
        await pilot.pause()
        assert app.got == [LINKS, "x = 1"]
        assert await pilot.click(ReportView, offset=(4, 13))
        assert await pilot.click(ReportView, offset=(4, 8))
        await pilot.pause()
        assert app.got == [LINKS, "x = 1", LINKS]
        assert "▸ Second  ✗2" in app.lines
        assert await pilot.click(ReportView, offset=(4, 29))  # below the last line
        await pilot.pause()
        assert len(app.got) == 3

    drive(steps)


def test_what_grows_keeps_folds_cursor_and_place() -> None:
    async def steps(app: ViewApp, pilot: Pilot[None]) -> None:
        app.view.show_report([Text("Head")], SECTIONS[:2])
        app.view.move_to(2)
        await pilot.press("enter", "down", "down", "down", "down", "down")
        await pilot.pause()
        assert app.here.startswith("  → Mend it.")
        app.view.scroll_to(y=4, animate=False)
        app.view.show_report([Text("Head"), Text("and more")], SECTIONS)
        await pilot.pause()
        assert app.here.startswith("  → Mend it.")
        assert app.view.scroll_offset.y == 4
        assert app.view.links == LINKS
        app.view.show_report([], [])
        await pilot.pause()
        assert app.view.cursor is None
        await pilot.press("enter", "left", "minus", "plus")
        await pilot.pause()

    drive(steps, (40, 8))


def test_another_width_breaks_the_lines_anew() -> None:
    async def steps(app: ViewApp, pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(80, 30)
        await pilot.pause()
        assert app.lines[21:23] == [" ".join(["three"] * 12), ""]
        assert app.here == "Head"

    drive(steps)
