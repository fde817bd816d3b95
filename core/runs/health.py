"""What stands out in the course of a run, in words, each with the rule that fired: pure functions of its series.

A rule looks at a bounded number of the last steps, so that it costs the same in a long run. Nothing here stops a run or
changes one; whoever reads it judges.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from core.i18n import _

PLATEAU_STEPS = 100
"""The means of the loss over two windows of so many steps are compared."""
PLATEAU_SHARE = 0.01
"""A plateau: the later mean is less than this share below the earlier."""
RISES = 2
"""So many higher held-out losses in a row are told of."""
USUAL_STEPS = 20
"""A value is compared with the median of so many before it."""
LOOKED_BACK_STEPS = 200
"""Spikes are looked for in so many last steps."""
LOSS_SPIKE = 1.5
"""A spike of the loss is so many times the usual."""
GRADIENT_SPIKE = 10.0
"""A spike of the gradient is so many times the usual."""
DIVERGING = 1.25
"""Diverging: the mean loss of the last steps is so many times the lowest such mean before."""
SLOW = 0.5
"""Slow: tokens per second are less than this share of what they were at best."""

Points = Sequence[tuple[int, float]]
"""(step, value), steps ascending."""


@dataclass(frozen=True, slots=True)
class Course:
    """The series of a run that the rules look at."""

    losses: Points = ()
    """Loss of every step, finite ones only."""
    evals: Points = ()
    """Held-out losses; step 0: before training."""
    grad_norms: Points = ()
    """Length of the gradient of every step."""
    speeds: Points = ()
    """Tokens per second of every step."""
    not_finite: Sequence[int] = ()
    """Steps whose loss or gradient was no finite number."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that stands out."""

    rule: str
    """The rule's name."""
    step: int
    """The step since which, or at which, it holds."""
    message: str
    """One sentence, the rule left out."""


def findings(course: Course) -> tuple[Finding, ...]:
    """What stands out, what matters most first."""
    rules = (
        not_finite,
        diverging,
        eval_rising,
        eval_above_base,
        loss_spike,
        gradient_spike,
        gradient_zero,
        plateau,
        slow,
    )
    return tuple(finding for rule in rules for finding in rule(course))


def not_finite(course: Course) -> Iterator[Finding]:
    """A loss or gradient was NaN or infinite."""
    if course.not_finite:
        step = course.not_finite[-1]
        text = _("the loss or the gradient was not a finite number at step {step}")
        yield Finding("not-finite", step, text.format(step=step))


def diverging(course: Course) -> Iterator[Finding]:
    """The mean loss of the last USUAL_STEPS steps is DIVERGING times the lowest mean of so many steps before them."""
    blocks = _block_means(course.losses, USUAL_STEPS)
    if len(blocks) < 2:
        return
    (lowest_step, lowest), (_step, last) = min(blocks[:-1], key=lambda block: block[1]), blocks[-1]
    if lowest > 0 and last >= DIVERGING * lowest:
        text = _("the training loss has risen from {before:.3f} at step {step} to {now:.3f}")
        yield Finding("diverging", lowest_step, text.format(before=lowest, step=lowest_step, now=last))


def eval_rising(course: Course) -> Iterator[Finding]:
    """The held-out loss was higher than the time before, RISES times in a row or more, until now."""
    evals = [point for point in course.evals if math.isfinite(point[1])]
    rises = 0
    while rises + 1 < len(evals) and evals[-1 - rises][1] > evals[-2 - rises][1]:
        rises += 1
    if rises >= RISES:
        step = evals[-1 - rises][0]
        text = _("held-out loss has risen {count} times in a row since step {step}")
        yield Finding("eval-rising", step, text.format(count=rises, step=step))


def eval_above_base(course: Course) -> Iterator[Finding]:
    """The held-out loss is higher than before training."""
    if len(course.evals) >= 2 and course.evals[0][0] == 0 and course.evals[-1][1] > course.evals[0][1]:
        (_zero, base), (step, now) = course.evals[0], course.evals[-1]
        text = _("held-out loss is {now:.3f} at step {step}, higher than {base:.3f} before training")
        yield Finding("eval-above-base", step, text.format(now=now, step=step, base=base))


def loss_spike(course: Course) -> Iterator[Finding]:
    """A loss was LOSS_SPIKE times the median of the USUAL_STEPS before it."""
    spikes = _spikes(course.losses, LOSS_SPIKE)
    if spikes:
        step, value, usual = spikes[-1]
        text = _(
            "training loss jumped to {value:.3f} at step {step}, from {usual:.3f}; in the last {steps} steps: {count}×"
        )
        message = text.format(value=value, step=step, usual=usual, steps=LOOKED_BACK_STEPS, count=len(spikes))
        yield Finding("loss-spike", step, message)


def gradient_spike(course: Course) -> Iterator[Finding]:
    """A gradient was GRADIENT_SPIKE times as long as the median of the USUAL_STEPS before it."""
    spikes = _spikes(course.grad_norms, GRADIENT_SPIKE)
    if spikes:
        step, value, usual = spikes[-1]
        text = _(
            "gradient norm jumped to {value:.3g} at step {step}, from {usual:.3g}; in the last {steps} steps: {count}×"
        )
        message = text.format(value=value, step=step, usual=usual, steps=LOOKED_BACK_STEPS, count=len(spikes))
        yield Finding("gradient-spike", step, message)


def gradient_zero(course: Course) -> Iterator[Finding]:
    """The gradients of the last USUAL_STEPS steps were all zero."""
    last = course.grad_norms[-USUAL_STEPS:]
    if len(last) == USUAL_STEPS and all(value == 0 for _step, value in last):
        text = _("the gradient has been zero since step {step}: nothing is learnt")
        yield Finding("gradient-zero", last[0][0], text.format(step=last[0][0]))


def plateau(course: Course) -> Iterator[Finding]:
    """The mean loss of the last PLATEAU_STEPS steps is hardly below that of as many before, and not far above it."""
    before = course.losses[-2 * PLATEAU_STEPS : -PLATEAU_STEPS]
    now = course.losses[-PLATEAU_STEPS:]
    if len(before) < PLATEAU_STEPS:
        return
    former, latter = fmean(value for _step, value in before), fmean(value for _step, value in now)
    if abs(former - latter) < PLATEAU_SHARE * abs(former):
        step = before[0][0]
        text = _("training loss has hardly changed since step {step}: {before:.3f}, then {now:.3f}")
        yield Finding("plateau", step, text.format(step=step, before=former, now=latter))


def slow(course: Course) -> Iterator[Finding]:
    """The tokens per second of the last USUAL_STEPS steps are less than SLOW of the best so many before."""
    blocks = _block_means(course.speeds, USUAL_STEPS)
    if len(blocks) < 2:
        return
    best, (step, now) = max(value for _step, value in blocks[:-1]), blocks[-1]
    if now < SLOW * best:
        text = _("{now:,.0f} tokens/s since step {step}, {best:,.0f} at best: does something else use the device?")
        yield Finding("slow", step, text.format(now=now, step=step, best=best))


def _block_means(points: Points, size: int) -> list[tuple[int, float]]:
    """(first step, mean) of blocks of so many points, the last of which ends with the last point; oldest first."""
    return [
        (points[start][0], fmean(value for _step, value in points[start : start + size]))
        for start in range(len(points) % size, len(points), size)
    ]


def _spikes(points: Points, times: float) -> list[tuple[int, float, float]]:
    """(step, value, usual) of values so many times the median of those before them, in the last steps."""
    recent = [point for point in points[-LOOKED_BACK_STEPS - USUAL_STEPS :] if math.isfinite(point[1])]
    found = []
    for index in range(USUAL_STEPS, len(recent)):
        step, value = recent[index]
        if value <= 0 or value < times * min(value for _step, value in recent[index - USUAL_STEPS : index]):
            continue  # what is no spike over the lowest is none over the median
        usual = median(value for _step, value in recent[index - USUAL_STEPS : index])
        if value >= times * usual > 0:
            found.append((step, value, usual))
    return found
