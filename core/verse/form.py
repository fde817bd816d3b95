"""A poem's text → its lines, and the form that they have. It knows no tones: whether a poem keeps to a form's rules
is for `core.verse.judge`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

REGULAR_FORMS = {(4, 5): "五絕", (4, 7): "七絕", (8, 5): "五律", (8, 7): "七律"}
"""(lines, characters a line) → the four forms of regulated verse."""

FEWEST_LINES = 4
"""Fewer lines than these are no poem."""

_LENGTHS = {4: "四言", 5: "五言古體", 6: "六言", 7: "七言古體"}
_LONG_REGULATED = {5: "五言排律", 7: "七言排律"}
_FEWEST_LINES_OF_PAILU = 10
# Brackets and quotation marks, and what follows a character to choose its glyph, are no part of a line.
_NOT_VERSE = re.compile("[「」『』“”‘’\"'《》〈〉（）()\\[\\]〔〕【】\ufe00-\ufe0f\U000e0100-\U000e01ef\ufeff]+")
_BETWEEN_LINES = re.compile(r"[，。？！；、：,.?!;:､｡．…—\-\s]+")


def verse_lines(text: str) -> tuple[str, ...]:
    """The lines of a poem without any marks: the stretches between punctuation, white space and line ends.

    Everything else counts as a character of its line, whatever it is.
    """
    return tuple(line for line in _BETWEEN_LINES.split(_NOT_VERSE.sub("", text)) if line)


def form_of(lines: Sequence[str], *, regulated: bool = False) -> str:
    """The form that the number and lengths of the lines make.

    Args:
        lines: without marks, as from `verse_lines`.
        regulated: whether the poem keeps the rules of regulated verse; only with more than eight lines does it matter.

    Returns:
        One of `REGULAR_FORMS`; 五言排律 or 七言排律 for an even number of at least ten regulated lines; 五言古體,
        七言古體, 四言 or 六言 for any other poem of equal lines; 雜言 for unequal ones or other lengths, such as prose
        has; "" for fewer than four lines.
    """
    if len(lines) < FEWEST_LINES:
        return ""
    lengths = {len(line) for line in lines}
    if len(lengths) > 1:
        return "雜言"
    length = lengths.pop()
    if regular := REGULAR_FORMS.get((len(lines), length)):
        return regular
    if regulated and length in _LONG_REGULATED and len(lines) >= _FEWEST_LINES_OF_PAILU and len(lines) % 2 == 0:
        return _LONG_REGULATED[length]
    return _LENGTHS.get(length, "雜言")


def has_tone_pattern(lines: Sequence[str]) -> bool:
    """Whether the lines are whole couplets of five or of seven characters: only for these are there tone patterns."""
    return (
        len(lines) >= FEWEST_LINES
        and len(lines) % 2 == 0
        and len(lines[0]) in (5, 7)
        and all(len(line) == len(lines[0]) for line in lines)
    )
