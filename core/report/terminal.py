"""A report as a terminal shows it: wrapped to its width, Chinese two cells wide, with or without colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from core.plain import plain
from core.report.cells import cell_width, pad, wrap
from core.report.document import Bars, Block, Code, Items, RowLinks, Section, Table, Text
from core.report.words import TONE_MARKS, bar_lengths, clip, name_rows

_COLOURS = {"good": "32", "hint": "36", "warning": "33", "error": "31", "heading": "1", "faint": "2"}
_GAP = "  "
_NARROWEST = 20
_NARROWEST_COLUMN = 6
_WIDEST_BAR = 40


class Line(NamedTuple):
    """A line of a report, as wide as it needs to be."""

    text: str
    """Without control characters."""
    look: str = ""
    """A tone, "heading", "faint" or nothing."""


def to_text(section: Section, width: int, colours: bool) -> str:
    """A section as lines, the last with its end and an empty one behind it.

    Args:
        section: what to show; what is untrusted in it is made harmless.
        width: cells of a line. Code is the one thing that may be longer.
        colours: whether escape sequences may be used.
    """
    title = wrap(plain(clip(section.title)), max(width, _NARROWEST))
    lines = [Line(line, "heading") for line in title]
    lines.append(Line("─" * max(map(cell_width, title)), "faint"))
    for block in section.blocks:
        lines += [Line(""), *block_lines(block, width)]
    return "\n".join(_dye(line) if colours else line.text for line in lines) + "\n\n"


def block_lines(block: Block, width: int) -> list[Line]:
    """A block as lines.

    Args:
        block: what to show; what is untrusted in it is made harmless.
        width: cells of a line. Code is the one thing that may be longer.
    """
    return _Page(max(width, _NARROWEST)).block(block)


def _dye(line: Line) -> str:
    return f"\x1b[{_COLOURS[line.look]}m{line.text}\x1b[0m" if line.look and line.text else line.text


class _Page:
    """The lines of blocks, for one width."""

    def __init__(self, width: int) -> None:
        self.width = width

    def block(self, block: Block) -> list[Line]:
        match block:
            case Text():
                return self._paragraph(block.text, self._lead(block.tone), block.tone)
            case Items():
                return [line for item in block.items for line in self._paragraph(item, "• ")]
            case Table():
                return list(self._table(block))
            case Bars():
                return list(self._bars(block))
            case Code():
                return [Line("    " + line) for line in plain(block.text, keep_newlines=True).split("\n")]
            case RowLinks():
                return self._links(block)

    def _lead(self, tone: str) -> str:
        return f"{TONE_MARKS[tone]} " if tone else ""

    def _paragraph(self, text: str, lead: str = "", look: str = "", *, indent: int = 0) -> list[Line]:
        """Wrapped lines: the lead before the first, as much room before the others."""
        hang = indent + cell_width(lead)
        first, *others = wrap(plain(clip(text)), self.width - hang)
        lines = [" " * indent + lead + first, *(" " * hang + line for line in others)]
        return [Line(line, look) for line in lines]

    def _links(self, links: RowLinks) -> list[Line]:
        lead = self._lead(links.tone)
        indent = cell_width(lead)
        lines = self._paragraph(links.title, lead, links.tone)
        if links.remedy:
            lines += self._paragraph(links.remedy, "→ ", indent=indent)
        for example in links.examples:
            lines += self._paragraph(example, "• ", indent=indent)
        return lines + self._paragraph(name_rows(links.rows), look="faint", indent=indent)

    def _table(self, table: Table) -> Iterator[Line]:
        rows = [tuple(plain(clip(cell)) for cell in row) for row in (table.header, *table.rows)]
        widths = _fitted([max(map(cell_width, column)) for column in zip(*rows, strict=True)], self.width)
        for number, row in enumerate(rows):
            for line in _cell_lines(row, widths, table.right):
                yield Line(line, "heading" if number == 0 else "")
            if number == 0:
                yield Line(_GAP.join("─" * width for width in widths), "faint")

    def _bars(self, bars: Bars) -> Iterator[Line]:
        labels = [plain(clip(label)) for label, _count in bars.bars]
        counts = [f"{count:,}" for _label, count in bars.bars]
        label_cells = max(map(cell_width, [*labels, plain(bars.unit)]))
        count_cells = max(map(len, counts), default=0)
        room = min(_WIDEST_BAR, self.width - label_cells - count_cells - 2 * len(_GAP))
        yield Line(pad(plain(bars.unit), label_cells, right=True), "faint")
        lengths = bar_lengths([count for _label, count in bars.bars], max(room, 1))
        for label, count, length in zip(labels, counts, lengths, strict=True):
            bar = f"{pad(label, label_cells, right=True)}{_GAP}{count:>{count_cells}}{_GAP}{'█' * length}"
            yield Line(bar.rstrip())


def _cell_lines(row: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> list[str]:
    """A table's row as lines, each cell wrapped in its column."""
    cells = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines = []
    for at in range(max(map(len, cells))):
        parts = [
            pad(lines_of[at] if at < len(lines_of) else "", width, right=column in right)
            for column, (lines_of, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append(_GAP.join(parts).rstrip())
    return lines


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """Column widths that fit into a line: the widest ones give way first, none below a few cells."""
    fitted = list(widths)
    excess = sum(fitted) + len(_GAP) * (len(fitted) - 1) - room
    while excess > 0 and max(fitted) > _NARROWEST_COLUMN:
        widest = max(fitted)
        next_widest = max([width for width in fitted if width < widest], default=0)
        at = [column for column, width in enumerate(fitted) if width == widest]
        cut = min(excess, len(at) * (widest - max(next_widest, _NARROWEST_COLUMN)))
        each, rest = divmod(cut, len(at))
        for order, column in enumerate(at):
            fitted[column] -= each + (order < rest)
        excess -= cut
    return fitted
