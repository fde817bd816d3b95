"""Points and lines as braille: two by four dots to a terminal cell. It knows no widget, no colour and no axis.

A dot's column counts from the left, its row from the top. What has more points than dot columns is thinned to the
lowest and the highest value of each column first: no spike is lost, and the work grows with the screen, not the run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from math import isfinite

DOTS_ACROSS, DOTS_DOWN = 2, 4
GLYPHS = (" ", *(chr(0x2800 + bits) for bits in range(1, 256)))
"""The character for each set of dots; a space for none, because some fonts draw rings in the empty braille cell."""
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# By column of the cell, first and last row in it: the dots from the one to the other.
_SPANS = tuple(
    tuple(tuple(sum(bits[first : last + 1]) for last in range(DOTS_DOWN)) for first in range(DOTS_DOWN))
    for bits in _BITS
)
# Beyond it a difference of two values could overflow; no measure that is worth a chart gets there.
_LARGEST = 1e100

Curve = tuple[list[int], list[float]]
"""Steps, ascending, and the values at them."""
Column = tuple[int, float, float]
"""A dot column, and its lowest and highest value; the highest comes first where the values fall."""


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
        across, down, sign = to_column - column, abs(to_row - row), 1 if to_row > row else -1
        if down <= across:
            for passed in range(across + 1):
                at = row + sign * ((2 * down * passed + across) // (2 * across or 1))
                self.fill(column + passed, at, at)
            return
        reached = row
        for passed in range(across):
            # Where the line leaves this column for the next, rounded, a half towards its start.
            target = row + sign * ((down * (2 * passed + 1) + across - 1) // (2 * across))
            self.fill(column + passed, _beyond(reached, target) if passed else reached, target)
            reached = target
        self.fill(to_column, _beyond(reached, to_row) if across else reached, to_row)

    def course(self, columns: Iterable[tuple[int, int, int]]) -> None:
        """Set the dots of a line through columns, ascending, each from its first to its second row."""
        x_before, end, first, last = -1, 0, 0, 0
        for x, one, other in columns:
            if x == x_before + 1 and x:
                # What `line` would set, but with a single `fill` for each column.
                half = end + int((one - end) / 2)
                self.fill(x_before, min(first, half), max(last, half))
                entry = _beyond(half, one)
            else:
                entry = one
                if x_before >= 0:
                    self.fill(x_before, first, last)
                    self.line(x_before, end, x, one)
            first, last = (one, other) if one <= other else (other, one)
            first, last = min(first, entry), max(last, entry)
            x_before, end = x, other
        if x_before >= 0:
            self.fill(x_before, first, last)

    def text(self) -> list[str]:
        """The sheet, row by row."""
        return ["".join(GLYPHS[bits] for bits in row) for row in self.rows]


def _beyond(reached: int, target: int) -> int:
    """The dot after the one reached: a line of single dots isn't set twice where it steps from column to column."""
    return reached + (target > reached) - (target < reached)


def drawable(points: Sequence[tuple[int, float]], *, positive: bool = False) -> Curve:
    """The points that have a place on a chart: finite and, if `positive`, above zero."""
    steps, values = [step for step, _value in points], [value for _step, value in points]
    lowest = 1 / _LARGEST if positive else -_LARGEST
    if not values or isfinite(sum(values)) and lowest < min(values) and max(values) < _LARGEST:
        return steps, values
    kept = [(step, value) for step, value in points if lowest < value < _LARGEST]  # false for NaN
    return [step for step, _value in kept], [value for _step, value in kept]


def column_of(step: float, left: float, right: float, columns: int) -> int:
    """The dot column of a step where `left` is in the first column and `right` in the last."""
    return int((step - left) * ((columns - 1) / (right - left)) + 0.5)


def thin(curve: Curve, left: float, right: float, columns: int, *, joined: bool = True) -> list[Column]:
    """The columns of a curve between two steps, those that hold nothing left out.

    Args:
        joined: The points make a line, which also crosses the edges to points outside them.
    """
    steps, values = curve
    at, end = bisect_left(steps, left), bisect_right(steps, right)
    per_step = (columns - 1) / (right - left)
    found: list[Column] = []
    if joined and 0 < at < len(steps) and steps[at] > left:
        edge = _between(curve, at - 1, left)
        found.append((0, edge, edge))
    while at < end:
        step = steps[at]
        column = int((step - left) * per_step + 0.5)
        edge = left + (column + 0.5) / per_step
        # Steps are whole numbers: so many at most lie before the edge, and few are quicker to search than all.
        after = bisect_left(steps, edge, at + 1, min(end, at + 2 + int(edge - step)))
        low, high = values[at], values[at]
        if after > at + 1:
            here = values[at:after]
            low, high = min(here), max(here)
            if here[0] > here[-1]:
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
