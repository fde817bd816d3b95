"""One row of a data file, and the data file that is always there. It knows no files, and is quickly imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SAMPLE = "builtin:tang-sample"
"""The bundled 400 famous poems, wherever a data path is asked for."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the data file."""

    number: int
    """Position in the file, from 0; rows that can't be used count too."""
    instruction: str
    """What the model is asked to do; "" where no column is mapped to it or the row leaves it out."""
    input: str
    """What it is given, such as the first couplet; "" as above."""
    output: str
    """What it shall write; never blank."""
    extra: Mapping[str, str]
    """Every other column that holds text (author, title, form …); a number as it is written in the file."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be used."""

    number: int
    """Position in the file, from 0."""
    line: int | None
    """The text line where the row starts, from 1; None where it can't be known."""
    problem: str
    """What is wrong, for people; it completes "row 3 …"."""
