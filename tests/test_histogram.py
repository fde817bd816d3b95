"""Bars in eighths of a cell, neighbours made one, and the axes beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from textual.app import App, ComposeResult

from tui.widgets.histogram import Bin, Histogram, bar, merged


def lines(bins: Sequence[Bin], size: tuple[int, int]) -> list[str]:
    class Host(App[None]):
        CSS = "Histogram { height: 100%; }"

        def compose(self) -> ComposeResult:
            yield Histogram()

    async def run() -> list[str]:
        app = Host()
        async with app.run_test(size=size) as pilot:
            histogram = app.query_one(Histogram)
            histogram.show(bins)
            await pilot.pause()
            shown = ["".join(s.text for s in strip) for strip in app.screen._compositor.render_strips()]
            assert {strip.cell_length for strip in app.screen._compositor.render_strips()} == {size[0]}
            return shown

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("count", "cells"),
    [(0, "   "), (1, "  ▁"), (100, "  █"), (113, " ▁█"), (250, "▄██"), (300, "███")],
)
def test_bars(count: int, cells: str) -> None:
    assert bar(count, 300, 3) == list(cells)


def test_neighbours_become_one() -> None:
    bins = [(0, 1, 5), (1, 2, 6), (2, 3, 7), (3, 4, 8), (4, 5, 9)]
    assert merged(bins, 5) == bins
    assert merged(bins, 4) == merged(bins, 3) == [(0, 2, 11), (2, 4, 15), (4, 5, 9)]
    assert merged(bins, 1) == [(0, 5, 35)]
    assert merged([], 3) == []


def test_every_cell() -> None:
    assert lines([(0, 10, 8), (10, 20, 16), (20, 30, 0), (30, 40, 1)], (23, 4)) == [
        "16      ████           ",
        "   ▄▄▄▄ ████           ",
        " 0 ████ ████      ▂▂▂▂ ",  # one and a half eighths
        "   0    10   20   30   ",
    ]


def test_more_bins_than_cells() -> None:
    assert lines([(low, low + 1, 1) for low in range(100)], (53, 3)) == [
        "2 " + "█" * 50 + " ",
        "0 " + "█" * 50 + " ",
        "  0  6  12 18 24 30 36 42 48 54 60 66 72 78 84 90 96 ",
    ]


@pytest.mark.parametrize("bins", [[], [(0, 1, 0)], [(0, 1, 1)], [(-1.5, 2e9, 123_456), (2e9, 3e9, 1)]])
def test_any_size(bins: list[Bin]) -> None:
    for size in ((1, 1), (2, 3), (7, 2), (20, 5), (200, 3)):
        lines(bins, size)
    assert lines([], (20, 2))[0].rstrip() == "nothing to count"
