"""How a profile would train on a file, in figures: rows, steps, lengths, rates and time. It knows no report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.advice.case import Case
from core.advice.facts import Facts
from core.advice.plan import lasting_max, run_steps, train_rows
from core.advice.rule import Advice
from core.advice.rules_model import TINY_PARAMETERS
from core.advice.rules_train import (
    ADVISED_EPOCHS,
    FEWEST_EPOCHS,
    HUGE_PARAMETERS,
    LARGE_ROWS,
    MOST_EPOCHS,
    MOST_EPOCHS_LARGE,
    MOST_EPOCHS_SMALL,
    RATES,
    SMALL_ROWS,
)
from core.profile.schema import Profile

_FLOP_PER_PARAMETER_TOKEN = 4
"""Kaplan et al. 2020: 2 for the forward pass, 4 for the backward one; LoRA does without the half of these that is for
the gradients of the base's weights."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One profile on one file."""

    base: str
    """As the profile names it."""
    method: str
    """"LoRA": there is no other."""
    parameters: int | None
    """Of the base; None: unknown."""
    trainable: int | None
    """Of the adapter; None: unknown."""
    rows: int
    """Rows that train."""
    p99_tokens: int
    """Tokens that 99 % of the rows don't exceed."""
    max_tokens: int
    """Tokens of the longest row."""
    holding_tokens: int
    """The least power of two that holds the longest row, or 99 % of the rows where that one is a freak."""
    cutoff_len: int
    """Tokens: longer rows are dropped or cut."""
    micro_batch_size: int
    """Rows that go through the model at once."""
    gradient_accumulation: int
    """Micro-batches of a step."""
    batch_size: int
    """Rows of a step."""
    epochs: int
    """Passes over the rows."""
    usual_epochs: tuple[int, int]
    """The fewest and the most that are usual for so many rows."""
    steps: int
    """Optimiser steps in all."""
    optimiser: str
    """"AdamW": there is no other."""
    learning_rate: float
    """At its peak."""
    usual_rates: tuple[float, float, float]
    """The least, the best and the greatest for a base of this size."""
    tokens: int
    """Tokens that go through the model in all steps, without padding."""
    flop: int | None
    """Floating-point operations that this takes; None: the base is unknown."""
    seconds: float | None
    """How long it takes on this device; None: unknown."""


def plan_of(profile: Profile, facts: Facts, *, budgeted: Profile | None = None) -> Plan:
    """The plan that a profile makes.

    Args:
        profile: a checked one.
        facts: measured of the file.
        budgeted: the profile that `facts.budget` was computed for; None: this one. Its time is taken in proportion
            to the rows that go through the model.
    """
    train, model = profile.train, facts.model
    seen = run_steps(profile, facts) * train.batch_size
    tokens = round(facts.tokens.total.mean * seen)
    seconds = None if facts.budget is None else facts.budget.seconds
    if seconds is not None and budgeted is not None:
        seconds *= seen / (run_steps(budgeted, facts) * budgeted.train.batch_size)
    longest = lasting_max(facts.tokens.total.p99, facts.tokens.total.max)
    rows = train_rows(profile, facts)
    return Plan(
        base=profile.model.base,
        method="LoRA",
        parameters=None if model is None else model.parameters,
        trainable=None if model is None else model.trainable,
        rows=rows,
        p99_tokens=facts.tokens.total.p99,
        max_tokens=facts.tokens.total.max,
        holding_tokens=1 << (longest - 1).bit_length(),
        cutoff_len=profile.data.cutoff_len,
        micro_batch_size=train.micro_batch_size,
        gradient_accumulation=train.batch_size // train.micro_batch_size,
        batch_size=train.batch_size,
        epochs=train.epochs,
        usual_epochs=_usual_epochs(rows),
        steps=run_steps(profile, facts),
        optimiser="AdamW",
        learning_rate=train.learning_rate,
        usual_rates=_usual_rates(None if model is None else model.parameters),
        tokens=tokens,
        flop=None if model is None else _FLOP_PER_PARAMETER_TOKEN * model.parameters * tokens,
        seconds=seconds,
    )


def advised(profile: Profile, facts: Facts, advice: Iterable[Advice]) -> Profile:
    """The profile with every fix of errors, warnings and hints."""
    case = Case(profile, profile, facts)
    for one in advice:
        if one.fix is not None:
            case = case.with_fix(one.fix)
    return case.planned


def _usual_epochs(rows: int) -> tuple[int, int]:
    if rows < SMALL_ROWS:
        return ADVISED_EPOCHS, MOST_EPOCHS_SMALL
    return (1, MOST_EPOCHS_LARGE) if rows >= LARGE_ROWS else (FEWEST_EPOCHS, MOST_EPOCHS)


def _usual_rates(parameters: int | None) -> tuple[float, float, float]:
    if parameters is not None and parameters < TINY_PARAMETERS:
        return RATES["tiny"]
    return RATES["huge" if parameters is not None and parameters >= HUGE_PARAMETERS else "usual"]
