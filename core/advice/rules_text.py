"""What is said of `[data]`: how a row becomes tokens, and what it asks the model for."""

from __future__ import annotations

from core.advice.amounts import share
from core.advice.case import Case
from core.advice.facts import Facts
from core.advice.plan import lasting_max
from core.advice.rule import Advice
from core.data.recipe import Task, template_columns
from core.i18n import _
from core.plain import plain

CUTOFF_STEP = 64
"""What a recommended `data.cutoff_len` is a multiple of."""
MANY_INSTRUCTIONS = 2
"""From here on the wordings differ; Wei et al. 2022 (FLAN) wrote ten for each task."""
ROW_WEIGHT = 1 / 3
"""The least share of the row as it stands among tasks, so that the file's own wording isn't unlearnt."""
_FIELDS = ("instruction", "input", "output")
_AS_IT_STANDS = (None, None, None)


def cutoff_len(case: Case) -> Advice | None:
    """`data.cutoff_len`: against the measured lengths."""
    facts = case.facts
    if facts is None:
        return None
    cutoff, total = case.profile.data.cutoff_len, facts.tokens.total
    figures = {
        "cutoff": cutoff,
        "p99": total.p99,
        "max": total.max,
        "rows": len(facts.tokens.over_cutoff),
        "empty": len(facts.tokens.nothing_supervised),
    }
    estimated = " " + _("Lengths are estimated from characters.") if facts.tokens.estimated else ""
    if cutoff >= total.max:
        reason = _(
            "The longest row has {max:,} tokens, 99 % have at most {p99:,}: {cutoff:,} cuts nothing. The room above "
            "costs nothing, as a batch is padded to its longest row only."
        )
        return case.good("cutoff-wide", "data.cutoff_len", reason.format(**figures) + estimated)
    fix = _multiple(lasting_max(total.p99, total.max))
    if cutoff < total.p99:
        reason = _(
            "More than 1 % of the rows are longer than {cutoff:,} tokens ({rows:,} rows, the longest has {max:,}); of "
            "{empty:,} rows the prompt alone fills it."
        )
        return case.warning("cutoff-cuts", "data.cutoff_len", reason.format(**figures) + estimated, fix)
    reason = _("{cutoff:,} is enough for 99 % of the rows (up to {p99:,} tokens); {rows:,} are longer, up to {max:,}.")
    return case.hint("cutoff-tail", "data.cutoff_len", reason.format(**figures) + estimated, max(cutoff, fix))


def overlong(case: Case) -> Advice | None:
    """`data.overlong`: what becomes of rows over the limit, where there are any."""
    facts = case.facts
    if facts is None:
        return None
    policy, cutoff = case.profile.data.overlong, case.planned.data.cutoff_len
    if cutoff >= facts.tokens.total.max:
        reason = _("No row is longer than {cutoff:,} tokens, so this is never needed.").format(cutoff=cutoff)
        return case.good("overlong-none", "data.overlong", reason)
    if policy == "error":
        reason = _("Rows are longer than {cutoff:,} tokens, up to {max:,}, and the run stops before it begins.")
        reason = reason.format(cutoff=cutoff, max=facts.tokens.total.max)
        return case.error("overlong-stops", "data.overlong", reason, "drop")
    if policy == "truncate":
        reason = _("Rows of more than {cutoff:,} tokens lose their end, and teach poems that don't end.")
        return case.warning("overlong-truncates", "data.overlong", reason.format(cutoff=cutoff), "drop")
    reason = _("Rows of more than {cutoff:,} tokens are left out and counted; nothing is learnt by halves.")
    return case.good("overlong-drops", "data.overlong", reason.format(cutoff=cutoff))


def template(case: Case) -> Advice | None:
    """`data.template`: how much it adds, and whether it is the base's own."""
    facts, chosen = case.facts, case.profile.data.template
    if chosen == "alpaca":
        reason = _(
            "Alpaca is for bases that never learnt chat tokens. auto takes it by itself for these, and ChatML for all "
            "others."
        )
        return case.hint("template-alpaca", "data.template", reason, "auto")
    if facts is None:
        reason = _("Training and completion lay out a prompt alike.")
        return case.good("template", "data.template", reason)
    reason = _("It adds {mean:.0f} tokens to a row; training and completion lay out a prompt alike.")
    return case.good("template", "data.template", reason.format(mean=facts.tokens.template.mean))


def system_prompt(case: Case) -> Advice | None:
    """`data.system_prompt`: whether there is anything for it to say, and how long it is."""
    facts, prompt = case.facts, case.profile.data.system_prompt
    if facts is None:
        return None
    mean = facts.tokens.characters / max(1, facts.rows)
    if len(prompt) > mean:
        reason = _(
            "It has {length:,} characters where a row's own text has {mean:.0f}: most of what goes through the model "
            "is this prompt."
        )
        return case.hint("system-prompt-long", "data.system_prompt", reason.format(length=len(prompt), mean=mean))
    if prompt:
        reason = _("{length:,} characters that all rows share, put before every completion too.")
        return case.good("system-prompt", "data.system_prompt", reason.format(length=len(prompt)))
    if case.profile.data.tasks:
        reason = _("Several tasks and no system prompt: it would hold what they share, such as the script to write in.")
        return case.hint("system-prompt-missing", "data.system_prompt", reason)
    if facts.instructions <= 1:
        reason = _("One instruction stands in every row and says all that a system prompt would.")
    else:
        reason = _("{count:,} instructions say what is wanted.").format(count=facts.instructions)
    return case.good("system-prompt-none", "data.system_prompt", reason)


def instruction_diversity(case: Case) -> Advice | None:
    """`data.tasks`: how many ways of asking there are."""
    facts = case.facts
    if facts is None:
        return None
    tasks = [task for task in case.profile.data.tasks if task.weight > 0]
    if not tasks:
        if facts.instructions >= MANY_INSTRUCTIONS:
            reason = _("{count:,} instructions: the model learns to obey more than one wording.")
            return case.good("instructions-many", "data.tasks", reason.format(count=facts.instructions))
        reason = _(
            "One instruction stands in all {rows:,} rows: the model learns to obey this sentence and no other. Mix in "
            "other wordings with [[data.tasks]]: the review writes such a mix for the columns of the file."
        )
        return case.hint("instruction-diversity", "data.tasks", reason.format(rows=facts.rows))
    unsuited = [task for task in tasks if not _suits(task, facts)]
    if len(unsuited) == len(tasks):
        reason = _("No row has the columns that the tasks name, so no example can be made: {names}.")
        return case.error("tasks-unsuited", "data.tasks", reason.format(names=_names(unsuited)))
    whole = sum(task.weight for task in tasks if task not in unsuited)
    own = sum(task.weight for task in tasks if (task.instruction, task.input, task.output) == _AS_IT_STANDS)
    if unsuited:
        reason = _(
            "The file lacks columns that these tasks name, so no row gets them: {names}. The others share the rows."
        )
        return case.hint("tasks-columns", "data.tasks", reason.format(names=_names(unsuited)))
    if own / whole < ROW_WEIGHT:
        reason = _(
            "The row as it stands has {share} of the weight: below a third its own wording, used most later, is "
            "unlearnt."
        )
        return case.hint("tasks-row-rare", "data.tasks", reason.format(share=share(own / whole)))
    reason = _("{count} tasks, the row as it stands with {share} of the weight: other wordings are obeyed too.")
    return case.good("tasks-mixed", "data.tasks", reason.format(count=len(tasks), share=share(own / whole)))


def _suits(task: Task, facts: Facts) -> bool:
    named = {
        column
        for text in (task.instruction, task.input, task.output)
        if text is not None
        for column in template_columns(text)
    }
    return named <= {*_FIELDS, *facts.columns}


def _names(tasks: list[Task]) -> str:
    return ", ".join(plain(task.name) for task in tasks)


def _multiple(tokens: int) -> int:
    return -(-tokens // CUTOFF_STEP) * CUTOFF_STEP


RULES = (cutoff_len, overlong, template, system_prompt, instruction_diversity)
