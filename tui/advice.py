"""Advice in words, for the panes that show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from textual.content import Content

from core.advice.amounts import rate
from core.i18n import N_, _
from core.paths import path_of
from tui.plain import content, fit

if TYPE_CHECKING:
    from core.advice.facts import Budget, Facts
    from core.advice.rule import Advice
    from core.profile.schema import Profile
    from tui.workbench import Findings

SEVERITIES: Mapping[str, str] = {
    "error": N_("error"),
    "warning": N_("warning"),
    "hint": N_("hint"),
    "good": N_("good"),
}
"""What each severity is called, the gravest first."""
STYLES: Mapping[str, str] = {
    "error": "$text-error",
    "warning": "$text-warning",
    "hint": "$text-accent",
    "good": "$text-success",
}
_LONGEST_VALUE_CELLS = 100


def advice_on(profile: Profile, facts: Facts | None) -> list[Advice]:
    """What the rules say of a profile, errors first, then warnings, hints, and what is good."""
    from core.advice.advise import advise

    order = list(SEVERITIES)
    return sorted(advise(profile, facts), key=lambda one: order.index(one.severity))


def advice_content(advice: Advice, *, with_key: bool = False) -> Content:
    """How grave it is, from what to what, and why: what it would change has a line of its own."""
    between = "  " if advice.fix is None and not with_key else "\n"
    return Content.assemble(advice_head(advice, with_key=with_key), between, content(advice.reason))


def advice_head(advice: Advice, *, with_key: bool = True) -> Content:
    """How grave it is, of which key, from what to what, in one line."""
    style = STYLES[advice.severity]
    parts = [content(_(SEVERITIES[advice.severity]), f"bold {style}")]
    parts += [content(advice.key)] if with_key else []
    parts += [content(change_words(advice), style)] if advice.fix is not None else []
    return Content("  ").join(parts)


def change_words(advice: Advice) -> str:
    """What its fix changes: `1 → 5`; of another key than its own, that key's new value. Empty without a fix."""
    fix = advice.fix
    if fix is None:
        return ""
    if fix.key != advice.key:
        return f"{fix.key} = {value_words(fix.value)}"
    return f"{value_words(advice.value)} → {value_words(fix.value)}"


def value_words(value: Any) -> str:
    """A value nearly as a profile has it, cut where it is long."""
    if isinstance(value, float) and value > 0:
        return rate(value)
    return fit(json.dumps(value, ensure_ascii=False, default=str), _LONGEST_VALUE_CELLS).rstrip()


def no_facts_words(findings: Findings | None) -> str:
    """What to say where nothing is known of the data, though something else may have been reviewed (`findings`)."""
    if findings is None:
        return _("Advice goes by the profile alone until the Data pane has reviewed the file of data.path.")
    words = _("The review is of another file than data.path, so advice goes by the profile alone. {key}")
    return words.format(key=_("p in the Data pane has the profile train on the file that is open there."))


def facts_for(profile: Profile, text: str, findings: Findings | None, budget: Budget | None) -> Facts | None:
    """What is known for a profile that may have been changed since the review; None: of its data nothing.

    Args:
        profile: a checked one.
        text: its text.
        findings: of the last review, perhaps of another file.
        budget: of this very profile; None: not worked out yet.
    """
    if findings is None or not _is_same(findings.path, profile.data.path):
        return None
    facts = findings.facts
    if budget is None and findings.profile == text:
        budget = facts.budget
    is_same_base = facts.model is not None and facts.model.name == profile.model.base
    return replace(facts, budget=budget, model=facts.model if is_same_base else None)


def _is_same(path: str, other: str) -> bool:
    """Whether two paths, as people type them, mean the same file."""
    return path == other or path_of(path).absolute() == path_of(other).absolute()
