"""One thing wrong with a profile, and how several are told as one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import PoemError
from core.i18n import _

_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a profile that a person can mend. Its texts hold no control characters."""

    key: str
    """The key concerned, `train.epochs` or `data.tasks[1].weight`; empty where it is the text as a whole."""
    line: int | None
    """The line of the profile, from 1; None where the key comes from `--set`, or where there is no line."""
    message: str
    """What is wrong, in one sentence that names the key."""
    hint: str
    """How to mend it; empty where the message says it already."""

    @property
    def where(self) -> str:
        """`line 3`, or `--set train.epochs`; empty for the text as a whole."""
        if self.line is not None:
            return _("line {line}").format(line=self.line)
        return f"--set {self.key}" if self.key else ""


def problems_error(problems: Sequence[Problem], source: str) -> PoemError:
    """All problems as one error.

    Args:
        problems: at least one.
        source: the file's or preset's name; empty for a profile that came from neither.
    """
    if len(problems) == 1:
        only = problems[0]
        return PoemError(only.message, hint=only.hint, where=_place(only, source))
    told = []
    for problem in problems[:_MOST_TOLD]:
        where = problem.where if source else ""
        told.append(f"  {where}: {problem.message}" if where else f"  {problem.message}")
        if problem.hint:
            told.append(f"      {problem.hint}")
    if len(problems) > _MOST_TOLD:
        told.append(_("  … and {count} more").format(count=len(problems) - _MOST_TOLD))
    heading = _("{count} problems in the profile:").format(count=len(problems))
    return PoemError("\n".join([heading, *told]), where=source)


def _place(problem: Problem, source: str) -> str:
    if not source:
        return problem.key
    if problem.line is not None:
        return f"{source}:{problem.line}"
    return problem.where or source
