"""Dots and thinning, against cells worked out by hand from the order of a braille cell's dots: 1 2 3 7 | 4 5 6 8."""

from __future__ import annotations

from math import inf, nan

import pytest

from tui.widgets.braille import Dots, drawable, thin


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        ((0, 0), (0, 0), ["⠁ ", "  "]),
        ((3, 7), (3, 7), ["  ", " ⢀"]),
        ((0, 0), (3, 0), ["⠉⠉", "  "]),
        ((1, 0), (1, 7), ["⢸ ", "⢸ "]),
        ((0, 0), (1, 3), ["⢣ ", "  "]),  # rows 0 1 in the first column, 2 3 in the second
        ((0, 3), (1, 0), ["⡜ ", "  "]),  # its mirror image
        ((0, 0), (3, 1), ["⠉⠒", "  "]),
        ((0, 0), (3, 3), ["⠑⢄", "  "]),
    ],
)
def test_lines(one: tuple[int, int], other: tuple[int, int], text: list[str]) -> None:
    dots = Dots(2, 2)
    dots.line(*one, *other)
    assert dots.text() == text


def test_a_column_is_filled_either_way() -> None:
    dots = Dots(1, 3)
    dots.fill(0, 10, 2)
    dots.fill(1, 5, 6)
    assert dots.text() == ["⡄", "⡷", "⠇"]


@pytest.mark.parametrize(
    "columns",
    [
        [(0, 0, 0), (1, 7, 7), (2, 0, 3), (3, 3, 3)],
        [(0, 6, 2), (1, 3, 5), (3, 0, 7)],
        [(1, 7, 0), (2, 1, 6), (3, 6, 1)],
        [(2, 4, 5)],
        [(0, 3, 3), (0, 5, 5), (3, 1, 1)],
    ],
)
def test_a_course_is_its_lines_and_columns(columns: list[tuple[int, int, int]]) -> None:
    course, drawn = Dots(2, 2), Dots(2, 2)
    course.course(columns)
    for x, one, other in columns:
        drawn.fill(x, one, other)
    for (x, _one, end), (next_x, start, _other) in zip(columns, columns[1:], strict=False):
        drawn.line(x, end, next_x, start)
    assert course.text() == drawn.text()


def test_what_is_drawable() -> None:
    points = [(1, 2.0), (2, nan), (3, inf), (4, -1.0), (5, -inf), (6, 1e300), (7, 0.0)]
    assert drawable(points) == ([1, 4, 7], [2.0, -1.0, 0.0])
    assert drawable(points, positive=True) == ([1], [2.0])
    assert drawable([(1, 1.0), (2, 3.0)]) == ([1, 2], [1.0, 3.0])
    assert drawable([(1, nan)]) == drawable([]) == ([], [])


def test_thinning_keeps_every_extreme() -> None:
    steps = list(range(1000))
    values = [0.0] * 1000
    values[123], values[777] = 9.0, -9.0
    columns = thin((steps, values), 0, 999, 10)
    assert columns == [(x, *{1: (0.0, 9.0), 7: (-9.0, 0.0)}.get(x, (0.0, 0.0))) for x in range(10)]


def test_thinning_tells_rise_from_fall() -> None:
    assert thin(([0, 1, 2, 10], [1.0, 5.0, 2.0, 0.0]), 0, 10, 2) == [(0, 1.0, 5.0), (1, 0.0, 0.0)]
    assert thin(([0, 1, 2, 10], [2.0, 5.0, 1.0, 0.0]), 0, 10, 2) == [(0, 5.0, 1.0), (1, 0.0, 0.0)]


def test_a_line_crosses_the_edges_of_a_window_and_lone_points_do_not() -> None:
    curve = [0, 100], [0.0, 10.0]
    assert thin(curve, 20, 60, 5) == [(0, 2.0, 2.0), (4, 6.0, 6.0)]
    assert thin(curve, 20, 60, 5, joined=False) == []
    assert thin(curve, 50, 150, 3) == [(0, 5.0, 5.0), (1, 10.0, 10.0)]
    assert thin(curve, 200, 300, 3) == []


def test_points_fill_no_more_columns_than_there_are() -> None:
    steps = list(range(0, 15_000, 7))
    columns = thin((steps, [float(step % 13) for step in steps]), 0, 15_000, 200)
    assert [x for x, _one, _other in columns] == list(range(200))
