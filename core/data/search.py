"""Finding rows: words that they hold, in any column or in one, and their length; putting them in order.

A row's length is the characters of its poem (input and output) without punctuation and spaces.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.data.browse import Rows
from core.data.rows import BadRow, Row
from core.errors import PoemError
from core.i18n import _

SORTABLE_ROWS = 200_000
"""A larger file isn't put in order: every row of it would have to be read."""
_NO_CHARACTER = re.compile(r"[\W_]+")
_TERM = re.compile(r"([^\s:：]+)[:：](.*)", re.DOTALL)
_LENGTH = re.compile(r"(?:(?P<sign><=|>=|<|>)(?P<bound>\d{1,9})|(?P<low>\d{1,9})?(?P<dots>\.\.)?(?P<high>\d{1,9})?)")
_CHUNK_ROWS = 4000
_FIELDS = ("instruction", "input", "output")


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; every part must be met."""

    words: tuple[tuple[str, ...], ...] = ()
    """Of each word its forms (as typed; in Traditional characters), one of which some column holds; casefolded."""
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(column, forms): that column holds one of the forms."""
    least: int = 0
    """Characters at least."""
    most: int | None = None
    """Characters at most; None: any number."""
    problem: str = ""
    """What of the text means nothing yet, for people; the rest counts."""

    @property
    def finds_all(self) -> bool:
        """Whether every row fits."""
        return not self.words and not self.columns and not self.least and self.most is None


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
    words: list[tuple[str, ...]] = []
    wanted: list[tuple[str, tuple[str, ...]]] = []
    least, most, problem = 0, None, ""
    for part in text.split():
        term = _TERM.fullmatch(part)
        name = term[1].casefold() if term else ""
        if term and name in ("length", "len") and name not in known:
            found = _length_range(term[2])
            if found is None:
                problem = _("length: takes 20, <40, >=20 or 20..40")
            else:
                least, most = found
        elif term and name in known:
            if term[2]:
                wanted.append((known[name], _forms(term[2])))
        else:
            words.append(_forms(part))
    return Query(tuple(words), tuple(wanted), least, most, problem)


def _length_range(text: str) -> tuple[int, int | None] | None:
    found = _LENGTH.fullmatch(text)
    if found is None or not text:
        return None
    if found["sign"]:
        bound = int(found["bound"])
        ranges = {"<": (0, bound - 1), "<=": (0, bound), ">": (bound + 1, None), ">=": (bound, None)}
        return ranges[found["sign"]]
    if found["dots"]:
        return int(found["low"] or 0), int(found["high"]) if found["high"] else None
    return (int(text), int(text)) if text.isdecimal() else None


def _forms(word: str) -> tuple[str, ...]:
    """The word, and what it is in Traditional characters where it holds Simplified ones: the poems are in those."""
    forms = [word.casefold()]
    if not word.isascii():
        from core.data.script import traditional_form

        found = traditional_form(word)
        if found is not None and found.simplified:
            forms.append(found.text.casefold())
    return tuple(dict.fromkeys(forms))


class Finder:
    """Searches one file again and again; what a search needs of each row is kept."""

    def __init__(self, rows: Rows) -> None:
        """Nothing is kept yet."""
        self._rows = rows
        self._texts: list[str] = []
        self._lengths = array("L")

    def search(self, query: Query, go_on: Callable[[], bool]) -> Iterator[array[int]]:
        """Positions of the rows that fit, in file order: growing pieces of the answer, the last one whole.

        Args:
            query: what to look for.
            go_on: asked between pieces; where it says no, the answer ends early.
        """
        found = array("L")
        for start in range(0, max(1, self._rows.count), _CHUNK_ROWS):
            if not go_on():
                return
            end = min(start + _CHUNK_ROWS, self._rows.count)
            if self._keeps():
                self._take(end)
                found.extend(self._fitting(query, start, end))
            else:
                found.extend(at for at in range(start, end) if self._fits(query, at))
            if end % (8 * _CHUNK_ROWS) == 0:
                yield found
        yield found

    def _keeps(self) -> bool:
        return self._rows.count <= SORTABLE_ROWS and self._rows.complete

    def _fits(self, query: Query, position: int) -> bool:
        """The same for one row of a file that is too large to be kept."""
        line = self._rows.line(position)
        if line is not None and "\\" not in line:  # an escape may stand for anything
            line = line.casefold()
            groups = (*query.words, *(forms for _column, forms in query.columns))
            if not all(any(form in line for form in forms) for forms in groups):
                return False
        row = self._rows.row(position)
        if isinstance(row, BadRow):
            return False
        text = _text_of(row)
        most = query.most if query.most is not None else 2**31
        return (
            all(any(form in text for form in forms) for forms in query.words)
            and query.least <= length_of(row) <= most
            and all(
                any(form in self._value(row, column).casefold() for form in forms) for column, forms in query.columns
            )
        )

    def _fitting(self, query: Query, start: int, end: int) -> Iterator[int]:
        texts = self._texts
        positions: Iterator[int] = iter(range(start, end))
        for forms in query.words:
            if len(forms) == 1:
                positions = _holding(texts, positions, forms[0])
            else:
                positions = (at for at in positions if any(form in texts[at] for form in forms))
        if query.least or query.most is not None:
            most = query.most if query.most is not None else 2**31
            positions = (at for at in positions if query.least <= self._lengths[at] <= most)
        for column, forms in query.columns:
            positions = (at for at in positions if self._column_holds(at, column, forms))
        return positions

    def _column_holds(self, position: int, column: str, forms: tuple[str, ...]) -> bool:
        # Most rows are out already by the text of all their columns, which costs no look at the row.
        if not any(form in self._texts[position] for form in forms):
            return False
        row = self._rows.row(position)
        return isinstance(row, Row) and any(form in self._value(row, column).casefold() for form in forms)

    def _value(self, row: Row, column: str) -> str:
        field = next((field for field, name in self._rows.mapping.items() if name == column), column)
        return str(getattr(row, field)) if field in _FIELDS else row.extra.get(column, "")

    def _take(self, end: int) -> None:
        """Keep of every row before `end` its text, casefolded, and its length."""
        for position in range(len(self._texts), end):
            row = self._rows.row(position)
            if isinstance(row, BadRow):
                self._texts.append(row.problem.casefold())
                self._lengths.append(0)
            else:
                self._texts.append(_text_of(row))
                self._lengths.append(length_of(row))

    def warm_up(self) -> None:
        """Do now what the first search would take long for."""
        if self._keeps():
            self._take(self._rows.count)
        _forms("书")

    def sort(self, positions: Sequence[int], by: str, *, backwards: bool = False) -> array[int]:
        """Positions in another order; rows that are equal in it stay in file order.

        Args:
            positions: which.
            by: "number", "length" or a column.
            backwards: the greatest first.

        Raises:
            PoemError: the file is too large.
        """
        if by != "number" and not self._keeps():
            raise PoemError(
                _("a file of more than {rows:,} rows isn't put in order").format(rows=SORTABLE_ROWS),
                hint=_("Search first, or export the rows that matter."),
            )
        if by == "number":
            return array("L", sorted(positions, reverse=backwards))
        self._take(self._rows.count)
        if by == "length":
            return array("L", sorted(positions, key=self._lengths.__getitem__, reverse=backwards))

        def value(position: int) -> str:
            row = self._rows.row(position)
            return self._value(row, by) if isinstance(row, Row) else ""

        return array("L", sorted(positions, key=value, reverse=backwards))

    def lengths(self, positions: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
        """How many rows have each length: (length, length, count), bad rows left out.

        Raises:
            PoemError: the file is too large.
        """
        if not self._keeps():
            raise PoemError(_("the lengths of more than {rows:,} rows aren't counted").format(rows=SORTABLE_ROWS))
        self._take(self._rows.count)
        counts = Counter(self._lengths[position] for position in positions)
        return tuple((length, length, counts[length]) for length in sorted(counts) if length)


def _text_of(row: Row) -> str:
    return "\n".join((row.instruction, row.input, row.output, *row.extra.values())).casefold()


def _holding(texts: list[str], positions: Iterator[int], word: str) -> Iterator[int]:
    return (at for at in positions if word in texts[at])
