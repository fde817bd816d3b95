"""The characters of rows: what each costs in tokens, and runs of them that come twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.data.recipe import Example
from core.data.row import Row
from core.encoding.encode import Encoder

LONGEST_RUN = 8
"""Runs of up to so many characters are looked for twice in a row."""
LISTED_CHARACTERS = 20
"""So many characters of more than one token are listed."""

_MOST_COST = 3


@dataclass(frozen=True, slots=True)
class DearCharacter:
    """A character of more than one token."""

    character: str
    """The character; untrusted."""
    tokens: int
    """What it takes by itself."""
    rows: int
    """Rows that have it in input or output."""


@dataclass(frozen=True, slots=True)
class Characters:
    """The characters of inputs and outputs, and what each takes by itself."""

    running: Mapping[int, int]
    """1, 2, 3 tokens (3: or more) → how many of all characters take so many."""
    distinct: Mapping[int, int]
    """The same of the distinct ones."""
    dear: tuple[DearCharacter, ...]
    """Those of more than one token that cost the most in all, at most 20."""
    tokens_each: float
    """Tokens a character, of the texts as they are encoded: less than by itself where characters share a token."""


def cost_characters(examples: Sequence[Example], encoder: Encoder, *, tokens: int) -> Characters:
    """What the characters of inputs and outputs take.

    Args:
        examples: at least one.
        encoder: the base's.
        tokens: of all inputs and outputs.
    """
    counts: Counter[str] = Counter()
    for example in examples:
        counts.update(example.input)
        counts.update(example.output)
    costs = dict(zip(counts, encoder.count_tokens(list(counts)), strict=True))
    dear = frozenset(character for character, cost in costs.items() if cost > 1)
    rows: Counter[str] = Counter()
    for example in examples:
        rows.update(dear.intersection(example.input + example.output))
    running: Counter[int] = Counter()
    distinct: Counter[int] = Counter()
    for character, count in counts.items():
        cost = max(1, min(costs[character], _MOST_COST))
        running[cost] += count
        distinct[cost] += 1
    dearest = sorted(dear, key=lambda one: (-(costs[one] - 1) * counts[one], one))[:LISTED_CHARACTERS]
    return Characters(
        running={cost: running[cost] for cost in range(1, _MOST_COST + 1)},
        distinct={cost: distinct[cost] for cost in range(1, _MOST_COST + 1)},
        dear=tuple(DearCharacter(one, costs[one], rows[one]) for one in dearest),
        tokens_each=tokens / counts.total(),
    )


def repeats_of(rows: Iterable[Row]) -> Mapping[int, float]:
    """n → the share of rows whose input and output have some run of n characters twice, marks among them; n of 1 to 8.

    Args:
        rows: at least one.
    """
    counts = dict.fromkeys(range(1, LONGEST_RUN + 1), 0)
    total = 0
    for row in rows:
        total += 1
        text = row.input + row.output
        for n in counts:
            # Where no run comes twice, no longer one does.
            if len(set(zip(*(text[at:] for at in range(n)), strict=False))) >= len(text) - n + 1:
                break
            counts[n] += 1
    return {n: count / total for n, count in counts.items()}
