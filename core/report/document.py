"""A report as data: sections of blocks, in the reader's language. It knows neither what is reported nor any screen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    """One paragraph, no markup; may hold untrusted text."""
    tone: str = ""
    """"": plain; "good", "hint", "warning" or "error"."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list of short paragraphs."""

    items: tuple[str, ...]
    """Each as in `Text`."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table."""

    header: tuple[str, ...]
    """The columns' names."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, as many in each row as the header has; untrusted text may be among them."""
    right: tuple[int, ...] = ()
    """The columns, from 0, that hold numbers and stand at the right."""


@dataclass(frozen=True, slots=True)
class Bars:
    """A histogram."""

    unit: str
    """What the bars count over: "tokens"."""
    bars: tuple[tuple[str, int], ...]
    """(label, count) of each bar, in order; empty bars between others are there."""


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be copied as it stands."""

    text: str
    """Lines, the last without its end."""
    language: str = ""
    """"toml", "json" or ""."""


@dataclass(frozen=True, slots=True)
class RowLinks:
    """A finding with the rows that it is about: where there is a list of rows, they can be gone to."""

    kind: str
    """Its name for programs: a kind of problem, or a form."""
    title: str
    """What was found, with its count and share."""
    rows: tuple[int, ...]
    """The numbers of all rows concerned, ascending."""
    examples: tuple[str, ...] = ()
    """A few of them in words, each beginning with its row's number."""
    remedy: str = ""
    """What to do."""
    tone: str = ""
    """As in `Text`."""


Block = Text | Items | Table | Bars | Code | RowLinks


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report."""

    id: str
    """Its name for programs: "structure"."""
    title: str
    """Its heading."""
    blocks: tuple[Block, ...]
    """What it says."""
