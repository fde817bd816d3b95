"""A chart of losses as rows of styled text: legend, curves, axes, marks, cursor. The widget shows it and has the keys.

Where curves meet in a cell the later one has it, and a line hides the faint dots under it: so a smoothed line shows in
the midst of its raw values without any colour. Several lines are told apart by the digit at their right end, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from math import inf
from operator import itemgetter
from typing import Literal

from rich.cells import cell_len

from core.i18n import N_, _
from core.plain import plain
from tui.plain import fit
from tui.widgets.braille import DOTS_ACROSS, DOTS_DOWN, GLYPHS, Column, Curve, Dots, column_of, thin
from tui.widgets.chart_scale import Axis, short_value, step_axis, usual_top, value_axis

AXIS, LABEL, HEAD, CURSOR, ABOVE = (f"loss-chart--{part}" for part in ("axis", "label", "head", "cursor", "above"))
UNDER_CURSOR = "loss-chart--under-cursor"
MARKS = {  # the later ones are seen where several are in one cell
    "sample": ("○", "loss-chart--sample", N_("sample")),
    "checkpoint": ("▲", "loss-chart--checkpoint", N_("checkpoint")),
    "best": ("★", "loss-chart--best", N_("best")),
}
_LEAST_WIDTH, _LEAST_HEIGHT = 20, 5
_VALUE_CELLS = 6
_ROWS_BELOW = 2
_DIGIT_PLACES = 8
_USUAL_PLOT_X = 5
_ROUNDING = 1e-6
_X_LABEL_CELLS = 9
_LEGEND_ORDER = ("line", "dots", "faint")

Styles = tuple[str, ...]
"""Component classes, the later ones over the earlier; none: the widget's own style."""
Row = tuple[tuple[str, Styles], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one kind along a run."""

    name: str
    """What the legend calls it; untrusted."""
    points: Sequence[tuple[int, float]]
    """(step, value), steps ascending, not changed afterwards; what isn't finite is not drawn."""
    style: str
    """Component class that colours it."""
    kind: Literal["line", "faint", "dots"]
    """A line; values so many that they are shown faint, behind; points of their own."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a step."""

    step: int
    """When it happened."""
    kind: Literal["checkpoint", "sample", "best"]
    """What: a checkpoint was saved, a sample was made, the held-out loss was the lowest."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a picture depends on but its size."""

    series: tuple[Series, ...]
    curves: tuple[Curve, ...]
    """What is drawable of each series."""
    marks: tuple[Mark, ...]
    left: float
    """The step at the left edge."""
    right: float
    """The step at the right edge; greater than `left`."""
    log: bool
    """Whether the value axis is logarithmic; no curve then holds a value of zero or less."""
    cursor: int | None
    """The step under the cursor; None: there is none, and the legend tells the last values."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn chart."""

    rows: tuple[Row, ...]
    """Each as wide as the chart."""
    legend_rows: int
    """How many of the first ones hold text of any width; in the others a character is a cell."""
    plot_x: int = 0
    """The first cell of the curves."""
    plot_width: int = 0
    """The cells from there on; 0: nothing is drawn."""


def draw(scene: Scene, width: int, height: int) -> Picture:
    """The chart in so many cells; one line that says what there is where they are too few or nothing can be drawn."""
    if width < _LEAST_WIDTH or height < _LEAST_HEIGHT or not any(steps for steps, _values in scene.curves):
        return _note(scene, width, height)
    legend = _legend(scene, width, 1 if height < 10 else 2 if height < 16 else 3)
    rows = height - len(legend) - _ROWS_BELOW
    thinned = _thinned(scene, DOTS_ACROSS * (width - _USUAL_PLOT_X))
    axis = _value_axis(scene, thinned, rows)
    plot_x = max(_USUAL_PLOT_X, 1 + max(map(len, axis.labels), default=0))
    if plot_x != _USUAL_PLOT_X:
        thinned = _thinned(scene, DOTS_ACROSS * (width - plot_x))
    plot = _Plot(scene, thinned, axis, width - plot_x, rows)
    below = _below(scene, width, plot_x)
    return Picture((*legend, *_beside(axis, plot, plot_x - 1), *below), len(legend), plot_x, width - plot_x)


def value_at(series: Series, step: int | None) -> float | None:
    """What a series had come to at a step, None standing for its end: its value there or, if none, the one before."""
    index = len(series.points) if step is None else bisect_right(series.points, step, key=itemgetter(0))
    return series.points[index - 1][1] if index else None


def _note(scene: Scene, width: int, height: int) -> Picture:
    if not any(series.points for series in scene.series):
        text, style = _("no steps yet"), LABEL
    elif not any(steps for steps, _values in scene.curves):
        text, style = _("no value that can be drawn"), LABEL
    else:
        shown = next((s for s in scene.series if s.kind == "line" and s.points), None)
        value = value_at(shown or next(s for s in scene.series if s.points), scene.cursor)
        text, style = "–" if value is None else short_value(value), HEAD
    rows: list[Row] = [((fit(text, width), (style,)),)] if height else []
    return Picture((*rows, *[((" " * width, ()),)] * (height - 1)), min(height, 1))


def _thinned(scene: Scene, columns: int) -> list[list[Column]]:
    return [
        thin(curve, scene.left, scene.right, columns, joined=series.kind != "dots")
        for series, curve in zip(scene.series, scene.curves, strict=True)
    ]


def _value_axis(scene: Scene, thinned: Sequence[Sequence[Column]], rows: int) -> Axis:
    low = min((min(one, other) for columns in thinned for _x, one, other in columns), default=inf)
    if low == inf:  # the window is beyond the last step
        return Axis(0, 1, (), ())
    ticks = max(2, min(8, (rows + 1) // 2))
    if scene.log:
        return value_axis(low, max(max(column[1:]) for columns in thinned for column in columns), ticks, log=True)
    heights = [
        (series.kind, [(other if one < other else one) - low for _x, one, other in columns])
        for series, columns in zip(scene.series, thinned, strict=True)
        if columns
    ]
    top = usual_top(
        [of_series for kind, of_series in heights if kind != "dots"],
        [height for kind, of_series in heights if kind == "dots" for height in of_series],
    )
    return value_axis(low, low + top, ticks)


class _Plot:
    """The cells that the curves are in."""

    def __init__(self, scene: Scene, thinned: Sequence[Sequence[Column]], axis: Axis, width: int, rows: int) -> None:
        self._scene, self._width, self._rows = scene, width, rows
        self._last_dot = DOTS_DOWN * rows - 1
        self._axis, self._dots_per_height = axis, self._last_dot / axis.height(axis.high)
        self.characters = [[" "] * width for _row in range(rows)]
        self.styles: list[list[Styles]] = [[()] * width for _row in range(rows)]
        self._bits = [bytearray(width) for _row in range(rows)]
        drawn = list(zip(scene.series, thinned, strict=True))
        for kind in ("faint", "line"):
            over = [bytearray(width) for _row in range(rows)]
            for series, columns in drawn:
                if series.kind == kind:
                    self._curve(series, columns, over)
        self._digits([(series, columns) for series, columns in drawn if series.kind == "line"])
        for series, columns in drawn:
            if series.kind == "dots":
                for x, one, other in columns:
                    for value in (one, other):
                        self._put(x // DOTS_ACROSS, self._row_of(value) // DOTS_DOWN, "◆", (series.style,))
        beyond = axis.high + _ROUNDING * (axis.high - axis.low)
        for _series, columns in drawn:
            for x, one, other in columns:
                if one > beyond or other > beyond:
                    self._put(x // DOTS_ACROSS, 0, "↑", (ABOVE,))
        if scene.cursor is not None and scene.left <= scene.cursor <= scene.right:
            self._cursor(column_of(scene.cursor, scene.left, scene.right, DOTS_ACROSS * width) // DOTS_ACROSS)

    def _row_of(self, value: float) -> int:
        row = int(self._last_dot - self._axis.height(value) * self._dots_per_height + 0.5)
        return 0 if row < 0 else min(row, self._last_dot)

    def _put(self, x: int, row: int, character: str, style: Styles) -> None:
        self.characters[row][x], self.styles[row][x] = character, style

    def _curve(self, series: Series, columns: Sequence[Column], same_kind: list[bytearray]) -> None:
        dots, row_of = Dots(self._width, self._rows), self._row_of
        dots.course((x, row := row_of(one), row if one == other else row_of(other)) for x, one, other in columns)
        style = (series.style,)
        for set_dots, under, characters, styles in zip(dots.rows, same_kind, self.characters, self.styles, strict=True):
            for x in compress(range(self._width), set_dots):
                under[x] |= set_dots[x]
                characters[x], styles[x] = GLYPHS[under[x]], style

    def _digits(self, lines: Sequence[tuple[Series, Sequence[Column]]]) -> None:
        """Number the lines, if there are several, each at its right end or a little before it if that is taken."""
        taken: set[tuple[int, int]] = set()
        for number, (series, columns) in enumerate(lines, start=1):
            if len(lines) == 1 or not columns:
                continue
            places = [(x // DOTS_ACROSS, self._row_of(other) // DOTS_DOWN) for x, _one, other in columns]
            free = [place for place in places[-DOTS_ACROSS * _DIGIT_PLACES :] if place not in taken] or places[-1:]
            taken.add(free[-1])
            self._put(*free[-1], str(number % 10), (series.style, HEAD))

    def _cursor(self, x: int) -> None:
        for row in range(self._rows):
            if self.characters[row][x] == " ":
                self._put(x, row, "│", (CURSOR,))
            else:
                self.styles[row][x] = (*self.styles[row][x], UNDER_CURSOR)


def _beside(axis: Axis, plot: _Plot, label_cells: int) -> Iterator[Row]:
    """The rows of the plot with their labels at the left; of two ticks in one row, the lower has it."""
    rows = len(plot.characters)
    labels: dict[int, str] = {}
    for tick, label in zip(axis.ticks, axis.labels, strict=True):
        labels.setdefault(int((1 - axis.share(tick)) * (DOTS_DOWN * rows - 1) + 0.5) // DOTS_DOWN, label)
    for row in range(rows):
        label = labels.get(row, "")
        edge = "┤" if label else "│"
        yield (
            (label.rjust(label_cells), (LABEL,)),
            (edge, (AXIS,)),
            *_runs(plot.characters[row], plot.styles[row]),
        )


def _runs(characters: Sequence[str], styles: Sequence[Styles]) -> Iterator[tuple[str, Styles]]:
    start = 0
    if not any(styles):
        yield "".join(characters), ()
        return
    for x, style in enumerate(styles):
        if style != styles[start]:
            yield "".join(characters[start:x]), styles[start]
            start = x
    yield "".join(characters[start:]), styles[start]


def _below(scene: Scene, width: int, plot_x: int) -> tuple[Row, Row]:
    """The step axis with its marks, and its labels."""
    cells = width - plot_x
    axis = step_axis(scene.left, scene.right, max(3, min(10, cells // _X_LABEL_CELLS)))

    def cell_of(step: float) -> int:
        return column_of(step, scene.left, scene.right, DOTS_ACROSS * cells) // DOTS_ACROSS

    line: list[str] = ["─"] * cells
    styles: list[Styles] = [(AXIS,)] * cells
    labels, filled = " " * width, 0
    for tick, label in zip(axis.ticks, axis.labels, strict=True):
        line[cell_of(tick)] = "┬"
        start = min(max(plot_x + cell_of(tick) - len(label) // 2, 0), width - len(label))
        if start > filled or not filled:
            labels = labels[:start] + label + labels[start + len(label) :]
            filled = start + len(label)
    for kind, (glyph, style, _name) in MARKS.items():
        for mark in scene.marks:
            if mark.kind == kind and scene.left <= mark.step <= scene.right:
                line[cell_of(mark.step)], styles[cell_of(mark.step)] = glyph, (style,)
    if scene.cursor is not None and scene.left <= scene.cursor <= scene.right:
        styles[cell_of(scene.cursor)] = (*styles[cell_of(scene.cursor)], UNDER_CURSOR)
    return (
        ((" " * (plot_x - 1), ()), ("└", (AXIS,)), *_runs(line, styles)),
        ((labels, (LABEL,)),),
    )


def _legend(scene: Scene, width: int, most_rows: int) -> list[Row]:
    """Step and values, then what the marks mean, in as few rows as can be; names are shortened if they must."""
    lines = sum(series.kind == "line" for series in scene.series)
    last = max((series.points[-1][0] for series in scene.series if series.points), default=0)
    step = f"{last if scene.cursor is None else scene.cursor:,}".rjust(len(f"{last:,}"))
    head: Row = ((_("step {step}").format(step=step), (HEAD,) if scene.cursor is None else (HEAD, UNDER_CURSOR)),)
    names = [plain(series.name[: 4 * width]) for series in scene.series]
    longest = max(map(cell_len, names), default=0)
    kinds = {mark.kind for mark in scene.marks}
    meanings: list[Row] = [
        ((glyph, (style,)), (" " + _(name), (LABEL,))) for kind, (glyph, style, name) in MARKS.items() if kind in kinds
    ]
    if scene.log:
        meanings.append(((_("logarithmic"), (LABEL,)),))

    by_weight = sorted(zip(scene.series, names, strict=True), key=lambda pair: _LEGEND_ORDER.index(pair[0].kind))

    def values(name_cells: int) -> Iterator[Row]:
        for number, (series, name) in enumerate(by_weight, start=1):
            glyph = {"faint": "⣿", "dots": "◆"}.get(series.kind, f"━{number}" if lines > 1 else "━")
            value = value_at(series, scene.cursor)
            shown = "–" if value is None else short_value(value)
            name = name if cell_len(name) <= name_cells else fit(name, name_cells)
            yield (
                (glyph, (series.style,)),
                (f" {name} " if name_cells else " ", (LABEL,)),
                (shown.ljust(_VALUE_CELLS), (HEAD,)),
            )

    for most, name_cells, told in _choices(most_rows, longest, meanings):
        packed = _pack([head, *values(name_cells), *told], width, most)
        if packed is not None:
            return packed
    return _pack([head, *values(0)], width, most_rows, cut=True) or []


def _choices(most_rows: int, longest: int, meanings: Sequence[Row]) -> Iterator[tuple[int, int, Sequence[Row]]]:
    """Ways to lay out the legend, the best first: rows, cells of a name, what is told of the marks."""
    for told in (meanings, ()):
        for rows in range(1, most_rows + 1):
            yield rows, longest, told
    for name_cells in range(min(longest, 40), 2, -2):
        yield most_rows, name_cells, ()
    yield most_rows, 0, ()


def _pack(items: Sequence[Row], width: int, most_rows: int, *, cut: bool = False) -> list[Row] | None:
    """The items two cells apart in rows of that width; None if they need more rows and aren't to be cut."""
    rows: list[list[tuple[str, Styles]]] = [[]]
    free = width
    for item in items:
        needed = _cells(item) + (2 if rows[-1] else 0)
        if needed > free:
            if len(rows) == most_rows or _cells(item) > width:
                if not cut:
                    return None
                break
            if free:
                rows[-1].append((" " * free, ()))
            rows.append([])
            free, needed = width, _cells(item)
        rows[-1] += [("  ", ()), *item] if rows[-1] else item
        free -= needed
    if free:
        rows[-1].append((" " * free, ()))
    return [tuple(row) for row in rows]


def _cells(item: Row) -> int:
    return sum(cell_len(text) for text, _styles in item)
