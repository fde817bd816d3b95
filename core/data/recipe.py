"""Row → example: tasks, the choice among them, and the order of an epoch. The split is in `core.data.holdout`.

Everything here is a pure function of its arguments. It must not know how an example is rendered or encoded.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from core.data.chance import draw
from core.data.holdout import Split, split_rows
from core.data.records import quoted_names
from core.data.rows import Row
from core.errors import PoemError
from core.i18n import _

__all__ = [
    "DEFAULT_TASK",
    "Example",
    "Split",
    "Task",
    "check_task_template",
    "count_eligible",
    "eligible_tasks",
    "epoch_order",
    "make_example",
    "split_rows",
    "template_columns",
]


@dataclass(frozen=True, slots=True)
class Task:
    """One way to make an example of a row: templates over the row's columns.

    `{author}` stands for the row's column, `{instruction}`, `{input}` and `{output}` for its three fields whatever
    their columns are called in the file; literal braces are doubled.
    """

    name: str
    """How people call it; shown with every example."""
    instruction: str | None
    """Template; None for the row's own instruction as it stands."""
    input: str | None
    """Template; None for the row's own input as it stands."""
    output: str | None
    """Template; None for the row's own output as it stands."""
    weight: float
    """How often it is chosen, relative to the row's other eligible tasks; 0 for never."""


DEFAULT_TASK = Task("row", None, None, None, 1.0)
"""The row as it stands."""


@dataclass(frozen=True, slots=True)
class Example:
    """What a task makes of a row: the texts to be rendered and encoded."""

    row: int
    """The row's number."""
    task: str
    """The task's name."""
    system_prompt: str
    """"" for none."""
    instruction: str
    """"" where neither the row nor the task has one."""
    input: str
    """"" as above."""
    output: str
    """What the model shall learn to write; never blank."""


def check_task_template(text: str) -> str | None:
    """What is wrong with a template, for people; None where nothing is."""
    try:
        _parse_template(text)
    except PoemError as error:
        return error.message
    return None


def template_columns(text: str) -> tuple[str, ...]:
    """The columns that a template names, in order of first sight.

    Raises:
        PoemError: not a template.
    """
    return _columns_of(text)


def eligible_tasks(row: Row, tasks: Sequence[Task]) -> tuple[Task, ...]:
    """The tasks whose named columns the row all has and has filled, and whose output is not blank.

    Args:
        row: the row.
        tasks: none at all stands for the row as it stands.
    """
    return tuple(task for task in tasks or (DEFAULT_TASK,) if _is_eligible(row, task))


def count_eligible(rows: Iterable[Row], tasks: Sequence[Task]) -> Mapping[str, int]:
    """Task name → how many rows are eligible for it, every task in order."""
    counts = {task.name: 0 for task in tasks or (DEFAULT_TASK,)}
    for row in rows:
        for task in eligible_tasks(row, tasks):
            counts[task.name] += 1
    return counts


def make_example(row: Row, tasks: Sequence[Task], *, system_prompt: str, seed: int, epoch: int) -> Example:
    """The example that a row makes in an epoch: one of its eligible tasks, drawn by weight.

    Args:
        row: the row.
        tasks: none at all stands for the row as it stands.
        system_prompt: "" for none.
        seed: `train.seed`.
        epoch: from 0; the draw differs between epochs.

    Raises:
        PoemError: the row is eligible for no task.
    """
    eligible = [task for task in eligible_tasks(row, tasks) if task.weight > 0]
    if not eligible:
        raise PoemError(
            _("row {row} has the columns of no task").format(row=row.number),
            hint=_("The tasks are: {names}. Add one that names no columns, or leave the row out.").format(
                names=quoted_names(task.name for task in tasks)
            ),
            where=_("row {row}").format(row=row.number),
        )
    task = _draw_task(row, eligible, seed, epoch)
    return Example(
        row=row.number,
        task=task.name,
        system_prompt=system_prompt,
        instruction=_render(task.instruction, row, row.instruction),
        input=_render(task.input, row, row.input),
        output=_render(task.output, row, row.output),
    )


def epoch_order(numbers: Sequence[int], *, seed: int, epoch: int) -> tuple[int, ...]:
    """The row numbers shuffled for an epoch; the same whatever order they come in.

    Args:
        numbers: distinct row numbers.
        seed: `train.seed`.
        epoch: from 0.
    """
    return tuple(sorted(numbers, key=lambda number: (draw("order", seed, epoch, number), number)))


def _draw_task(row: Row, eligible: Sequence[Task], seed: int, epoch: int) -> Task:
    """Cut a line of the summed weights at a drawn point; the task that owns the point is chosen."""
    if len(eligible) == 1:
        return eligible[0]
    point = draw("task", seed, epoch, row.number) / 2**64 * sum(task.weight for task in eligible)
    for task in eligible:
        point -= task.weight
        if point < 0:
            return task
    # Rounding may leave the point at the very end of the line.
    return eligible[-1]


def _is_eligible(row: Row, task: Task) -> bool:
    for template in (task.instruction, task.input, task.output):
        if template is not None and not all(_column(row, name).strip() for name in _columns_of(template)):
            return False
    return bool(_render(task.output, row, row.output).strip())


def _column(row: Row, name: str) -> str:
    """The text of a field or another column; "" where the row has none. A field wins over a column of its name."""
    if name == "instruction":
        return row.instruction
    if name == "input":
        return row.input
    if name == "output":
        return row.output
    return row.extra.get(name, "")


def _render(template: str | None, row: Row, own: str) -> str:
    if template is None:
        return own
    return "".join(
        literal + (_column(row, name) if name is not None else "") for literal, name in _parse_template(template)
    )


@lru_cache(maxsize=256)
def _columns_of(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for _literal, name in _parse_template(text) if name is not None))


@lru_cache(maxsize=256)
def _parse_template(text: str) -> tuple[tuple[str, str | None], ...]:
    """Pairs of literal text and the column that follows it; None where none does.

    Only plain column names pass: what `str.format` would do with `{output.__class__}` never happens.

    Raises:
        PoemError: unbalanced braces, or anything but a name between them.
    """
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        raise PoemError(_("the braces don't match; a literal brace is written twice")) from None
    parsed: list[tuple[str, str | None]] = []
    for literal, name, format_spec, conversion in fields:
        if name is not None:
            _check_name(name, plain_name=not format_spec and not conversion)
        parsed.append((literal, name))
    return tuple(parsed)


def _check_name(name: str, *, plain_name: bool) -> None:
    if not name.strip():
        raise PoemError(_("empty braces name no column; a literal brace is written twice"))
    if not plain_name or name != name.strip() or any(mark in name for mark in ".[]{}"):
        raise PoemError(
            _("braces take a plain column name, not {name}; a literal brace is written twice").format(
                name=quoted_names([name])
            )
        )
