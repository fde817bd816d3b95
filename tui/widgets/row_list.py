"""A list of any length of which only the visible lines are ever made. It knows nothing of what it lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.cache import LRUCache
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.i18n import N_
from tui.plain import fit

Cell = tuple[str, int] | tuple[str, int, str]
"""A column of a line: untrusted text, the terminal cells that it gets, and its look: muted, problem, warning, good or
none."""
Cells = Sequence[Cell]
"""A line's columns."""
_MARK, _NO_MARK = "› ", "  "
_STRIPS_KEPT = 512


def lay_out(cells: Cells, mark: str = _NO_MARK) -> str:
    """One line, its columns a cell apart."""
    return mark + " ".join(fit(cell[0], cell[1]) for cell in cells)


class RowList(ScrollView, can_focus=True):
    """Lines with a cursor. Of what is on the screen already, only the lines that become different are painted."""

    COMPONENT_CLASSES = {
        "row-list--cursor", "row-list--muted", "row-list--problem", "row-list--warning", "row-list--good",
    }  # fmt: skip
    DEFAULT_CSS = """
    RowList {
        overflow-x: hidden;
        scrollbar-gutter: stable;
        & > .row-list--muted { color: $text-muted; }
        & > .row-list--problem { color: $text-error; }
        & > .row-list--warning { color: $text-warning; }
        & > .row-list--good { color: $text-success; }
    }
    """
    BINDINGS = [
        Binding("up,k", "move(-1)", N_("One line up"), id="list.up", show=False),
        Binding("down,j", "move(1)", N_("One line down"), id="list.down", show=False),
        Binding("pageup", "move_page(-1)", N_("One page up"), id="list.page_up", show=False),
        Binding("pagedown", "move_page(1)", N_("One page down"), id="list.page_down", show=False),
        Binding("home", "move(-1_000_000_000)", N_("To the first line"), id="list.first", show=False),
        Binding("end", "move(1_000_000_000)", N_("To the last line"), id="list.last", show=False),
    ]

    class CursorMoved(Message):
        """The cursor is, or may be, on something else; `cursor` tells."""

    class Resized(Message):
        """There is another room for the columns."""

    def __init__(self, *, id: str) -> None:
        """An empty list."""
        super().__init__(id=id)
        self._count = 0
        self._cells_of: Callable[[int], Cells] = lambda _index: ()
        self._cursor = 0
        self._strips: LRUCache[tuple[int, int, bool, Style], Strip] = LRUCache(_STRIPS_KEPT)
        self._painted: dict[int, Strip] = {}
        self._styles: tuple[Style, Style] | None = None

    @property
    def cursor(self) -> int | None:
        """Index of the line under the cursor; None while there are no lines."""
        return self._cursor if self._count else None

    def show(self, count: int, cells_of: Callable[[int], Cells], *, cursor: int = 0) -> None:
        """Show other lines: `cells_of` gives the columns of the line with an index below `count`."""
        self._count, self._cells_of = count, cells_of
        self._strips.clear()
        self._resize_to(count)
        self.move_to(cursor)

    def grow(self, count: int, *, remake: bool = False) -> None:
        """Further lines have come at the end; those that were there stay as they are, or are laid out anew."""
        was_empty, self._count = not self._count, count
        self._cursor = max(0, min(self._cursor, count - 1))  # there may be fewer after all
        if remake:
            self._strips.clear()
        self._resize_to(count)
        self._paint_changes()
        if was_empty and count:
            self.post_message(self.CursorMoved())

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some lines; what they look like is found out once, for that goes through all ancestors."""
        self._styles = None
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """The line at `y` from the top of the view."""
        self._painted[y] = strip = self._line(y)
        return strip

    def move_to(self, index: int) -> None:
        """Put the cursor on a line, or on the end that is nearest to it."""
        self._cursor = max(0, min(index, self._count - 1))
        self.scroll_to_region(Region(0, self._cursor, 1, 1), animate=False)
        self._paint_changes()
        self.post_message(self.CursorMoved())

    def action_move(self, lines: int) -> None:
        """Move the cursor by so many lines, or to the end that is nearer than that."""
        self.move_to(self._cursor + lines)

    def action_move_page(self, pages: int) -> None:
        """Move the cursor by so many pages."""
        self.move_to(self._cursor + pages * max(1, self.scrollable_content_region.height - 1))

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked line."""
        offset = event.get_content_offset(self)
        if offset is not None and self.scroll_offset.y + offset.y < self._count:
            self.move_to(self.scroll_offset.y + offset.y)

    def on_resize(self, event: Resize) -> None:
        """Keep the cursor in view."""
        del event
        self._painted.clear()
        self.post_message(self.Resized())
        self.scroll_to_region(Region(0, self._cursor, 1, 1), animate=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Move the scroll bar, and paint the lines that become different: Textual would paint all of them."""
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = new_value
        if round(old_value) != round(new_value):
            self._paint_changes()

    def notify_style_update(self) -> None:
        """Another theme: all lines are to be made anew."""
        super().notify_style_update()
        self._strips.clear()

    def _resize_to(self, count: int) -> None:
        """What setting `virtual_size` does, but for laying out the screen and painting every line."""
        if self.virtual_size.height != count:
            self.set_reactive(RowList.virtual_size, Size(1, count))
            self._scroll_update(self.virtual_size)

    def _line(self, y: int) -> Strip:
        width, index = self.scrollable_content_region.width, self.scroll_offset.y + y
        if self._styles is None:
            self._styles = self.rich_style, self.get_component_rich_style("row-list--cursor")
        under_cursor = index == self._cursor
        style = self._styles[under_cursor and index < self._count]
        if index >= self._count:
            return Strip.blank(width, style)
        key = (index, width, under_cursor, style)
        strip = self._strips.get(key)
        if strip is None:
            strip = Strip(self._segments(index, under_cursor, style)).adjust_cell_length(width, style)
            self._strips[key] = strip
        return strip

    def _segments(self, index: int, under_cursor: bool, style: Style) -> list[Segment]:
        segments = [Segment(_MARK if under_cursor else _NO_MARK, style)]
        for text, cells, *look in self._cells_of(index):
            plain_look = under_cursor or not look or not look[0]
            own = style if plain_look else self.get_component_rich_style(f"row-list--{look[0]}")
            segments += [Segment(fit(text, cells), own), Segment(" ", style)]
        return segments

    def _paint_changes(self) -> None:
        size = self.scrollable_content_region.size
        if not size or not self.is_attached:
            return
        self._styles = None
        if not self._painted:
            self.refresh()
            return
        lines = range(size.height)
        regions = [Region(0, y, size.width, 1) for y in lines if self._line(y) != self._painted.get(y)]
        if regions:
            self.refresh(*regions)
