"""Parts of a section, picked out to be looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.profile.schema import Profile
from core.report.document import Code, Section, Table, Text


def texts(section: Section, tone: str | None = None) -> list[str]:
    return [block.text for block in section.blocks if isinstance(block, Text) and tone in (None, block.tone)]


def codes(section: Section) -> list[str]:
    return [block.text for block in section.blocks if isinstance(block, Code)]


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def row_of(table: Table, name: str) -> tuple[str, ...]:
    return next(row for row in table.rows if row[0] == name)


def changed(profile: Profile, table: str, **values: Any) -> Profile:
    return replace(profile, **{table: replace(getattr(profile, table), **values)})
