"""What stands out in a run, rule by rule, on series whose answer is known by hand."""

from __future__ import annotations

import math

from core.runs.health import (
    Course,
    diverging,
    eval_above_base,
    eval_rising,
    findings,
    gradient_spike,
    gradient_zero,
    loss_spike,
    not_finite,
    plateau,
    slow,
)


def points(*values: float, first: int = 1) -> tuple[tuple[int, float], ...]:
    return tuple(enumerate(values, start=first))


def test_a_run_that_goes_well_has_no_findings() -> None:
    losses = points(*(5 - step / 100 for step in range(300)))
    course = Course(losses, ((0, 5.0), (100, 4.5), (200, 4.0)), points(*[1.0] * 300), points(*[2000.0] * 300))
    assert findings(course) == ()
    assert findings(Course()) == ()


def test_numbers_that_are_not_finite() -> None:
    (found,) = not_finite(Course(not_finite=(3, 12)))
    assert (found.rule, found.step) == ("not-finite", 12)
    assert found.message == "the loss or the gradient was not a finite number at step 12"


def test_held_out_loss_that_rises_in_a_row() -> None:
    evals = ((0, 5.0), (120, 4.0), (140, 4.1), (160, 4.2), (180, 4.3))
    (found,) = eval_rising(Course(evals=evals))
    assert (found.rule, found.step) == ("eval-rising", 120)
    assert found.message == "held-out loss has risen 3 times in a row since step 120"
    assert list(eval_rising(Course(evals=evals[:3]))) == []  # once is nothing
    assert list(eval_rising(Course(evals=(*evals, (200, 4.25))))) == []  # it falls again
    assert list(eval_rising(Course(evals=(*evals, (200, math.nan))))) == [found]


def test_held_out_loss_above_that_before_training() -> None:
    (found,) = eval_above_base(Course(evals=((0, 4.0), (20, 4.125))))
    assert (found.rule, found.step) == ("eval-above-base", 20)
    assert found.message == "held-out loss is 4.125 at step 20, higher than 4.000 before training"
    assert list(eval_above_base(Course(evals=((0, 4.0), (20, 4.0))))) == []
    assert list(eval_above_base(Course(evals=((20, 4.0), (40, 5.0))))) == []  # how it was before isn't known


def test_a_loss_that_grows_again() -> None:
    """Blocks of twenty steps: 5, 4, 5: a quarter above the lowest, and just below that."""
    (found,) = diverging(Course(points(*[5.0] * 20, *[4.0] * 20, *[5.0] * 20)))
    assert (found.rule, found.step) == ("diverging", 21)
    assert found.message == "the training loss has risen from 4.000 at step 21 to 5.000"
    assert list(diverging(Course(points(*[5.0] * 20, *[4.0] * 20, *[4.999] * 20)))) == []
    assert list(diverging(Course(points(*[4.0] * 30)))) == []


def test_a_spike_of_the_loss() -> None:
    """Twenty losses of 4, then 6 = 1.5 × 4; what comes after it is compared with a median that is still 4."""
    (found,) = loss_spike(Course(points(*[4.0] * 20, 6.0, 4.0, 4.0)))
    assert (found.rule, found.step) == ("loss-spike", 21)
    assert found.message == "training loss jumped to 6.000 at step 21, from 4.000; in the last 200 steps: 1×"
    assert list(loss_spike(Course(points(*[4.0] * 20, 5.99)))) == []
    assert list(loss_spike(Course(points(*[4.0] * 19, 6.0)))) == []  # what is usual isn't known yet
    (last,) = loss_spike(Course(points(*[4.0] * 20, 6.0, *[4.0] * 10, 8.0)))
    assert (last.step, last.message[-2:]) == (32, "2×")
    assert list(loss_spike(Course(points(*[4.0] * 20, 6.0, *[4.0] * 200)))) == []  # long ago


def test_a_spike_of_the_gradient() -> None:
    (found,) = gradient_spike(Course(grad_norms=points(*[0.5] * 20, 5.0)))
    assert (found.rule, found.step) == ("gradient-spike", 21)
    assert found.message == "gradient norm jumped to 5 at step 21, from 0.5; in the last 200 steps: 1×"
    assert list(gradient_spike(Course(grad_norms=points(*[0.5] * 20, 4.9)))) == []


def test_a_gradient_of_zero() -> None:
    (found,) = gradient_zero(Course(grad_norms=points(1.0, *[0.0] * 20)))
    assert (found.rule, found.step) == ("gradient-zero", 2)
    assert list(gradient_zero(Course(grad_norms=points(*[0.0] * 19)))) == []
    assert list(gradient_zero(Course(grad_norms=points(*[0.0] * 19, 0.1)))) == []


def test_a_plateau() -> None:
    """Means of a hundred steps: 4, then 3.97, which is 0.75 % less; 3.95 would be 1.25 %."""
    (found,) = plateau(Course(points(*[4.0] * 100, *[3.97] * 100)))
    assert (found.rule, found.step) == ("plateau", 1)
    assert found.message == "training loss has hardly changed since step 1: 4.000, then 3.970"
    assert list(plateau(Course(points(*[4.0] * 100, *[3.95] * 100)))) == []
    assert list(plateau(Course(points(*[4.0] * 199)))) == []


def test_a_run_that_became_slow() -> None:
    (found,) = slow(Course(speeds=points(*[2000.0] * 20, *[999.0] * 20)))
    assert (found.rule, found.step) == ("slow", 21)
    assert found.message == "999 tokens/s since step 21, 2,000 at best: does something else use the device?"
    assert list(slow(Course(speeds=points(*[2000.0] * 20, *[1000.0] * 20)))) == []


def test_what_matters_most_comes_first() -> None:
    course = Course(points(*[4.0] * 200), ((0, 3.0), (100, 3.5), (200, 4.0)), points(*[0.0] * 200), (), (7,))
    assert [found.rule for found in findings(course)] == [
        "not-finite",
        "eval-rising",
        "eval-above-base",
        "gradient-zero",
        "plateau",
    ]
