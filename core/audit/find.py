"""All problems that the rows of a file have. It knows no tokenizer; docs/review.md lists every rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from core.audit import characters, fields, verse
from core.audit.doubles import Doubles, duplicates, same_inputs
from core.audit.kinds import KINDS
from core.audit.poem import Lines
from core.audit.problem import Problem
from core.data.holdout import Split
from core.data.row import Row
from core.verse.judge import Judgement

BY_LINES: Mapping[str, Callable[[Sequence[Row], Sequence[Lines]], Mapping[int, str]]] = {
    "duplicate": duplicates,
    "near-duplicate": lambda rows, lines: Doubles(rows, lines).near_duplicates(),
    "tiny-field": fields.tiny_fields,
    "repeated-input": fields.repeated_inputs,
    "missing-character": characters.missing_characters,
    "invisible-character": characters.invisible_characters,
    "mixed-script": characters.mixed_scripts,
    "bracket": characters.brackets,
    "mixed-punctuation": characters.mixed_punctuation,
    "same-input": same_inputs,
    "irregular-lines": verse.irregular_lines,
    "odd-lines": verse.odd_lines,
}
"""Kind → what finds it by the rows and the lines of their poems: row number → what exactly is wrong."""

BY_JUDGEMENTS: Mapping[str, Callable[[Sequence[Row], Sequence[Judgement]], Mapping[int, str]]] = {
    "broken-rhyme": verse.broken_rhyme,
    "unknown-character": verse.unknown_characters,
}
"""The same for the kinds that the poems must be judged for."""


def find_problems(
    rows: Sequence[Row], judgements: Sequence[Judgement], *, split: Split | None = None
) -> Iterator[Problem]:
    """Every problem that can be told from the rows alone, in the order of `KINDS`; each as soon as it is found.

    Args:
        rows: the rows of a file that can be used.
        judgements: of `core.audit.poem.judged_poem` of each row.
        split: which of them train and which are held out; None: no leakage is looked for.
    """
    lines = [judgement.lines for judgement in judgements]
    doubles = Doubles(rows, lines)
    for kind in KINDS:
        if kind == "leakage":
            found = {} if split is None else doubles.leakage(split)
        elif kind == "near-duplicate":
            found = doubles.near_duplicates()
        elif kind in BY_LINES:
            found = BY_LINES[kind](rows, lines)
        elif kind in BY_JUDGEMENTS:
            found = BY_JUDGEMENTS[kind](rows, judgements)
        else:
            continue  # told by whoever has read or encoded the rows
        if found:
            numbers = tuple(sorted(found))
            yield Problem(kind, numbers, {number: found[number] for number in numbers})
