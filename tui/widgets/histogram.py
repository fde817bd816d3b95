"""How often values lie where: upright bars over an axis, in eighths of a cell. It knows nothing of what is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from core.i18n import _
from tui.plain import fit

Bin = tuple[float, float, int]
"""Lowest value, the value that it ends before, and how many lie between."""
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_WIDEST_BAR = 6
_GAP_FROM = 3
_ROWS_WITH_AXIS = 3


def merged(bins: Sequence[Bin], at_most: int) -> list[Bin]:
    """The bins, as many neighbours made one as it takes to have so many at most."""
    size = max(1, ceil(len(bins) / max(1, at_most)))
    groups = [bins[first : first + size] for first in range(0, len(bins), size)]
    return [(group[0][0], group[-1][1], sum(count for _low, _high, count in group)) for group in groups]


def bar(count: int, highest: int, rows: int) -> list[str]:
    """The cells of a bar from the top; what is counted at all shows an eighth at least."""
    eighths = max(1, round(8 * rows * count / highest)) if count > 0 and highest > 0 else 0
    return [_EIGHTHS[min(8, max(0, eighths - 8 * row))] for row in range(rows - 1, -1, -1)]


class Histogram(Widget):
    """Bars of counts; the highest count stands at the left, where bins begin stands below."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {"histogram--bar", "histogram--label"}
    DEFAULT_CSS = """
    Histogram {
        height: 6;
        & > .histogram--bar { color: $text-primary; }
        & > .histogram--label { color: $text-muted; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        """A histogram of nothing."""
        super().__init__(id=id, classes=classes)
        self._bins: tuple[Bin, ...] = ()
        self._format: Callable[[float], str] = "{:g}".format
        self._strips: list[Strip] = []
        self._drawn_size = Size(-1, -1)

    def show(self, bins: Sequence[Bin], format_value: Callable[[float], str] | None = None) -> None:
        """Show other bins, ascending and of equal width; where they equal those shown, nothing happens.

        Args:
            format_value: A value on the axis in words; None: as before, at first a plain number.
        """
        if tuple(bins) == self._bins and format_value in (None, self._format):
            return
        self._bins, self._format = tuple(bins), format_value or self._format
        self._drawn_size = Size(-1, -1)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line at `y` from the top."""
        if self._drawn_size != self.size:
            self._strips, self._drawn_size = self._draw(), self.size
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def notify_style_update(self) -> None:
        """Another theme: all is to be drawn anew."""
        super().notify_style_update()
        self._drawn_size = Size(-1, -1)

    def _draw(self) -> list[Strip]:
        width, height = self.size
        label = self.get_component_rich_style("histogram--label")
        if width < 1 or height < 1:
            return []
        if not any(count for _low, _high, count in self._bins):
            return [Strip([Segment(fit(_("nothing to count"), width), label)])]
        with_axis = height >= _ROWS_WITH_AXIS
        rows = height - 1 if with_axis else height
        highest = max(count for _low, _high, count in self._bins)
        left = len(f"{highest:,}") + 1 if with_axis else 0
        if width - left < 8:
            left = 0
        bins = merged(self._bins, width - left)
        highest = max(count for _low, _high, count in bins)
        left = left and max(left, len(f"{highest:,}") + 1)
        bins = merged(bins, width - left)
        bar_cells = min(_WIDEST_BAR, (width - left) // len(bins))
        gap = 1 if bar_cells >= _GAP_FROM else 0
        bars = [bar(count, highest, rows) for _low, _high, count in bins]
        strips = []
        for row in range(rows):
            beside = {0: f"{highest:,}", rows - 1: "0"}.get(row, "").rjust(left - 1) + " " if left else ""
            cells = "".join((of_bin[row] * (bar_cells - gap)).ljust(bar_cells) for of_bin in bars)
            segments = [Segment(beside, label), Segment(cells, self.get_component_rich_style("histogram--bar"))]
            strips.append(Strip(segments).adjust_cell_length(width, self.rich_style))
        if with_axis:
            below = _axis_labels([self._format(low) for low, _high, _count in bins], bar_cells, width - left)
            strips.append(Strip([Segment(fit(" " * left + below, width), label)]))
        return strips


def _axis_labels(labels: Sequence[str], bar_cells: int, cells: int) -> str:
    """Each under the first cell of its bar, as many as there is room for, equally far apart."""
    every = ceil((max(map(len, labels)) + 1) / bar_cells)
    line = "".join(label.ljust(every * bar_cells) for label in labels[::every])
    return line[:cells] if len(line.rstrip()) <= cells else line[:cells].rpartition(" ")[0]
