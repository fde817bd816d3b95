"""Which rows train and which are held out to judge by, so that no held-out poem leaks into training.

It must not know what is asked about a poem (tasks) or how it is encoded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.data.chance import draw
from core.data.rows import Row
from core.errors import PoemError
from core.i18n import _

SHARED_LINES = 2
"""Poems with this many distinct lines in common are kin: variants, excerpts, one poem under two authors."""

_LINE_END = re.compile(r"[，。！？；、,.!?;\n]")


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers, each in at most one of the three; rows that were not asked for are in none."""

    train: tuple[int, ...]
    """Rows to train on, in file order; at least one."""
    eval: tuple[int, ...]
    """Held-out rows to evaluate on, in file order; empty where `eval_rows` is 0."""
    kin: tuple[int, ...]
    """Rows that neither train nor are evaluated: kin of a held-out poem, or held out by name beyond `eval_rows`."""


def poem_of(row: Row) -> str:
    """The whole poem: what is given and what shall be written."""
    return row.input + row.output


def lines_of(poem: str) -> frozenset[str]:
    """The distinct lines of a poem: its clauses, without punctuation and surrounding space."""
    lines = frozenset(filter(None, map(str.strip, _LINE_END.split(poem))))
    return lines or frozenset({poem.strip()})


def split_rows(
    rows: Sequence[Row], *, rows_wanted: int | None, eval_rows: int, seed: int, hold_out: Sequence[str] = ()
) -> Split:
    """Hold rows out, set their kin aside, and draw the training rows from the rest.

    Held out are the rows that `hold_out` names, then others in the order of a hash of the seed and the poem, passing
    over kin of those already held out, until there are `eval_rows`. Named rows beyond `eval_rows` are kept from
    training too, with their kin, but not evaluated. The choice depends neither on `rows_wanted` nor on the order of
    the file, so that runs with more or fewer training rows are judged by the same poems.

    Training rows are those with the smallest hashes of the seed and the row number: a smaller sample is part of every
    larger one.

    Args:
        rows: all rows of the file that can be used.
        rows_wanted: how many shall train; None for all that may.
        eval_rows: how many to evaluate on; 0 is legal.
        seed: `train.seed`.
        hold_out: every row whose poem contains one of these strings is held out.

    Raises:
        PoemError: more rows are wanted than there are, or nothing is left to train on.
    """
    _check_wanted(rows_wanted, eval_rows, hold_out)
    poems = [poem_of(row) for row in rows]
    lines = [lines_of(poem) for poem in poems]
    index = _index_lines(lines)
    named = [at for at, poem in enumerate(poems) if any(text in poem for text in hold_out)]
    others = range(len(rows)) if len(named) < eval_rows else ()
    ranks = {at: draw("hold out", seed, poems[at]) for at in {*named, *others}}

    evaluated: set[int] = set()
    aside: set[int] = set()
    for at in _ranked(named, ranks):
        if len(evaluated) < eval_rows and at not in aside:
            evaluated.add(at)
        aside.update(_kin_of(at, lines, index))
    aside -= evaluated
    for at in _ranked(others, ranks):
        if len(evaluated) == eval_rows:
            break
        if at not in aside and at not in evaluated:
            evaluated.add(at)
            aside.update(_kin_of(at, lines, index) - evaluated)
    if len(evaluated) < eval_rows:
        raise PoemError(
            _("{wanted} rows shall be held out, but only {found} of the {rows} can be").format(
                wanted=eval_rows, found=len(evaluated), rows=len(rows)
            ),
            hint=_("Set data.eval_rows to less; 0 means no evaluation."),
            where="data.eval_rows",
        )
    free = [at for at in range(len(rows)) if at not in evaluated and at not in aside]
    train = _draw_training(rows, free, rows_wanted, seed, held_out=len(evaluated), aside=len(aside))
    return Split(*(tuple(rows[at].number for at in sorted(part)) for part in (train, evaluated, aside)))


def _check_wanted(rows_wanted: int | None, eval_rows: int, hold_out: Sequence[str]) -> None:
    if rows_wanted is not None and rows_wanted < 1:
        raise PoemError(_("at least one row must train"), where="data.rows")
    if eval_rows < 0:
        raise PoemError(
            _("the number of held-out rows is below 0"), hint=_("0 means no evaluation."), where="data.eval_rows"
        )
    if not all(text.strip() for text in hold_out):
        raise PoemError(
            _("a blank text would hold every row out"),
            hint=_("Write a line of a poem, or nothing."),
            where="data.hold_out",
        )


def _index_lines(lines: Sequence[frozenset[str]]) -> Mapping[str, list[int]]:
    """Every line → the positions of the poems that have it."""
    index: dict[str, list[int]] = {}
    for at, poem_lines in enumerate(lines):
        for line in poem_lines:
            index.setdefault(line, []).append(at)
    return index


def _kin_of(at: int, lines: Sequence[frozenset[str]], index: Mapping[str, list[int]]) -> set[int]:
    """The positions of a poem's kin, itself among them: two shared lines, or the same and only line."""
    shared = Counter(other for line in lines[at] for other in index[line])
    return {other for other, count in shared.items() if count >= SHARED_LINES or lines[other] == lines[at]}


def _ranked(positions: Iterable[int], ranks: Mapping[int, int]) -> list[int]:
    return sorted(positions, key=lambda at: (ranks[at], at))


def _draw_training(
    rows: Sequence[Row], free: Sequence[int], rows_wanted: int | None, seed: int, *, held_out: int, aside: int
) -> Sequence[int]:
    """`rows_wanted` of the free positions."""
    if not free or (rows_wanted is not None and rows_wanted > len(free)):
        facts = {"rows": len(rows), "held_out": held_out, "kin": aside, "free": len(free), "wanted": rows_wanted}
        if free:
            message = _(
                "{wanted} rows shall train, but only {free} can: of {rows} rows, {held_out} are held out and {kin} "
                "share lines with those"
            )
            hint = _('Set data.rows to {free} or less, or to "all".')
        else:
            message = _(
                "nothing is left to train on: of {rows} rows, {held_out} are held out and {kin} share lines with those"
            )
            hint = _("Hold fewer rows out: data.eval_rows, data.hold_out.")
        raise PoemError(message.format(**facts), hint=hint.format(**facts), where="data.rows")
    if rows_wanted is None:
        return free
    return sorted(free, key=lambda at: (draw("train", seed, rows[at].number), at))[:rows_wanted]
