"""A row laid out for reading: the poem as verse, what the file says of it, and what the recipe makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from core.data.row import BadRow, Row
from core.i18n import _
from tui.plain import content
from tui.verse import verse_lines

if TYPE_CHECKING:
    from core.data.recipe import Example

_SHORT_CELLS = 24
_NAMED_APART = ("title", "author")


def poem_content(row: Row) -> Content:
    """Title and author, the couplets (what the model is given in bold) and, below, what else is short."""
    parts = []
    named = [content(row.extra[name], style) for name, style in zip(_NAMED_APART, ("bold", ""), strict=True)
             if row.extra.get(name)]  # fmt: skip
    if named:
        parts.append(Content("  ").join(named))
    if row.input.strip():
        parts.append(content("\n".join(verse_lines(row.input)), "bold"))
    parts.append(content("\n".join(verse_lines(row.output))))
    short, _long = _facts(row)
    parts.append(content("  ".join(short), "$text-muted"))
    return Content("\n").join(parts)


def rest_content(row: Row) -> Content:
    """What the row holds beside the poem and isn't short."""
    _short, long = _facts(row)
    return content("\n".join(long), "$text-muted")


def _facts(row: Row) -> tuple[list[str], list[str]]:
    """What there is beside the poem: what shares a line with others, and what has lines of its own."""
    facts = [_("row {number}").format(number=row.number)]
    facts += [_labelled(name, value) for name, value in row.extra.items() if value and name not in _NAMED_APART]
    facts += [_labelled("instruction", row.instruction)] if row.instruction else []
    short = [fact for fact in facts if cell_len(fact[:_SHORT_CELLS]) < _SHORT_CELLS]
    return short, [fact for fact in facts if fact not in short]


def _labelled(name: str, value: str) -> str:
    # A space before Chinese text would be the only place where the line could be broken.
    return f"{name}: {value}" if value[:1].isascii() else f"{name}：{value}"


def bad_row_content(row: BadRow) -> Content:
    """A row that can't be used, and why."""
    parts = [content(_("row {number}").format(number=row.number), "bold"), content(row.problem, "$text-error")]
    if row.line is not None:
        parts.append(content(_("It starts in line {line} of the file.").format(line=row.line), "$text-muted"))
    return Content("\n").join(parts)


def example_content(example: Example, draw: int) -> Content:
    """What a task makes of a row, text by text; those that are empty are left out."""
    head = _("task {task}, draw {draw}").format(task=example.task, draw=draw + 1)
    texts = (
        (_("system"), example.system_prompt, ""),
        (_("instruction"), example.instruction, ""),
        (_("input"), example.input, ""),
        (_("output"), example.output, "bold $text-success"),
    )
    lines = [
        Content.assemble(content(name + ("  " if text[:1].isascii() else "："), "$text-muted"), content(text, style))
        for name, text, style in texts
        if text
    ]
    return Content("\n").join([content(head, "bold $text-primary"), *lines])
