"""A list of any length of which only the visible lines are ever made. It knows nothing of what it lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment
from textual.binding import Binding
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.plain import fit

Cells = Sequence[tuple[str, int]]
"""A line's columns: untrusted text, and the terminal cells that it gets."""
_MARK, _NO_MARK = "› ", "  "


def lay_out(cells: Cells, mark: str = _NO_MARK) -> str:
    """One line, its columns a cell apart."""
    return mark + " ".join(fit(text, width) for text, width in cells)


class RowList(ScrollView, can_focus=True):
    """Lines with a cursor."""

    COMPONENT_CLASSES = {"row-list--cursor"}
    BINDINGS = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "move_page(-1)", show=False),
        Binding("pagedown", "move_page(1)", show=False),
        Binding("home", "move(-1_000_000_000)", show=False),
        Binding("end", "move(1_000_000_000)", show=False),
    ]

    class CursorMoved(Message):
        """The cursor is, or may be, on something else; `cursor` tells."""

    def __init__(self, *, id: str) -> None:
        """An empty list."""
        super().__init__(id=id)
        self._count = 0
        self._cells_of: Callable[[int], Cells] = lambda _index: ()
        self._cursor = 0

    @property
    def cursor(self) -> int | None:
        """Index of the line under the cursor; None while there are no lines."""
        return self._cursor if self._count else None

    def show(self, count: int, cells_of: Callable[[int], Cells], *, cursor: int = 0) -> None:
        """Show other lines: `cells_of` gives the columns of the line with an index below `count`."""
        self._count, self._cells_of = count, cells_of
        self.virtual_size = Size(1, count)
        self._move_to(cursor)

    def render_line(self, y: int) -> Strip:
        """The line at `y` from the top of the view."""
        width, index = self.scrollable_content_region.width, self.scroll_offset.y + y
        if index >= self._count:
            return Strip.blank(width, self.rich_style)
        under_cursor = index == self._cursor
        style = self.get_component_rich_style("row-list--cursor") if under_cursor else self.rich_style
        line = lay_out(self._cells_of(index), _MARK if under_cursor else _NO_MARK)
        return Strip([Segment(line, style)]).adjust_cell_length(width, style)

    def action_move(self, lines: int) -> None:
        """Move the cursor by so many lines, or to the end that is nearer than that."""
        self._move_to(self._cursor + lines)

    def action_move_page(self, pages: int) -> None:
        """Move the cursor by so many pages."""
        self._move_to(self._cursor + pages * max(1, self.scrollable_content_region.height - 1))

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked line."""
        offset = event.get_content_offset(self)
        if offset is not None and self.scroll_offset.y + offset.y < self._count:
            self._move_to(self.scroll_offset.y + offset.y)

    def _move_to(self, index: int) -> None:
        self._cursor = max(0, min(index, self._count - 1))
        self.scroll_to_region(Region(0, self._cursor, 1, 1), animate=False)
        self.refresh()
        self.post_message(self.CursorMoved())
