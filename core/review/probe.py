"""A few real steps on this machine, to measure what a run needs: memory at its peak, and time.

They are made in a process of their own, whose peak is theirs alone. This end chooses which batches they are made with
and what they say of the whole run; `core.review.probe_steps` makes them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from core.advice.facts import Budget
from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.profile.document import profile_to_dict
from core.profile.schema import Profile
from core.review.budget import budget_of, data_bytes, free_bytes, judge, target_here, unknown
from core.review.budget_batches import Batches, batches_of, cut_rows
from core.review.shapes import Shape, shape_of

# Steps whose time is taken. An epoch's batches, in order of their size, are divided among so many.
_TIMED_STEPS = 6
# No more steps are begun after so long; one with the largest batch and two others are made however long they take.
_PATIENCE_S = 60.0
# What of the free memory a probe may take.
_FREE_SHARE = 0.85
# What the heap of a whole run has beside what stays, to what it has after the few steps of a probe.
_GROWTH = 1.1
# How many layers are tried where all of them are too many.
_FEWER_LAYERS = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the steps took."""

    peak_bytes: float
    """The most memory that the process, or its device, had in use."""
    step_s: float
    """Seconds of a step for each padded token."""
    eval_s: float
    """Seconds of an evaluation for each padded token; 0: none was made."""


def probe(
    profile: Profile, lengths: Sequence[int], supervised: Sequence[int], *, eval_rows: int | None = None
) -> Budget:
    """What a run needs, measured by a few steps on the device that the profile names.

    Where the base's folder isn't here, or it is larger than the free memory, a model of its shape with random weights
    stands for it: its steps take as long and need as much. Where that is too large as well, two models with fewer
    layers are measured, and a straight line is drawn through them.

    Args:
        profile: a checked one.
        lengths: as for `budget_of`.
        supervised: as for `budget_of`.
        eval_rows: as for `budget_of`.

    Raises:
        PoemError: the steps failed.
    """
    target, shape = target_here(profile), shape_of(profile.model.base)
    eval_rows = profile.data.eval_rows if eval_rows is None else eval_rows
    batches = batches_of(profile, lengths, supervised, eval_rows=eval_rows)
    if shape is None or batches is None or not target.is_here:
        return unknown(target)

    def budget(of: Shape) -> Budget:
        elsewhere = replace(target, is_here=False)  # its time need not be estimated
        return budget_of(profile, lengths, supervised, shape=of, target=elsewhere, eval_rows=eval_rows)

    guess = budget(shape)
    cut = cut_rows(profile, lengths, supervised)
    request = {
        "profile": profile_to_dict(profile),
        "steps": [[cut[index] for index in step] for step in _chosen(batches, cut)],
        "held_out": sorted(cut)[-batches.eval_largest.rows :] if batches.evaluations else [],
        "patience_s": _PATIENCE_S,
    }
    found = _measure(request, shape, guess, budget)
    micros_tokens = batches.micros * batches.mean.rows * batches.mean.width
    eval_tokens = batches.evaluations * batches.eval_micros * batches.eval_mean.rows * batches.eval_mean.width
    others = {name: size for name, size in guess.parts.items() if name not in ("activations", "process")}
    # What the tensors that stay take is certain, so what was measured tells of the process and what comes and goes.
    rest = max(0, round(found.peak_bytes) - sum(others.values()))
    data = data_bytes(batches) if target.device == "cpu" else 0
    process = min(guess.parts["process"] - data, rest)
    moving = round((rest - process) * (_GROWTH if target.device == "cpu" else 1))
    parts = {**guess.parts, "process": process + data, "activations": moving}
    verdict = judge(sum(parts.values()), target.memory_bytes)
    return replace(
        guess,
        verdict=verdict,
        bytes=sum(parts.values()),
        parts=parts,
        seconds=found.step_s * micros_tokens + found.eval_s * eval_tokens,
        probed=True,
        fits_with=guess.fits_with if verdict == "will not fit" else None,
    )


def _chosen(batches: Batches, cut: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """The step with the longest row, which shows the most memory and warms up, and some that stand for all.

    Those are the medians of equal parts of an epoch's batches by size; the middle ones come first, as there may be
    time for a few only.
    """
    ordered = sorted(batches.planned, key=lambda step: sum(cut[index][0] for index in step))
    count = min(_TIMED_STEPS, len(ordered))
    medians = [ordered[(2 * part + 1) * len(ordered) // (2 * count)] for part in range(count)]
    largest = max(ordered, key=lambda step: max(cut[index][0] for index in step))
    return [largest, *sorted(medians, key=lambda step: abs(medians.index(step) - (count - 1) / 2))]


def _measure(request: dict[str, Any], shape: Shape, guess: Budget, again: Callable[[Shape], Budget]) -> Measured:
    """Measure the whole, or, where it is too large for the free memory, draw a line through two of fewer layers.

    Args:
        request: for `core.review.probe_steps`.
        shape: of the base.
        guess: what the whole is thought to need.
        again: what another shape is thought to need.
    """
    free = _FREE_SHARE * free_bytes(torch.device(guess.device))
    if guess.bytes <= free:
        return _run(request, layers=0)
    for most in _FEWER_LAYERS:
        if most < shape.layers and again(shape.with_layers(most)).bytes <= free:
            less, more = _run(request, layers=most // 2), _run(request, layers=most)
            share = (shape.layers - most // 2) / (most - most // 2)
            return Measured(
                *(low + share * (high - low) for low, high in zip(astuple(less), astuple(more), strict=True))
            )
    raise PoemError(
        _("too little memory is free to probe {base}, even with two of its layers").format(base=plain(shape.name)),
        hint=_("Close what else uses it, or leave the probe out."),
        where="model.base",
    )


def _run(request: dict[str, Any], *, layers: int) -> Measured:
    # The child must find this very `core`, and no `core` folder of the directory that the user is in.
    path = os.pathsep.join(filter(None, (str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH"))))
    child = subprocess.run(
        [sys.executable, "-P", "-m", "core.review.probe_steps"],
        env=os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": path},
        input=json.dumps({**request, "layers": layers}).encode(),
        capture_output=True,
        check=False,
    )
    try:
        return Measured(**json.loads(child.stdout.decode("utf-8").splitlines()[-1]))
    except (ValueError, LookupError, TypeError) as error:
        said = child.stderr.decode("utf-8", "replace").strip().splitlines() or [f"signal {-child.returncode}"]
        raise PoemError(
            _("the probe failed: {reason}").format(reason=plain(said[-1][:300])),
            hint=_("Leave the probe out, or lower train.micro_batch_size if memory ran out."),
        ) from error
