"""What a file can teach, as strengths and limits: its task, its size against the base, its instructions and columns.

The thresholds are rules of thumb; docs/review.md names the source of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.advice.amounts import millions, sentences
from core.advice.amounts import share as percent
from core.advice.plan import free_rows, train_rows
from core.advice.rules_data import CLEAR_TOKENS, LARGE_PARAMETERS
from core.audit.structure import Structure
from core.data.recipe import template_columns
from core.i18n import _
from core.profile.schema import Profile
from core.review.finding import Case, Finding, limit, strength
from core.review.shown import listed
from core.review.task_mix import PURPOSE_WORDS, mix_tasks
from core.review.value_rows import REGULAR_SHARE
from core.verse.form import REGULAR_FORMS

VARIED_SHARE = 0.8
"""Where one wording stands in more than this share of examples, a model learns to obey that wording alone."""
REPEATED_INPUT_SHARE = 0.05
"""Above this share, outputs that repeat their inputs are a habit of the file."""
_OWN_FIELDS = ("instruction", "input", "output")
_OWN_INSTRUCTION = "{instruction}"
_LONGEST_QUOTE = 60


def _continuation(case: Case) -> Iterator[Finding]:
    structure, tokens = case.structure, case.facts.tokens
    if not case.facts.poems or structure.task == "other":
        return
    numbers = {"rows": structure.rows, "supervised_tokens": case.facts.supervised_tokens}
    facts = {"rows": f"{structure.rows:,}", "tokens": f"{case.facts.supervised_tokens:,}"}
    share = percent(tokens.supervised_share)
    if structure.task == "completion":
        reason = _(
            "The input is a poem's beginning and the output goes on from it, in {rows} rows: training asks what you "
            "will ask. The loss is taken over {tokens} tokens ({percent} of all), the outputs and their end marks, so "
            "diction and rhythm are learnt with it."
        ).format(**facts, percent=share)
        yield strength("continuation", _("Teaches continuation and style"), reason, **numbers)
    else:
        reason = _(
            "The outputs are whole poems, in {rows} rows. The loss is taken over {tokens} tokens ({percent} of all), "
            "the outputs and their end marks, so diction and rhythm are learnt from them."
        ).format(**facts, percent=share)
        yield strength("writing", _("Teaches writing and style"), reason, **numbers)


def _repeated_input(case: Case) -> Iterator[Finding]:
    share = case.structure.output_whole / case.structure.rows
    if case.structure.task == "completion" and share > REPEATED_INPUT_SHARE:
        reason = _(
            "In {count} rows ({percent}) the output begins with the input: part of the loss is spent on copying."
        ).format(count=f"{case.structure.output_whole:,}", percent=percent(share))
        yield limit("repeats-input", _("Outputs repeat inputs"), reason, rows=case.structure.output_whole, share=share)


def _scale(case: Case) -> Iterator[Finding]:
    model, tokens = case.facts.model, case.facts.tokens.total.sum
    if model is None:
        return
    numbers = {"tokens": tokens, "parameters": model.parameters, "wanted": CLEAR_TOKENS}
    facts = {"tokens": f"{tokens:,}", "parameters": millions(model.parameters), "wanted": f"{CLEAR_TOKENS:,}"}
    if tokens >= CLEAR_TOKENS:
        reason = _(
            "The file has {tokens} tokens, the base {parameters} parameters: from {wanted} tokens on a clear effect "
            "shows even on a large base."
        )
        yield strength("scale", _("Enough for the base"), reason.format(**facts), **numbers)
    elif model.parameters < LARGE_PARAMETERS:
        reason = _(
            "The file has {tokens} tokens, the base {parameters} parameters: a base under 1 B is moved by so many."
        )
        yield strength("scale", _("Enough for the base"), reason.format(**facts), **numbers)
    else:
        reason = _(
            "The file has {tokens} tokens, the base {parameters} parameters. That is small: enough for a form and a "
            "manner, while a clear effect on such a base takes more than {wanted} tokens. Epochs show the same poems "
            "again and make up for it only in part."
        ).format(**facts)
        train, free = train_rows(case.profile, case.facts), free_rows(case.profile, case.facts)
        if train < free:
            used = round(tokens * train / case.facts.rows)
            numbers["used"] = used
            more = _("This profile trains on {rows} rows, about {used} tokens.")
            reason = sentences(reason, more.format(rows=f"{train:,}", used=f"{used:,}"))
        yield limit("scale-small", _("Small for the base"), reason, **numbers)


@dataclass(frozen=True, slots=True)
class Wordings:
    """The instructions of the examples that a profile makes of a file."""

    count: int
    """Distinct ones; a template counts once."""
    commonest: str
    """The one that most examples have, or its template."""
    share: float
    """Of all examples, those that have it, 0 to 1."""


def wordings(structure: Structure, profile: Profile, columns: Sequence[str]) -> Wordings:
    """How the examples ask.

    Tasks count by their weights; those that need a column which the file lacks don't count.
    """
    first, rows = next(iter(structure.instructions.items()), ("", structure.rows))
    commonest = rows / structure.rows
    known = {*_OWN_FIELDS, *columns}
    tasks = [
        task
        for task in profile.data.tasks
        if task.weight > 0
        and all(
            known.issuperset(template_columns(text)) for text in (task.instruction, task.input, task.output) if text
        )
    ]
    weight = sum(task.weight for task in tasks)
    if not weight:
        return Wordings(structure.distinct_instructions, first, commonest)
    shares: dict[str, float] = {}
    for task in tasks:
        wording = _OWN_INSTRUCTION if task.instruction is None else task.instruction
        shares[wording] = shares.get(wording, 0.0) + task.weight / weight
    own = shares.pop(_OWN_INSTRUCTION, 0.0)
    count = len(shares) + (structure.distinct_instructions if own else 0)
    share, wording = max([(own * commonest, first), *((share, wording) for wording, share in shares.items())])
    return Wordings(count, wording, share)


def _instructions(case: Case) -> Iterator[Finding]:
    found = wordings(case.structure, case.profile, case.facts.columns)
    count, share = found.count, found.share
    numbers = {"instructions": count, "share": share}
    if share <= VARIED_SHARE:
        reason = _(
            "The examples have {count} different instructions, the commonest in {percent} of them: the model learns "
            "to obey more than one wording."
        ).format(count=f"{count:,}", percent=percent(share))
        yield strength("varied-instructions", _("Varied instructions"), reason, **numbers)
        return
    if not found.commonest.strip():
        reason = _(
            "{percent} of the rows have no instruction: the model learns to go on from a text, not to follow words."
        )
    elif count == 1:
        reason = _(
            "Every example has the same instruction, “{wording}”: the model learns to obey this sentence alone, and "
            "another wording may get no poem. A mix of tasks mends it."
        )
    else:
        reason = _(
            "There are {count} instructions, but {percent} of the examples have the same one, “{wording}”: the model "
            "learns to obey that one. A mix of tasks mends it."
        )
    shown = reason.format(count=f"{count:,}", percent=percent(share), wording=_clipped(found.commonest))
    yield limit("one-instruction", _("One instruction"), shown, **numbers)


def _purposes(case: Case) -> Iterator[Finding]:
    if not case.facts.poems:
        return
    mix = mix_tasks(case.structure, case.facts.columns)
    if "style" in mix.purposes:
        reason = _(
            "A column names the poet ({authors} distinct): imitation of a named poet can be taught with a task."
        ).format(authors=f"{case.structure.distinct_authors:,}")
        yield strength("authors", _("Poets named"), reason, authors=case.structure.distinct_authors)
    else:
        reason = _("No column names the poet, so imitation of a named poet can't be taught. Add a column “author”.")
        yield limit("no-authors", _("No poets"), reason, authors=0)
    if "explain" in mix.purposes:
        reason = _("A column explains the poems: explanation can be taught with a task.")
        yield strength("explanations", _("Explanations"), reason)
    else:
        reason = _(
            "No column explains the poems, so explanation can't be taught. Add a column “explanation” or “translation”."
        )
        yield limit("no-explanations", _("No explanations"), reason)


def _system_prompt(case: Case) -> Iterator[Finding]:
    prompt = case.profile.data.system_prompt
    if prompt.strip():
        reason = _("All examples share a system prompt of {count} characters, which sets the role and the script.")
        yield strength(
            "system-prompt",
            _("System prompt"),
            reason.format(count=f"{len(prompt):,}"),
            characters=len(prompt),
        )
    else:
        reason = _(
            "There is no system prompt. One fixed instruction needs none; a mix of tasks is held together by one, "
            "which says who speaks and in which script."
        )
        yield limit("no-system-prompt", _("No system prompt"), reason)


def _not_taught(case: Case) -> Iterator[Finding]:
    if not case.facts.poems:
        return
    things = []
    regular = sum(len(case.structure.forms.get(form, ())) for form in REGULAR_FORMS.values())
    share = regular / case.structure.rows
    if share >= REGULAR_SHARE:
        things.append(_("free verse"))
    missing = mix_tasks(case.structure, case.facts.columns).missing
    things += [_(PURPOSE_WORDS[purpose]) for purpose in missing if purpose == "explain"]
    things.append(_("dialogue"))
    reason = _("Nothing in the file shows these, so it can't teach them: {things}.").format(things=listed(things))
    yield limit("not-taught", _("What it can't teach"), reason, regular_share=share)


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"


LESSON_RULES = (_continuation, _repeated_input, _scale, _instructions, _purposes, _system_prompt, _not_taught)
