"""Poems as cards, beside each other as far as there is room: lines of text with the names of their styles.

Pure: it knows neither widgets nor colours. Texts are untrusted and come out plain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from rich.cells import cell_len, get_character_cell_size

from core.i18n import _
from core.plain import plain
from tui.panes.completion_history import Entry, Poem
from tui.verse import SENTENCE, verse_lines

LEAST_CELLS = 35
"""A couplet of seven has 32 cells; a narrower card would break it."""
_MOST_CELLS = 60
_MARGIN_CELLS, _GAP_CELLS = 2, 1
_CHARACTERS_SHOWN = 4000
_MAY_BREAK_AFTER = "，、；：。！？,;: "

Piece = tuple[str, str]
"""Text, and the name of its style: head, given, "" (what was written), foot or cut."""
Line = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """Cards beside each other."""

    first: int
    """Index of the first of them."""
    cards: tuple[tuple[Line, ...], ...]
    """Their lines; the shorter ones end earlier."""

    @property
    def height(self) -> int:
        """Lines, the empty one below included."""
        return 1 + max(len(card) for card in self.cards)


@dataclass(frozen=True, slots=True)
class Sheet:
    """All cards of an entry at some width."""

    width: int
    """Cells in all."""
    columns: int
    """Cards beside each other, at least 1."""
    bands: tuple[Band, ...]
    tops: tuple[int, ...]
    """First line of each band, and the number of lines in all."""

    @property
    def card_cells(self) -> int:
        """Cells of a card, margin and gap included."""
        return min(_MOST_CELLS, self.width // self.columns)

    def band_at(self, y: int) -> tuple[Band, int] | None:
        """The band that the line is in, and which of its lines it is; None below the last."""
        if not 0 <= y < self.tops[-1]:
            return None
        index = bisect_right(self.tops, y) - 1
        return self.bands[index], y - self.tops[index]

    def lines_of(self, card: int) -> range:
        """The lines of the sheet that a card has."""
        band = self.bands[card // self.columns]
        top = self.tops[card // self.columns]
        return range(top, top + len(band.cards[card - band.first]))

    def card_at(self, x: int, y: int) -> int | None:
        """The card at a cell; None where there is none."""
        found = self.band_at(y)
        if found is None:
            return None
        column = x // self.card_cells
        return found[0].first + column if column < len(found[0].cards) else None


@dataclass(slots=True)
class Layout:
    """Lays entries out; cards that have not changed since the last time are not made again."""

    _cards: dict[int, tuple[str, Poem, int, int, tuple[Line, ...]]]

    def __init__(self) -> None:
        """Nothing laid out yet."""
        self._cards = {}

    def lay_out(self, entry: Entry, width: int) -> Sheet:
        """The entry's cards in so many cells; the two sides of a candidate stay beside each other."""
        columns = columns_for(len(entry.poems), entry.sides, width)
        cells = min(_MOST_CELLS, width // columns) - _MARGIN_CELLS - _GAP_CELLS
        cards = [self._card(entry, index, max(4, cells)) for index in range(len(entry.poems))]
        bands = tuple(Band(at, tuple(cards[at : at + columns])) for at in range(0, len(cards), columns))
        return Sheet(width, columns, bands, tuple(accumulate((band.height for band in bands), initial=0)))

    def _card(self, entry: Entry, index: int, cells: int) -> tuple[Line, ...]:
        poem, sides = entry.poems[index], entry.sides
        known = self._cards.get(index)
        if known is not None and known[:4] == (entry.text, poem, sides, cells):
            return known[4]
        lines = tuple(_card_lines(entry.text, poem, index // sides + 1, cells))
        self._cards[index] = (entry.text, poem, sides, cells, lines)
        return lines


def columns_for(cards: int, sides: int, width: int) -> int:
    """How many cards fit beside each other: where two write each candidate an even number, or one."""
    fitting = max(1, min(cards, width // LEAST_CELLS))
    return fitting - fitting % sides if fitting >= sides else 1


def side_name(poem: Poem) -> str:
    """Who wrote it, in words."""
    return _("base") if poem.side == "base" else _("adapter")


def _card_lines(given: str, poem: Poem, number: int, cells: int) -> Iterator[Line]:
    head = _("{side} {number} · seed {seed}").format(side=side_name(poem), number=number, seed=poem.seed)
    yield ((_cut(head, cells), "head"),)
    yield from verse(given, poem.text, cells)
    foot = stop_words(poem)
    for line in _wrapped([(character, "cut" if poem.stop == "length" else "foot") for character in foot], cells):
        yield _joined(line)


def stop_words(poem: Poem) -> str:
    """How far it is, or why it ended."""
    if poem.stop == "length":
        return _("cut off by max_new_tokens: {tokens}").format(tokens=poem.tokens)
    if poem.stop == "end":
        return _("{tokens} tokens, ended by itself").format(tokens=poem.tokens)
    if poem.stop:
        return _("stopped after {count} characters").format(count=len(poem.text))
    return _("{count} characters …").format(count=len(poem.text)) if poem.text else _("waits for its first token …")


def verse(given: str, written: str, cells: int) -> Iterator[Line]:
    """The poem, a couplet or sentence to a line; one that is too wide breaks after a comma, else where it must."""
    start = plain(given[:_CHARACTERS_SHOWN], keep_newlines=True)
    rest = plain(written[:_CHARACTERS_SHOWN], keep_newlines=True)
    text, marked = start + rest, len(start)
    for sentence in SENTENCE.finditer(text):
        pieces = [(text[at], "given" if at < marked else "") for at in range(sentence.start(), sentence.end())]
        while pieces and pieces[0][0] == " ":
            del pieces[0]
        for line in _wrapped(pieces, cells):
            yield _joined(line)
    left_out = max(0, len(written) - _CHARACTERS_SHOWN) + max(0, len(given) - _CHARACTERS_SHOWN)
    if left_out:
        yield ((_cut(_("… and {count} more characters").format(count=left_out), cells), "cut"),)


def verse_text(given: str, written: str) -> str:
    """The whole poem, a couplet or sentence to a line, without anything that isn't text."""
    text = plain(given + written, keep_newlines=True)
    return "\n".join(verse_lines(text))


def _wrapped(pieces: Sequence[Piece], cells: int) -> Iterator[Sequence[Piece]]:
    start, used, may_break, at = 0, 0, 0, 0
    while at < len(pieces):
        character = pieces[at][0]
        size = get_character_cell_size(character)
        if used + size > cells and at > start:
            end = may_break if may_break > start else at
            yield pieces[start:end]
            start = at = end
            used = 0
            continue
        used += size
        at += 1
        if character in _MAY_BREAK_AFTER:
            may_break = at
    if start < len(pieces):
        yield pieces[start:]


def _joined(pieces: Sequence[Piece]) -> Line:
    joined: list[Piece] = []
    for text, style in pieces:
        if joined and joined[-1][1] == style:
            joined[-1] = (joined[-1][0] + text, style)
        else:
            joined.append((text, style))
    return tuple(joined)


def _cut(text: str, cells: int) -> str:
    from tui.plain import fit

    return fit(text, min(cells, cell_len(text)))
