"""Which rows of a file a profile would train on and which it would hold out, also where a run would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.audit.exclusion import excluded_rows
from core.data.holdout import Split, split_rows
from core.data.row import Row
from core.data.rows import RowFile
from core.encoding.encode import name_rows
from core.errors import PoemError
from core.i18n import _
from core.profile.schema import Profile
from core.review.tokens import TokenCounts


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of a file that `data.exclude` leaves."""

    rows: tuple[Row, ...]
    """In file order; at least one."""
    excluded: Mapping[int, str]
    """The others: number → the entry that names it."""
    refusals: tuple[PoemError, ...] = ()
    """Why a run would not begin; empty where it would. Then no row is excluded."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What a run would do with the rows that are kept."""

    split: Split | None
    """Which train and which are held out; None where nothing is left to train on."""
    refusals: tuple[PoemError, ...] = ()
    """Why a run would not begin; empty where it would. Then the split is what comes nearest: all rows that may train,
    and where not even that can be, none held out."""


def keep_rows(profile: Profile, file: RowFile) -> Kept:
    """Leave out what `data.exclude` names; what a run would refuse is left undone and told instead."""
    try:
        excluded = excluded_rows(file, profile.data.exclude)
    except PoemError as error:
        return Kept(file.rows, {}, (error,))
    return Kept(tuple(row for row in file.rows if row.number not in excluded), excluded)


def share_out(profile: Profile, rows: Sequence[Row]) -> Shares:
    """Hold rows out; what a run would refuse is left undone and told instead.

    Args:
        profile: a checked one.
        rows: that are kept, at least one.
    """
    data, refusals = profile.data, dict[str, PoemError]()
    wanted = None if data.rows == "all" else data.rows
    nearest = ((wanted, data.eval_rows, data.hold_out), (None, data.eval_rows, data.hold_out))
    for rows_wanted, eval_rows, hold_out in (*nearest, (None, 0, data.hold_out), (None, 0, ())):
        try:
            split = split_rows(
                rows, rows_wanted=rows_wanted, eval_rows=eval_rows, seed=profile.train.seed, hold_out=hold_out
            )
        except PoemError as error:
            refusals.setdefault(str(error), error)
        else:
            return Shares(split, tuple(refusals.values()))
    return Shares(None, tuple(refusals.values()))


def refused_lengths(profile: Profile, counts: TokenCounts, split: Split | None) -> tuple[PoemError, ...]:
    """Why a run would not begin with rows of such lengths; empty where it would, and where lengths are estimated."""
    data, tokens = profile.data, counts.tokens
    if split is None or tokens.estimated:
        return ()
    used = {*split.train, *split.eval}
    long = [row for row in tokens.over_cutoff if row in used]
    empty = [row for row in tokens.nothing_supervised if row in used]
    if data.overlong == "error" and long:
        message = _("{count} rows are longer than data.cutoff_len = {cutoff} tokens: rows {rows}")
        hint = _("The longest has {longest}. Raise data.cutoff_len, or set data.overlong to drop or truncate.")
        return (_refusal(message, long, hint.format(longest=tokens.total.max), "data.overlong", data.cutoff_len),)
    if data.overlong == "truncate" and empty:
        message = _("cut off at {cutoff} tokens, {count} rows have nothing left to learn: rows {rows}")
        hint = _('Their prompts alone fill it. Raise data.cutoff_len, or set data.overlong = "drop".')
        return (_refusal(message, empty, hint, "data.cutoff_len", data.cutoff_len),)
    if data.overlong == "drop" and set(split.train) <= set(long):
        message = _("no row fits into {cutoff} tokens")
        return (_refusal(message, (), _("Raise data.cutoff_len."), "data.cutoff_len", data.cutoff_len),)
    return ()


def _refusal(message: str, rows: Sequence[int], hint: str, where: str, cutoff: int) -> PoemError:
    return PoemError(message.format(count=len(rows), cutoff=cutoff, rows=name_rows(rows)), hint=hint, where=where)
