"""All rules over one profile, in order. It knows neither how facts are measured nor how advice is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.advice import rules_data, rules_generation, rules_lora, rules_model, rules_rhythm, rules_text, rules_train
from core.advice.case import Case
from core.advice.facts import Facts
from core.advice.rule import Advice
from core.profile.reference import KEYS
from core.profile.schema import Profile

_RULES = (
    *rules_model.RULES,
    *rules_data.RULES,
    *rules_text.RULES,
    *rules_train.RULES,
    *rules_lora.RULES,
    *rules_rhythm.RULES,
    *rules_generation.RULES,
)
"""A rule goes by the values of keys whose rules come before its own, so that all fixes together are as good as each."""
_PLACES = {key: place for place, key in enumerate(KEYS)}


def advise(profile: Profile, facts: Facts | None) -> tuple[Advice, ...]:
    """What all rules say of a profile.

    Each rule judges the run that the fixes before it would make: the rhythm of a run is judged for the rows, epochs and
    batches that are advised. So a profile with all fixes applied gets no further ones from the same facts.

    Args:
        profile: a checked one.
        facts: None where nothing is measured: then only the rules that need no facts speak.

    Returns:
        The advice, by key in the order of `core.profile.reference.KEYS`; with facts, at least one for every key of a
        table of its own. No two have a fix for one key. Reasons may hold untrusted text from profile and model, made
        safe for a terminal.
    """
    case = Case(profile, profile, facts)
    said: list[Advice] = []
    for advice in _said(case):
        said.append(advice)
    return tuple(sorted(said, key=lambda advice: _PLACES[advice.key]))


def _said(case: Case) -> Iterator[Advice]:
    pinned = _pinned(case)
    for key in pinned:
        advice = rules_model.memory_needs(case, key)
        if advice is not None:
            yield advice
            case = case.with_fix(advice.fix) if advice.fix is not None else case
    for rule in _RULES:
        advice = rule(case)
        # What memory asks of a key goes before what another rule would rather have.
        if advice is None or (advice.fix is not None and advice.fix.key in pinned):
            continue
        yield advice
        if advice.fix is not None:
            case = case.with_fix(advice.fix)


def _pinned(case: Case) -> tuple[str, ...]:
    """The keys that memory decides about, but for the micro-batch, which has a rule of its own."""
    budget = None if case.facts is None else case.facts.budget
    if budget is None or budget.fits_with is None:
        return ()
    return tuple(key for key in budget.fits_with if key != rules_model.MICRO)


def json_of(advice: Advice) -> Mapping[str, Any]:
    """An advice as plain values; "to" is null where there is no fix."""
    return {
        "id": advice.id,
        "key": advice.key,
        "severity": advice.severity,
        "reason": advice.reason,
        "from": advice.value,
        "to": None if advice.fix is None else advice.fix.value,
    }
