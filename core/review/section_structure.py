"""The section on what a data file holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from core.advice.amounts import share
from core.audit.structure import Script, Structure
from core.data.columns import FIELDS
from core.i18n import N_, _
from core.report.document import Block, Code, RowLinks, Section, Table, Text

_LONGEST_FIELD = 300
_LONGEST_NAME = 80
_COUPLET = 2
_LINE_COUNTS = 12
_HOLDS = {
    "rest": N_("the rest of a poem that the input begins"),
    "whole": N_("a whole poem"),
    "other": N_("no verse"),
}
_SCRIPTS: Mapping[Script, str] = {
    "traditional": N_("Traditional"),
    "simplified": N_("Simplified"),
    "mixed": N_("both in one row"),
    "other": N_("no Chinese characters"),
}


def structure_section(structure: Structure) -> Section:
    """What the file is, what its rows ask for, and which poems are in it.

    Args:
        structure: the file's.
    """
    verse: list[Block] = [] if structure.task == "other" else [_line_table(structure), *_forms(structure)]
    blocks: list[Block] = [
        _facts(structure),
        *_lines_note(structure),
        Text(_task(structure), "" if structure.task == "other" else "good"),
        *_repeats(structure),
        *verse,
        *_authors(structure),
        *_scripts(structure),
        *_instructions(structure),
        Text(_("The first row:")),
        Code(_example(structure), "json"),
    ]
    return Section("structure", _("Structure of the data"), tuple(blocks))


def size_words(size_bytes: int) -> str:
    """A size, exact and in MB of 1,000,000 bytes."""
    return _("{count} bytes ({megabytes} MB)").format(count=f"{size_bytes:,}", megabytes=f"{size_bytes / 1e6:,.1f}")


def quoted(text: str, longest: int = _LONGEST_NAME) -> str:
    """Somebody's text, cut where it is long."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _facts(structure: Structure) -> Table:
    columns = _(", ").join(map(quoted, structure.columns))
    mapped = ", ".join(
        f"{field} ← {quoted(structure.mapping[field])}" for field in FIELDS if field in structure.mapping
    )
    rows = [
        (_("File"), structure.path),
        (_("Format"), structure.format),
        (_("Size on disk"), size_words(structure.size_bytes)),
        (_("Rows"), f"{structure.rows:,}"),
        (_("Rows that can't be used"), f"{structure.bad_rows:,}"),
        (_("Text lines"), f"{structure.text_lines:,}"),
        (_("Columns"), columns),
        (_("Read as (rule “{rule}”)").format(rule=structure.rule), mapped),
        (_("Distinct instructions"), f"{structure.distinct_instructions:,}"),
        (_("Distinct inputs"), f"{structure.distinct_inputs:,}"),
        (_("Most outputs hold"), _(_HOLDS[structure.output_holds])),
    ]
    return Table((_("What"), _("Found")), tuple(rows))


def _lines_note(structure: Structure) -> Iterator[Text]:
    rows = structure.rows + structure.bad_rows
    if structure.could_be_mistaken:
        yield Text(
            _(
                "{lines} text lines, but {rows} rows: a row takes {each:.1f} lines here. Whoever counts the lines, as "
                "wc -l and editors do, takes the file for one of {lines} rows."
            ).format(lines=f"{structure.text_lines:,}", rows=f"{rows:,}", each=structure.text_lines / rows),
            "warning",
        )
    elif structure.text_lines < rows:
        yield Text(
            _("Text lines: {lines}, rows: {rows}. Several rows share a line.").format(
                lines=f"{structure.text_lines:,}", rows=f"{rows:,}"
            )
        )


def _task(structure: Structure) -> str:
    if structure.task == "other":
        return _("The task: not verse. Most outputs are no poems of four lines or more, so nothing is said of forms.")
    if structure.task == "writing":
        return _("The task: write a whole poem. In most rows no part of it is given.")
    lines, rows = max(structure.given_lines.items(), key=lambda item: item[1])
    counts = {"rows": f"{rows:,}", "share": share(rows / structure.rows), "lines": f"{lines:,}"}
    if lines == _COUPLET:
        return _(
            "The task: first couplet → rest of the poem. In {rows} rows ({share}) the input is the first two lines."
        ).format(**counts)
    return _(
        "The task: beginning → rest of the poem. In {rows} rows ({share}) the input is the first {lines} lines."
    ).format(**counts)


def _repeats(structure: Structure) -> Iterator[Text]:
    if structure.output_whole:
        yield Text(
            _("In {count} rows ({share}) the output begins with the input.").format(
                count=f"{structure.output_whole:,}", share=share(structure.output_whole / structure.rows)
            )
        )


def _line_table(structure: Structure) -> Table:
    """Lines a poem; of many different counts the commonest."""
    commonest = sorted(structure.line_counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        (f"{lines:,}", f"{count:,}", share(count / structure.rows)) for lines, count in sorted(commonest[:_LINE_COUNTS])
    ]
    rest = sum(count for _lines, count in commonest[_LINE_COUNTS:])
    if rest:
        rows.append((_("others"), f"{rest:,}", share(rest / structure.rows)))
    return Table((_("Lines a poem"), _("Rows"), _("Share")), tuple(rows), right=(0, 1, 2))


def _forms(structure: Structure) -> Iterator[RowLinks]:
    for form, numbers in structure.forms.items():
        title = _("{form}: {count} rows ({share})") if len(numbers) > 1 else _("{form}: 1 row ({share})")
        title = title.format(
            form=form or _("No form (fewer than four lines)"),
            count=f"{len(numbers):,}",
            share=share(len(numbers) / structure.rows),
        )
        yield RowLinks(f"form:{form}", title, numbers)


def _authors(structure: Structure) -> Iterator[Block]:
    if not structure.distinct_authors:
        return
    listed = sum(structure.authors.values())
    yield Text(
        _("Authors: {count}. Those listed have {share} of the rows.").format(
            count=f"{structure.distinct_authors:,}", share=share(listed / structure.rows)
        )
    )
    rows = (
        (quoted(author), f"{count:,}", share(count / structure.rows)) for author, count in structure.authors.items()
    )
    yield Table((_("Author"), _("Rows"), _("Share")), tuple(rows), right=(1, 2))


def _scripts(structure: Structure) -> Iterator[Block]:
    found = [(script, count) for script, count in structure.scripts.items() if count]
    if len(found) == 1:
        script = _(_SCRIPTS[found[0][0]])
        yield Text(_("Script of all rows: {script}.").format(script=script))
        return
    rows = ((_(_SCRIPTS[script]), f"{count:,}", share(count / structure.rows)) for script, count in found)
    yield Table((_("Script"), _("Rows"), _("Share")), tuple(rows), right=(1, 2))


def _instructions(structure: Structure) -> Iterator[Block]:
    instructions = structure.instructions
    if structure.distinct_instructions == 1:
        only = next(iter(instructions))
        words = _("One instruction in all rows: {text}") if only else _("No row has an instruction.")
        yield Text(words.format(text=quoted(only, _LONGEST_FIELD)))
        return
    rows = ((quoted(text) or "–", f"{count:,}", share(count / structure.rows)) for text, count in instructions.items())
    yield Table((_("Instruction"), _("Rows"), _("Share")), tuple(rows), right=(1, 2))


def _example(structure: Structure) -> str:
    row = structure.example
    own = {"instruction": row.instruction, "input": row.input, "output": row.output}
    shown = {structure.mapping[field]: text for field, text in own.items() if field in structure.mapping}
    shown |= {column: text for column, text in row.extra.items() if column not in shown}
    clipped = {quoted(column): quoted(text, _LONGEST_FIELD) for column, text in shown.items()}
    return json.dumps(clipped, ensure_ascii=False, indent=2)
