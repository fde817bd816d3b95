"""What a data file holds, counted: rows and text lines, columns, instructions, forms, authors, scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.data.row import Row


@dataclass(frozen=True, slots=True)
class Structure:
    """The structure of one data file."""

    path: str
    """As the person named it."""
    format: str
    """"json", "jsonl", "csv" or "tsv"."""
    size_bytes: int
    """On the disk."""
    memory_bytes: int
    """What its rows take in memory, as they are kept here."""
    rows: int
    """Rows that can be used."""
    bad_rows: int
    """Rows that can't."""
    text_lines: int
    """Lines of text, which are not rows."""
    could_be_mistaken: bool
    """Whether the text lines are so many more than the rows that the one could be taken for the other."""
    columns: tuple[str, ...]
    """All columns, in order of first sight."""
    mapping: Mapping[str, str]
    """As in `core.data.rows.RowFile`."""
    rule: str
    """As in `core.data.rows.RowFile`."""
    example: Row
    """The first row."""
    instructions: Mapping[str, int]
    """The commonest instructions, at most ten, and how many rows have each."""
    distinct_instructions: int
    distinct_inputs: int
    output_holds: Literal["rest", "whole", "other"]
    """What most outputs are: the rest of the poem, the whole poem with its input, or no continuation of verse."""
    output_whole: int
    """Rows whose output begins with the input."""
    line_counts: Mapping[int, int]
    """Lines of a poem (input and output, where that is the rest) → how many rows have so many, ascending."""
    task: Literal["completion", "writing", "other"]
    """completion: first couplet → rest of the poem; writing: poems without a given part; other: not verse."""
    forms: Mapping[str, tuple[int, ...]]
    """Form, as `core.verse.form.form_of` names it ("" for none) → numbers of its rows, the commonest form first."""
    authors: Mapping[str, int]
    """The commonest authors, at most ten; empty where no column holds them."""
    distinct_authors: int
    """0 where no column holds them."""
    scripts: Mapping[Literal["traditional", "simplified", "mixed", "other"], int]
    """Script → rows. simplified: with characters that only Simplified type has and none that only Traditional has;
    mixed: both; other: no Chinese; traditional: the rest."""
