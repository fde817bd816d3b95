"""Facts as JSON values and back: they are measured in one process, and rules go by them in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from core.advice.facts import Budget, Distribution, Facts, Model, Tokens

_DISTRIBUTIONS = [field.name for field in fields(Tokens) if field.type == Distribution.__name__]


def facts_fields(facts: Facts) -> dict[str, Any]:
    """Facts as JSON values."""
    return asdict(facts)


def facts_from(values: Mapping[str, Any]) -> Facts:
    """The other way.

    Raises:
        KeyError, TypeError, ValueError: these are no facts.
    """
    tokens, model, budget = values["tokens"], values["model"], values["budget"]
    return Facts(
        **{
            **values,
            "columns": tuple(values["columns"]),
            "tokens": Tokens(
                **{
                    **tokens,
                    **{name: Distribution(**tokens[name]) for name in _DISTRIBUTIONS},
                    "over_cutoff": tuple(tokens["over_cutoff"]),
                    "nothing_supervised": tuple(tokens["nothing_supervised"]),
                }
            ),
            "repeats": {int(length): share for length, share in values["repeats"].items()},  # JSON's keys are texts
            "model": model and Model(**model),
            "budget": budget and Budget(**budget),
        }
    )
