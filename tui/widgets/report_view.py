"""A report to be read on the screen: its sections fold, its findings lead to rows. It knows nothing of what it reports.

Only visible lines are painted, and a section is laid out once for each width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from textual.binding import Binding
from textual.events import Click, Resize
from textual.geometry import Region
from textual.message import Message

from core.i18n import N_
from core.plain import plain
from core.report.cells import wrap
from core.report.document import Block, Code, RowLinks, Section, Text
from core.report.terminal import Line, block_lines
from core.report.words import TONE_MARKS, clip
from tui.widgets.row_list import Cells, RowList

_MARK_CELLS = 2
_FOLDED, _UNFOLDED = "▸", "▾"
_LOOKS = {"error": "problem", "faint": "muted"}
_TEXT_SECTION = -1
"""What stands before the first section."""


class _Shown(NamedTuple):
    line: Line
    section: int
    """Its index, or `_TEXT_SECTION`."""
    block: Block | None = None
    """None: the heading of the section, or what isn't in a section."""
    is_heading: bool = False


class ReportView(RowList):
    """Sections under each other, with a cursor."""

    COMPONENT_CLASSES = {"row-list--heading", "row-list--hint"}
    DEFAULT_CSS = """
    ReportView {
        & > .row-list--heading { color: $text-primary; text-style: bold; }
        & > .row-list--hint { color: $text-accent; }
    }
    """
    BINDINGS = [
        Binding("enter,space", "open", N_("Fold or follow"), id="data.review.open"),
        Binding("left", "fold", N_("Fold the section"), id="data.review.fold", show=False),
        Binding("right", "unfold", N_("Unfold the section"), id="data.review.unfold", show=False),
        Binding("minus", "fold_all", N_("Fold every section"), id="data.review.fold_all", show=False),
        Binding("plus,equals_sign", "unfold_all", N_("Unfold every section"), id="data.review.unfold_all", show=False),
    ]

    class Followed(Message):
        """The rows of a finding are wanted."""

        def __init__(self, links: RowLinks) -> None:
            super().__init__()
            self.links = links

    class Taken(Message):
        """A text to be copied is wanted."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str) -> None:
        """An empty report."""
        super().__init__(id=id)
        self._texts: tuple[Text, ...] = ()
        self._sections: tuple[Section, ...] = ()
        self._shown: list[_Shown] = []
        self._folded: set[str] = set()
        self._laid_out: dict[int, list[_Shown]] = {}
        self._width = 0

    @property
    def links(self) -> RowLinks | None:
        """The finding under the cursor."""
        block = self._shown[self.cursor].block if self.cursor is not None else None
        return block if isinstance(block, RowLinks) else None

    def show_report(self, texts: Sequence[Text], sections: Sequence[Section]) -> None:
        """Show another report, or one that has grown; what was folded stays so, and the cursor in its section.

        Args:
            texts: what stands before the first section.
            sections: in order.
        """
        known = [old is new for old, new in zip(self._sections, sections, strict=False)]
        self._laid_out = {at: lines for at, lines in self._laid_out.items() if at < len(known) and known[at]}
        self._texts, self._sections = tuple(texts), tuple(sections)
        self._lay_out()

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width
        if not width:
            return
        if width != self._width:
            self._width, self._laid_out = width, {}
        place = self._place()
        room = width - _MARK_CELLS
        shown = [_Shown(line, _TEXT_SECTION) for text in self._texts for line in block_lines(text, room)]
        for at, section in enumerate(self._sections):
            lines = self._laid_out.get(at)
            if lines is None:
                lines = self._laid_out[at] = _section_lines(section, at, room)
            folded = self._is_folded(at)
            if not folded or at == 0 or not self._is_folded(at - 1):
                shown.append(_Shown(Line(""), at - 1))
            shown += _heading_lines(section, at, room, folded=folded)
            shown += [] if folded else lines
        self._shown, self._cells_of = shown, self._cells
        self._cursor = self._index_of(place)
        self.grow(len(shown), remake=True)

    def _place(self) -> tuple[int, int]:
        """The cursor: its section, and how many lines below the beginning of that."""
        if self.cursor is None:
            return _TEXT_SECTION, 0
        section = self._shown[self.cursor].section
        return section, self.cursor - self._first(section)

    def _index_of(self, place: tuple[int, int]) -> int:
        section, below = place
        last = sum(1 for shown in self._shown if shown.section == section) - 1
        return self._first(section) + max(0, min(below, last))

    def _first(self, section: int) -> int:
        return next((at for at, shown in enumerate(self._shown) if shown.section == section), 0)

    def _cells(self, index: int) -> Cells:
        line = self._shown[index].line
        return ((line.text, self._width - _MARK_CELLS, _LOOKS.get(line.look, line.look)),)

    def on_resize(self, event: Resize) -> None:
        """Break the lines anew."""
        super().on_resize(event)
        if self.scrollable_content_region.width != self._width:
            self._lay_out()

    def on_click(self, event: Click) -> None:
        """Move the cursor there; a heading folds, a finding is followed."""
        super().on_click(event)
        offset = event.get_content_offset(self)
        if offset is not None and self.scroll_offset.y + offset.y < len(self._shown):
            self.action_open()

    def action_move_page(self, pages: int) -> None:
        """A page on: for reading, not only for the cursor."""
        lines = pages * max(1, self.scrollable_content_region.height - 1)
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False, immediate=True)
        super().action_move_page(pages)

    def action_open(self) -> None:
        """Fold or unfold the section whose heading is under the cursor; follow the finding, take the code."""
        if self.cursor is None:
            return
        shown = self._shown[self.cursor]
        match shown.block:
            case RowLinks():
                self.post_message(self.Followed(shown.block))
            case Code():
                self.post_message(self.Taken(shown.block.text))
            case None if shown.is_heading:
                self._fold({self._sections[shown.section].id}, not self._is_folded(shown.section))

    def action_fold(self) -> None:
        """Fold the section under the cursor."""
        self._fold_here(True)

    def action_unfold(self) -> None:
        """Unfold it."""
        self._fold_here(False)

    def _fold_here(self, folded: bool) -> None:
        section = _TEXT_SECTION if self.cursor is None else self._shown[self.cursor].section
        if section != _TEXT_SECTION and self._is_folded(section) != folded:
            self._fold({self._sections[section].id}, folded)

    def action_fold_all(self) -> None:
        """Leave only the headings."""
        self._fold({section.id for section in self._sections}, True)

    def action_unfold_all(self) -> None:
        """Show everything."""
        self._fold({section.id for section in self._sections}, False)

    def _is_folded(self, section: int) -> bool:
        return self._sections[section].id in self._folded

    def _fold(self, ids: set[str], folded: bool) -> None:
        place = self._place()
        self._folded = self._folded | ids if folded else self._folded - ids
        self._lay_out()
        if folded:
            self.move_to(self._index_of((place[0], 0)))
        elif place[0] != _TEXT_SECTION:  # as much of the section as there is room for
            heading, height = self._index_of((place[0], 0)), self.scrollable_content_region.height
            lines = min(height, len(self._laid_out[place[0]]) + 1)
            self.scroll_to_region(Region(0, heading, 1, lines), animate=False)


def _heading_lines(section: Section, at: int, room: int, *, folded: bool) -> list[_Shown]:
    """The heading, with the marks of what is in the section and how often."""
    tones = Counter(block.tone for block in section.blocks if isinstance(block, Text | RowLinks) and block.tone)
    marks = " ".join(f"{mark}{tones[tone]}" for tone, mark in reversed(TONE_MARKS.items()) if tones[tone])
    text = f"{_FOLDED if folded else _UNFOLDED} {plain(clip(section.title))}  {marks}".rstrip()
    return [_Shown(Line(line, "heading"), at, is_heading=True) for line in wrap(text, room)]


def _section_lines(section: Section, at: int, room: int) -> list[_Shown]:
    shown: list[_Shown] = []
    for block in section.blocks:
        shown.append(_Shown(Line(""), at))
        shown += (_Shown(line, at, block) for line in block_lines(block, room))
    return shown
