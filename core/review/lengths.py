"""Lengths of rows: how they are spread, what batches of them waste, and what a common beginning could save."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.advice.facts import Distribution, Tokens
from core.profile.schema import Profile
from core.training.batch import plan_epoch

_MOST_BARS = 16


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a histogram of lengths."""

    first: int
    """The least length, in tokens, that counts here."""
    last: int | None
    """The greatest; None: any from `first` on."""
    rows: int
    """How many rows are so long."""


def bins_of(lengths: Sequence[int]) -> tuple[Bin, ...]:
    """A histogram of at most 18 bars of a round width; the last is open where a few values lie far above the others.

    Args:
        lengths: at least one.
    """
    p99, least = Distribution.of(lengths).p99, min(lengths)
    width = _round_up(-(-(p99 - least + 1) // _MOST_BARS))
    start = least - least % width

    def bar(length: int) -> int:
        return (length - start) // width

    count = 1 + max(bar(p99), min(bar(max(lengths)), _MOST_BARS - 1))
    rows = Counter(min(bar(length), count) for length in lengths)
    bins = [Bin(start + at * width, start + (at + 1) * width - 1, rows[at]) for at in range(count)]
    return (*bins, Bin(start + count * width, None, rows[count])) if rows[count] else tuple(bins)


def _round_up(width: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 …"""
    power = int(10 ** (len(str(width)) - 1))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= width)


def padding_share(lengths: Sequence[int], profile: Profile) -> float:
    """Of what goes through the model in epoch 0, the share that is padding, 0 to 1.

    Args:
        lengths: whole lengths of the rows that train, in file order, in tokens.
        profile: its batches, seed, and what becomes of rows longer than `data.cutoff_len`.
    """
    data, train = profile.data, profile.train
    kept = [min(length, data.cutoff_len) for length in lengths if length <= data.cutoff_len or data.overlong != "drop"]
    padded = 0
    for batch in plan_epoch(kept, batch_size=train.batch_size, seed=train.seed, epoch=0):
        ordered = sorted(kept[index] for index in batch)  # as `core.training.batch.split_micro` orders them
        for at in range(0, len(ordered), train.micro_batch_size):
            micro = ordered[at : at + train.micro_batch_size]
            padded += len(micro) * micro[-1]
    return 1 - sum(kept) / padded if padded else 0.0


def sharing_gain(tokens: Tokens, rows_at_once: int) -> float:
    """How many times as many tokens are processed as where so many rows hold their common prefix once, at best.

    An upper bound, at least 1: rows without padding, and nothing shared but what all rows begin with.
    """
    mean, prefix = tokens.total.mean, tokens.shared_prefix_tokens
    return rows_at_once * mean / (prefix + rows_at_once * (mean - prefix))
