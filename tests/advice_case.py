"""What the tests of the review's rules share: a profile that is right for its facts, and changes to both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.advice.advise import advise
from core.advice.facts import Facts
from core.advice.rule import Advice
from core.profile.document import load_profile
from core.profile.schema import Profile
from tests.review_facts import BUDGET, GB, MODEL, TOKENS, facts, spread

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
REPEATS = {1: 1.0, 2: 0.036, 3: 0.004, 4: 0.001, 5: 0.0, 6: 0.0, 7: 0.0, 8: 0.0}
TINY = replace(MODEL, parameters=6_822_144, trainable=1_179_648)
SHORT = replace(BUDGET, verdict="will not fit", bytes=30 * GB)


def profile(*overrides: str) -> Profile:
    """The recommended profile, with changes."""
    return load_profile("tang-qwen2-1.5b", overrides=overrides)


def measured(**changes: Any) -> Facts:
    """Facts that the recommended profile is right for, with changes."""
    return facts(**{"repeats": REPEATS, **changes})


def costs(**changes: Any) -> Facts:
    """The same, with changes to the budget."""
    return measured(budget=replace(BUDGET, **changes))


def holds(count: int) -> Facts:
    """A file of so many rows, of which 200 or a tenth are held out, with the lengths of the 25,007."""
    held_out = min(200, count // 10)
    total = replace(TOKENS.total, sum=round(TOKENS.total.sum * count / 25_007))
    return measured(rows=count, free_rows=count - held_out, eval_rows=held_out, tokens={"total": total})


def totals(count: int) -> Facts:
    """A file of so many tokens."""
    return measured(tokens={"total": replace(TOKENS.total, sum=count)})


def lengths(p99: int, longest: int) -> Facts:
    """Rows of such lengths, whole and of outputs alike."""
    whole = spread(88.0, 91.0, p99 - 2, p99, longest, 2_205_883)
    return measured(tokens={"total": whole, "output": replace(whole, mean=31.0)})


def sized(**changes: Any) -> Facts:
    """Facts with changes to the model."""
    return measured(model=replace(MODEL, **changes))


def find(id: str, overrides: tuple[str, ...], known: Facts | None) -> Advice | None:
    """The one advice of that id."""
    found = [advice for advice in advise(profile(*overrides), known) if advice.id == id]
    assert len(found) <= 1
    return found[0] if found else None
