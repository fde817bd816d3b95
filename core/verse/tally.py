"""Judgements of many poems → the figures that describe them. docs/verse.md defines each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from core.verse.form import REGULAR_FORMS
from core.verse.judge import RULES, Judgement

PERCENT = ("form", "rhyme", "rhyme_ping", "template", "template_ao", "regulated")
"""The figures that other programs compare poems by, in the order of their definitions."""

MORE = ("dui", "nian", "no_three_level")
"""Single rules, each by itself."""


@dataclass(slots=True)
class Count:
    """Poems of one kind, counted."""

    poems: int = 0
    """How many there are."""
    having: Counter[str] = field(default_factory=Counter)
    """How many of them have what each name of `PERCENT` and `MORE` says."""

    def add(self, judgement: Judgement) -> None:
        """Count one poem."""
        self.poems += 1
        self.having["form"] += judgement.form in REGULAR_FORMS.values()
        for name in (*PERCENT[1:], *MORE):
            self.having[name] += getattr(judgement, name)

    def percent(self, name: str) -> float:
        """The share of poems that have it, in percent; 0 of no poems."""
        return round(100 * self.having[name] / self.poems, 2) if self.poems else 0.0

    def document(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        return {
            "n": self.poems,
            "percent": {name: self.percent(name) for name in PERCENT},
            "more_percent": {name: self.percent(name) for name in MORE},
        }


@dataclass(slots=True)
class Tally:
    """All the poems judged so far, counted."""

    everything: Count = field(default_factory=Count)
    """All of them."""
    forms: dict[str, Count] = field(default_factory=dict)
    """Form → its poems; the form "" too."""
    missed: Counter[str] = field(default_factory=Counter)
    """Rule → poems that break it at least once."""
    old: int = 0
    """Poems that are 古絕 or 古體 by their tones."""
    with_ao: int = 0
    """Poems with a line that fits by 拗 alone."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Character that the table lacks → poems that have it."""

    def add(self, judgement: Judgement) -> None:
        """Count one poem."""
        self.everything.add(judgement)
        self.forms.setdefault(judgement.form, Count()).add(judgement)
        self.missed.update({miss.rule for miss in judgement.misses})
        self.old += judgement.old
        self.with_ao += bool(judgement.ao_lines)
        self.unknown.update(judgement.unknown)

    def forms_by_count(self) -> list[tuple[str, Count]]:
        """The forms, the four regular ones first and in their order, then the others, the commonest first."""
        regular = list(REGULAR_FORMS.values())
        found = sorted(self.forms.items(), key=lambda item: -item[1].poems)
        return sorted(found, key=lambda item: regular.index(item[0]) if item[0] in regular else len(regular))

    def document(self) -> dict[str, Any]:
        """The figures as JSON has them: the contract of `poemcore verse --json`."""
        return {
            **self.everything.document(),
            "forms": {form or "none": count.document() for form, count in self.forms_by_count()},
            "misses": {rule: self.missed[rule] for rule in RULES},
            "old": self.old,
            "with_ao": self.with_ao,
            "unknown": {"characters": len(self.unknown), "poems_with_each": dict(self.unknown.most_common(50))},
        }
