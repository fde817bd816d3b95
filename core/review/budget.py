"""What a run needs of a device: memory at its peak and time, from the base's shape and the rows' lengths alone.

The tensors are counted in a step without data (`core.review.budget_step`); what stands here is what an operating
system, an interpreter and an allocator add to them, and what follows for a device of some size.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from core.advice.facts import Budget, Verdict
from core.errors import PoemError
from core.machine import cgroup_memory
from core.model.device import choose_device, choose_precision
from core.profile.schema import Profile
from core.review.budget_batches import Batches, batches_of
from core.review.budget_speed import Speed, speed_of
from core.review.budget_step import StepCost, cost_of
from core.review.shapes import Shape, shape_of

TIGHT_SHARE = 0.9
"""Of a device's memory: what needs more of it is tight, what needs more than all doesn't fit."""

_MIB = 2**20
# Measured on Linux, x86-64, with Python 3.11 and PyTorch 2.13: a worker once its base is loaded, the base left out.
_PROCESS_BYTES = 400 * _MIB
# CUDA's context and kernels on a device, before any tensor; it grows with the number of kernels used.
CUDA_CONTEXT_BYTES = 500 * _MIB
# Rows as read, and encoded twice, while one epoch follows another: measured with 25,007 poems.
_DATA_BYTES_PER_TOKEN = 160
# Of what has gone when a step is at its peak, the share whose place nothing else could take, measured with glibc 2.36.
# Its aligned blocks seldom fit again where one of their size has been: what is cut off behind a block goes to small
# objects, and those of the gradients' graph live on. Gradients that wait for another micro-batch lie scattered as well.
_UNUSED_SHARE, _UNUSED_SHARE_ACCUMULATING = 0.25, 0.65
# What PyTorch's own allocator on GPUs reserves beside what is in use.
_RESERVE_FACTOR = 1.1


@dataclass(frozen=True, slots=True)
class Target:
    """A device, here or not."""

    device: str
    """cpu, mps or cuda:N."""
    dtype: str
    """float32 or bfloat16: of the base's weights."""
    memory_bytes: int
    """What it has; 0: unknown."""
    is_here: bool = False
    """Whether it can be measured how fast it is."""


def budget_of(
    profile: Profile,
    lengths: Sequence[int],
    supervised: Sequence[int],
    *,
    shape: Shape | None,
    target: Target,
    eval_rows: int | None = None,
) -> Budget:
    """What a run needs, from its base's shape alone.

    Args:
        profile: a checked one.
        lengths: tokens of each row that would train, whole and encoded, in file order; `data.cutoff_len` is applied
            here.
        supervised: how many tokens of each of these the loss is taken over.
        shape: of the profile's base; None: unknown.
        target: where it would run.
        eval_rows: held-out rows; None: as many as the profile says.

    Returns:
        the budget. Its seconds are those of all steps and evaluations, without loading, samples and checkpoints.
    """
    eval_rows = profile.data.eval_rows if eval_rows is None else eval_rows
    batches = batches_of(profile, lengths, supervised, eval_rows=eval_rows)
    if shape is None or batches is None:
        return unknown(target)
    parts = parts_of(profile, batches, shape, target.device, target.dtype)
    verdict = judge(sum(parts.values()), target.memory_bytes)
    found = Budget(
        verdict=verdict,
        bytes=sum(parts.values()),
        memory_bytes=target.memory_bytes,
        seconds=_seconds(profile, batches, shape, target) if target.is_here else None,
        parts=parts,
        device=target.device,
        dtype=target.dtype,
    )
    if verdict != "will not fit":
        return found
    return replace(found, fits_with=_fit(profile, batches, shape, target))


def _fit(profile: Profile, batches: Batches, shape: Shape, target: Target) -> Mapping[str, Any] | None:
    """The nearest settings that fit. The batch, and with it the result, stays the same in all of them.

    A smaller cutoff is none of these: one that drops no row saves nothing, as batches are as wide as their longest row.
    """
    keys = profile.train
    own = {"train.micro_batch_size": keys.micro_batch_size, "model.dtype": target.dtype}
    sizes = [size for size in range(1, keys.micro_batch_size + 1) if keys.batch_size % size == 0]

    def exceeds(size: int, dtype: str) -> bool:
        smaller = replace(profile, train=replace(keys, micro_batch_size=size))
        parts = parts_of(smaller, _with_rows(batches, size), shape, target.device, dtype)
        return sum(parts.values()) > target.memory_bytes

    for dtype in dict.fromkeys((target.dtype, "bfloat16")):
        fitting = bisect_left(sizes, True, key=partial(exceeds, dtype=dtype))  # fewer rows never need more
        if fitting:
            fix = {"train.micro_batch_size": sizes[fitting - 1], "model.dtype": dtype}
            return {key: value for key, value in fix.items() if value != own[key]}
    return None


def _with_rows(batches: Batches, rows: int) -> Batches:
    largest, scoring = batches.largest, batches.eval_largest
    return replace(
        batches,
        largest=replace(largest, rows=min(rows, largest.rows)),
        eval_largest=replace(scoring, rows=min(2 * rows, scoring.rows)),
    )


def budget_here(
    profile: Profile, lengths: Sequence[int], supervised: Sequence[int], *, eval_rows: int | None = None
) -> Budget:
    """The same on this machine's device that the profile names; its time too, where the device is here.

    A device that isn't here has no memory that is known, so nothing is said of whether the run fits.
    """
    return budget_of(
        profile,
        lengths,
        supervised,
        shape=shape_of(profile.model.base),
        target=target_here(profile),
        eval_rows=eval_rows,
    )


def target_here(profile: Profile) -> Target:
    """The device that a run of the profile would take."""
    keys = profile.model
    try:
        device = choose_device(keys.device).torch_device
        dtype = choose_precision(keys.dtype, device).dtype
    except PoemError:
        dtype_name = keys.dtype if keys.dtype != "auto" else "bfloat16" if "cuda" in keys.device else "float32"
        return Target(keys.device, dtype_name, 0)
    return Target(str(device), str(dtype).removeprefix("torch."), _memory_bytes(device)[0], is_here=True)


def unknown(target: Target) -> Budget:
    """The budget of what nothing is known of."""
    return Budget("unknown", 0, target.memory_bytes, None, {}, target.device, target.dtype)


def judge(needed_bytes: int, memory_bytes: int) -> Verdict:
    """Whether so much fits into a memory; 0: its size is unknown."""
    if not memory_bytes:
        return "unknown"
    if needed_bytes > memory_bytes:
        return "will not fit"
    return "tight" if needed_bytes > TIGHT_SHARE * memory_bytes else "fits"


def parts_of(profile: Profile, batches: Batches, shape: Shape, device: str, dtype: str) -> dict[str, int]:
    """What needs how many bytes while a run is at its peak, as in `Budget`.

    The step and the evaluation with the largest micro-batches are looked at, and the one that needs more is told.
    """
    kind, number_type = device.partition(":")[0], getattr(torch, dtype)
    step = cost_of(shape, profile, batches.largest, device=kind, dtype=number_type)
    scoring = StepCost()
    if batches.evaluations:
        scoring = cost_of(shape, profile, batches.eval_largest, device=kind, dtype=number_type, training=False)
    process = CUDA_CONTEXT_BYTES if kind == "cuda" else 0
    if kind == "cpu":
        process = _PROCESS_BYTES + data_bytes(batches)
    tensors = max(step.transient, step.update)
    if kind == "cpu":
        is_accumulating = profile.train.batch_size > profile.train.micro_batch_size
        share = _UNUSED_SHARE_ACCUMULATING if is_accumulating else _UNUSED_SHARE
        step_bytes = tensors + share * step.gone
        scoring_bytes = scoring.transient  # keeps no graph, so its blocks fit again
    else:
        step_bytes, scoring_bytes = _RESERVE_FACTOR * tensors, _RESERVE_FACTOR * scoring.transient
    # An evaluation has no gradients, but a step has had them, and their place stays the process's own.
    logits = step.logits if step_bytes >= scoring_bytes else scoring.logits
    return {
        "process": process,
        "weights": round(step.weights),
        "adapters": round(step.adapters),
        "gradients": round(step.trainable),
        "optimiser": round(2 * step.trainable),
        "activations": round(max(step_bytes, scoring_bytes)) - round(logits),
        "logits": round(logits),
    }


def data_bytes(batches: Batches) -> int:
    """What a run's rows take of the machine's memory."""
    return _DATA_BYTES_PER_TOKEN * batches.tokens


def _seconds(profile: Profile, batches: Batches, shape: Shape, target: Target) -> float:
    device, dtype = torch.device(target.device), getattr(torch, target.dtype)
    speed = _speed(shape, batches, device, dtype)
    step = cost_of(shape, profile, batches.mean, device=device.type, dtype=dtype)
    work = step.micro_work.times(batches.micros) + step.update_work.times(batches.steps)
    if batches.evaluations:
        scoring = cost_of(shape, profile, batches.eval_mean, device=device.type, dtype=dtype, training=False)
        work = work + scoring.micro_work.times(batches.evaluations * batches.eval_micros)
    return speed.seconds(work)


def _speed(shape: Shape, batches: Batches, device: torch.device, dtype: torch.dtype) -> Speed:
    width = int(shape.config.hidden_size)
    inner = int(getattr(shape.config, "intermediate_size", None) or 4 * width)
    return speed_of(device, dtype, batches.mean.rows * batches.mean.width, width, inner)


def free_bytes(device: torch.device) -> int:
    """What is free of a device's memory now."""
    return _memory_bytes(device)[1]


def _memory_bytes(device: torch.device) -> tuple[int, int]:
    """(all, free) of the memory of a device that is here."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return int(total), int(free)
    import psutil

    memory = psutil.virtual_memory()
    total, free = int(memory.total), int(memory.available)
    if device.type == "mps":
        total = int(torch.mps.recommended_max_memory())
        return total, min(total, free)
    try:
        limit = cgroup_memory(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    except OSError:  # other systems than Linux have no such limits
        return total, free
    return (total, free) if limit is None else (min(total, limit[0]), min(free, max(0, limit[0] - limit[1])))
