"""平水韻: which of the 106 groups a character is in, and the group that the rhymes of a poem share.

A set of groups is an int of 106 bits, one a group in the table's order; the 30 level-tone groups are the lowest bits.
It knows nothing of forms and tone patterns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

_TABLE = Path(__file__).parent / "data" / "pingshui.tsv"
_VARIANTS = "異體"

LEVEL_GROUPS = (1 << 30) - 1
"""The level-tone groups, 上平聲 and 下平聲."""


@dataclass(frozen=True, slots=True)
class RhymeTable:
    """The table as it is bundled; `data/README.md` says where it comes from."""

    names: tuple[str, ...]
    """The 106 groups; the name of bit 0 first."""
    groups: Mapping[str, int]
    """Character → its groups, at least one; a character that the table lacks is unknown."""


@dataclass(frozen=True, slots=True)
class Rhyme:
    """What the ends of a poem's even lines have in common."""

    groups: tuple[str, ...]
    """The groups that all of them share, else the one that most of them have; level-tone ones alone where there are
    any. Several where the ends are polyphones alike; empty where no two ends share any."""
    shared: bool
    """Whether all of them, at least two and none unknown, share a group."""
    level: bool
    """Whether they share a level-tone group."""
    first_line: bool
    """Whether the first line's end is in one of `groups` too."""
    off: tuple[int, ...]
    """Positions among the even lines, from 0, of the ends that do not rhyme with the others; never an unknown one."""


@cache
def rhyme_table() -> RhymeTable:
    """Read the bundled table, once; some 15 ms."""
    names: list[str] = []
    groups: dict[str, int] = {}
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        name, primary, second = line.split("\t")
        if name == _VARIANTS:
            groups.update((pair[0], groups[pair[1]]) for pair in primary.split(" "))
            continue
        bit = 1 << len(names)
        names.append(name)
        for character in primary + second:
            groups[character] = groups.get(character, 0) | bit
    return RhymeTable(tuple(names), groups)


@lru_cache(maxsize=1 << 12)
def group_names(groups: int) -> tuple[str, ...]:
    """The names of a set of groups, in the table's order."""
    return tuple(name for bit, name in enumerate(rhyme_table().names) if groups >> bit & 1)


def rhyme_groups(character: str) -> tuple[str, ...]:
    """The groups that a character is in, as it stands; empty where the table lacks it."""
    return group_names(rhyme_table().groups.get(character, 0))


def find_rhyme(ends: Sequence[str], first_end: str) -> Rhyme:
    """The rhyme of a poem.

    A polyphone counts in every one of its groups; the intersection says which reading rhymes.

    Args:
        ends: the last characters of the even lines.
        first_end: the last character of the first line, which may rhyme and need not. Where it does, it narrows the
            groups down further.
    """
    known = rhyme_table().groups
    sets = [known.get(end, 0) for end in ends]
    told = [groups for groups in sets if groups]
    common = -1
    for groups in told:
        common &= groups
    if len(told) < 2:
        common = 0
    rhyming = common if common else _commonest(told)
    narrowed = rhyming & LEVEL_GROUPS or rhyming
    first = known.get(first_end, 0) & narrowed
    shared = common != 0 and len(told) == len(sets)
    if rhyming:
        off = tuple(at for at, groups in enumerate(sets) if groups and not groups & narrowed)
    else:
        off = tuple(at for at, groups in enumerate(sets) if groups)[1:]
    return Rhyme(
        groups=group_names(first or narrowed),
        shared=shared,
        level=shared and common & LEVEL_GROUPS != 0,
        first_line=first != 0,
        off=off,
    )


def _commonest(sets: Sequence[int]) -> int:
    """The one group that most of the sets have, of several a level-tone one; 0 where no two sets share any."""
    counts = {bit: sum(groups >> bit & 1 for groups in sets) for bit in range(len(rhyme_table().names))}
    bit = max(counts, key=lambda bit: (counts[bit], 1 << bit & LEVEL_GROUPS != 0))
    return 1 << bit if counts[bit] > 1 else 0
