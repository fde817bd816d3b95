"""Which rows of a file a profile would train on and which it would hold out, also where a run would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.audit.exclusion import excluded_rows
from core.data.holdout import Split, split_rows
from core.data.row import Row
from core.data.rows import RowFile
from core.errors import PoemError
from core.profile.schema import Profile


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
