"""Points and lines as braille: two by four dots to a terminal cell. It knows no widget, no colour and no axis.

A dot's column counts from the left, its row from the top. What has more points than dot columns is thinned to the
lowest and the highest value of each column first: no spike is lost, and the work grows with the screen, not the run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import isfinite

DOTS_ACROSS, DOTS_DOWN = 2, 4
GLYPHS = tuple(chr(0x2800 + bits) for bits in range(256))
"""The character for each set of dots."""
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# By column of the cell, first and last row in it: the dots from the one to the other.
_SPANS = tuple(
    tuple(tuple(sum(bits[first : last + 1]) for last in range(DOTS_DOWN)) for first in range(DOTS_DOWN))
    for bits in _BITS
)
# Beyond it a difference of two values could overflow; no measure that is worth a chart gets there.
_LARGEST = 1e100

Curve = tuple[Sequence[int], Sequence[float]]
"""Steps, ascending, and the values at them."""
Column = tuple[int, float, float]
"""A dot column, and its lowest and highest value in the order in which they came."""


class Dots:
    """A sheet of dots, all clear at first."""

    def __init__(self, width: int, height: int) -> None:
        """A sheet of so many cells."""
        self.rows = [bytearray(width) for _row in range(height)]

    def fill(self, column: int, one: int, other: int) -> None:
        """Set the dots of a column from one row to the other, both included."""
        first, last = (one, other) if one <= other else (other, one)
        cell, spans = column // DOTS_ACROSS, _SPANS[column % DOTS_ACROSS]
        top, start = divmod(first, DOTS_DOWN)
        bottom, end = divmod(last, DOTS_DOWN)
        if top == bottom:
            self.rows[top][cell] |= spans[start][end]
            return
        self.rows[top][cell] |= spans[start][3]
        for row in range(top + 1, bottom):
            self.rows[row][cell] |= spans[0][3]
        self.rows[bottom][cell] |= spans[0][end]

    def line(self, column: int, row: int, to_column: int, to_row: int) -> None:
        """Set the dots of a line without a gap; `to_column` is not left of `column`."""
        across, down = to_column - column, to_row - row
        reached = row
        for passed in range(across):
            target = row + int(down * (passed + 0.5) / across + (0.5 if down >= 0 else -0.5))
            self.fill(column + passed, _beyond(reached, target) if passed else reached, target)
            reached = target
        self.fill(to_column, _beyond(reached, to_row) if across else reached, to_row)

    def text(self) -> list[str]:
        """The sheet, row by row."""
        return ["".join(GLYPHS[bits] for bits in row) for row in self.rows]


def _beyond(reached: int, target: int) -> int:
    """The dot after the one reached: a line of single dots isn't set twice where it steps from column to column."""
    return reached + (target > reached) - (target < reached)


def drawable(points: Sequence[tuple[int, float]], *, positive: bool = False) -> Curve:
    """The points that have a place on a chart: finite and, if `positive`, above zero."""
    if not points:
        return (), ()
    steps, values = zip(*points, strict=True)
    if isfinite(sum(values)) and max(values) < _LARGEST and min(values) > (0 if positive else -_LARGEST):
        return steps, values
    lowest = 0.0 if positive else -_LARGEST
    kept = [(step, value) for step, value in points if lowest < value < _LARGEST]  # false for NaN
    return tuple(step for step, _value in kept), tuple(value for _step, value in kept)


def column_of(step: float, left: float, right: float, columns: int) -> int:
    """The dot column of a step where `left` is in the first column and `right` in the last."""
    return int((step - left) * (columns - 1) / (right - left) + 0.5)


def thin(curve: Curve, left: float, right: float, columns: int, *, joined: bool = True) -> list[Column]:
    """The columns of a curve between two steps, those that hold nothing left out.

    Args:
        joined: The points make a line, which also crosses the edges to points outside them.
    """
    steps, values = curve
    at, end = bisect_left(steps, left), bisect_right(steps, right)
    found: list[Column] = []
    if joined and 0 < at < len(steps) and steps[at] > left:
        edge = _between(curve, at - 1, left)
        found.append((0, edge, edge))
    while at < end:
        column = column_of(steps[at], left, right, columns)
        after = bisect_left(steps, left + (column + 0.5) * (right - left) / (columns - 1), at + 1, end)
        low, high = values[at], values[at]
        if after > at + 1:
            here = values[at:after]
            low, high = min(here), max(here)
            if here.index(high) < here.index(low):
                low, high = high, low
        found.append((column, low, high))
        at = after
    if joined and 0 < end < len(steps) and steps[end - 1] < right:
        edge = _between(curve, end - 1, right)
        found.append((columns - 1, edge, edge))
    return found


def _between(curve: Curve, index: int, step: float) -> float:
    steps, values = curve
    share = (step - steps[index]) / (steps[index + 1] - steps[index])
    return values[index] + share * (values[index + 1] - values[index])
