"""A report as a Markdown document, GitHub's dialect. What is untrusted in it never becomes markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from core.plain import plain
from core.report.cells import cell_width, pad
from core.report.document import Bars, Block, Code, Items, RowLinks, Section, Table, Text
from core.report.words import TONE_MARKS, bar_lengths, clip, name_rows

_LONGEST_BAR = 40
# Within a line: whatever opens code, emphasis, a link, an image, HTML, an entity, mathematics or a cell. An underscore
# inside a word opens nothing, and keys are full of them.
_INLINE = re.compile(r"[\\`*\[<|~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w)|(?<=http):|(?<=https):|(?<=ftp):|(?<=www)\.")
# At its beginning: whatever opens a heading, a quotation, a list, a rule or the line under a heading.
_BLOCK = re.compile(r"(#{1,6}|[-+=:>]|\d{1,9}(?=[.)]))")


def to_markdown(sections: Iterable[Section], title: str) -> str:
    """The whole document, the last line with its end.

    Args:
        sections: in order.
        title: the heading of the document; may hold untrusted text.
    """
    parts = [f"# {_inline(title)}"]
    for section in sections:
        parts.append(f"## {_inline(section.title)}")
        parts += ["\n".join(_block(block)) for block in section.blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text():
            yield _lead(block.tone) + (_inline(block.text) if block.tone else _first(block.text))
        case Items():
            yield from _items(block.items)
        case Table():
            yield from _table(block)
        case Bars():
            yield from _fenced(_bars(block), "text")
        case Code():
            yield from _fenced(plain(block.text, keep_newlines=True).split("\n"), block.language)
        case RowLinks():
            yield f"{_lead(block.tone)}**{_inline(block.title)}**"
            paragraphs = (_first(text) for text in (block.remedy, name_rows(block.rows)) if text)
            yield from (line for paragraph in paragraphs for line in ("", paragraph))
            if block.examples:
                yield ""
                yield from _items(block.examples)


def _lead(tone: str) -> str:
    return _inline(TONE_MARKS[tone]) + " " if tone else ""


def _items(items: Sequence[str]) -> Iterator[str]:
    for item in items:
        yield f"- {_first(item)}"


def _table(table: Table) -> Iterator[str]:
    yield _row(table.header)
    yield "| " + " | ".join("---:" if column in table.right else "---" for column in range(len(table.header))) + " |"
    yield from map(_row, table.rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_inline, cells)) + " |"


def _bars(bars: Bars) -> Iterator[str]:
    labels = [plain(clip(label)) for label, _count in bars.bars]
    label_cells = max(map(cell_width, [*labels, plain(bars.unit)]))
    counts = [f"{count:,}" for _label, count in bars.bars]
    count_cells = max(map(len, counts), default=0)
    yield pad(plain(bars.unit), label_cells, right=True)
    lengths = bar_lengths([count for _label, count in bars.bars], _LONGEST_BAR)
    for label, count, length in zip(labels, counts, lengths, strict=True):
        yield f"{pad(label, label_cells, right=True)}  {count:>{count_cells}}  {'█' * length}".rstrip()


def _fenced(lines: Iterable[str], language: str) -> Iterator[str]:
    held = list(lines)
    # A fence is closed by one that is as long, so this one is longer than any inside.
    fence = "`" * max(3, 1 + max((len(run) for line in held for run in re.findall("`+", line)), default=0))
    yield fence + language
    yield from held
    yield fence


def _inline(text: str) -> str:
    """Text inside a line, with nothing in it that is markup."""
    return _INLINE.sub(lambda found: "\\" + found.group(), plain(clip(text)).strip())


def _first(text: str) -> str:
    """Text at the beginning of a block, the same."""
    escaped = _inline(text)
    found = _BLOCK.match(escaped)
    if found is None:
        return escaped
    opener, rest = found.group(), escaped[found.end() :]
    return f"{opener}\\{rest}" if opener.isdigit() else f"\\{escaped}"
