"""The loss chart: its picture cell by cell, its readout, its keys, and that it paints no more than what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf, nan

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Region
from textual.pilot import Pilot

from tui.widgets.braille import drawable
from tui.widgets.chart_picture import Picture, Scene, draw, value_at
from tui.widgets.loss_chart import LossChart, Mark, Series

RAW = tuple((step, 5.0 - step / 100 + (0.5 if step % 2 else -0.5)) for step in range(1, 201))
SMOOTHED = tuple((step, 5.0 - step / 100) for step in range(1, 201))
EVALS = ((0, 5.5), (100, 4.25), (200, 3.125))


def of_run(steps: int = 200) -> tuple[Series, ...]:
    return (
        Series("raw", RAW[:steps], "loss-chart--raw", "faint"),
        Series("smoothed", SMOOTHED[:steps], "loss-chart--smoothed", "line"),
        Series("held out", tuple(point for point in EVALS if point[0] <= steps), "loss-chart--eval", "dots"),
    )


def line(*points: tuple[int, float], name: str = "loss", kind: str = "line") -> Series:
    return Series(name, points, "loss-chart--smoothed", kind)  # type: ignore[arg-type]


def picture(
    *series: Series,
    size: tuple[int, int] = (80, 20),
    window: tuple[float, float] = (0, 200),
    log: bool = False,
    cursor: int | None = None,
    marks: tuple[Mark, ...] = (),
) -> Picture:
    curves = tuple(drawable(shown.points, positive=log) for shown in series)
    return draw(Scene(series, curves, marks, *window, log, cursor), *size)


def text(drawn: Picture) -> list[str]:
    return ["".join(run for run, _styles in row) for row in drawn.rows]


class Charts(App[None]):
    CSS = "LossChart { height: 100%; }"
    BINDINGS = [Binding("escape", "note")]

    def __init__(self) -> None:
        super().__init__()
        self.chart = CountedChart()
        self.escapes = 0

    def compose(self) -> ComposeResult:
        yield self.chart

    def action_note(self) -> None:
        self.escapes += 1


class CountedChart(LossChart):
    def __init__(self) -> None:
        super().__init__()
        self.refreshed: list[tuple[Region, ...]] = []
        self.lines = 0

    def refresh(self, *regions: Region, **options: bool) -> LossChart:  # type: ignore[override]
        self.refreshed.append(regions)
        return super().refresh(*regions, **options)

    def render_line(self, y: int):  # type: ignore[no-untyped-def]
        self.lines += 1
        return super().render_line(y)

    def head(self) -> str:
        """The first line without the spaces that keep its parts in place."""
        return " ".join(self.render_line(0).text.split())


def drive(steps: Callable[[Charts, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 20)) -> None:
    async def run() -> None:
        app = Charts()
        async with app.run_test(size=size) as pilot:
            app.chart.focus()
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(run())


def test_every_cell() -> None:
    drawn = picture(
        line((0, 0.0), (10, 4.0)),
        line((5, 1.0), name="eval", kind="dots"),
        size=(21, 6),
        window=(0, 10),
        marks=(Mark(0, "checkpoint"), Mark(0, "sample"), Mark(5, "best")),
    )
    assert text(drawn) == [
        "step 10  ━ 4.000     ",
        # From dot row 11 to 2 of 12: in dot column x, (18 x + 31) // 62 rows up.
        "   5┤             ⣀⣀⠤",
        "    │      ⢀⣀⠤⠔⠒⠊⠉   ",
        "   0┤⣀⠤⠤⠒⠊⠉⠁ ◆       ",
        "    └▲───────★──────┬",
        "     0       5     10",
    ]


def test_a_line_hides_the_faint_dots_under_it() -> None:
    faint, drawn = line((0, 0.0), (10, 4.0), kind="faint"), line((0, 4.0), (10, 0.0))
    both = picture(faint, drawn, size=(40, 8), window=(0, 10))
    alone = picture(drawn, size=(40, 8), window=(0, 10))
    for row, (with_faint, without) in enumerate(zip(text(both)[1:-2], text(alone)[1:-2], strict=True)):
        for one, other in zip(with_faint, without, strict=True):
            assert other in (" ", one), row


def test_a_value_above_the_top_has_an_arrow() -> None:
    calm = [(step, 3.0 + step % 2) for step in range(1000)]
    calm[700] = 700, 90.0
    rows = text(picture(line(*calm), size=(85, 15), window=(0, 1000)))
    assert [x for x, cell in enumerate(rows[1]) if cell == "↑"] == [5 + 55]  # dot 111 of 160
    assert not any("↑" in row for row in rows[2:])


def test_a_spike_among_fifteen_thousand_points_is_seen() -> None:
    points = [(step, 3.0) for step in range(15_000)]
    points[7777] = 7777, 4.0
    rows = text(picture(line(*points), size=(105, 10), window=(0, 14_999)))
    assert [x for x, cell in enumerate(rows[1]) if cell not in " │┤40.↑"] == [5 + 100 * 7777 // 15_000]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "points",
    [
        (),
        ((0, nan),),
        ((0, inf), (1, -inf)),
        ((3, 1.0),),
        ((3, 0.0), (4, -1.0)),
        ((1, 2.0), (50, 2.0)),
        ((1, 1e-300), (50, 1e99), (60, nan)),
        ((1, -1e99), (2, 1e99)),
        ((1, 1.0), (2, 1.0 + 1e-15)),
    ],
)
def test_odd_values_at_every_size(points: tuple[tuple[int, float], ...], log: bool) -> None:
    series = [
        line(*points, name="夜[bold]雨\x1b[2J寄北\u202e", kind=kind) for kind in ("faint", "line", "dots", "line")
    ]
    for width in (0, 1, 19, 20, 21, 40, 53, 80, 200):
        for height in (0, 1, 4, 5, 6, 10, 16, 60):
            drawn = picture(*series, size=(width, height), log=log, cursor=50, marks=(Mark(50, "best"),))
            assert [cell_len(row) for row in text(drawn)] == [width] * height
            assert "\x1b" not in "".join(text(drawn))


def test_what_there_is_to_say_without_a_chart() -> None:
    assert text(picture(line()))[0].rstrip() == "no steps yet"
    assert text(picture(line((1, nan))))[0].rstrip() == "no value that can be drawn"
    assert text(picture(line((1, 2.5)), size=(19, 9)))[0].rstrip() == "2.500"
    assert text(picture(line((1, 2.5)), size=(80, 4)))[0].rstrip() == "2.500"


def test_the_value_at_a_step_is_the_last_one_up_to_it() -> None:
    series = line((10, 1.0), (20, nan), (30, 3.0))
    found = [value_at(series, step) for step in (9, 10, 19, 30, 99, None)]
    assert found == [None, 1.0, 1.0, 3.0, 3.0, 3.0]
    assert "loss nan" in text(picture(series, cursor=25))[0]


def test_names_are_shortened_before_values_are_lost() -> None:
    series = [line((1, float(value)), name="長長的名字" * 5) for value in (1, 2, 3, 4)]
    for width in (60, 80, 120):
        head = " ".join(text(picture(*series, size=(width, 20)))[:3])
        assert [f"━{number}" in head for number in (1, 2, 3, 4)] == [True] * 4
        assert [f"{number}.000" in head for number in (1, 2, 3, 4)] == [True] * 4


def test_several_lines_have_their_digit_at_their_end() -> None:
    lines = [
        line(*((step, height) for step in range(0, end + 1, 10)), name="run")
        for height, end in ((1.0, 100), (2.0, 200))
    ]
    rows = text(picture(*lines, size=(85, 12)))
    assert [row.rstrip()[-1] for row in rows[1:-2] if row[5:].strip()] == ["2", "1"]
    assert rows[-3].index("1", 5) == 5 + 40


def test_readout() -> None:
    async def steps(app: Charts, pilot: Pilot[None]) -> None:
        app.chart.show(of_run(), (), 200)
        await pilot.pause()
        assert app.chart.head() == "step 200 ━ smoothed 3.000 ◆ held out 3.125 ⣿ raw 2.500"
        await pilot.press("home", "right")
        assert app.chart.cursor == 3  # a cell of the 75 is 200 / 74 steps
        assert app.chart.head() == "step 3 ━ smoothed 4.970 ◆ held out 5.500 ⣿ raw 5.470"
        await pilot.press("left", "left")
        assert app.chart.cursor == 0
        assert app.chart.head() == "step 0 ━ smoothed – ◆ held out 5.500 ⣿ raw –"
        await pilot.press("left", "end", "right")
        assert app.chart.cursor == 200
        app.chart.show(of_run()[:2], (), 200)
        await pilot.press("home", "left")
        assert app.chart.cursor == 1  # there is no value at 0
        await pilot.press("escape", "escape")
        assert (app.chart.cursor, app.escapes) == (None, 1)

    drive(steps)


def test_zoom_stays_with_the_cursor_and_follows_the_run_without() -> None:
    async def steps(app: Charts, pilot: Pilot[None]) -> None:
        app.chart.show(of_run(100), (), 200)
        assert app.chart.window == (0, 100)
        await pilot.press("plus")
        assert app.chart.window == (50, 100)
        app.chart.show(of_run(104), (), 200)
        assert app.chart.window == (56.25, 106.25)  # an eighth of the 50 further
        await pilot.press("end")
        app.chart.show(of_run(200), (), 200)
        assert app.chart.window == (56.25, 106.25)
        assert app.chart.cursor == 104
        await pilot.press("minus")
        assert app.chart.window[1] - app.chart.window[0] == 100
        await pilot.press("minus")
        assert app.chart.window == (0, 200)
        await pilot.press("home", *["plus"] * 9)
        assert app.chart.window == (0, 8)
        await pilot.press("0")
        assert app.chart.window == (0, 200)

    drive(steps)


def test_the_cursor_takes_the_window_with_it() -> None:
    async def steps(app: Charts, pilot: Pilot[None]) -> None:
        app.chart.show(of_run(), (), 200)
        await pilot.press("plus", "plus", "home")
        assert app.chart.window == (0, 50)
        await pilot.press("end")
        assert app.chart.window == (150, 200)
        await pilot.press(*["left"] * 3)
        assert (app.chart.cursor, app.chart.window) == (197, (150, 200))  # a cell is less than a step

    drive(steps)


def test_logarithmic_and_linear() -> None:
    async def steps(app: Charts, pilot: Pilot[None]) -> None:
        points = tuple((step, 1000.0 / (step + 1)) for step in range(1000))
        app.chart.show((Series("loss", points, "loss-chart--smoothed", "line"),), (), 999)
        await pilot.press("l")
        labels = [app.chart.render_line(y).text[:4].strip() for y in range(1, 18)]
        assert [label for label in labels if label] == ["1000", "100", "10", "1"]
        await pilot.press("l")
        assert "logarithmic" not in app.chart.render_line(0).text

    drive(steps)


def test_a_click_puts_the_cursor_on_the_nearest_step_with_a_value() -> None:
    async def steps(app: Charts, pilot: Pilot[None]) -> None:
        app.chart.show((line(*((step, 1.0) for step in range(0, 201, 50))),), (), 200)
        await pilot.pause()
        await pilot.click(LossChart, offset=(5 + 30, 5))
        assert app.chart.cursor == 100  # 30 of 74 cells are 81 steps
        await pilot.click(LossChart, offset=(1, 5))
        assert app.chart.cursor == 100

    drive(steps)


def test_only_what_changed_is_painted() -> None:
    async def steps(app: Charts, pilot: Pilot[None]) -> None:
        chart = app.chart
        chart.show(of_run(141), (Mark(100, "checkpoint"),), 200)
        await pilot.pause()
        chart.refreshed.clear()
        chart.lines = 0
        chart.show(of_run(141), (Mark(100, "checkpoint"),), 200)
        await pilot.pause()
        assert (chart.refreshed, chart.lines) == ([], 0)
        chart.show(of_run(142), (Mark(100, "checkpoint"),), 200)
        await pilot.pause()
        regions = [region for regions in chart.refreshed for region in regions]
        assert 0 < sum(region.area for region in regions) < 80
        assert 0 < chart.lines <= len(regions)
        assert chart._picture is not None
        shown = [chart.render_line(y).text for y in range(20)]
        chart._picture = None
        assert [chart.render_line(y).text for y in range(20)] == shown

    drive(steps)


def test_the_screen_shows_what_a_fresh_chart_would() -> None:
    async def steps(app: Charts, pilot: Pilot[None]) -> None:
        for end in (1, 2, 3, 50, 99, 100, 101, 199, 200):
            app.chart.show(of_run(end), (Mark(end, "sample"),) if end > 50 else (), 200)
            await pilot.press(*{99: ["home"], 101: ["plus", "right"], 199: ["escape", "l"]}.get(end, []))
            await pilot.pause()
            shown = ["".join(s.text for s in strip) for strip in app.screen._compositor.render_strips()]
            app.chart._picture = None
            assert shown == [app.chart.render_line(y).text for y in range(20)]
        await pilot.resize_terminal(50, 12)
        await pilot.pause()
        assert {app.chart.render_line(y).cell_length for y in range(12)} == {50}

    drive(steps)


def test_themes_and_focus_change_only_styles() -> None:
    async def steps(app: Charts, pilot: Pilot[None]) -> None:
        app.chart.show(of_run(), (Mark(100, "best"),), 200)
        await pilot.pause()
        before = [app.chart.render_line(y) for y in range(20)]
        for theme in ("textual-light", "ansi-dark", "ansi-light"):
            app.theme = theme
            await pilot.pause()
            after = [app.chart.render_line(y) for y in range(20)]
            assert [strip.text for strip in after] == [strip.text for strip in before]
            assert after != before
            before = after

    drive(steps)
