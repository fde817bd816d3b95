"""What was completed: a request with the poems that came of it, and how the last of them are kept for the next start.

It knows no widget, no model and no file. Texts in it are untrusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from core.client import Written

Side = Literal["base", "adapter"]
Stop = Literal["", "end", "length", "stopped"]
ENTRIES_KEPT = 50
# The app's state is read back only up to a size: a few long poems must not cost everything else that it remembers.
_CHARACTERS_KEPT = 60_000
_POEMS_KEPT = 16
_SEED_BOUND = 2**32


@dataclass(frozen=True, slots=True)
class Poem:
    """One candidate."""

    side: Side
    """Who wrote it."""
    seed: int
    """What it was drawn with."""
    text: str = ""
    """What follows the given lines; so far, while it is written."""
    tokens: int = 0
    """Tokens written; 0 until it has ended."""
    stop: Stop = ""
    """Why it ended: by itself, cut off at `max_new_tokens`, or stopped by a person or an accident; "": not yet."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and its poems."""

    text: str
    """The lines that were given."""
    run: str
    """Id of the run whose adapter wrote; "": the base alone."""
    base: str
    """The base model's name; "" where it isn't known."""
    poems: tuple[Poem, ...]
    """By candidate, and of each candidate the base's before the adapter's."""
    speeds: tuple[tuple[Side, float], ...] = ()
    """Tokens a second of each side."""
    prompt_tokens: int = 0
    """Tokens of the whole prompt; 0: not known yet."""
    adapter: str = ""
    """The folder of the adapter that wrote, relative to the run's; "": the base alone, or not known yet."""
    is_best: bool = False
    """Whether it was asked for as the best, whichever that was."""

    @property
    def sides(self) -> int:
        """How many write each candidate: 1 or 2."""
        return len({poem.side for poem in self.poems})

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return all(poem.stop for poem in self.poems)


def awaited(text: str, *, run: str, base: str, with_base: bool, count: int, seed: int, is_best: bool = False) -> Entry:
    """The entry of a request of which nothing has come yet: every poem has its place from the start."""
    sides: tuple[Side, ...] = ("base",) if not run else ("base", "adapter") if with_base else ("adapter",)
    poems = tuple(Poem(side, seed + index) for index in range(count) for side in sides)
    return Entry(text, run, base, poems, is_best=is_best)


def with_written(entry: Entry, written: Written) -> Entry:
    """The entry with all that has been written so far."""
    found = {(side.name, index): candidate for side in written.sides for index, candidate in enumerate(side.candidates)}
    poems = []
    for position, poem in enumerate(entry.poems):
        candidate = found.get((poem.side, position // entry.sides))
        if candidate is not None:
            stop: Stop = ("length" if candidate.stop == "length" else "end") if candidate.done else ""
            poem = Poem(poem.side, candidate.seed, candidate.text, candidate.tokens, stop)
        poems.append(poem)
    speeds = tuple((_side(side.name), side.tokens_per_s) for side in written.sides)
    return replace(
        entry, poems=tuple(poems), speeds=speeds, prompt_tokens=written.prompt_tokens, adapter=written.adapter
    )


def stopped(entry: Entry) -> Entry:
    """The entry when nothing more will come."""
    return replace(entry, poems=tuple(poem if poem.stop else replace(poem, stop="stopped") for poem in entry.poems))


def to_state(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The newest entries as JSON values; what comes first is kept first."""
    kept: list[dict[str, Any]] = []
    characters = 0
    for entry in entries:
        poems = [poem for poem in entry.poems[:_POEMS_KEPT] if poem.text]
        characters += len(entry.text) + sum(len(poem.text) for poem in poems)
        if len(kept) == ENTRIES_KEPT or characters > _CHARACTERS_KEPT:
            break
        kept.append(
            {
                "text": entry.text,
                "run": entry.run,
                "base": entry.base,
                "adapter": entry.adapter,
                "is_best": entry.is_best,
                "poems": [[poem.side, poem.seed, poem.text, poem.tokens, poem.stop or "stopped"] for poem in poems],
            }
        )
    return kept


def from_state(state: object) -> Iterator[Entry]:
    """The entries of such a state; what isn't one is passed over, as the file may hold anything."""
    for item in state[:ENTRIES_KEPT] if isinstance(state, list) else ():
        match item:
            case {"text": str(text), "run": str(run), "base": str(base), "poems": list(poems)}:
                adapter, is_best = item.get("adapter"), item.get("is_best") is True
                adapter = adapter if isinstance(adapter, str) else ""
                yield Entry(text, run, base, tuple(_poems(poems)), adapter=adapter, is_best=is_best)


def _poems(items: list[object]) -> Iterator[Poem]:
    for item in items[:_POEMS_KEPT]:
        match item:
            case [("base" | "adapter") as side, int(seed), str(text), int(tokens), str(stop)] if (
                0 <= seed < _SEED_BOUND and stop in get_args(Stop)
            ):
                yield Poem(side, seed, text, max(0, tokens), stop or "stopped")  # type: ignore[arg-type]


def _side(name: str) -> Side:
    return "base" if name == "base" else "adapter"


class Recall:
    """Earlier lines by the up and down keys, as in a shell; what is being typed is the newest of them."""

    def __init__(self) -> None:
        """Nothing recalled yet."""
        self._back = 0
        self._typed = ""

    def forget(self) -> None:
        """Begin again at the newest."""
        self._back = 0

    def move(self, lines: Iterable[str], current: str, back: int) -> str:
        """The line so many further back (negative: forward) among `lines`, newest first; repeats count once."""
        distinct = list(dict.fromkeys(lines))
        if self._back == 0:
            self._typed = current
        self._back = max(0, min(self._back + back, len(distinct)))
        return distinct[self._back - 1] if self._back else self._typed
