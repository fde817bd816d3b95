"""What a data file is worth for training: every strength and limit, each by a rule. It knows no report."""

from __future__ import annotations

from collections.abc import Sequence

from core.advice.facts import Facts
from core.audit.problem import Problem
from core.audit.structure import Structure
from core.profile.schema import Profile
from core.review.finding import Case, Finding
from core.review.value_lessons import LESSON_RULES
from core.review.value_rows import ROW_RULES


def value_of(
    structure: Structure,
    facts: Facts,
    problems: Sequence[Problem],
    profile: Profile,
    *,
    regulated_share: float | None = None,
) -> tuple[Finding, ...]:
    """Every strength, then every limit.

    Args:
        structure: the file's.
        facts: measured of it.
        problems: found in it.
        profile: what it is to be trained with.
        regulated_share: of all poems, those that keep tone pattern and rhyme, 0 to 1; None: nobody counted.
    """
    case = Case(structure, facts, problems, profile, regulated_share)
    found = [finding for rule in (*ROW_RULES, *LESSON_RULES) for finding in rule(case)]
    return tuple(sorted(found, key=lambda finding: finding.kind == "limit"))
