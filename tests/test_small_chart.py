"""The small chart: label, course and value in their cells, and no painting without a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import nan

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from tui.widgets.small_chart import SmallChart

Points = tuple[tuple[int, float], ...]


def check(size: tuple[int, int], looks: Callable[[SmallChart, Callable[[], list[str]]], None]) -> None:
    class Host(App[None]):
        CSS = "SmallChart { height: 100%; }"

        def compose(self) -> ComposeResult:
            yield SmallChart(label_cells=6, value_cells=7)

    async def run() -> None:
        app = Host()
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            chart = app.query_one(SmallChart)
            looks(chart, lambda: [chart.render_line(y).text for y in range(size[1])])

    asyncio.run(run())


def test_every_cell() -> None:
    def looks(chart: SmallChart, lines: Callable[[], list[str]]) -> None:
        chart.show(((0, 0.0), (10, 3.0)), "rate", "{:.1f}".format, steps=10)
        assert lines() == ["rate   ⣀⠤⠒⠉     3.0"]
        chart.show(((0, 0.0), (5, nan), (10, 3.0)), "學習率", "{:.2f}".format)
        assert lines() == ["學習率 ⣀⠤⠒⠉    3.00"]
        chart.show((), "夜雨寄北", "{:.2f}".format)
        assert lines() == ["夜雨…             –"]

    check((19, 1), looks)


def test_three_lines_name_the_ends() -> None:
    def looks(chart: SmallChart, lines: Callable[[], list[str]]) -> None:
        chart.show(((1, 1.0), (2, 3.0), (3, 2.0)), "norm", "{:.0f}".format)
        assert [line[-7:] for line in lines()] == ["     ↑3", "      2", "     ↓1"]
        chart.show(((1, 2.0), (3, 2.0)), "norm", "{:.0f}".format)
        assert [line[-7:] for line in lines()] == ["       ", "      2", "       "]
        assert lines()[1][7:-8].strip(" ⠒⠤") == ""

    check((40, 3), looks)


@pytest.mark.parametrize("points", [(), ((5, nan),), ((5, 1.0),), ((1, -1e99), (2, 1e99), (900, 0.0))])
def test_any_size(points: Points) -> None:
    def looks(chart: SmallChart, lines: Callable[[], list[str]]) -> None:
        chart.show(points, "[/]\x1b[2J夜")
        assert {cell_len(line) for line in lines()} == {chart.size.width}

    for size in ((1, 1), (8, 2), (18, 1), (20, 3), (200, 3)):
        check(size, looks)


def test_only_what_changed_is_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    def looks(chart: SmallChart, lines: Callable[[], list[str]]) -> None:
        points = tuple((step, 1.0 + step % 3) for step in range(1, 100))
        chart.show(points[:90], "norm", "{:.0f}".format, steps=100)
        lines()
        painted = []
        monkeypatch.setattr(SmallChart, "refresh", lambda _chart, *regions: painted.append(regions))
        chart.show(tuple((step, value) for step, value in points[:90]), "norm", "{:.0f}".format, steps=100)
        assert painted == []
        chart.show(points[:95], "norm", "{:.0f}".format, steps=100)
        assert [region.width for regions in painted for region in regions] == [3, 7]

    check((60, 1), looks)
