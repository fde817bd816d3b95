"""One measure of a run in one to three lines: its name, its course in braille, its last value. It knows no run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from tui.plain import fit
from tui.widgets.braille import DOTS_ACROSS, DOTS_DOWN, Dots, drawable, thin
from tui.widgets.chart_scale import run_end, short_value, usual_top

_LEAST_CHART_CELLS = 4
Part = tuple[str, str]
"""A piece of a line, and its component class."""


class SmallChart(Widget):
    """A line of values over the steps of a run; with three lines the highest and lowest drawn are named.

    What is higher than `tui.widgets.chart_scale` says is cut off at the top; the value at the right is never.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {"small-chart--label", "small-chart--line", "small-chart--value", "small-chart--range"}
    DEFAULT_CSS = """
    SmallChart {
        height: 1;
        & > .small-chart--label { color: $text-muted; }
        & > .small-chart--line { color: $text-primary; }
        & > .small-chart--value { text-style: bold; }
        & > .small-chart--range { color: $text-muted; }
    }
    """

    def __init__(
        self, *, label_cells: int = 12, value_cells: int = 10, id: str | None = None, classes: str | None = None
    ) -> None:
        """A chart of nothing; charts above each other line up by the same cells for label and value."""
        super().__init__(id=id, classes=classes)
        self._label_cells, self._value_cells = label_cells, value_cells
        self._points: Sequence[tuple[int, float]] = ()
        self._label = ""
        self._format: Callable[[float], str] = short_value
        self._steps = 0
        self._lines: list[list[Part]] = []
        self._drawn_size = Size(-1, -1)

    def show(
        self,
        points: Sequence[tuple[int, float]],
        label: str,
        format_value: Callable[[float], str] = short_value,
        *,
        steps: int = 0,
    ) -> None:
        """Show other data; where it equals what is shown, nothing happens.

        Args:
            points: (step, value), steps ascending, not changed afterwards; what isn't finite is not drawn.
            label: Its name, translated.
            format_value: A value in words, its unit included; the same function at every call.
            steps: How many the run will make in all; 0: not known.
        """
        if (points, label, format_value, steps) == (self._points, self._label, self._format, self._steps):
            return
        self._points, self._label, self._format, self._steps = points, label, format_value, steps
        before, size = self._lines, self._drawn_size
        if size != self.size:
            self.refresh()
            return
        self._lines = self._draw()
        regions = [
            region
            for y, (old, new) in enumerate(zip(before, self._lines, strict=True))
            for region in _differences(old, new, y)
        ]
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """The line at `y` from the top."""
        if self._drawn_size != self.size:
            self._lines, self._drawn_size = self._draw(), self.size
        if y >= len(self._lines):
            return Strip.blank(self.size.width, self.rich_style)
        segments = [Segment(text, self.get_component_rich_style(style)) for text, style in self._lines[y]]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _draw(self) -> list[list[Part]]:
        width, height = self.size
        last = self._format(self._points[-1][1]) if self._points else "–"
        value_cells = min(self._value_cells, width)
        label_cells = min(self._label_cells, width - value_cells)
        chart_cells = width - label_cells - value_cells - 2
        if chart_cells < _LEAST_CHART_CELLS:
            chart_cells, label_cells = 0, max(0, width - value_cells - 2)
        course, low, high = self._course(chart_cells, height)
        notes = [("", "small-chart--range")] * height
        if height > 2 and chart_cells and low < high:
            notes[0] = f"↑{self._format(high)}", "small-chart--range"
            notes[-1] = f"↓{self._format(low)}", "small-chart--range"
        if height:
            notes[1 if height > 2 else 0] = last, "small-chart--value"
        return [
            [
                (fit(self._label if y == 0 else "", label_cells), "small-chart--label"),
                (f" {course[y]} ", "small-chart--line"),
                (_to_the_right(note, value_cells), style),
            ]
            for y, (note, style) in enumerate(notes)
        ]

    def _course(self, cells: int, rows: int) -> tuple[list[str], float, float]:
        """The course, row by row, and the lowest and highest value drawn."""
        steps, values = drawable(self._points)
        if not cells or not steps:
            return [" " * cells] * rows, 0.0, 0.0
        left = min(steps[0], 0)
        columns = thin((steps, values), left, max(run_end(steps[-1], self._steps), left + 1), DOTS_ACROSS * cells)
        low = min(values)
        height = usual_top([[max(one, other) - low for _x, one, other in columns]])
        dots, last_dot = Dots(cells, rows), DOTS_DOWN * rows - 1

        def row_of(value: float) -> int:
            share = min(1.0, (value - low) / height) if height > 0 else 0.5
            return int((1 - share) * last_dot + 0.5)

        dots.course((x, row_of(one), row_of(other)) for x, one, other in columns)
        return dots.text(), low, low + height


def _to_the_right(text: str, cells: int) -> str:
    shown = fit(text, cells).rstrip()
    return " " * (cells - cell_len(shown)) + shown


def _differences(old: Sequence[Part], new: Sequence[Part], y: int) -> Iterator[Region]:
    """What of a line is to be repainted: label and value whole, of the course what differs."""
    start = 0
    for (one, one_style), (other, other_style) in zip(old, new, strict=True):
        cells = cell_len(other)
        if one_style == "small-chart--line":
            different = [x for x, (was, now) in enumerate(zip(one, other, strict=True)) if was != now]
            if different:
                yield Region(start + different[0], y, different[-1] - different[0] + 1, 1)
        elif (one, one_style) != (other, other_style):
            yield Region(start, y, cells, 1)
        start += cells
