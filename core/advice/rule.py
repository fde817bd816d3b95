"""What a rule says of a value of a profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "hint", "good"]


@dataclass(frozen=True, slots=True)
class Fix:
    """A change to a profile's text."""

    key: str
    """The full name of a key."""
    value: Any
    """What to set it to: a TOML value."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What one rule says of one profile."""

    id: str
    """The rule's name for programs, listed in docs/review.md: "epochs-few"."""
    key: str
    """The key that it is about; of the data as a whole "data.path", of instructions "data.tasks"."""
    severity: Severity
    """error: the run can't be; warning: the result will suffer; hint: could be better; good: it is right so."""
    reason: str
    """Why, in the reader's language, with the numbers that it follows from."""
    value: Any = None
    """The value that the profile has."""
    fix: Fix | None = None
    """What to change; None where no single value is better."""
