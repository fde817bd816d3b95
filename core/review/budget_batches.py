"""The micro-batches that a run's rows make: how many, how wide, and which is the largest. It knows lengths alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.profile.schema import Profile
from core.training.batch import plan_epoch
from core.training.loop import count_steps

# So many rows, taken evenly from the file, tell how an epoch's batches look.
_PLANNED_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Micro:
    """One micro-batch, padded."""

    rows: int
    width: int
    """Tokens of its longest row, to which all are padded."""
    columns: int
    """Positions at which some row is supervised: logits are made for these."""


@dataclass(frozen=True, slots=True)
class Batches:
    """What goes through the model in a run."""

    rows: int
    """Rows that train."""
    tokens: int
    """Theirs, padding left out."""
    steps: int
    """Optimiser steps."""
    micros: float
    """Micro-batches in all steps."""
    mean: Micro
    """Of an ordinary micro-batch."""
    largest: Micro
    """No micro-batch of any epoch has more rows or is wider."""
    evaluations: int
    """How often the held-out rows are scored."""
    eval_micros: float
    """Micro-batches of one evaluation."""
    eval_mean: Micro
    """Of an ordinary micro-batch of an evaluation."""
    eval_largest: Micro
    """No micro-batch of an evaluation has more rows or is wider."""
    planned: tuple[tuple[int, ...], ...]
    """Steps of the first epoch, each with the indices of its rows: all, or of a file of many rows a fair share."""


def batches_of(
    profile: Profile, lengths: Sequence[int], supervised: Sequence[int], *, eval_rows: int
) -> Batches | None:
    """The micro-batches of a run; None where no row fits.

    Args:
        profile: batch sizes, epochs, seed, and what becomes of rows longer than `data.cutoff_len`.
        lengths: tokens of each row that would train, whole, in file order.
        supervised: how many of these are supervised, the last ones of each row.
        eval_rows: held-out rows, which are taken to be like the others.
    """
    keys, cut = profile.train, cut_rows(profile, lengths, supervised)
    if not cut:
        return None
    stride = -(-len(cut) // _PLANNED_ROWS)
    indices = range(0, len(cut), stride)
    plan = plan_epoch([cut[i][0] for i in indices], batch_size=keys.batch_size, seed=keys.seed, epoch=0)
    planned = tuple(tuple(indices[i] for i in batch) for batch in plan)
    micros = [
        _micro([cut[i] for i in ordered[at : at + keys.micro_batch_size]])
        for batch in planned
        for ordered in (sorted(batch, key=lambda i: cut[i][0]),)
        for at in range(0, len(ordered), keys.micro_batch_size)
    ]
    steps = count_steps(len(cut), epochs=keys.epochs, batch_size=keys.batch_size, max_steps=keys.max_steps)
    rows_at_once = min(keys.micro_batch_size, len(cut))
    longest = max(length for length, _count in cut)
    # The longest row widens its micro-batch in each epoch, whatever stands beside it.
    columns = max(max(micro.columns for micro in micros), max(count for _length, count in cut))
    eval_at_once = min(2 * keys.micro_batch_size, eval_rows)
    mean = _mean(micros)
    return Batches(
        rows=len(cut),
        tokens=sum(length for length, _count in cut),
        steps=steps,
        micros=steps * len(micros) / len(planned),
        mean=mean,
        largest=Micro(rows_at_once, longest, min(columns, longest)),
        evaluations=_count_evaluations(steps, keys.eval_every) if eval_rows else 0,
        eval_micros=-(-eval_rows // eval_at_once) if eval_rows else 0,
        eval_mean=Micro(eval_at_once, mean.width, mean.columns),
        eval_largest=Micro(eval_at_once, longest, min(columns, longest)),
        planned=planned,
    )


def cut_rows(profile: Profile, lengths: Sequence[int], supervised: Sequence[int]) -> list[tuple[int, int]]:
    """(length, supervised tokens) of each row as it trains."""
    cutoff, is_cut = profile.data.cutoff_len, profile.data.overlong == "truncate"
    pairs = [
        (min(length, cutoff), count - max(0, length - cutoff))
        for length, count in zip(lengths, supervised, strict=True)
        if length <= cutoff or is_cut
    ]
    return [(length, count) for length, count in pairs if count > 0]


def _micro(rows: Sequence[tuple[int, int]]) -> Micro:
    spans = sorted((length - 1 - count, length - 1) for length, count in rows)
    columns = end = 0
    for start, stop in spans:
        columns += max(0, stop - max(start, end))
        end = max(end, stop)
    return Micro(len(rows), max(length for length, _count in rows), columns)


def _mean(micros: Sequence[Micro]) -> Micro:
    """Rows and width such that their product is right, as nearly all work goes by it."""
    padded = sum(micro.rows * micro.width for micro in micros)
    scored = sum(micro.rows * micro.columns for micro in micros)
    rows = max(micro.rows for micro in micros)
    return Micro(
        rows,
        max(1, round(padded / len(micros) / rows)),
        max(1, round(scored / len(micros) / rows)),
    )


def _count_evaluations(steps: int, every: int) -> int:
    """Before the first step, every so many, and after the last."""
    return 2 + ((steps - 1) // every if every else 0)
