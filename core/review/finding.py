"""One strength or limit of a data file, and what the rules that find them look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.advice.facts import Facts
from core.audit.problem import Problem
from core.audit.structure import Structure
from core.profile.schema import Profile


@dataclass(frozen=True, slots=True)
class Finding:
    """One strength or limit of a file."""

    id: str
    """The rule's name for programs: "scale-small"."""
    kind: Literal["strength", "limit"]
    title: str
    """What it is, in a few words, in the reader's language."""
    reason: str
    """Why, in the reader's language, with its numbers."""
    numbers: Mapping[str, int | float]
    """The numbers that it follows from; shares from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the rules look at."""

    structure: Structure
    """The file's."""
    facts: Facts
    """Measured of it."""
    problems: Sequence[Problem]
    """Found in it."""
    profile: Profile
    """What it is to be trained with."""
    regulated_share: float | None
    """Of all poems, those that keep tone pattern and rhyme, 0 to 1; None: nobody counted."""


def strength(id: str, title: str, reason: str, **numbers: int | float) -> Finding:
    """A finding in the file's favour."""
    return Finding(id, "strength", title, reason, numbers)


def limit(id: str, title: str, reason: str, **numbers: int | float) -> Finding:
    """A finding against it."""
    return Finding(id, "limit", title, reason, numbers)
