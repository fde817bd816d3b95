"""The section on what to do next: fixes, cleaner and wider data, more of it, and how to judge the result."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from core.advice.amounts import sentences
from core.advice.facts import Facts
from core.advice.rule import Advice
from core.advice.rules_data import CLEAR_TOKENS, LARGE_PARAMETERS
from core.audit.kinds import EXCLUDABLE, KINDS
from core.audit.problem import Problem
from core.audit.structure import Structure
from core.i18n import _
from core.profile.schema import Profile
from core.report.document import Block, Code, Items, Section, Text
from core.review.shown import (
    fix_command,
    fixed_source,
    gravest_first,
    listed,
    set_options,
    shown_change,
    tokenizer_options,
)
from core.review.task_mix import PURPOSE_WORDS, mix_tasks
from core.review.value_lessons import VARIED_SHARE, wordings

_BEST_OF = 8
_TANG_POEMS, _SONG_POEMS = 57_607, 254_248
"""Poems of 全唐詩 and 全宋詩 in the collection chinese-poetry 2.0.1 (npm, MIT)."""


def next_section(
    profile: Profile,
    facts: Facts,
    structure: Structure,
    advice: Sequence[Advice],
    problems: Sequence[Problem] = (),
    *,
    source: str = "PROFILE",
    file: str = "FILE",
    overrides: Sequence[str] = (),
    tokenizer: str = "",
) -> Section:
    """The steps that follow from this review, in the order in which they are worth taking.

    Args:
        profile: a checked one.
        facts: measured of the file.
        structure: the file's.
        advice: given of the profile.
        problems: found in the file.
        source: the profile's name or file, and
        file: the data file, and
        overrides: KEY=VALUE each, by which the profile differs from its source, and
        tokenizer: the folder that tokens were counted with, "" for the base's own: all for commands.
    """
    then, left = (fixed_source(source), ()) if any(one.fix is not None for one in advice) else (source, overrides)
    counting = tokenizer_options(tokenizer)
    blocks = [
        *_fixes(advice, source, file, set_options(overrides), counting),
        *_cleaning(problems),
        *_tasks(profile, facts, structure),
        *_more_data(facts),
        *_evaluation(profile, then, file, set_options(left), facts.poems),
        *_choosing(profile),
        *_measuring(facts, file, then, [*set_options(left), *counting]),
    ]
    return Section("next", _("Next steps"), tuple(blocks))


def _fixes(
    advice: Sequence[Advice], source: str, file: str, changed: Sequence[str], counting: Sequence[str]
) -> list[Block]:
    fixes = [one for one in gravest_first(advice) if one.fix is not None]
    grave = [one for one in fixes if one.severity in ("error", "warning")]
    blocks: list[Block] = []
    if grave:
        text = _("First mend what is wrong. Errors and warnings with a fix: {count}.")
        blocks.append(Text(text.format(count=len(grave))))
        blocks.append(Items(tuple(f"{one.key}: {shown_change(one)}" for one in grave)))
        blocks.append(Code(fix_command(grave, source=source, file=file, options=[*changed, *counting])))
    elif any(one.severity in ("error", "warning") for one in advice):
        blocks.append(Text(_("What is wrong in the profile has no single better value: read the reasons."), "warning"))
    else:
        blocks.append(Text(_("The profile has no error and no warning: it can train as it is."), "good"))
    hints = [one for one in fixes if one.severity == "hint"]
    if hints:
        blocks.append(Text(_("Then what could be better. Hints with a fix: {count}.").format(count=len(hints))))
        blocks.append(Items(tuple(f"{one.key}: {shown_change(one)}" for one in hints)))
        then, left = (fixed_source(source), ()) if grave else (source, changed)
        blocks.append(Code(fix_command(hints, source=then, file=file, options=[*left, *counting])))
    return blocks


def _cleaning(problems: Sequence[Problem]) -> list[Block]:
    grave = [problem for problem in problems if KINDS[problem.kind].tone != "hint" and problem.kind in EXCLUDABLE]
    if not grave:
        return []
    rows = len({row for problem in grave for row in problem.rows})
    text = _("Leave out what has a problem graver than a hint (rows: {rows}), in [data]:").format(rows=f"{rows:,}")
    return [Text(text), Code("exclude = [" + ", ".join(f'"{problem.kind}"' for problem in grave) + "]", "toml")]


def _tasks(profile: Profile, facts: Facts, structure: Structure) -> list[Block]:
    mix = mix_tasks(structure, facts.columns, taken=[task.name for task in profile.data.tasks])
    if not mix.tasks:
        return []
    blocks: list[Block] = []
    if wordings(structure, profile, facts.columns).share > VARIED_SHARE:
        text = _("Mix tasks, so that the model obeys more than one sentence: {count} tasks under “{section}”.")
        blocks.append(Text(text.format(count=len(mix.tasks), section=_("Training value"))))
        items = [_("The columns allow {purpose}.").format(purpose=_(PURPOSE_WORDS[one])) for one in mix.purposes]
        items += [_("A column is missing for {purpose}.").format(purpose=_(PURPOSE_WORDS[one])) for one in mix.missing]
        blocks.append(Items(tuple(items)))
    if not profile.data.system_prompt.strip():
        text = _("With a mix, give all tasks one system prompt, such as: {prompt}")
        blocks.append(Text(text.format(prompt=mix.system_prompt)))
    return blocks


def _more_data(facts: Facts) -> list[Block]:
    tokens, model = facts.tokens.total, facts.model
    if tokens.sum >= CLEAR_TOKENS or (model is not None and model.parameters < LARGE_PARAMETERS):
        return []
    missing = CLEAR_TOKENS - tokens.sum
    text = _(
        "Add data: {missing} more tokens make {wanted}. At {mean:.1f} tokens a row that is about {rows} more rows of "
        "this kind."
    ).format(
        missing=f"{missing:,}",
        wanted=f"{CLEAR_TOKENS:,}",
        mean=tokens.mean,
        rows=f"{math.ceil(missing / tokens.mean):,}",
    )
    if facts.poems:
        more = _(
            "The collection chinese-poetry (MIT) has {tang} Tang and {song} Song poems, with authors and titles; "
            "leave out what differs in form or is there already."
        )
        text = sentences(text, more.format(tang=f"{_TANG_POEMS:,}", song=f"{_SONG_POEMS:,}"))
    text = sentences(text, _("Other files are made into rows by:"))
    return [Text(text), Code("poemcore convert SOURCE more.jsonl --columns input=COLUMN,output=COLUMN")]


def _evaluation(profile: Profile, source: str, file: str, changed: Sequence[str], poems: bool) -> list[Block]:
    blocks: list[Block] = []
    if profile.data.eval_rows:
        text = _("After training, score the {rows} held-out rows, base and adapter side by side:")
        blocks.append(Text(text.format(rows=f"{profile.data.eval_rows:,}")))
    else:
        blocks.append(
            Text(_("Hold rows out with data.eval_rows = 200; then score them, base and adapter side by side:"))
        )
    commands = [
        shlex.join(["poemcore", "train", source, *changed, "--set", f"data.path={file}"]),
        "poemcore evaluate --run last",
    ]
    blocks.append(Code("\n".join(commands)))
    leaking = [
        prompt
        for prompt in profile.train.sample_prompts
        if not any(text in prompt or prompt in text for text in profile.data.hold_out)
    ]
    if leaking:
        text = _(
            "Hold the poems of the sample prompts out with data.hold_out, or a sample may be a recital: {prompts}."
        )
        blocks.append(Text(text.format(prompts=listed(leaking)), "warning"))
    elif profile.train.sample_prompts:
        text = _("The poems of the sample prompts are held out: completing them shows writing, not reciting.")
        blocks.append(Text(text, "good"))
    if poems:
        verse = _("Judge form, rhyme and tone of completions by the same measure as the file's own poems:")
        blocks += [Text(verse), Code(f"poemcore verse {shlex.quote(file)}")]
    return blocks


def _choosing(profile: Profile) -> list[Block]:
    if profile.generation.count > 1:
        return []
    prompt = next(iter(profile.train.sample_prompts), "白日依山盡，黃河入海流。")
    text = _("Write {count} completions and keep the best: that is worth more than any sampling setting.")
    return [
        Text(text.format(count=_BEST_OF)),
        Code(f"poemcore complete {shlex.quote(prompt)} --run last --count {_BEST_OF}"),
    ]


def _measuring(facts: Facts, file: str, source: str, options: Sequence[str]) -> list[Block]:
    flags = ["--loss"] if facts.budget is not None and facts.budget.probed else ["--probe", "--loss"]
    text = _("What this review left open can be measured: --loss lets the base score every row.")
    if "--probe" in flags:
        text = _(
            "What this review left open can be measured: --probe makes a few steps on this machine, for memory and "
            "time; --loss lets the base score every row."
        )
    command = ["poemcore", "review", file, "--profile", source, *options, *flags]
    return [Text(text), Code(shlex.join(command))]
