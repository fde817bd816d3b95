"""What a data file holds, counted: rows and text lines, columns, instructions, forms, authors, scripts."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.audit.poem import repeats_input
from core.audit.scripts import script_characters
from core.data.row import Row
from core.data.rows import RowFile
from core.verse.form import verse_lines
from core.verse.judge import Judgement

Script = Literal["traditional", "simplified", "mixed", "other"]

MISTAKEN_SHARE = 0.1
"""Text lines can be taken for rows where they are more by over this share: any count of them is then off by as much."""
LISTED = 10
"""So many instructions and authors are listed, the commonest."""

_BRACKET_LINES = 2
_AUTHOR_COLUMNS = ("author", "authors", "poet", "writer", "作者", "詩人", "诗人")
_SCRIPTS: tuple[Script, ...] = ("traditional", "simplified", "mixed", "other")
_IDEOGRAPH = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# □ stands for a character that is lost.
_VERSE = re.compile(f"(?:{_IDEOGRAPH.pattern}|□)+")
# Unequal lines are verse where they are as short as those of 雜言 and 詞; those of prose are longer.
_LONGEST_UNEQUAL, _MEAN_UNEQUAL = 11, 7


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
    scripts: Mapping[Script, int]
    """Script → rows. simplified: with characters that only Simplified type has and none that only Traditional has;
    mixed: both; other: no Chinese; traditional: the rest."""
    given_lines: Mapping[int, int] = field(default_factory=dict)
    """Of the poems whose beginning is given, lines of the input → how many rows have so many, ascending."""


def structure_of(name: str, file: RowFile, judgements: Sequence[Judgement]) -> Structure:
    """Count what a file holds.

    Args:
        name: the file, as the person named it.
        file: its rows.
        judgements: of the poem of each row (`core.audit.poem.judged_poem`), in the order of `file.rows`.
    """
    rows = file.rows
    forms: dict[str, list[int]] = {}
    line_counts: Counter[int] = Counter()
    given_lines: Counter[int] = Counter()
    holds: Counter[Literal["rest", "whole", "other"]] = Counter()
    repeated = 0
    for row, judgement in zip(rows, judgements, strict=True):
        forms.setdefault(judgement.form, []).append(row.number)
        line_counts[len(judgement.lines)] += 1
        repeats = repeats_input(row)
        repeated += repeats
        given = verse_lines(row.input)
        is_given = 0 < len(given) < len(judgement.lines) and judgement.lines[: len(given)] == given
        if not _is_verse(judgement):
            holds["other"] += 1
            continue
        holds["rest" if is_given and not repeats else "whole"] += 1
        if is_given:
            given_lines[len(given)] += 1
    output_holds: Literal["rest", "whole", "other"] = "rest" if holds["rest"] > holds["whole"] else "whole"
    task: Literal["completion", "writing", "other"] = "writing"
    if 2 * holds["other"] > len(rows):
        output_holds = task = "other"
    elif 2 * given_lines.total() > len(rows) - holds["other"]:
        task = "completion"
    instructions = Counter(row.instruction for row in rows)
    authors = _count_authors(rows)
    records = len(rows) + len(file.bad_rows)
    return Structure(
        path=name,
        format=file.format,
        size_bytes=file.size_bytes,
        memory_bytes=_memory_bytes(rows),
        rows=len(rows),
        bad_rows=len(file.bad_rows),
        text_lines=file.text_lines,
        could_be_mistaken=file.text_lines - _BRACKET_LINES > (1 + MISTAKEN_SHARE) * records,
        columns=file.columns,
        mapping=file.mapping,
        rule=file.rule,
        example=rows[0],
        instructions=dict(instructions.most_common(LISTED)),
        distinct_instructions=len(instructions),
        distinct_inputs=len({row.input for row in rows}),
        output_holds=output_holds,
        output_whole=repeated,
        line_counts=dict(sorted(line_counts.items())),
        task=task,
        forms={form: tuple(numbers) for form, numbers in sorted(forms.items(), key=lambda item: -len(item[1]))},
        authors=dict(authors.most_common(LISTED)),
        distinct_authors=len(authors),
        scripts=_count_scripts([row.input + row.output for row in rows]),
        given_lines=dict(sorted(given_lines.items())),
    )


def _is_verse(judgement: Judgement) -> bool:
    """Whether a text looks like a poem: four lines or more of ideographs alone, of equal length or short."""
    if not judgement.form:
        return False
    characters = "".join(judgement.lines)
    if not _VERSE.fullmatch(characters):
        return False
    lengths = list(map(len, judgement.lines))
    return judgement.form != "雜言" or (
        max(lengths) <= _LONGEST_UNEQUAL and len(characters) <= _MEAN_UNEQUAL * len(lengths)
    )


def _count_authors(rows: Sequence[Row]) -> Counter[str]:
    names = {name for row in rows for name in row.extra}
    column = next(
        (name for wanted in _AUTHOR_COLUMNS for name in sorted(names) if name.strip().lower() == wanted), None
    )
    if column is None:
        return Counter()
    return Counter(author for row in rows if (author := row.extra.get(column, "").strip()))


def _count_scripts(texts: Sequence[str]) -> dict[Script, int]:
    characters = script_characters(set().union(*texts))
    counts: Counter[Script] = Counter()
    for text in texts:
        if not characters.simplified.isdisjoint(text):
            counts["simplified" if characters.traditional.isdisjoint(text) else "mixed"] += 1
        elif _IDEOGRAPH.search(text):
            counts["traditional"] += 1
        else:
            counts["other"] += 1
    return {script: counts[script] for script in _SCRIPTS}


def _memory_bytes(rows: Sequence[Row]) -> int:
    """What rows take in memory, each text once however many rows share it."""
    total, seen = sys.getsizeof(rows), set[int]()
    for row in rows:
        total += sys.getsizeof(row) + sys.getsizeof(row.number) + sys.getsizeof(row.extra)
        for text in (row.instruction, row.input, row.output, *row.extra.values()):
            if id(text) not in seen:
                seen.add(id(text))
                total += sys.getsizeof(text[:-1] + text[-1:])  # of a copy: a text that was encoded keeps its UTF-8
    return total
