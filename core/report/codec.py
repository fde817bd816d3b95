"""Sections as JSON values and back: for whoever makes a report in one process and shows it in another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

from core.i18n import _
from core.report.document import Bars, Block, Code, Items, RowLinks, Section, Table, Text
from core.report.words import clip

LINKED_ROWS = 300_000
"""A finding about more rows carries the first ones, and says so."""


def pack_rows(rows: Sequence[int]) -> list[int]:
    """Ascending numbers as the first one and the steps from each to the next, which are short to write."""
    return [*rows[:1], *(later - earlier for earlier, later in pairwise(rows))]


def unpack_rows(steps: Sequence[int]) -> tuple[int, ...]:
    """The other way."""
    return tuple(accumulate(steps))


def section_fields(section: Section) -> dict[str, Any]:
    """A section as JSON values; long texts but code are cut where all who show them cut them."""
    return {
        "id": section.id,
        "title": clip(section.title),
        "blocks": [[type(block).__name__, *_block_fields(block)] for block in section.blocks],
    }


def _block_fields(block: Block) -> list[Any]:
    match block:
        case Text():
            return [clip(block.text), block.tone]
        case Items():
            return [_clipped(block.items)]
        case Table():
            return [_clipped(block.header), [_clipped(row) for row in block.rows], block.right]
        case Bars():
            return [clip(block.unit), [(clip(label), count) for label, count in block.bars]]
        case Code():
            return [block.text, block.language]
        case RowLinks():
            kept = _linkable(block)
            examples = _clipped(kept.examples)
            return [kept.kind, clip(kept.title), pack_rows(kept.rows), examples, clip(kept.remedy), kept.tone]


def _clipped(texts: Sequence[str]) -> list[str]:
    return [clip(text) for text in texts]


def _linkable(links: RowLinks) -> RowLinks:
    if len(links.rows) <= LINKED_ROWS:
        return links
    more = _("Only the first {rows:,} of these rows can be gone to from here.").format(rows=LINKED_ROWS)
    return replace(links, rows=links.rows[:LINKED_ROWS], remedy=f"{links.remedy} {more}".strip())


def section_from(fields: Mapping[str, Any]) -> Section:
    """The other way.

    Raises:
        KeyError, TypeError, ValueError: it isn't a section.
    """
    return Section(fields["id"], fields["title"], tuple(_MAKERS[name](*rest) for name, *rest in fields["blocks"]))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> Table:
    return Table(tuple(header), tuple(map(tuple, rows)), tuple(right))


def _bars(unit: str, bars: Sequence[tuple[str, int]]) -> Bars:
    return Bars(unit, tuple((label, count) for label, count in bars))


def _links(kind: str, title: str, steps: Sequence[int], examples: Sequence[str], remedy: str, tone: str) -> RowLinks:
    return RowLinks(kind, title, unpack_rows(steps), tuple(examples), remedy, tone)


_MAKERS: Mapping[str, Callable[..., Block]] = {
    "Text": Text,
    "Items": lambda items: Items(tuple(items)),
    "Table": _table,
    "Bars": _bars,
    "Code": Code,
    "RowLinks": _links,
}
