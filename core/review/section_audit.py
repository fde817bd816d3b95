"""The section on quality: every kind of problem that was found, with its rows, and how to leave these out."""

from __future__ import annotations

from collections.abc import Sequence

from core.advice.amounts import share as percent
from core.audit.kinds import EXCLUDABLE, KINDS
from core.audit.problem import Problem
from core.i18n import _
from core.report.document import Block, Code, RowLinks, Section, Text

_TONES = ("error", "warning", "hint")
_EXAMPLES = 5


def audit_section(problems: Sequence[Problem], rows: int) -> Section:
    """The problems, the gravest first and then the commonest.

    Args:
        problems: each kind at most once.
        rows: rows of the file, those that can't be used among them, at least 1.
    """
    ordered = sorted(problems, key=lambda problem: (_TONES.index(KINDS[problem.kind].tone), -len(problem.rows)))
    blocks: list[Block] = [_summary(ordered, rows), *(_links(problem, rows) for problem in ordered)]
    found = {problem.kind for problem in problems}
    absent = _("; ").join(_(kind.title) for kind in KINDS.values() if kind.name not in found)
    blocks.append(Text(_("Looked for and not found: {kinds}.").format(kinds=absent), "good"))
    if ordered:
        blocks += _leaving_out(ordered)
    return Section("audit", _("Quality audit"), tuple(blocks))


def _summary(problems: Sequence[Problem], rows: int) -> Text:
    kinds = len(KINDS)
    if not problems:
        found = _("Nothing was found: {kinds} kinds of problems were looked for in {rows} rows.")
        return Text(found.format(kinds=kinds, rows=f"{rows:,}"), "good")
    grave = {row for problem in problems if KINDS[problem.kind].tone != "hint" for row in problem.rows}
    every = {row for problem in problems for row in problem.rows}
    found = _(
        "{kinds} kinds of problems were looked for in {rows} rows, and {found} found. {any} rows ({any_percent}) have "
        "some problem, {grave} ({grave_percent}) one that is graver than a hint. Nothing was changed."
    )
    text = found.format(
        kinds=kinds,
        rows=f"{rows:,}",
        found=len(problems),
        any=f"{len(every):,}",
        any_percent=percent(len(every) / rows),
        grave=f"{len(grave):,}",
        grave_percent=percent(len(grave) / rows),
    )
    return Text(text)


def _links(problem: Problem, rows: int) -> RowLinks:
    kind, count = KINDS[problem.kind], len(problem.rows)
    title = _("{count} rows ({percent}): {problem}") if count > 1 else _("1 row ({percent}): {problem}")
    return RowLinks(
        kind=kind.name,
        title=title.format(count=f"{count:,}", percent=percent(count / rows), problem=_(kind.title)),
        rows=problem.rows,
        examples=tuple(
            _("{row}: {detail}").format(row=row, detail=problem.details[row]) for row in problem.rows[:_EXAMPLES]
        ),
        remedy=_(kind.remedy),
        tone=kind.tone,
    )


def _leaving_out(problems: Sequence[Problem]) -> list[Block]:
    """With the gravest kind that can be left out, and a row, as examples: the file has them."""
    kind = next((problem.kind for problem in problems if problem.kind in EXCLUDABLE), None)
    row = problems[0].rows[0]
    return [
        Text(_("To leave rows out of training, name kinds of problems or row numbers in [data] of the profile:")),
        Code(f"exclude = [{row}]" if kind is None else f'exclude = ["{kind}", {row}]', "toml"),
        Text(_("Or write a cleaned copy; the file itself is never changed:")),
        Code("poemcore review FILE --write-clean OUT" + (f" --exclude {kind}" if kind is not None else "")),
    ]
