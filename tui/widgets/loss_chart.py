"""The chart of a run's losses, or of several runs': what it shows, its zoom, its cursor and its keys.

Frozen data comes in by `show`, and only the cells that became different are repainted. It knows no run and no event.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from math import ceil
from operator import itemgetter

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.events import Click
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from core.i18n import N_
from tui.widgets.braille import Curve, drawable
from tui.widgets.chart_picture import Mark, Picture, Row, Scene, Series, Styles, draw
from tui.widgets.chart_scale import run_end

__all__ = ["LossChart", "Mark", "Series"]

_LEAST_SPAN = 8.0
_ZOOM = 2.0
# A zoomed window follows a growing run by such parts of itself, so that not every step moves every cell.
_FOLLOW_PARTS = 8


class LossChart(Widget, can_focus=True):
    """Curves over steps with a legend that tells values: the last ones, or those at the cursor.

    The top of the value axis is chosen as `tui.widgets.chart_scale` says. Without a cursor, a zoomed chart keeps to the
    end of the run; with one, it stays where the cursor is.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {
        *(f"loss-chart--{series}" for series in ("raw", "smoothed", "eval", "run-1", "run-2", "run-3", "run-4")),
        *(f"loss-chart--{part}" for part in ("axis", "label", "head", "cursor", "under-cursor", "above")),
        *(f"loss-chart--{mark}" for mark in ("checkpoint", "sample", "best")),
    }
    DEFAULT_CSS = """
    LossChart {
        height: 1fr;
        min-height: 1;
        & > .loss-chart--raw { color: $text-muted; text-style: dim; }
        & > .loss-chart--smoothed { color: $text-primary; text-style: bold; }
        & > .loss-chart--eval { color: $text-warning; text-style: bold; }
        & > .loss-chart--run-1 { color: $text-primary; }
        & > .loss-chart--run-2 { color: $text-success; }
        & > .loss-chart--run-3 { color: $text-warning; }
        & > .loss-chart--run-4 { color: $text; }
        & > .loss-chart--axis { color: $text-muted; }
        & > .loss-chart--label { color: $text-muted; }
        & > .loss-chart--head { text-style: bold; }
        & > .loss-chart--cursor { color: $text-muted; }
        & > .loss-chart--under-cursor { text-style: reverse; }
        & > .loss-chart--above { color: $text-warning; text-style: bold; }
        & > .loss-chart--checkpoint { color: $text-success; }
        & > .loss-chart--sample { color: $text-secondary; }
        & > .loss-chart--best { color: $text-accent; text-style: bold; }
        &:focus > .loss-chart--axis { color: $text-primary; }
    }
    """
    BINDINGS = [
        Binding("l", "toggle_log", N_("Linear/logarithmic"), show=False, id="chart.log"),
        Binding("plus,equals_sign", "zoom_in", N_("Zoom in"), key_display="+", show=False, id="chart.zoom_in"),
        Binding("minus", "zoom_out", N_("Zoom out"), key_display="-", show=False, id="chart.zoom_out"),
        Binding("0", "zoom_whole", N_("Whole run"), show=False, id="chart.whole"),
        Binding("left", "move_cursor(-1)", N_("Cursor left"), show=False, id="chart.left"),
        Binding("right", "move_cursor(1)", N_("Cursor right"), show=False, id="chart.right"),
        Binding("home", "cursor_to_start", N_("Cursor to the first step"), show=False, id="chart.start"),
        Binding("end", "cursor_to_end", N_("Cursor to the last step"), show=False, id="chart.end"),
        Binding("escape", "drop_cursor", N_("No cursor"), show=False, id="chart.no_cursor"),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        """A chart of nothing."""
        super().__init__(id=id, classes=classes)
        self._series: tuple[Series, ...] = ()
        self._marks: tuple[Mark, ...] = ()
        self._steps = 0
        self._curves: dict[int, tuple[Sequence[tuple[int, float]], bool, Curve]] = {}
        self._log = False
        self._span: float | None = None
        self._left = 0.0
        self._cursor: int | None = None
        self._picture: Picture | None = None
        self._picture_size = Size(0, 0)
        self._strips: dict[int, Strip] = {}
        self._styles: dict[Styles, Style] = {}

    @property
    def cursor(self) -> int | None:
        """The step under the cursor; None: there is no cursor."""
        return self._cursor

    @property
    def window(self) -> tuple[float, float]:
        """The steps at the left and the right edge."""
        start, last = self._ends()
        whole = start, max(run_end(last, self._steps), start + 1)
        span = self._span
        if span is None or span >= whole[1] - whole[0]:
            return whole
        if self._cursor is None:
            left = ceil(last * _FOLLOW_PARTS / span) * span / _FOLLOW_PARTS - span
        else:
            left = min(max(self._left, self._cursor - span), self._cursor)
        left = max(start, min(left, whole[1] - span))
        return left, left + span

    def show(self, series: tuple[Series, ...], marks: tuple[Mark, ...] = (), steps: int = 0) -> None:
        """Show other data; where it equals what is shown, nothing happens.

        Args:
            steps: How many the run will make in all; 0: not known.
        """
        if (series, marks, steps) == (self._series, self._marks, self._steps):
            return
        self._series, self._marks, self._steps = series, marks, steps
        if not any(shown.points for shown in series):
            self._span = self._cursor = None
        elif self._cursor is not None:
            self._cursor = min(self._cursor, self._ends()[1])
        self._look_again()

    def render_line(self, y: int) -> Strip:
        """The line at `y` from the top."""
        if self._picture is None or self._picture_size != self.size:
            self._draw()
        assert self._picture is not None
        if y >= len(self._picture.rows):
            return Strip.blank(self.size.width, self.rich_style)
        if y not in self._strips:
            segments = [Segment(text, self._style_of(style)) for text, style in self._picture.rows[y]]
            self._strips[y] = Strip(segments, self.size.width)
        return self._strips[y]

    def notify_style_update(self) -> None:
        """Another theme, or another focus: the same picture in other styles."""
        super().notify_style_update()
        self._strips.clear()
        self._styles.clear()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a cursor, escape is somebody else's key."""
        return action != "drop_cursor" or self._cursor is not None

    def action_toggle_log(self) -> None:
        """Make the value axis logarithmic, or linear again."""
        self._log = not self._log
        self._look_again()

    def action_zoom_in(self) -> None:
        """Show half as many steps: those around the cursor, or the last ones."""
        self._zoom(1 / _ZOOM)

    def action_zoom_out(self) -> None:
        """Show twice as many steps."""
        self._zoom(_ZOOM)

    def action_zoom_whole(self) -> None:
        """Show the whole run."""
        self._span = None
        self._look_again()

    def action_move_cursor(self, cells: int) -> None:
        """Move the cursor by so many cells, at least to the next step with a value; at first it comes to the last."""
        if self._cursor is None:
            self._put_cursor(self._ends()[1])
            return
        left, right = self.window
        cell = (right - left) / max(1, (self._picture.plot_width if self._picture else 0) - 1)
        target = round(self._cursor + cells * cell)
        beyond = self._cursor + (1 if cells > 0 else -1)
        target = max(target, beyond) if cells > 0 else min(target, beyond)
        known = [step for step in self._neighbours(target) if (step - self._cursor) * cells > 0]
        self._put_cursor(min(known, key=lambda step: abs(step - target), default=self._cursor))

    def action_cursor_to_start(self) -> None:
        """Move the cursor to the first step."""
        self._put_cursor(min((shown.points[0][0] for shown in self._series if shown.points), default=0))

    def action_cursor_to_end(self) -> None:
        """Move the cursor to the last step."""
        self._put_cursor(self._ends()[1])

    def action_drop_cursor(self) -> None:
        """Take the cursor away."""
        self._cursor = None
        self._look_again()

    def on_click(self, event: Click) -> None:
        """Move the cursor to the step that was clicked."""
        offset, picture = event.get_content_offset(self), self._picture
        if offset is None or picture is None or offset.x < picture.plot_x or picture.plot_width < 2:
            return
        left, right = self.window
        step = left + (offset.x - picture.plot_x) * (right - left) / (picture.plot_width - 1)
        self._put_cursor(min(self._neighbours(round(step)), key=lambda known: abs(known - step), default=None))

    def _ends(self) -> tuple[int, int]:
        """The step that the axis of the whole run starts at, and the last step that has a value."""
        shown = [series.points for series in self._series if series.points]
        return min((0, *(points[0][0] for points in shown))), max((points[-1][0] for points in shown), default=0)

    def _neighbours(self, step: int) -> Iterator[int]:
        """Of each series, the last step up to `step` and the first from it on."""
        for series in self._series:
            before = bisect_right(series.points, step, key=itemgetter(0))
            after = bisect_left(series.points, step, key=itemgetter(0))
            if before:
                yield series.points[before - 1][0]
            if after < len(series.points):
                yield series.points[after][0]

    def _put_cursor(self, step: int | None) -> None:
        if step is None or not any(series.points for series in self._series):
            return
        self._left = self.window[0]
        self._cursor = step
        self._left = self.window[0]
        self._look_again()

    def _zoom(self, factor: float) -> None:
        left, right = self.window
        span = max(min(_LEAST_SPAN, right - left), (right - left) * factor)
        if self._cursor is not None:
            self._left = self._cursor - (self._cursor - left) * span / (right - left)
        self._span = span
        start, last = self._ends()
        if span >= run_end(last, self._steps) - start:
            self._span = None
        self._look_again()

    def _curve(self, index: int, series: Series) -> Curve:
        """What is drawable of a series; where it has only grown, no more than the new points are looked at."""
        points = series.points
        before, log, (steps, values) = self._curves.get(index, ((), self._log, ([], [])))
        if before is not points:
            if log != self._log or points[: len(before)] != before:
                before, steps, values = (), [], []
            new_steps, new_values = drawable(points[len(before) :], positive=self._log)
            steps += new_steps
            values += new_values
        elif log != self._log:
            steps, values = drawable(points, positive=self._log)
        self._curves[index] = points, self._log, (steps, values)
        return steps, values

    def _style_of(self, names: Styles) -> Style:
        if names not in self._styles:
            style = self.get_component_rich_style(names[0]) if names else self.rich_style
            for over in names[1:]:
                style += self.get_component_rich_style(over, partial=True)
            self._styles[names] = style
        return self._styles[names]

    def _draw(self) -> None:
        curves = tuple(self._curve(index, series) for index, series in enumerate(self._series))
        left, right = self.window
        scene = Scene(self._series, curves, self._marks, left, right, self._log, self._cursor)
        self._picture, self._picture_size = draw(scene, *self.size), self.size
        self._strips.clear()

    def _look_again(self) -> None:
        """Draw anew and repaint the cells that became different."""
        before, size = self._picture, self._picture_size
        if before is None or size != self.size:
            self._picture = None
            self.refresh()
            return
        self._draw()
        assert self._picture is not None
        after, text_rows = self._picture, max(before.legend_rows, self._picture.legend_rows)
        regions = [
            _difference(old, new, y) if y >= text_rows else _text_difference(old, new, y, size.width)
            for y, (old, new) in enumerate(zip(before.rows, after.rows, strict=True))
            if old != new
        ]
        if regions:
            self.refresh(*regions)


def _difference(old: Row, new: Row, y: int) -> Region:
    """From the first to the last cell in which two rows of single-cell characters differ."""
    cells = [[(character, style) for text, style in row for character in text] for row in (old, new)]
    different = [x for x, (one, other) in enumerate(zip(*cells, strict=True)) if one != other]
    return Region(different[0], y, different[-1] - different[0] + 1, 1)


def _text_difference(old: Row, new: Row, y: int, width: int) -> Region:
    """The same for rows of any text: whole runs, so that no wide character is cut in two."""
    start = end = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        start += cell_len(one[0])
    for one, other in zip(reversed(old), reversed(new), strict=False):
        if one != other:
            break
        end += cell_len(one[0])
    return Region(start, y, width - start - end, 1) if start + end < width else Region(0, y, width, 1)
