"""平仄: the tone of each character, and how the lines of a poem fit the patterns of regulated verse.

A line's pattern follows from its second character: the fourth has the other tone, the sixth that of the second again
(二四六分明). Within a couplet the patterns are opposite (對); from one couplet to the next they stay (黏). So a poem's
whole pattern follows from the second character of its first line: 平起 or 仄起.

Of rhyme it knows only where the ends of lines must be level. Patterns are numbered: 0 has a level tone second, 1 an
oblique one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from core.verse.rhyme import LEVEL_GROUPS, rhyme_table

LEVEL, OBLIQUE = "平", "仄"
FREE = "○"
"""The tone of a character that has both; it fits everywhere and proves nothing."""
UNKNOWN = "？"
"""The tone of a character that the table lacks; it fits everywhere and proves nothing."""

STARTS = ("平起", "仄起")
"""The name of a poem's pattern by its number."""

_MAIN = {5: (1, 3), 7: (1, 3, 5)}
_AO = (LEVEL, OBLIQUE, LEVEL, OBLIQUE)
_OTHER = {LEVEL: OBLIQUE, OBLIQUE: LEVEL}
_SWAPPED = (0, 2, 1, 3)
_THREE_LEVEL = LEVEL * 3
_LONE_LEVEL = re.compile(f"(?:..)?{OBLIQUE}{LEVEL}{OBLIQUE}{OBLIQUE}[{LEVEL}{FREE}]")
# There are 5^5 + 5^7 strings of tones at most, and of them a few thousand in real poems.
_REMEMBERED = 1 << 15
# A poem's departures are those that cost least together. The second character makes a line's pattern: where it is
# wrong and no other character speaks against it, the line is one against both its neighbours, two turns.
_SECOND_COST, _CHARACTER_COST, _TURN_COST = 9, 6, 4


class _Tones(dict[int, str]):
    """Code point → tone, for `str.translate`."""

    def __missing__(self, code: int) -> str:
        return UNKNOWN


@cache
def _tones() -> _Tones:
    return _Tones(
        (ord(character), FREE if groups & LEVEL_GROUPS and groups & ~LEVEL_GROUPS else tone)
        for character, groups in rhyme_table().groups.items()
        for tone in (LEVEL if groups & LEVEL_GROUPS else OBLIQUE,)
    )


def tones_of(line: str) -> str:
    """The tone of each character: 平, 仄, `FREE` or `UNKNOWN`."""
    return line.translate(_tones())


@dataclass(frozen=True, slots=True)
class Turn:
    """A place where the pattern does not go on as it must."""

    line: int
    """The line that does not fit the one before, from 0."""
    rule: str
    """"dui" within a couplet, "nian" between couplets."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How the tones of a poem fit the patterns."""

    start: int
    """The pattern of the first line: 0 for 平起, 1 for 仄起, by all lines together."""
    template: bool
    """Whether every line fits one whole pattern, 拗 not allowed."""
    template_ao: bool
    """The same with 拗 allowed; false where `off` or `turns` has anything."""
    ao_lines: tuple[int, ...]
    """Lines, from 0, that are 平平仄平仄 in the place of 平平平仄仄."""
    off: tuple[tuple[int, int, str], ...]
    """(line, character, the tone that is due): the characters, from 0, that break the pattern of their own line."""
    turns: tuple[Turn, ...]
    """Where the lines' patterns do not follow from each other."""


def fit_patterns(tones: Sequence[str]) -> Fit:
    """How the lines of a poem fit the patterns: the fewest departures that explain all of its tones.

    Args:
        tones: of each line, from `tones_of`; all of five characters or all of seven, an even number of lines.
    """
    masks = [_fitting(line) for line in tones]
    starts = _common_starts(masks)
    if starts:
        return Fit(_one_of(starts), True, True, (), (), ())
    for number in range(0, len(tones), 2):
        masks[number] |= _ao(tones[number])
    starts = _common_starts(masks)
    if starts:
        start = _one_of(starts)
        patterns = [start ^ _turned(number) for number in range(len(tones))]
        return Fit(start, False, True, _ao_lines(tones, patterns), (), ())
    return _least_departures(tones)


def has_three_level(tones: str) -> bool:
    """三平調: whether a line ends in three characters that are level for certain."""
    return tones.endswith(_THREE_LEVEL)


def has_lone_level(tones: str) -> bool:
    """孤平: whether a line that ends level is 仄平仄仄平, in seven characters ？？仄平仄仄平, with every 仄 certain.

    The two lines apart from it by one character, 平平仄仄平 and 仄平平仄平 (the latter mends it), are not.
    """
    return _LONE_LEVEL.fullmatch(tones) is not None


def _turned(line: int) -> int:
    """1 where the pattern of a line, from 0, is the opposite of the first line's: 0 1 1 0 0 1 1 0 …"""
    return (line + 1) // 2 % 2


def _common_starts(masks: Sequence[int]) -> int:
    """The patterns of the first line from which all lines follow, as a mask: 1 for pattern 0, 2 for pattern 1."""
    starts = 3
    for line, mask in enumerate(masks):
        starts &= _SWAPPED[mask] if _turned(line) else mask
    return starts


def _one_of(starts: int) -> int:
    """The pattern in a mask; 仄起, the usual one, where it has both."""
    return 1 if starts & 2 else 0


@lru_cache(maxsize=_REMEMBERED)
def _off(tones: str, pattern: int) -> tuple[tuple[int, str], ...]:
    """The characters of a line, from 0, that can't be in a pattern, and the tones that are due there."""
    due = [(at, (LEVEL, OBLIQUE)[(pattern + number) % 2]) for number, at in enumerate(_MAIN[len(tones)])]
    return tuple((at, tone) for at, tone in due if tones[at] == _OTHER[tone])


@lru_cache(maxsize=_REMEMBERED)
def _fitting(tones: str) -> int:
    """The patterns that a line fits, as a mask."""
    return sum(1 << pattern for pattern in (0, 1) if not _off(tones, pattern))


@lru_cache(maxsize=_REMEMBERED)
def _ao(tones: str) -> int:
    """The pattern, as a mask, that a line has by 拗 alone: it ends in 平仄平仄 where 平平仄仄 is due; 0 for none."""
    head = tones[:-5]
    if any(tone == _OTHER[due] for tone, due in zip(tones[-4:], _AO, strict=True)):
        return 0
    if head and head[1] == LEVEL:
        return 0
    return 2 if head else 1


def _ao_lines(tones: Sequence[str], patterns: Sequence[int]) -> tuple[int, ...]:
    """The lines, from 0, that fit their pattern by 拗 alone."""
    return tuple(
        line
        for line in range(0, len(tones), 2)
        if _off(tones[line], patterns[line]) and _ao(tones[line]) >> patterns[line] & 1
    )


def _least_departures(tones: Sequence[str]) -> Fit:
    """The patterns of the lines, one after the other, that leave least to explain.

    One pass from the first line to the last keeps, for either pattern of the line it is at, the cheapest way there.
    """
    ways: tuple[tuple[int, tuple[int, ...]], ...] = ((0, ()), (0, ()))
    for line, found in enumerate(tones):
        turned = line % 2
        step: list[tuple[int, tuple[int, ...]]] = []
        for pattern in (0, 1):
            excused = line % 2 == 0 and _ao(found) >> pattern & 1
            cost = 0 if excused else sum(_SECOND_COST if at == 1 else _CHARACTER_COST for at, _ in _off(found, pattern))
            follows, breaks = ways[pattern ^ turned], ways[pattern ^ turned ^ 1]
            if line == 0:
                step.append((cost, (pattern,)))
            elif follows[0] <= breaks[0] + _TURN_COST:
                step.append((follows[0] + cost, (*follows[1], pattern)))
            else:
                step.append((breaks[0] + _TURN_COST + cost, (*breaks[1], pattern)))
        ways = (step[0], step[1])
    patterns = min(ways, key=lambda way: way[0])[1]
    ao_lines = _ao_lines(tones, patterns)
    return Fit(
        patterns[0],
        False,
        False,
        ao_lines,
        tuple(
            (line, at, due)
            for line, found in enumerate(tones)
            if line not in ao_lines
            for at, due in _off(found, patterns[line])
        ),
        tuple(
            Turn(line, "dui" if line % 2 else "nian")
            for line in range(1, len(tones))
            if patterns[line] ^ patterns[line - 1] != line % 2
        ),
    )
