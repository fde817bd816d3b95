"""What the forms of a report have in common: marks of tones, row numbers in words, lengths of bars."""

from __future__ import annotations

from collections.abc import Sequence

from core.i18n import _

TONE_MARKS = {"good": "✓", "hint": "›", "warning": "!", "error": "✗"}
"""Tone → the mark before what has it, also where there are no colours."""

LONGEST_CHARACTERS = 4000
"""A longer paragraph or cell is cut: whoever wrote it took a row for a word."""

_NAMED_ROWS = 12


def clip(text: str) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= LONGEST_CHARACTERS else text[: LONGEST_CHARACTERS - 1] + "…"


def name_rows(rows: Sequence[int]) -> str:
    """Row numbers as people read them: the first few and how many more; empty for none."""
    if not rows:
        return ""
    shown, more = ", ".join(map(str, rows[:_NAMED_ROWS])), len(rows) - _NAMED_ROWS
    if more > 0:
        return _("rows {rows} and {more} more").format(rows=shown, more=f"{more:,}")
    return _("row {row}").format(row=shown) if len(rows) == 1 else _("rows {rows}").format(rows=shown)


def bar_lengths(counts: Sequence[int], longest: int) -> list[int]:
    """The bars' lengths in proportion; 0 for 0 alone, so that a rare value is seen."""
    most = max(counts, default=0)
    return [max(1, round(longest * count / most)) if count else 0 for count in counts]
