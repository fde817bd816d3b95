"""How large a run becomes: its rows and steps, from a profile and what its file holds."""

from __future__ import annotations

import math

from core.advice.facts import Facts
from core.profile.schema import Profile


def free_rows(profile: Profile, facts: Facts) -> int:
    """Rows that could train, at least 1. The facts may have been measured with another `data.eval_rows`."""
    return max(1, facts.free_rows + facts.eval_rows - profile.data.eval_rows)


def train_rows(profile: Profile, facts: Facts) -> int:
    """Rows that train, at least 1."""
    free = free_rows(profile, facts)
    return free if profile.data.rows == "all" else min(profile.data.rows, free)


def full_steps(profile: Profile, facts: Facts) -> int:
    """Optimiser steps of all epochs, whatever `train.max_steps` says."""
    return profile.train.epochs * math.ceil(train_rows(profile, facts) / profile.train.batch_size)


def run_steps(profile: Profile, facts: Facts) -> int:
    """Optimiser steps of the run."""
    steps = full_steps(profile, facts)
    return min(steps, profile.train.max_steps) if profile.train.max_steps else steps


def lasting_max(p99: int, longest: int) -> int:
    """The length to make room for: the longest, unless that is a freak beside the 99th percentile."""
    return longest if longest <= _FREAK_TIMES * p99 else p99


_FREAK_TIMES = 4
"""A row more than four times as long as 99 % of the others is a fault of the file more often than a poem."""
