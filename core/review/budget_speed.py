"""How fast this machine is at what training does, by a measurement of a third of a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from core.review.budget_step import Work

_LONGEST_S = 0.1
_REPEATS = 7
_MOST_NUMBERS = 2**22


@dataclass(frozen=True, slots=True)
class Speed:
    """What a device does in a second. Work takes the sum of its parts' times: on so little data they don't overlap."""

    flop_per_s: float
    """Floating-point operations in matrix products of the model's sizes."""
    bytes_per_s: float
    """Bytes that operations on each number by itself read and write."""
    operation_s: float
    """What each operation takes, however small: Python's and PyTorch's own work."""

    def seconds(self, work: Work) -> float:
        """How long work takes."""
        return work.flop / self.flop_per_s + work.bytes / self.bytes_per_s + work.operations * self.operation_s


@cache
def speed_of(device: torch.device, dtype: torch.dtype, tokens: int, width: int, inner: int) -> Speed:
    """Measure this machine; once for the same arguments.

    Args:
        device: one that is here.
        dtype: of the base's weights.
        tokens: that go through the model at once.
        width: of the residual stream.
        inner: width of the feed-forward layers.
    """
    inner = min(inner, _MOST_NUMBERS // width)
    states = torch.full((tokens, width), 0.5, dtype=dtype, device=device)
    weights = torch.full((inner, width), 0.5, dtype=dtype, device=device)
    few = torch.zeros(8, device=device)
    outcome = torch.nn.functional.linear(states, weights)
    with torch.no_grad():
        product_s = _time(lambda: torch.nn.functional.linear(states, weights), device)
        pass_s = _time(lambda: outcome * outcome, device)
        operation_s = _time(lambda: few + few, device)
    size = outcome.numel() * outcome.element_size()
    return Speed(
        flop_per_s=2 * tokens * width * inner / product_s, bytes_per_s=3 * size / pass_s, operation_s=operation_s
    )


def _time(compute: Callable[[], Any], device: torch.device) -> float:
    """The median of a few, after one that warms up."""

    def once() -> float:
        started_s = time.perf_counter()
        compute()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter() - started_s

    once()
    ended_s = time.perf_counter() + _LONGEST_S
    found = [once()]
    while len(found) < _REPEATS and time.perf_counter() < ended_s:
        found.append(once())
    return statistics.median(found)
