"""The prompt of a completion: the example that training would have made, its output still to be written.

It knows tasks and runs' manifests, not tokenizers. It imports nothing heavy.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

from core.data.recipe import DEFAULT_TASK, Example, Task, make_example, template_columns
from core.data.rows import SAMPLE, Row, read_rows
from core.errors import PoemError
from core.i18n import _
from core.profile.schema import Profile
from core.runs.directory import RunDirectory


def make_completion_example(text: str, profile: Profile, own_instruction: str, asked: str | None = None) -> Example:
    """The example that training would have made of a row with this input, its output still to be written.

    Args:
        text: the row's input.
        profile: its tasks and system prompt.
        own_instruction: the row's own instruction.
        asked: an instruction that goes before every task's; None: the first task's that needs no column but the input.
    """

    def continues(task: Task) -> bool:
        """Whether the task asks for the rest of the poem, and for nothing that only a row of the file has."""
        columns = {
            name for part in (task.instruction, task.input) if part is not None for name in template_columns(part)
        }
        return task.weight > 0 and columns <= {"input"} and task.output in (None, "{output}")

    task = next((task for task in profile.data.tasks if continues(task)), DEFAULT_TASK)
    if asked is not None:
        task = replace(task, instruction=None)
    # The output only has to be there for the row to be eligible.
    row = Row(number=-1, instruction=own_instruction, input=text, output="…", extra={})
    example = make_example(
        row, (replace(task, output=None),), system_prompt=profile.data.system_prompt, seed=0, epoch=0
    )
    return replace(example, output="")


def trained_instruction(trained_in: RunDirectory | None) -> str:
    """The instruction most frequent in the run's training rows; without a run, the bundled sample's."""
    if trained_in is not None:
        try:
            manifest = json.loads(trained_in.manifest_path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            manifest = None
        instruction = manifest.get("instruction") if isinstance(manifest, dict) else None
        if isinstance(instruction, str):
            return check_prompt_text(instruction, str(trained_in.manifest_path), may_be_empty=True)
    return read_rows(SAMPLE).rows[0].instruction


def check_prompt_text(text: str, where: str, *, may_be_empty: bool = False) -> str:
    """The text, where it is one that training could have seen."""
    if not text.strip() and not may_be_empty:
        raise PoemError(_("the text is empty"), hint=_("Give the first lines of a poem."), where=where)
    for position, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n":
            raise PoemError(
                _("character {position} is the control character U+{code}").format(
                    position=position + 1, code=f"{ord(character):04X}"
                ),
                hint=_("Remove it: poems hold none."),
                where=where,
            )
    return text
