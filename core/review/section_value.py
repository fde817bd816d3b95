"""The section on what the data is worth: strengths, limits, and the tasks that would widen it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from core.advice.facts import Facts
from core.audit.structure import Structure
from core.i18n import _
from core.profile.schema import Profile
from core.report.document import Block, Code, Section, Text
from core.review.finding import Finding
from core.review.shown import listed
from core.review.task_mix import PURPOSE_WORDS, TaskMix, mix_tasks


def value_section(findings: Sequence[Finding], structure: Structure, facts: Facts, profile: Profile) -> Section:
    """The findings in words, each limit that a few lines of a profile mend with these lines.

    Args:
        findings: as from `core.review.value.value_of`.
        structure: the file's.
        facts: measured of it.
        profile: what it is to be trained with.
    """
    strengths = [finding for finding in findings if finding.kind == "strength"]
    limits = [finding for finding in findings if finding.kind == "limit"]
    blocks: list[Block] = [Text(_summary(strengths, limits))]
    if facts.tokens.estimated:
        blocks.append(Text(_("Lengths and tokens are estimated from characters."), "hint"))
    blocks += [Text(_worded(finding), "good") for finding in strengths]
    mix = mix_tasks(structure, facts.columns, taken=[task.name for task in profile.data.tasks])
    for finding in limits:
        blocks.append(Text(_worded(finding), "hint"))
        if finding.id == "one-instruction" and mix.tasks:
            blocks += mix_blocks(mix)
        if finding.id == "no-system-prompt" and facts.poems:
            blocks += system_prompt_blocks(mix)
    return Section("value", _("Training value"), tuple(blocks))


def mix_blocks(mix: TaskMix) -> list[Block]:
    """The tasks to paste, and what columns there would have to be for more."""
    blocks: list[Block] = [
        Text(
            _(
                "This mix fits the columns of the file. Put it behind the last line of the profile; every epoch draws "
                "one task for each row, by weight:"
            )
        ),
        Code(mix.toml, "toml"),
    ]
    if mix.missing:
        purposes = listed(_(PURPOSE_WORDS[purpose]) for purpose in mix.missing)
        blocks.append(
            Text(_("Not in the mix, as the file has no column for it: {purposes}.").format(purposes=purposes), "hint")
        )
    return blocks


def system_prompt_blocks(mix: TaskMix) -> list[Block]:
    """The line to paste."""
    line = f"system_prompt = {json.dumps(mix.system_prompt, ensure_ascii=False)}"
    return [Text(_("For a mix of tasks, in [data]:")), Code(line, "toml")]


def _summary(strengths: Sequence[Finding], limits: Sequence[Finding]) -> str:
    return _(
        "{good} strengths ({strengths}) and {bad} limits ({limits}), each with the numbers it follows from."
    ).format(
        good=len(strengths),
        strengths=listed(finding.title for finding in strengths) or _("none"),
        bad=len(limits),
        limits=listed(finding.title for finding in limits) or _("none"),
    )


def _worded(finding: Finding) -> str:
    return _("{title}: {reason}").format(title=finding.title, reason=finding.reason)
