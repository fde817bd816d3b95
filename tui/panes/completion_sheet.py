"""The poems of a completion on the screen: only visible lines are made, and only lines that changed are painted."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.i18n import N_
from tui.panes.completion_history import Entry, Poem
from tui.panes.completion_layout import Layout, Line, Sheet
from tui.plain import fit

_STYLES = ("head", "given", "foot", "cut", "bar", "note")


class PoemSheet(ScrollView, can_focus=True):
    """Cards with a cursor; without any, a few lines that say what to do."""

    COMPONENT_CLASSES = {f"poem-sheet--{name}" for name in _STYLES}
    BINDINGS = [
        Binding("down,j,right", "move(1)", N_("Next poem"), id="complete.next", show=False),
        Binding("up,k,left", "move(-1)", N_("Previous poem"), id="complete.previous", show=False),
        Binding("home", "move(-1_000_000)", N_("First poem"), id="complete.first", show=False),
        Binding("end", "move(1_000_000)", N_("Last poem"), id="complete.last", show=False),
    ]

    class Chosen(Message):
        """The cursor is on another poem."""

    def __init__(self, *, id: str) -> None:
        """An empty sheet."""
        super().__init__(id=id)
        self._entry: Entry | None = None
        self._layout = Layout()
        self._sheet: Sheet | None = None
        self._cursor = 0
        self._note: tuple[str, ...] = ()

    @property
    def cursor(self) -> int | None:
        """Index of the poem under the cursor; None while there is none."""
        return self._cursor if self._entry is not None and self._entry.poems else None

    @property
    def poem(self) -> Poem | None:
        """The poem under the cursor."""
        return self._entry.poems[self._cursor] if self._entry is not None and self._entry.poems else None

    def note(self, lines: tuple[str, ...]) -> None:
        """What is shown while there is no poem."""
        if lines != self._note:
            self._note = lines
            self.refresh()

    def show(self, entry: Entry | None, *, other: bool) -> None:
        """Show an entry; `other` tells it from more of the one that is shown, and puts the cursor on its best place.

        That is the adapter's first poem.
        """
        self._entry = entry
        if other:
            poems = entry.poems if entry else ()
            self._cursor = next((at for at, poem in enumerate(poems) if poem.side == "adapter"), 0)
            self.scroll_to(0, 0, animate=False)
        self._lay_out(everything=other)

    def _lay_out(self, *, everything: bool) -> None:
        before = self._sheet
        width = self.scrollable_content_region.width
        drawn = self._entry is not None and self._entry.poems and width > 0
        self._sheet = sheet = self._layout.lay_out(self._entry, width) if drawn and self._entry else None
        height = sheet.tops[-1] if sheet else 0
        if self.virtual_size != Size(width, height):
            self.virtual_size = Size(width, height)
        if everything or sheet is None or before is None or before.columns != sheet.columns or before.width != width:
            self.refresh()
            return
        top = self.scroll_offset.y
        for y in range(top, top + self.scrollable_content_region.height):
            if _look(before, y) != _look(sheet, y):
                self.refresh_lines(y, 1)

    def on_resize(self, event: Resize) -> None:
        """Lay the cards out anew."""
        del event
        self._lay_out(everything=True)

    def render_line(self, y: int) -> Strip:
        """The line at `y` from the top of the view."""
        width = self.scrollable_content_region.width
        if self._sheet is None:
            return self._note_line(y, width)
        found = self._sheet.band_at(y + self.scroll_offset.y)
        if found is None:
            return Strip.blank(width, self.rich_style)
        band, line = found
        cells = self._sheet.card_cells
        strips = [
            self._card_line(card[line], band.first + at, cells)
            if line < len(card)
            else Strip.blank(cells, self.rich_style)
            for at, card in enumerate(band.cards)
        ]
        return Strip.join(strips).adjust_cell_length(width, self.rich_style)

    def _card_line(self, line: Line, card: int, cells: int) -> Strip:
        bar = "▌ " if card == self._cursor else "  "
        segments = [Segment(bar, self._style("bar"))]
        for text, name in line:
            style = self._style(name)
            if name == "head" and card == self._cursor:
                style += Style(bold=True, reverse=self.has_focus)
            segments.append(Segment(text, style))
        return Strip(segments).adjust_cell_length(cells, self.rich_style)

    def _note_line(self, y: int, width: int) -> Strip:
        at = y - 1
        if not 0 <= at < len(self._note):
            return Strip.blank(width, self.rich_style)
        return Strip([Segment(fit("  " + self._note[at], width), self._style("note"))])

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"poem-sheet--{name}") if name else self.rich_style

    def on_focus(self) -> None:
        """The cursor shows the focus."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor shows the focus."""
        self.refresh()

    def action_move(self, poems: int) -> None:
        """Move the cursor by so many poems; at either end the view goes on by a line."""
        if self._entry is None or not self._entry.poems:
            return
        wanted = max(0, min(self._cursor + poems, len(self._entry.poems) - 1))
        if wanted != self._cursor:
            self._go_to(wanted)
        else:
            self.scroll_relative(y=1 if poems > 0 else -1, animate=False)

    def on_click(self, event: Click) -> None:
        """Put the cursor on the poem that was clicked."""
        offset = event.get_content_offset(self)
        if offset is None or self._sheet is None:
            return
        card = self._sheet.card_at(offset.x, offset.y + self.scroll_offset.y)
        if card is not None:
            self._go_to(card)

    def _go_to(self, card: int) -> None:
        self._cursor = card
        if self._sheet is not None:
            lines = self._sheet.lines_of(card)
            self.scroll_to_region(Region(0, lines.start, 1, len(lines)), animate=False)
        self.refresh()
        self.post_message(self.Chosen())


def _look(sheet: Sheet, y: int) -> object:
    """What a line of a sheet looks like, for comparing it with the same line of another of the same width."""
    found = sheet.band_at(y)
    if found is None:
        return None
    band, line = found
    return band.first, [card[line] if line < len(card) else None for card in band.cards]
