"""What every format is read into: records with the line of each, and how names from a file are shown.

It knows neither JSON nor CSV, nor which columns matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from core.i18n import _
from core.plain import plain

_SUFFIX_FORMATS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}


@dataclass(frozen=True, slots=True)
class Flaw:
    """Stands in the place of a record that could not be read."""

    problem: str
    """What is wrong with it, for people."""


@dataclass(frozen=True, slots=True)
class Records:
    """What a file holds, one record per row, in file order."""

    format: str
    """"json", "jsonl", "csv" or "tsv"."""
    values: Sequence[object]
    """A mapping for a proper row; a `Flaw`, or any other JSON value, for one that is none."""
    header: tuple[str, ...] | None
    """The column names of a CSV or TSV file; None for JSON, where every row names its own."""
    places: Sequence[int]
    """One per record: its line, from 1; for "json" the offset of its first character instead, which is cheaper."""
    text: str
    """The whole text, needed to turn offsets into lines."""

    def lines_of(self, numbers: Iterable[int]) -> list[int]:
        """The line, from 1, where each of the records starts.

        Args:
            numbers: record numbers in ascending order.
        """
        places = [self.places[number] for number in numbers]
        if self.format != "json" or not places:
            return places
        lines = [self.text.count("\n", 0, places[0]) + 1]
        for previous, offset in pairwise(places):
            lines.append(lines[-1] + self.text.count("\n", previous, offset))
        return lines


def quoted_names(names: Iterable[str], *, limit: int = 12) -> str:
    """Column names or keys from a file, made safe and short enough for a message."""
    shown = [plain(name) for name in names]
    clipped = [f"“{name if len(name) <= 40 else name[:39] + '…'}”" for name in shown[:limit]]
    if len(shown) > limit:
        clipped.append(_("… and {count} more").format(count=len(shown) - limit))
    return ", ".join(clipped)


def suffix_format(path: Path) -> str | None:
    """The format that a file's name promises, `.gz` aside; None where it promises none."""
    return _SUFFIX_FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)
