"""What can be wrong with rows, and which rows it is wrong with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Tone = Literal["error", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. Texts are marked for translation and translated by whoever shows them."""

    name: str
    """For programs, and for `data.exclude`: "near-duplicate"."""
    title: str
    """What it is, in a few words."""
    remedy: str
    """What to do about such rows."""
    tone: Tone
    """How bad it is for training."""


@dataclass(frozen=True, slots=True)
class Problem:
    """All rows of a file that have one kind of problem."""

    kind: str
    """A name of `core.audit.kinds.KINDS`."""
    rows: tuple[int, ...]
    """Their numbers, ascending; of doubles the later ones, as leaving these out mends it. Never empty."""
    details: Mapping[int, str]
    """Row → what exactly, in the reader's language: "the same as row 17", "□ in line 3". For every row."""
