"""What a run would be, in words, for the panes that show it: rows, steps, tokens, memory and time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from core.i18n import N_, _
from tui.advice import value_words
from tui.plain import content, fit

if TYPE_CHECKING:
    from core.advice.facts import Budget
    from core.client import Plan

_VERDICTS = {
    "fits": (N_("fits"), "$text-success"),
    "tight": (N_("tight"), "$text-warning"),
    "will not fit": (N_("will not fit"), "$text-error"),
    "unknown": (N_("memory unknown"), "$text-muted"),
}
_PARTS = {
    "process": N_("process"),
    "weights": N_("weights"),
    "adapters": N_("adapters"),
    "gradients": N_("gradients"),
    "optimiser": N_("optimiser"),
    "activations": N_("activations"),
    "logits": N_("logits"),
}
_BYTES_PER_GB, _BYTES_PER_MB = 10**9, 10**6
"""As a review counts them."""
_PARTS_A_LINE = 2


def plan_line(plan: Plan) -> Content:
    """All of it in one line, what matters most first."""
    parts = []
    if plan.budget is not None:
        time = time_words(plan.budget)
        parts += [verdict_content(plan.budget), *([content(time)] if time else [])]
    parts.append(content(_("{steps:,} steps").format(steps=plan.steps)))
    parts.append(content(_("{rows:,} rows").format(rows=plan.rows)))
    parts.append(content(_("{tokens:,} tokens/epoch").format(tokens=plan.tokens)))
    return Content(" · ").join(parts)


def plan_facts(plan: Plan) -> Iterator[tuple[str, Content]]:
    """Each figure with its name: of the data, of the steps. Each is short: what is wrapped leaves its column."""
    rows = _("{rows:,} train, {held_out:,} held out").format(rows=plan.rows, held_out=plan.eval_rows)
    yield _("rows"), content(rows)
    if plan.dropped_rows:
        yield "", content(_("{dropped:,} left out").format(dropped=plan.dropped_rows))
    steps = _("{steps:,}, {per_epoch:,} an epoch; epochs: {epochs}")
    yield _("steps"), content(steps.format(steps=plan.steps, per_epoch=plan.steps_per_epoch, epochs=plan.epochs))
    yield _("tokens"), content(_("{tokens:,} an epoch").format(tokens=plan.tokens))
    yield "", content(_("the loss over {supervised:,}").format(supervised=plan.supervised_tokens))


def budget_facts(budget: Budget, *, with_parts: bool) -> Iterator[tuple[str, Content]]:
    """The memory, its parts where these are wanted, and the time."""
    yield _("memory"), verdict_content(budget)
    if fits_words(budget):
        yield "", content(fits_words(budget), "$text-warning")
    parts = list(parts_of(budget)) if with_parts else []
    for at in range(0, len(parts), _PARTS_A_LINE):
        yield "", content("  ".join(parts[at : at + _PARTS_A_LINE]), "$text-muted")
    if time_words(budget):
        yield _("time"), content(time_words(budget))


def aligned(facts: list[tuple[str, Content]]) -> Iterator[Content]:
    """Each in a line of its own, the names in a column."""
    wide = max(cell_len(label) for label, _value in facts)
    for label, value in facts:
        yield Content.assemble(content(fit(label, wide) + "  ", "$text-muted"), value)


def verdict_content(budget: Budget) -> Content:
    """Whether it fits, and into how much: `fits: 0.9 of 15.6 GB`."""
    word, style = _VERDICTS[budget.verdict]
    if not budget.bytes:
        return content(_(word), style)
    text = _("{verdict}: {needed:.1f} of {there:.1f} GB") if budget.memory_bytes else _("{verdict}: {needed:.1f} GB")
    needed, there = budget.bytes / _BYTES_PER_GB, budget.memory_bytes / _BYTES_PER_GB
    return content(text.format(verdict=_(word), needed=needed, there=there), style)


def time_words(budget: Budget) -> str:
    """How long it takes; empty where nobody knows."""
    from core.runs.wording import duration

    return "" if budget.seconds is None else _("about {time}").format(time=duration(budget.seconds))


def fits_words(budget: Budget) -> str:
    """With which values it would fit; empty where it does, or does with none."""
    values = [f"{key} = {value_words(value)}" for key, value in (budget.fits_with or {}).items()]
    return _("It fits with {values}.").format(values=", ".join(values)) if values else ""


def parts_of(budget: Budget) -> Iterator[str]:
    """What needs how much memory, the most first."""
    for part, size_bytes in sorted(budget.parts.items(), key=lambda item: -item[1]):
        name = _(_PARTS[part]) if part in _PARTS else part
        if size_bytes >= _BYTES_PER_GB / 10:
            yield f"{name} {size_bytes / _BYTES_PER_GB:.1f} GB"
        elif size_bytes:
            yield f"{name} {size_bytes / _BYTES_PER_MB:.1f} MB"
