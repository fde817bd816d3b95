"""Which rows `data.exclude` keeps out of training and evaluation. It changes no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.audit.find import BY_JUDGEMENTS, BY_LINES
from core.audit.poem import judged_poem
from core.data.rows import RowFile
from core.errors import PoemError
from core.i18n import _
from core.profile.reference import KEYS
from core.profile.values import convert_value
from core.verse.form import verse_lines
from core.verse.judge import judge


def excluded_rows(file: RowFile, exclude: Sequence[int | str]) -> Mapping[int, str]:
    """The rows that are left out, each with the first entry that names it.

    Args:
        file: the data file.
        exclude: as `data.exclude`: row numbers, ranges "100-120" with both ends in them, and kinds of problems of
            `core.audit.kinds.EXCLUDABLE`.

    Returns:
        row number → the entry as it is written, in order of the numbers; rows that can't be used are not among them.

    Raises:
        PoemError: an entry is none of these, a number is beyond the file, or no row is left.
    """
    faults = convert_value(KEYS["data.exclude"], exclude, "data.exclude")[1]
    if faults:
        raise PoemError(faults[0].message, hint=faults[0].hint, where="data.exclude")
    numbers = {row.number for row in file.rows}
    found: dict[int, str] = {}
    for entry in exclude:
        named = _named(file, entry) if isinstance(entry, int) or entry[:1].isdecimal() else _with_problem(file, entry)
        for number in named:
            if number in numbers:
                found.setdefault(number, str(entry))
    if len(found) == len(numbers):
        raise PoemError(
            _("data.exclude leaves no row of {rows:,}").format(rows=len(numbers)),
            hint=_("Take something out of it."),
            where="data.exclude",
        )
    return dict(sorted(found.items()))


def _named(file: RowFile, entry: int | str) -> range:
    first, _dash, last = str(entry).partition("-")
    named = range(int(first), int(last or first) + 1)
    highest = max([file.rows[-1].number, *(bad.number for bad in file.bad_rows[-1:])])
    if named[-1] > highest:
        raise PoemError(
            _("data.exclude names row {row:,}, but the last row of the file is {last:,}").format(
                row=named[-1], last=highest
            ),
            hint=_("Rows count from 0."),
            where="data.exclude",
        )
    return named


def _with_problem(file: RowFile, kind: str) -> Mapping[int, str]:
    poems = map(judged_poem, file.rows)
    if kind in BY_JUDGEMENTS:
        return BY_JUDGEMENTS[kind](file.rows, [judge(poem) for poem in poems])
    return BY_LINES[kind](file.rows, [verse_lines(poem) for poem in poems])
