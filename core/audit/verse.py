"""What is wrong with rows as verse: unequal lines, an odd one, a broken rhyme, characters that no rhyme table has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from core.audit.poem import Lines
from core.data.row import Row
from core.i18n import _
from core.verse.form import REGULAR_FORMS
from core.verse.judge import Judgement

_LENGTHS = range(4, 8)
_FEWEST_ODD_LINES = 3
_MOST_SHOWN = 5
GAPS = {"先": "下平聲一先", "槎": "下平聲六麻"}
"""Characters that the rhyme table leaves out of a group of theirs (docs/verse.md, "A gap of the table")."""


def verse_length(lines: Sequence[str]) -> int | None:
    """The length, four to seven characters, that more than half of the lines have; None of what isn't verse."""
    counts = Counter(len(line) for line in lines if not line.isascii())
    if not counts:
        return None
    length, count = counts.most_common(1)[0]
    return length if length in _LENGTHS and 2 * count > len(lines) else None


def irregular_lines(rows: Sequence[Row], lines: Sequence[Lines]) -> Mapping[int, str]:
    """Verse in which a line is longer or shorter than most."""
    found: dict[int, str] = {}
    for row, own in zip(rows, lines, strict=True):
        if len(set(map(len, own))) < 2:
            continue
        usual = verse_length(own)
        if usual is None:
            continue
        number, line = next((at, line) for at, line in enumerate(own, start=1) if len(line) != usual)
        found[row.number] = _("line {line} has {count:,} characters, most have {usual}").format(
            line=number, count=len(line), usual=usual
        )
    return found


def odd_lines(rows: Sequence[Row], lines: Sequence[Lines]) -> Mapping[int, str]:
    """Verse of three, five or more lines, an odd number."""
    return {
        row.number: _("{count:,} lines").format(count=len(own))
        for row, own in zip(rows, lines, strict=True)
        if len(own) % 2 and len(own) >= _FEWEST_ODD_LINES and verse_length(own)
    }


def broken_rhyme(rows: Sequence[Row], poems: Sequence[Judgement]) -> Mapping[int, str]:
    """五絕, 七絕, 五律 and 七律 with a line end that for certain doesn't rhyme with the others."""
    found: dict[int, str] = {}
    for row, poem in zip(rows, poems, strict=True):
        if poem.rhyme or poem.form not in REGULAR_FORMS.values():
            continue
        misses = [miss for miss in poem.misses if miss.rule == "rhyme" and not _is_gap(miss.character, poem.groups)]
        if misses:
            ends = "、".join(miss.character for miss in misses)
            lines = ", ".join(str(miss.line) for miss in misses)
            group = " ".join(poem.groups)
            words = _("not in {group}: {ends} (line {lines})")
            if not group:
                words = _("rhyming with no other: {ends} (line {lines})")
            found[row.number] = words.format(ends=ends, lines=lines, group=group)
    return found


def _is_gap(character: str, groups: Sequence[str]) -> bool:
    """Whether the rhyme table, not the poem, is at fault."""
    return GAPS.get(character, "") in groups


def unknown_characters(rows: Sequence[Row], poems: Sequence[Judgement]) -> Mapping[int, str]:
    """Verse with characters that the rhyme table lacks."""
    return {
        row.number: shown_characters(poem.unknown)
        for row, poem in zip(rows, poems, strict=True)
        if poem.unknown and verse_length(poem.lines)
    }


def shown_characters(characters: str) -> str:
    """A few characters, and whether there are more."""
    shown = " ".join(characters[:_MOST_SHOWN])
    return f"{shown} …" if len(characters) > _MOST_SHOWN else shown
