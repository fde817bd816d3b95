"""Finding rows: words that they hold, in any column or in one, and their length; putting them in order.

A row's length is the characters of its poem (input and output) without punctuation and spaces. A bad row has none; in
a file that was read whole it is found by what is wrong with it.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.data.browse import Rows
from core.data.records import quoted_names
from core.data.rows import BadRow, Row
from core.data.variants import pattern_of, traditional_variants
from core.errors import PoemError
from core.i18n import _

SORTABLE_ROWS = 200_000
"""More rows aren't put in order: every one of them would have to be read. Of a larger file nothing is kept."""
_QUICK_ROWS = 50_000
_NO_CHARACTER = re.compile(r"[\W_]+")
_TERM = re.compile(r"([^\s:：]+)([:：])(.*)", re.DOTALL)
_WIDE_SIGNS = str.maketrans("＜＞＝．。", "<>=..")
_LENGTH = re.compile(r"(?P<sign>[<>]=?)(?P<bound>\d{1,9})|(?P<low>\d{1,9})?\.\.(?P<high>\d{1,9})?|(?P<exact>\d{1,9})")
_ENDLESS = 2**31
_NO_LENGTH = -1
_CHUNK_ROWS = 4000
_TOLD_ROWS = 8 * _CHUNK_ROWS
# An escape that may stand for a character of a word; a word never holds a space, so \n and \t are none.
_ESCAPE = re.compile(r'\\[u"\\/]')
_FIELDS = ("instruction", "input", "output")


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; every part must be met."""

    words: tuple[re.Pattern[str], ...] = ()
    """Each finds a word in the casefolded text of some column."""
    columns: tuple[tuple[str, re.Pattern[str]], ...] = ()
    """(column, word): that column holds it."""
    least: int = _NO_LENGTH
    """Characters at least; -1 for any number, and for rows that have none."""
    most: int = _ENDLESS
    """Characters at most; 2**31 for any number."""
    problem: str = ""
    """What of the text means nothing yet, for people; the rest counts."""

    @property
    def finds_all(self) -> bool:
        """Whether every row fits."""
        return not self.words and not self.columns and self.least == _NO_LENGTH and self.most == _ENDLESS


def length_of(row: Row) -> int:
    """Characters of the poem, punctuation and spaces left out."""
    return len(_NO_CHARACTER.sub("", row.input + row.output))


def parse_query(text: str, columns: Sequence[str]) -> Query:
    """What a person typed: words, `COLUMN:word`, `length:20`, `length:<40`, `length:20..40`.

    Args:
        text: as typed, perhaps half.
        columns: the file's; a name that is none of them, before a colon, is an ordinary word.
    """
    known = {name.casefold(): name for name in (*_FIELDS, *columns)}
    words: list[re.Pattern[str]] = []
    wanted: list[tuple[str, re.Pattern[str]]] = []
    least, most, problem = _NO_LENGTH, _ENDLESS, ""
    for part in text.split():
        term = _TERM.fullmatch(part)
        name = term[1].casefold() if term else ""
        if term and name == "length":
            found = _length_range(term[3].translate(_WIDE_SIGNS))
            if found is None:
                problem = _("length: takes 20, <40, >=20 or 20..40")
            else:
                least, most = max(least, found[0]), min(most, found[1])
        elif term and name in known:
            if term[3]:
                wanted.append((known[name], pattern_of(term[3])))
        else:
            if term and term[2] == ":":
                problem = _("no column is called {name}").format(name=quoted_names([term[1]]))
            words.append(pattern_of(part))
    return Query(tuple(words), tuple(wanted), least, most, problem)


def _length_range(text: str) -> tuple[int, int] | None:
    found = _LENGTH.fullmatch(text)
    if found is None:
        return None
    if found["exact"]:
        return int(found["exact"]), int(found["exact"])
    if found["sign"]:
        bound = int(found["bound"])
        ranges = {"<": (0, bound - 1), "<=": (0, bound), ">": (bound + 1, _ENDLESS), ">=": (bound, _ENDLESS)}
        return ranges[found["sign"]]
    return int(found["low"] or 0), int(found["high"] or _ENDLESS)


class Finder:
    """Searches one file again and again; what a search needs of each row is kept. One thread at a time."""

    def __init__(self, rows: Rows) -> None:
        """Nothing is kept yet."""
        self._rows = rows
        self._texts: list[str] = []
        self._lengths = array("l")

    @property
    def is_quick(self) -> bool:
        """Whether a search takes some milliseconds: of a small file everything that it needs is kept."""
        return self._rows.complete and len(self._texts) == self._rows.count <= _QUICK_ROWS

    def search(self, query: Query, go_on: Callable[[], bool]) -> Iterator[array[int]]:
        """Positions of the rows that fit, in file order: growing pieces of the answer, the last one whole.

        The first search of a file takes longer; `Query()`, which finds all, will do for that.

        Args:
            query: what to look for.
            go_on: asked between pieces; where it says no, the answer ends early.
        """
        if query.finds_all:
            traditional_variants()
        found = array("l")
        for start in range(0, self._rows.count, _CHUNK_ROWS):
            if not go_on():
                return
            end = min(start + _CHUNK_ROWS, self._rows.count)
            if self._keeps():
                self._take(end)
                found.extend(self._fitting(query, start, end))
            else:
                found.extend(at for at in range(start, end) if self._fits(query, at))
            if end % _TOLD_ROWS == 0:
                yield found
        yield found

    def _keeps(self) -> bool:
        return self._rows.count <= SORTABLE_ROWS and self._rows.complete

    def _take(self, end: int) -> None:
        """Keep of every row before `end` its text, casefolded, and its length."""
        for position in range(len(self._texts), end):
            row = self._rows.row(position)
            self._texts.append(row.problem.casefold() if isinstance(row, BadRow) else _text_of(row))
            self._lengths.append(_NO_LENGTH if isinstance(row, BadRow) else length_of(row))

    def _fitting(self, query: Query, start: int, end: int) -> Iterator[int]:
        positions: Iterator[int] = iter(range(start, end))
        # By the text of all columns most rows are out already, without a look at the row.
        for word in (*query.words, *(word for _column, word in query.columns)):
            positions = _holding(self._texts, positions, word)
        if query.least != _NO_LENGTH or query.most != _ENDLESS:
            least, most, lengths = max(0, query.least), query.most, self._lengths
            positions = (at for at in positions if least <= lengths[at] <= most)
        if query.columns:
            positions = (at for at in positions if self._columns_hold(query, self._rows.row(at)))
        return positions

    def _fits(self, query: Query, position: int) -> bool:
        """The same for one row of a file that is too large to be kept."""
        line = self._rows.line(position)
        if line is not None and not _ESCAPE.search(line):
            line = line.casefold()
            words = (*query.words, *(word for _column, word in query.columns))
            if not all(word.search(line) for word in words):
                return False
        row = self._rows.row(position)
        if isinstance(row, BadRow):
            return query.finds_all
        text = _text_of(row)
        return (
            all(word.search(text) for word in query.words)
            and query.least <= length_of(row) <= query.most
            and self._columns_hold(query, row)
        )

    def _columns_hold(self, query: Query, row: Row | BadRow) -> bool:
        return isinstance(row, Row) and all(
            word.search(self._value(row, column).casefold()) for column, word in query.columns
        )

    def _value(self, row: Row, column: str) -> str:
        field = self._field_of(column)
        return str(getattr(row, field)) if field else row.extra.get(column, "")

    def _field_of(self, column: str) -> str | None:
        """The field of a row that a column is; a column of the file goes before a field of that name."""
        for field, mapped in self._rows.mapping.items():
            if mapped == column:
                return field
        return column if column in _FIELDS and column not in self._rows.columns else None

    def sort(self, positions: Sequence[int], by: str, *, backwards: bool = False) -> array[int]:
        """Positions in another order; rows that are equal in it stay in file order.

        Args:
            positions: which.
            by: "number", "length" or a column; bad rows come before all others.
            backwards: the greatest first.

        Raises:
            PoemError: they are too many.
        """
        if by == "number":
            return array("l", sorted(positions, reverse=backwards))
        if by == "length":
            lengths = self._lengths_of(positions)
            return array("l", sorted(positions, key=lengths.__getitem__, reverse=backwards))
        _refuse_many(positions)

        def value(position: int) -> str:
            row = self._rows.row(position)
            return self._value(row, by) if isinstance(row, Row) else ""

        return array("l", sorted(positions, key=value, reverse=backwards))

    def lengths(self, positions: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
        """How many rows have each length: (length, length, count), ascending; bad rows left out.

        Raises:
            PoemError: they are too many.
        """
        lengths = self._lengths_of(positions)
        counts = Counter(lengths[position] for position in positions)
        return tuple((length, length, counts[length]) for length in sorted(counts) if length != _NO_LENGTH)

    def _lengths_of(self, positions: Sequence[int]) -> Sequence[int] | dict[int, int]:
        _refuse_many(positions)
        if self._keeps():
            self._take(self._rows.count)
            return self._lengths
        rows = ((position, self._rows.row(position)) for position in positions)
        return {position: length_of(row) if isinstance(row, Row) else _NO_LENGTH for position, row in rows}


def _refuse_many(positions: Sequence[int]) -> None:
    if len(positions) > SORTABLE_ROWS:
        raise PoemError(
            _("more than {rows:,} rows are neither put in order nor measured").format(rows=SORTABLE_ROWS),
            hint=_("Search first."),
        )


def _text_of(row: Row) -> str:
    return "\n".join((row.instruction, row.input, row.output, *row.extra.values())).casefold()


def _holding(texts: list[str], positions: Iterator[int], word: re.Pattern[str]) -> Iterator[int]:
    search = word.search
    return (at for at in positions if search(texts[at]))
