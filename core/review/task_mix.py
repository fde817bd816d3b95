"""Which tasks the columns of a file allow, as `[[data.tasks]]` to be pasted into a profile. It judges nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from core.audit.doubles import AUTHOR_COLUMNS
from core.audit.structure import Structure
from core.data.recipe import Task, check_task_template
from core.i18n import N_

Purpose = Literal["style", "title", "explain"]

PURPOSE_WORDS: dict[Purpose, str] = {
    "style": N_("imitation of a poet"),
    "title": N_("a poem on a given title"),
    "explain": N_("explanation"),
}
"""What a task teaches that needs a column of its own."""

_TITLE_COLUMNS = ("title", "題目", "题目", "標題", "标题", "詩題", "诗题")
_EXPLAINING = (
    (
        "explain",
        ("explanation", "meaning", "解釋", "解释", "釋義", "释义"),
        "請解釋這首詩的意思。",
        "请解释这首诗的意思。",
    ),
    ("translate", ("translation", "翻譯", "翻译", "譯文", "译文"), "請把這首詩譯成白話。", "请把这首诗译成白话。"),
    (
        "annotate",
        ("annotation", "annotations", "notes", "注釋", "註釋", "注释"),
        "請為這首詩作注。",
        "请为这首诗作注。",
    ),
    ("appreciate", ("appreciation", "賞析", "赏析"), "請賞析這首詩。", "请赏析这首诗。"),
)

_WORDINGS = {
    "completion": (
        ("continue", "請繼續補全這首詩。", "请继续补全这首诗。"),
        ("rest", "請寫出這首唐詩的後續內容。", "请写出这首唐诗的后续内容。"),
        ("old-verse", "請續寫這首古詩。", "请续写这首古诗。"),
    ),
    "writing": (
        ("compose", "請寫一首唐詩。", "请写一首唐诗。"),
        ("old-verse", "請作一首古詩。", "请作一首古诗。"),
        ("poet", "假如你是唐代詩人，請賦詩一首。", "假如你是唐代诗人，请赋诗一首。"),
    ),
}
"""Task of a file → other wordings of it: name, Traditional, Simplified."""

_SYSTEM_PROMPT = (
    "你是一位精通唐詩的詩人。請依照指示，用繁體中文作答。",
    "你是一位精通唐诗的诗人。请依照指示，用简体中文作答。",
)


_ROW_TIMES = 2 / 3
"""The weight of the row as it stands, against all others: it gets two fifths of the examples."""


@dataclass(frozen=True, slots=True)
class TaskMix:
    """A mix of tasks for one file."""

    tasks: tuple[Task, ...]
    """The row as it stands first; empty where the file is not verse."""
    purposes: tuple[Purpose, ...]
    """Those of `PURPOSE_WORDS` that the columns allow."""
    missing: tuple[Purpose, ...]
    """The others."""
    system_prompt: str
    """What all of them share, in the script of the file."""

    @property
    def toml(self) -> str:
        """`[[data.tasks]]` tables, to stand behind the last line of a profile; "" without tasks."""
        return "\n\n".join(map(_toml_of, self.tasks))


def mix_tasks(structure: Structure, columns: Sequence[str], taken: Collection[str] = ()) -> TaskMix:
    """The mix that a file's task, script and columns allow.

    Args:
        structure: the file's.
        columns: its columns of text beside instruction, input and output.
        taken: names of tasks that the profile has already; none of these is made.
    """
    simplified = structure.scripts.get("simplified", 0) > structure.scripts.get("traditional", 0)
    script = 1 if simplified else 0
    poem = "{output}" if structure.output_holds == "whole" else "{input}{output}"
    author, title = _find(columns, AUTHOR_COLUMNS), _find(columns, _TITLE_COLUMNS)
    explaining = [
        (name, column, wordings[script])
        for name, names, *wordings in _EXPLAINING
        if (column := _find(columns, names)) is not None
    ]
    tasks: list[Task] = []
    if structure.task in _WORDINGS:
        tasks += [Task(name, both[script], None, None, 0.1) for name, *both in _WORDINGS[structure.task]]
        if author is not None:
            tasks.append(Task("style", _style(structure, author, script), None, None, 0.2))
        if title is not None:
            wording = (f"以《{title}》為題，寫一首詩。", f"以《{title}》为题，写一首诗。")[script]
            tasks.append(Task("title", wording, "", poem, 0.1))
        tasks += [Task(name, wording, poem, column, 0.1) for name, column, wording in explaining]
        tasks.insert(0, Task("row", None, None, None, round(_ROW_TIMES * sum(task.weight for task in tasks), 2)))
    there: dict[Purpose, bool] = {
        "style": author is not None,
        "title": title is not None,
        "explain": bool(explaining),
    }
    return TaskMix(
        tasks=tuple(task for task in tasks if task.name not in taken),
        purposes=tuple(purpose for purpose, is_there in there.items() if is_there),
        missing=tuple(purpose for purpose, is_there in there.items() if not is_there),
        system_prompt=_SYSTEM_PROMPT[script],
    )


def _style(structure: Structure, author: str, script: int) -> str:
    if structure.task == "completion":
        return (f"模仿{author}的風格，續寫下面的詩句。", f"模仿{author}的风格，续写下面的诗句。")[script]
    return (f"模仿{author}的風格，寫一首詩。", f"模仿{author}的风格，写一首诗。")[script]


def _find(columns: Sequence[str], names: Collection[str]) -> str | None:
    """The first column of one of these names, whatever its case, as a template names it: `{author}`."""
    templates = ("{" + column + "}" for column in columns if column.lower() in names)
    return next((template for template in templates if check_task_template(template) is None), None)


def _toml_of(task: Task) -> str:
    lines = ["[[data.tasks]]", f"name = {_text(task.name)}"]
    for field in ("instruction", "input", "output"):
        template = getattr(task, field)
        if template is not None:
            lines.append(f"{field} = {_text(template)}")
    return "\n".join([*lines, f"weight = {task.weight}"])


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
