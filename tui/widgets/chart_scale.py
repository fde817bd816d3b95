"""Where values lie on an axis: its range, its ticks and their labels, linear or logarithmic. It knows no widget.

The range of a chart's values: the bottom is the lowest of them. The top is the highest, unless the highest twentieth of
the dot columns would take more than half of the height; then it is a tenth above the others, and what lies beyond it is
cut off with an arrow. So neither the wild losses of the first steps nor a spike squash the rest, while whatever lasts,
or keeps within twice the height, is shown whole. A point that stands alone (the held-out loss before training) is cut
off if it would more than double the height of the curves. Both ends are then moved outwards to half a tick: the picture
stands still while a run grows. A logarithmic axis cuts nothing off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

_USUAL = 0.95
_HEADROOM = 0.1
_CONSTANT = 1e-9
_MARGIN = 0.05
_ROUNDING = 1e-9
_LOG_STOPS_PER_DECADE = 20
_LOG_TICKS_FROM = 4
_RUN_LENGTHS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a chart."""

    low: float
    """Its lowest value; above zero where it is logarithmic."""
    high: float
    """Its highest value; above `low`."""
    ticks: tuple[float, ...]
    """Values with a label, ascending, none outside the two."""
    labels: tuple[str, ...]
    """Their labels."""
    log: bool = False
    """Whether equal ratios, not equal differences, are equally far apart."""

    def share(self, value: float) -> float:
        """How far up the axis a value lies: 0 at `low`, 1 at `high`, outside that beyond them."""
        return self.height(value) / self.height(self.high)

    def height(self, value: float) -> float:
        """How far above `low` a value lies: a difference or, on a logarithmic axis, a number of decades."""
        return log10(value / self.low) if self.log else value - self.low


def usual_top(curves: Sequence[Sequence[float]], points: Sequence[float] = ()) -> float:
    """The top of a chart by the rule above, as a height over its bottom.

    Args:
        curves: Of each curve, the heights of its dot columns; none without any.
        points: The heights of points that stand alone.
    """
    tops = [_usual_top(heights) for heights in curves]
    if not tops:
        return _usual_top(points)
    top = max(tops)
    return max([top, *(height for height in points if height <= 2 * top)])


def _usual_top(heights: Sequence[float]) -> float:
    ordered = sorted(heights)
    usual, highest = ordered[ceil(_USUAL * len(ordered)) - 1], ordered[-1]
    return highest if highest <= 2 * usual or usual <= 0 else (1 + _HEADROOM) * usual


def value_axis(low: float, high: float, at_most: int, *, log: bool = False) -> Axis:
    """An axis that holds two values, with so many ticks at most; both are above zero if it is logarithmic."""
    if log:
        return _log_axis(low, high, at_most)
    if high - low <= max(abs(low), abs(high)) * _CONSTANT:
        margin = abs(low) * _MARGIN or 1.0
        low, high = low - margin, high + margin
    mantissa, exponent = _tick_step(low, high, at_most)
    half = _multiple(1, mantissa, exponent, 2)
    low = _multiple(floor(low / half + _ROUNDING), mantissa, exponent, 2)
    high = _multiple(ceil(high / half - _ROUNDING), mantissa, exponent, 2)
    # A range that has grown over a tick may hold one too many.
    mantissa, exponent = _tick_step(low, high, at_most)
    ticks = _multiples(low, high, mantissa, exponent)
    return Axis(low, high, ticks, tuple(_label(tick, exponent) for tick in ticks))


def step_axis(left: float, right: float, at_most: int) -> Axis:
    """An axis from one step to another, with so many ticks at most, all of them on whole steps."""
    mantissa, exponent = _tick_step(left, right, at_most, least_exponent=0)
    ticks = _multiples(left, right, mantissa, exponent)
    return Axis(left, right, ticks, tuple(short_steps(int(tick)) for tick in ticks))


def run_end(last: int, steps: int) -> float:
    """Where the axis of a whole run ends: a little after its last step, so that it needn't move with every step.

    Args:
        last: The last step there is; 0: none.
        steps: How many the run will make; 0: not known. The axis ends there at the latest, but never before `last`.
    """
    last = max(last, 1)
    size: int = 10 ** floor(log10(last))
    end = next(length * size for length in _RUN_LENGTHS if length * size >= last)
    return max(last, min(end, steps)) if steps else end


def short_steps(step: int) -> str:
    """A step in few cells and without loss: 950, 1.2k, 1.25M."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if abs(step) >= size:
            return f"{step / size:.9g}{unit}"
    return str(step)


def short_value(value: float) -> str:
    """A value in four digits: 3.214, 12.35, 0.0123, 1.2e-05, 1,235."""
    size = abs(value)
    if not isfinite(value):
        return str(value)
    if size and size < 0.001 or size >= 1e6:
        return f"{value:.1e}"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4}f}"


def _tick_step(low: float, high: float, at_most: int, least_exponent: int = -400) -> tuple[int, int]:
    """The smallest of 1, 2 and 5 times a power of ten of which the range holds so many multiples at most."""
    exponent = max(least_exponent, floor(log10((high - low) / (at_most + 1))) - 1)
    while True:
        for mantissa in (1, 2, 5):
            step = _multiple(1, mantissa, exponent)
            if floor(high / step) - ceil(low / step) + 1 <= at_most:
                return mantissa, exponent
        exponent += 1


def _multiples(low: float, high: float, mantissa: int, exponent: int) -> tuple[float, ...]:
    step = _multiple(1, mantissa, exponent)
    return tuple(_multiple(count, mantissa, exponent) for count in range(ceil(low / step), floor(high / step) + 1))


def _multiple(count: int, mantissa: int, exponent: int, parts: int = 1) -> float:
    """count × mantissa × 10^exponent / parts without the error of repeated sums: 0.3, not 0.30000000000000004."""
    scale: int = 10 ** abs(exponent)
    return count * mantissa * scale / parts if exponent >= 0 else count * mantissa / (scale * parts)


def _label(tick: float, exponent: int) -> str:
    """A tick's label with the digits that tell it from the next one."""
    if tick and (exponent < -4 or abs(tick) >= 1e6):
        return f"{tick:.{max(0, floor(log10(abs(tick))) - exponent)}e}"
    return f"{tick:.{max(0, -exponent)}f}"


def _log_axis(low: float, high: float, at_most: int) -> Axis:
    if high / low <= 1 + _CONSTANT:
        low, high = low / (1 + _MARGIN), high * (1 + _MARGIN)
    first, last = (
        floor(log10(low) * _LOG_STOPS_PER_DECADE + _ROUNDING),
        ceil(log10(high) * _LOG_STOPS_PER_DECADE - _ROUNDING),
    )
    low, high = 10 ** (first / _LOG_STOPS_PER_DECADE), 10 ** (last / _LOG_STOPS_PER_DECADE)
    ticks = _log_ticks(low, high, at_most) if high / low >= _LOG_TICKS_FROM else ()
    if len(ticks) >= 2:
        return Axis(low, high, ticks, tuple(f"{tick:g}" for tick in ticks), log=True)
    mantissa, exponent = _tick_step(low, high, at_most)
    ticks = _multiples(low, high, mantissa, exponent)
    return Axis(low, high, ticks, tuple(_label(tick, exponent) for tick in ticks), log=True)


def _log_ticks(low: float, high: float, at_most: int) -> tuple[float, ...]:
    """1, 2 and 5 times the powers of ten between two values; if too many, powers alone, as far apart as need be."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for mantissas, stride in [((1, 2, 5), 1), *(((1,), stride) for stride in range(1, len(powers) + 1))]:
        ticks = [_multiple(1, m, power) for power in powers if power % stride == 0 for m in mantissas]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= at_most:
            return tuple(ticks)
    return ()
