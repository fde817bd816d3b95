"""What a review found of single rows: which rows can be chosen by it, which have a problem, and what of one row."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content

from core.i18n import _
from tui.advice import STYLES
from tui.plain import content

if TYPE_CHECKING:
    from core.client import Review
    from core.report.document import RowLinks

_GRAVITY = [*STYLES]
_OF_FORM = "form:"
"""What a form's name has before it where a report names the rows that have it."""
LOOKS: Mapping[str, str] = {"error": "problem", "warning": "warning"}
"""Tone of the gravest problem of a row → how its number looks in the list."""


class Selection(NamedTuple):
    """Rows that are chosen by what was found of them."""

    group: str
    """problem, form or finding; of several selections of a group the last one counts."""
    name: str
    """Its name for programs: a kind of problem, a form; empty: any problem."""
    title: str
    """What it is called on the screen."""
    rows: Sequence[int]
    """Their numbers, ascending."""

    @property
    def words(self) -> str:
        """How many rows it has, and what it is called."""
        words = _("1 row: {title}") if len(self.rows) == 1 else _("{count:,} rows: {title}")
        return words.format(title=self.title, count=len(self.rows))


class RowFindings:
    """What was found, row by row."""

    def __init__(self, review: Review) -> None:
        """Of a review that may be on its way still."""
        self._review = review

    @cached_property
    def rows(self) -> frozenset[int]:
        """The numbers of all rows that have a problem."""
        return frozenset().union(*(problem.rows for problem in self._review.problems))

    @property
    def losses(self) -> Mapping[int, float]:
        """Row → the base's loss, in nats a token; empty where it wasn't asked for."""
        return self._review.losses or {}

    def problems_of(self, number: int) -> Iterator[tuple[str, str, str]]:
        """(tone, title, details) of each problem of a row, the gravest first; the details may be missing."""
        from core.audit.kinds import KINDS

        found = []
        for problem in self._review.problems:
            if _holds(problem.rows, number):
                kind = KINDS[problem.kind]
                found.append((kind.tone, _(kind.title), problem.details.get(number, "")))
        yield from sorted(found, key=lambda one: _GRAVITY.index(one[0]))

    def figures_of(self, number: int) -> tuple[str, float | None]:
        """How a row's number looks in the list, and its loss."""
        gravest = next(self.problems_of(number), None) if number in self.rows else None
        return LOOKS.get(gravest[0], "") if gravest else "", self.losses.get(number)

    def has(self, kind: str, number: int) -> bool:
        """Whether a row has a kind of problem."""
        return any(problem.kind == kind and _holds(problem.rows, number) for problem in self._review.problems)

    def content_of(self, number: int) -> Content:
        """What is known of a row, a line for each."""
        lines = []
        for tone, title, details in self.problems_of(number):
            words = [content(title, f"bold {STYLES[tone]}"), content(details)]
            lines.append(Content("  ").join(words if details else words[:1]))
        if number in self.losses:
            text = _("loss {nats:.2f} nats a token, before any training").format(nats=self.losses[number])
            lines.append(content(text, "$text-muted"))
        return Content("\n").join(lines)

    def selection_of(self, links: RowLinks) -> Selection:
        """The rows of a finding of the report."""
        named = {f"{_OF_FORM}{one.name}" if one.group == "form" else one.name: one for one in self.selections}
        return named.get(links.kind) or finding_of(links)

    @cached_property
    def selections(self) -> Sequence[Selection]:
        """What rows can be chosen by: any problem, each kind, each form."""
        from core.audit.kinds import KINDS

        any_problem = Selection("problem", "", _("any problem"), sorted(self.rows))
        kinds = [
            Selection("problem", one.kind, _(KINDS[one.kind].title), one.rows)
            for one in sorted(self._review.problems, key=lambda one: [*KINDS].index(one.kind))
        ]
        forms = [Selection("form", form, form or _("no verse"), rows) for form, rows in self._review.forms.items()]
        return [*([any_problem] if self.rows else []), *kinds, *forms]


def finding_of(links: RowLinks) -> Selection:
    """The rows of a finding that is neither a kind of problem nor a form."""
    return Selection("finding", links.kind, links.title, links.rows)


def names_row(entry: int | str, number: int) -> bool:
    """Whether an entry of `data.exclude` is a row's number or a range that it is in."""
    if isinstance(entry, int):
        return entry == number
    first, dash, last = entry.partition("-")
    is_range = first.isdecimal() and bool(dash) and last.isdecimal()
    return is_range and int(first) <= number <= int(last)


def _holds(rows: Sequence[int], number: int) -> bool:
    at = bisect_left(rows, number)
    return at < len(rows) and rows[at] == number


def chosen(selections: Sequence[Selection], order: Sequence[int], count: int) -> Sequence[int]:
    """The rows of an order that are in every selection.

    Args:
        selections: any number.
        order: positions; a range: all of them.
        count: how many rows there are.
    """
    if not selections:
        return order
    if isinstance(order, range):
        fewest = min((selection.rows for selection in selections), key=len)
        order = fewest[: bisect_left(fewest, count)]
    held = [frozenset(selection.rows) for selection in selections]
    return [number for number in order if all(number in rows for rows in held)]
