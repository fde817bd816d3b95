"""One measure of a run in one to three lines: its name, its course in braille, its last value. It knows no run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from tui.plain import fit
from tui.widgets.braille import DOTS_ACROSS, DOTS_DOWN, Dots, drawable, thin
from tui.widgets.chart_scale import short_value, usual_top

_LEAST_CHART_CELLS = 4


class SmallChart(Widget):
    """A line of values over steps, as high as it is laid out; with three lines the highest and lowest shown are named.

    What is higher than `tui.widgets.chart_scale` says is cut off at the top; the value at the right is never.
    """

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
        self, *, label_cells: int = 12, value_cells: int = 9, id: str | None = None, classes: str | None = None
    ) -> None:
        """A chart of nothing; charts above each other line up by the same cells for label and value."""
        super().__init__(id=id, classes=classes)
        self._label_cells, self._value_cells = label_cells, value_cells
        self._points: Sequence[tuple[int, float]] = ()
        self._label = ""
        self._format: Callable[[float], str] = short_value
        self._strips: list[Strip] = []
        self._drawn_size = Size(-1, -1)

    def show(
        self, points: Sequence[tuple[int, float]], label: str, format_value: Callable[[float], str] = short_value
    ) -> None:
        """Show other data; where it equals what is shown, nothing happens.

        Args:
            points: (step, value), steps ascending, not changed afterwards; what isn't finite is not drawn.
            label: Its name, translated.
            format_value: A value in words, its unit included; the same function at every call.
        """
        if (points, label, format_value) == (self._points, self._label, self._format):
            return
        self._points, self._label, self._format = points, label, format_value
        self._draw_again()

    def render_line(self, y: int) -> Strip:
        """The line at `y` from the top."""
        if self._drawn_size != self.size:
            self._strips, self._drawn_size = self._draw(), self.size
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def notify_style_update(self) -> None:
        """Another theme: all is to be drawn anew."""
        super().notify_style_update()
        self._drawn_size = Size(-1, -1)

    def _draw_again(self) -> None:
        before, size = self._strips, self._drawn_size
        if size != self.size:
            self.refresh()
            return
        self._strips = self._draw()
        if before != self._strips:
            self.refresh()

    def _draw(self) -> list[Strip]:
        width, height = self.size
        last = self._format(self._points[-1][1]) if self._points else "–"
        value_cells = min(self._value_cells, width)
        label_cells = min(self._label_cells, width - value_cells)
        chart_cells = width - label_cells - value_cells - 2
        if chart_cells < _LEAST_CHART_CELLS:
            chart_cells, label_cells = 0, max(0, width - value_cells - 2)
        lines, low, high = self._line(chart_cells, height)
        notes = [""] * height
        notes[min(1, height - 1) if height > 2 else 0] = last
        if height > 2 and chart_cells and low < high:
            notes[0], notes[-1] = f"↑ {self._format(high)}", f"↓ {self._format(low)}"
        strips = []
        for y in range(height):
            of_value = "small-chart--value" if notes[y] == last else "small-chart--range"
            text = fit(notes[y].strip(), value_cells)
            strips.append(
                Strip(
                    [
                        Segment(
                            fit(self._label if y == 0 else "", label_cells),
                            self.get_component_rich_style("small-chart--label"),
                        ),
                        Segment(f" {lines[y]} ", self.get_component_rich_style("small-chart--line")),
                        Segment(text, self.get_component_rich_style(of_value)),
                    ]
                ).adjust_cell_length(width, self.rich_style)
            )
        return strips

    def _line(self, cells: int, rows: int) -> tuple[list[str], float, float]:
        """The course, row by row, and the lowest and highest value in it."""
        steps, values = drawable(self._points)
        if not cells or not steps:
            return [" " * cells] * rows, 0.0, 0.0
        columns = thin((steps, values), steps[0], max(steps[-1], steps[0] + 1), DOTS_ACROSS * cells)
        low = min(values)
        height = usual_top([[max(one, other) - low for _x, one, other in columns]])
        dots, last_dot = Dots(cells, rows), DOTS_DOWN * rows - 1

        def row_of(value: float) -> int:
            share = min(1.0, (value - low) / height) if height > 0 else 0.5
            return int((1 - share) * last_dot + 0.5)

        x_before, row_before = columns[0][0], row_of(columns[0][1])
        for x, one, other in columns:
            dots.line(x_before, row_before, x, row_of(one))
            x_before, row_before = x, row_of(other)
            dots.fill(x, row_of(one), row_before)
        return dots.text(), low, low + height
