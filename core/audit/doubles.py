"""Rows that are there twice: the same poem, nearly the same one, the same question with another answer, and what of
the held-out poems is among the training rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.audit.near import NearTexts, folded, pairs_of, share_of
from core.audit.poem import Lines
from core.data.holdout import Split
from core.data.row import Row
from core.i18n import _

AUTHOR_COLUMNS = ("author", "authors", "poet", "writer", "作者", "詩人", "诗人")
"""The columns that hold a poem's author, in small letters, the likeliest first."""

_LONGER = 1.5
"""From so many times the size on, the shorter of two near texts is an excerpt of the longer one."""


def author_of(row: Row) -> str:
    """The poem's author; "" where no column holds it."""
    texts = {name.strip().lower(): text.strip() for name, text in row.extra.items()}
    return next((texts[name] for name in AUTHOR_COLUMNS if texts.get(name)), "")


def duplicates(rows: Sequence[Row], lines: Sequence[Lines]) -> Mapping[int, str]:
    """Rows whose poem an earlier row has too, character by character; marks don't count."""
    first: dict[Lines, Row] = {}
    found: dict[int, str] = {}
    for row, own in zip(rows, lines, strict=True):
        other = first.setdefault(own, row)
        if other is not row and own:
            words = _("the same as row {row}")
            if row.instruction != other.instruction:
                words = _("the same as row {row}, with another instruction")
            elif row.input != other.input:
                words = _("the same as row {row}, divided elsewhere")
            found[row.number] = _with_authors(words.format(row=other.number), row, other)
    return found


def same_inputs(rows: Sequence[Row], lines: Sequence[Lines]) -> Mapping[int, str]:
    """Rows with the instruction and the input of an earlier row, but not its output."""
    first: dict[tuple[str, str], int] = {}
    found: dict[int, str] = {}
    for at, row in enumerate(rows):
        asked = row.input.strip()
        if not asked:
            continue
        other = first.setdefault((row.instruction, asked), at)
        if other != at and lines[other] != lines[at]:
            found[row.number] = _("the input of row {row}").format(row=rows[other].number)
    return found


class Doubles:
    """The rows of a file, to be looked through for near ones."""

    def __init__(self, rows: Sequence[Row], lines: Sequence[Lines]) -> None:
        """Compare them; the most of the time goes by here."""
        self._rows, self._lines = rows, lines
        self._texts = folded([" ".join(own) for own in lines])
        self._near = NearTexts(self._texts)

    def near_duplicates(self) -> Mapping[int, str]:
        """Rows that are near an earlier one without being the same as any."""
        firsts: dict[Lines, int] = {}
        for at, own in enumerate(self._lines):
            firsts.setdefault(own, at)
        pairs = self._near.doubles(firsts.values())
        return {self._rows[at].number: self._likeness(at, other) for at, other in pairs.items()}

    def leakage(self, split: Split) -> Mapping[int, str]:
        """Training rows that are near a held-out one; its kin are no training rows."""
        train, held_out = set(split.train), set(split.eval)
        numbers = [row.number for row in self._rows]
        trains = [at for at, number in enumerate(numbers) if number in train]
        evals = [at for at, number in enumerate(numbers) if number in held_out]
        return {numbers[at]: self._likeness(at, other) for at, other in self._near.near(trains, evals).items()}

    def _likeness(self, at: int, other: int) -> str:
        """How a row is near another."""
        pairs, others = pairs_of(self._texts[at]), pairs_of(self._texts[other])
        if self._texts[at] == self._texts[other]:
            words = _("row {row} in other characters")
        elif len(others) >= _LONGER * len(pairs):
            words = _("an excerpt of row {row}: {percent} % of its pairs of characters")
        elif len(pairs) >= _LONGER * len(others):
            words = _("row {row} is an excerpt of it: {percent} % of the pairs of characters")
        else:
            words = _("a variant of row {row}: {percent} % of the pairs of characters")
        row, second = self._rows[at], self._rows[other]
        percent = round(100 * share_of(pairs, others))
        return _with_authors(words.format(row=second.number, percent=percent), row, second)


def _with_authors(words: str, row: Row, other: Row) -> str:
    one, second = author_of(row), author_of(other)
    if not one or not second or one == second:
        return words
    return _("{words}; here by {author}, there by {other}").format(words=words, author=one[:20], other=second[:20])
