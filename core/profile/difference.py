"""How two profiles' texts differ, line by line, and their values key by key."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import PoemError
from core.i18n import _
from core.profile.document import profile_to_dict
from core.profile.schema import Profile

Kind = Literal["same", "added", "removed", "gap"]
_MOST_LINES = 5_000
_KINDS: Mapping[str, Kind] = {"+": "added", "-": "removed", "@": "gap", " ": "same"}


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a difference."""

    kind: Kind
    """Whether both have it, only the later one, only the earlier one; or lines that both have are left out here."""
    text: str
    """The line; untrusted."""


def difference(before: str, after: str, *, around: int = 2) -> tuple[DiffLine, ...]:
    """What became of a text: changed lines and `around` lines on either side; empty where they are the same.

    Raises:
        PoemError: a text is so long that comparing would take minutes.
    """
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > _MOST_LINES:
        raise PoemError(_("texts of more than {count} lines aren't compared").format(count=_MOST_LINES))
    lines = list(difflib.unified_diff(old, new, n=around, lineterm=""))[2:]
    return tuple(DiffLine(_KINDS[line[0]], "" if line[0] == "@" else line[1:]) for line in lines)


def differing_keys(profiles: Sequence[Profile]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Each key in which profiles differ, with the value of each of them."""
    tables = [profile_to_dict(profile) for profile in profiles]
    for table, fields in tables[0].items() if tables else ():
        for field in fields:
            values = tuple(_value(one, table, field) for one in tables)
            if any(value != values[0] for value in values):
                yield f"{table}.{field}", values


def _value(tables: Mapping[str, Mapping[str, Any]], table: str, field: str) -> Any:
    return tables[table][field]
