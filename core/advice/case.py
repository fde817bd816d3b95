"""One profile under judgement: what the rules look at, and how they say what they find. It knows no rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.advice.facts import Facts
from core.advice.rule import Advice, Fix, Severity
from core.data.recipe import Task
from core.profile.schema import Profile


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule is asked about. A rule judges a value of `profile` in the run that `planned` would make."""

    profile: Profile
    """As it is."""
    planned: Profile
    """With what the rules before this one would change."""
    facts: Facts | None
    """None: nothing is measured (yet)."""

    def error(self, id: str, key: str, reason: str, fix: Any = None) -> Advice:
        """The run can't be. A fix is a TOML value; None where no single value is better."""
        return self._advice("error", id, key, reason, fix)

    def warning(self, id: str, key: str, reason: str, fix: Any = None) -> Advice:
        """The result will suffer."""
        return self._advice("warning", id, key, reason, fix)

    def hint(self, id: str, key: str, reason: str, fix: Any = None) -> Advice:
        """It could be better."""
        return self._advice("hint", id, key, reason, fix)

    def good(self, id: str, key: str, reason: str) -> Advice:
        """It is right so."""
        return self._advice("good", id, key, reason, None)

    def with_fix(self, fix: Fix) -> Case:
        """The case that the next rule is asked about."""
        table, _dot, field = fix.key.partition(".")
        value = tuple(fix.value) if isinstance(fix.value, list) else fix.value
        changed: Any = replace(getattr(self.planned, table), **{field: value})
        return replace(self, planned=replace(self.planned, **{table: changed}))

    def _advice(self, severity: Severity, id: str, key: str, reason: str, fix: Any) -> Advice:
        value = value_of(self.profile, key)
        is_change = fix is not None and fix != value
        return Advice(id, key, severity, reason, value, Fix(key, fix) if is_change else None)


def value_of(profile: Profile, key: str) -> Any:
    """A key's value as TOML has it: lists, tables and plain values."""
    table, _dot, field = key.partition(".")
    value = getattr(getattr(profile, table), field)
    if isinstance(value, tuple):
        return [_task_table(one) if isinstance(one, Task) else one for one in value]
    return dict(value) if isinstance(value, Mapping) else value


def _task_table(task: Task) -> dict[str, Any]:
    return {field: value for field, value in asdict(task).items() if value is not None}
