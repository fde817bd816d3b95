"""Text measured and broken in terminal cells: a Chinese character takes two."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# What may not begin a line, and what may not end one (JLREQ's line-breaking rules, the part that Chinese shares).
_NOT_FIRST = frozenset("，。！？；：、）」』》〉】〕…—,.!?;:)]}%％’”")
_NOT_LAST = frozenset("（「『《〈【〔([{‘“")
# A run of narrow characters is kept together; each wide character stands for itself.
_PIECES = re.compile(r" +|[^\s\u1100-\uffff\U00010000-\U0003ffff]+|.", re.DOTALL)


def cell_width(text: str) -> int:
    """Terminal cells that a text takes: two for each wide character, none for one that joins the one before."""
    return len(text) if text.isascii() else sum(map(_cells, text))


@lru_cache(maxsize=1 << 14)
def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, cells: int, *, right: bool = False) -> str:
    """The text filled up with spaces, at the left where it shall stand at the right."""
    gap = " " * (cells - cell_width(text))
    return gap + text if right else text + gap


def wrap(text: str, cells: int) -> list[str]:
    """A text in lines of at most so many cells, at least one line.

    Lines are broken at spaces and between Chinese characters; no line begins with a closing mark or ends with an
    opening one where that can be had. What is longer than a line by itself is cut.

    Args:
        text: without control characters.
        cells: the room, taken as 2 where it is less.
    """
    cells = max(cells, 2)
    lines: list[str] = []
    line, used = "", 0
    for piece in _joined(text, cells):
        width = cell_width(piece)
        if used + width > cells and used:
            lines.append(line.rstrip(" "))
            line, used = "", 0
            if piece.isspace():
                continue
        line, used = line + piece, used + width
    lines.append(line.rstrip(" "))
    return lines


def _joined(text: str, cells: int) -> list[str]:
    """The smallest pieces that a line may be broken between, none wider than a line."""
    pieces: list[str] = []
    for piece in _PIECES.findall(text):
        joins = pieces and (piece[0] in _NOT_FIRST or pieces[-1][-1] in _NOT_LAST or not cell_width(piece))
        if joins and not pieces[-1].isspace() and cell_width(pieces[-1]) + cell_width(piece) <= cells:
            pieces[-1] += piece
        else:
            pieces += _cut(piece, cells) if cell_width(piece) > cells else [piece]
    return pieces


def _cut(piece: str, cells: int) -> list[str]:
    parts, used = [""], 0
    for character in piece:
        width = _cells(character)
        if used + width > cells:
            parts.append("")
            used = 0
        parts[-1] += character
        used += width
    return parts
