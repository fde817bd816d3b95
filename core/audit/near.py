"""Texts that are nearly the same: variants, excerpts, the same poem in other characters.

Of the shorter of two such texts at least half of the pairs of neighbouring characters are in the longer one too. Which
pairs of texts are worth that comparison is told by MinHash with locality-sensitive hashing (Broder 1997; Indyk and
Motwani 1998) and by whole lines in common. It must not know rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rensa import RMinHash

NEAR_SHARE = 0.5
"""Texts are near from this share of the shorter one's pairs of characters on."""
FEWEST_PAIRS = 8
"""Texts with fewer pairs are too short to be told apart: two lines of five characters have as many."""

# 64 bands of 3: a pair of texts with a third of all their character pairs in common is missed once in eleven times, and
# only where the two have no line in common; of those with half in common one in five thousand.
_BANDS = 64
_HASHES = 3 * _BANDS
_SEED = 1
_SHORTEST_LINE = 4
"""Shorter lines are in common by chance."""
_MOST_COMPARED = 64
"""A text is compared with this many others at most, so that a file of texts alike takes no hours."""
_ASCII_WIDTH = 8
"""Two letters say less than two ideographs: in texts of letters as many characters stand for a pair."""


def folded(texts: Sequence[str]) -> list[str]:
    """Texts of one line each in Simplified characters, by which variants of a character become the same one."""
    import opencc

    if not texts:
        return []
    converted: list[str] = opencc.OpenCC("t2s").convert("\n".join(texts)).split("\n")
    return converted


def pairs_of(text: str) -> frozenset[str]:
    """The distinct pairs of neighbouring characters in a text whose lines are divided by spaces."""
    return frozenset(_pairs(text))


def _pairs(text: str) -> list[str]:
    if text.isascii():
        return [text[at : at + _ASCII_WIDTH] for at in range(max(0, len(text) - _ASCII_WIDTH + 1))]
    return [first + second for first, second in pairwise(text) if first != " " != second]


def share_of(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of the smaller set that is in the larger one, 0 to 1; 0 where it is too small to say."""
    fewest = min(len(one), len(other))
    return len(one & other) / fewest if fewest >= FEWEST_PAIRS else 0.0


class NearTexts:
    """Many texts, and which of them are near each other. Positions count from 0."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Find out which of them may be near any other.

        Args:
            texts: folded ones, their lines divided by spaces.
        """
        self._texts = texts
        self._hashes = _alike(texts)
        self._lines = _repeated_lines(texts)

    def doubles(self, positions: Iterable[int]) -> Mapping[int, int]:
        """Of these texts, in their order, the ones that are near an earlier one which isn't such a double itself.

        Returns:
            the position of each of them → that of the first text that it is near.
        """
        index = _Index(self)
        found: dict[int, int] = {}
        for at in self._candidates(positions):
            near = index.nearest(at)
            if near is None:
                index.add(at)
            else:
                found[at] = near
        return found

    def near(self, positions: Iterable[int], others: Collection[int]) -> Mapping[int, int]:
        """Of these texts the ones that are near one of `others`, and which one: the first."""
        index = _Index(self)
        for other in self._candidates(others):
            index.add(other)
        found = ((at, index.nearest(at)) for at in self._candidates(positions))
        return {at: near for at, near in found if near is not None}

    def _candidates(self, positions: Iterable[int]) -> list[int]:
        return [at for at in positions if at in self._hashes or at in self._lines]


class _Index:
    """Texts that others are looked up among."""

    def __init__(self, among: NearTexts) -> None:
        from rensa import RMinHashLSH

        self._among = among
        self._lsh = RMinHashLSH(NEAR_SHARE, _HASHES, _BANDS)
        self._by_line: dict[str, list[int]] = {}

    def add(self, at: int) -> None:
        hashes = self._among._hashes.get(at)
        if hashes is not None:
            self._lsh.insert(at, hashes)
        for line in self._among._lines.get(at, ()):
            holders = self._by_line.setdefault(line, [])
            if len(holders) < _MOST_COMPARED:
                holders.append(at)

    def nearest(self, at: int) -> int | None:
        """The first text that this one is near; None for none."""
        hashes = self._among._hashes.get(at)
        candidates = set(() if hashes is None else self._lsh.query(hashes))
        for line in self._among._lines.get(at, ()):
            candidates.update(self._by_line.get(line, ()))
        if not candidates:
            return None
        texts = self._among._texts
        pairs = pairs_of(texts[at])
        for other in sorted(candidates)[:_MOST_COMPARED]:
            if share_of(pairs, pairs_of(texts[other])) >= NEAR_SHARE:
                return int(other)
        return None


def _alike(texts: Sequence[str]) -> Mapping[int, RMinHash]:
    """Position → MinHash of the texts that have a band in common with any other."""
    from rensa import RMinHash, RMinHashLSH

    # First as one compact matrix: for most texts it says that nothing is like them.
    matrix = RMinHash.digest_matrix_from_token_sets(map(_pairs, texts), _HASHES, _SEED)
    flags = RMinHashLSH(NEAR_SHARE, _HASHES, _BANDS).query_duplicate_flags_matrix_one_shot(matrix)
    flagged = [at for at, flag in enumerate(flags) if flag and len(texts[at]) > FEWEST_PAIRS]
    hashes = RMinHash.from_token_sets((_pairs(texts[at]) for at in flagged), _HASHES, _SEED)
    return dict(zip(flagged, hashes, strict=True))


def _repeated_lines(texts: Sequence[str]) -> Mapping[int, tuple[str, ...]]:
    """Position → the text's lines that another text has too, for the texts that have any."""
    seen: set[int] = set()
    repeated: set[int] = set()
    for text in texts:
        for line in {hash(line) for line in text.split(" ") if len(line) >= _SHORTEST_LINE}:
            (repeated if line in seen else seen).add(line)
    del seen
    found: dict[int, tuple[str, ...]] = {}
    for at, text in enumerate(texts):
        lines = tuple(line for line in dict.fromkeys(text.split(" ")) if hash(line) in repeated)
        if lines:
            found[at] = lines
    return found
