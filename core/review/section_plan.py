"""The section on device and training plan: settings, memory by parts, time, and the rule of thumb beside these."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.advice.amounts import gigabytes, hours, millions, rate, sentences
from core.advice.amounts import share as percent
from core.advice.facts import Budget, Facts
from core.advice.plan import free_rows
from core.advice.rule import Advice
from core.i18n import N_, _
from core.profile.schema import Profile
from core.report.document import Block, Items, Section, Table, Text
from core.review.plan import Plan, advised, plan_of
from core.review.shown import listed

_DAY_S = 86_400
_LAPTOP_FLOP_S = 10e12
"""What a laptop's GPU is taken to sustain in bfloat16; an assumption, stated beside every figure made with it."""
_PARTS = {
    "process": N_("the process itself"),
    "weights": N_("weights of the base"),
    "adapters": N_("adapters"),
    "gradients": N_("gradients"),
    "optimiser": N_("optimiser"),
    "activations": N_("activations"),
    "logits": N_("logits"),
}


def plan_section(profile: Profile, facts: Facts, advice: Sequence[Advice] = ()) -> Section:
    """What this profile would do, what it would do with the fixes of the advice, and what both need.

    Args:
        profile: a checked one.
        facts: measured of the file; its budget is this profile's.
        advice: given of this profile and these facts.
    """
    changed = advised(profile, facts, advice)
    now, then = plan_of(profile, facts), plan_of(changed, facts, budgeted=profile)
    blocks: list[Block] = [Text(_model_words(profile, facts)), _settings(now, then, profile, changed, facts)]
    if profile.data.overlong == "drop" and facts.tokens.over_cutoff:
        text = _("Rows and steps count {count} rows that are longer than data.cutoff_len, and that this profile drops.")
        blocks.append(Text(text.format(count=f"{len(facts.tokens.over_cutoff):,}"), "warning"))
    if facts.tokens.estimated:
        blocks.append(Text(_("Lengths and tokens are estimated from characters."), "hint"))
    blocks += _precision(now, facts)
    blocks += _memory(facts.budget)
    blocks += _time(now, then, facts)
    blocks += [
        Text(_("The rule of thumb that such a file gets by hand, and what was measured:")),
        _rule(now, then, facts),
    ]
    return Section("plan", _("Device and training plan"), tuple(blocks))


def _model_words(profile: Profile, facts: Facts) -> str:
    model = facts.model
    if model is None:
        reason = _("The base {base} is neither on this machine nor among the published ones: its size isn't known.")
        return reason.format(base=profile.model.base)
    source = _("read from its folder") if model.source == "folder" else _("its published figures")
    reason = _(
        "The base {base} has {parameters} parameters ({source}). LoRA leaves them as they are and trains {trainable} "
        "beside them, {share}."
    )
    return reason.format(
        base=model.name,
        parameters=f"{model.parameters:,}",
        source=source,
        trainable=f"{model.trainable:,}",
        share=f"{100 * model.trainable / model.parameters:.2f} %",
    )


def _settings(now: Plan, then: Plan, profile: Profile, changed: Profile, facts: Facts) -> Table:
    def lora(profile: Profile) -> str:
        return f"LoRA, r = {profile.lora.r}, alpha = {profile.lora.alpha}"

    def batch(plan: Plan) -> str:
        return f"{plan.micro_batch_size} × {plan.gradient_accumulation} = {plan.batch_size}"

    def optimiser(plan: Plan, profile: Profile) -> str:
        return f"AdamW, {rate(plan.learning_rate)}, {profile.train.schedule}"

    free = _("of {free} that could train, {rows} in all")
    length = _("99 % of the rows have at most {p99} tokens, the longest {max}; {holds} would hold them")
    step = _("about {tokens} supervised tokens a step")
    steps = _("⌈{rows} rows / {batch}⌉ × {epochs} epochs")
    if then.steps < then.epochs * math.ceil(then.rows / then.batch_size):
        steps = _("train.max_steps; the epochs would take more")
    least, best, most = now.usual_rates
    tokens = round(facts.supervised_tokens / facts.rows * then.batch_size)
    rows = (
        (_("method"), lora(profile), lora(changed), _("the only one here")),
        (
            _("rows that train"),
            f"{now.rows:,}",
            f"{then.rows:,}",
            free.format(free=f"{free_rows(changed, facts):,}", rows=f"{facts.rows:,}"),
        ),
        (
            _("sequence length"),
            f"≤ {now.cutoff_len:,}",
            f"≤ {then.cutoff_len:,}",
            length.format(p99=f"{now.p99_tokens:,}", max=f"{now.max_tokens:,}", holds=f"{now.holding_tokens:,}"),
        ),
        (_("micro-batch × accumulation = batch"), batch(now), batch(then), step.format(tokens=f"{tokens:,}")),
        (
            _("number of epochs"),
            str(now.epochs),
            str(then.epochs),
            _("{least} to {most} for {rows} rows").format(
                least=then.usual_epochs[0], most=then.usual_epochs[1], rows=f"{then.rows:,}"
            ),
        ),
        (
            _("number of steps"),
            f"{now.steps:,}",
            f"{then.steps:,}",
            steps.format(rows=f"{then.rows:,}", batch=then.batch_size, epochs=then.epochs),
        ),
        (
            _("optimiser and rate"),
            optimiser(now, profile),
            optimiser(then, changed),
            _("{best} is usual for a base of this size, {least} to {most} its range").format(
                best=rate(best), least=rate(least), most=rate(most)
            ),
        ),
    )
    return Table((_("setting"), _("this profile"), _("as advised"), _("what it follows from")), rows)


def _precision(now: Plan, facts: Facts) -> list[Block]:
    def weights(bytes_each: int) -> str:
        return "" if now.parameters is None else f" ({gigabytes(bytes_each * now.parameters)})"

    here = {"device": facts.device, "dtype": facts.budget.dtype if facts.budget is not None else _("unknown")}
    return [
        Text(_("Number type of the base's weights; on this device ({device}): {dtype}.").format(**here)),
        Items(
            (
                _("CUDA: bfloat16{size} where the GPU computes in it, else float32").format(size=weights(2)),
                _("MPS: float32{size}; bfloat16 halves it where memory is short").format(size=weights(4)),
                _("CPU: float32{size}, as a CPU is slower in bfloat16").format(size=weights(4)),
            )
        ),
    ]


def _memory(budget: Budget | None) -> list[Block]:
    if budget is None or not budget.bytes:
        return [Text(_("How much memory the run needs isn't known."), "hint")]
    parts = [(part, size) for part, size in budget.parts.items() if size]
    rows = [
        (_(_PARTS[part]) if part in _PARTS else part, gigabytes(size), percent(size / budget.bytes))
        for part, size in parts
    ]
    rows.append((_("at once, at most"), gigabytes(budget.bytes), ""))
    blocks: list[Block] = [
        Text(_("Memory by parts, probed here.") if budget.probed else _("Memory by parts, an estimate.")),
        Table((_("part"), _("memory"), _("share")), tuple(rows), right=(1, 2)),
    ]
    facts = {"device": budget.device, "need": gigabytes(budget.bytes), "memory": gigabytes(budget.memory_bytes)}
    match budget.verdict:
        case "fits":
            blocks.append(Text(_("It fits: {need} of the {memory} of {device}.").format(**facts), "good"))
        case "tight":
            reason = _("It is tight: {need} of the {memory} of {device}, less than a tenth to spare.")
            blocks.append(Text(reason.format(**facts), "warning"))
        case "will not fit":
            reason = _("It will not fit: it needs {need}, and {device} has {memory}.").format(**facts)
            if budget.fits_with is None:
                more = _("No setting makes it fit: take a smaller base or a larger device.")
            else:
                settings = listed(f"{key} = {value}" for key, value in budget.fits_with.items())
                more = _("The nearest setting that fits: {settings}.").format(settings=settings)
            blocks.append(Text(sentences(reason, more), "error"))
        case "unknown":
            blocks.append(Text(_("How much memory {device} has isn't known.").format(**facts), "hint"))
    return blocks


def _time(now: Plan, then: Plan, facts: Facts) -> list[Block]:
    if now.seconds is None or then.seconds is None or facts.budget is None:
        return [Text(_("How long it takes on this device isn't known: --probe measures it."), "hint")]
    figures = {"device": facts.budget.device, "now": hours(now.seconds), "then": hours(then.seconds)}
    if then.seconds == now.seconds:
        text = _("On {device} it takes about {now}.").format(**figures)
    else:
        text = _("On {device} this profile takes about {now}; as advised, with {steps} steps, about {then}.").format(
            **figures, steps=f"{then.steps:,}"
        )
    if facts.budget.probed:
        text = sentences(text, _("That follows from a few steps made here."))
    else:
        text = sentences(text, _("That is an estimate; --probe measures it."))
    if facts.device == "cpu" and then.seconds >= _DAY_S:
        return [Text(sentences(text, _("A run of days on a CPU is a run for a GPU.")), "warning")]
    return [Text(text)]


def _rule(now: Plan, then: Plan, facts: Facts) -> Table:
    rows = (
        (
            _("sequence length"),
            "256–512",
            _("99 % have at most {p99} tokens, the longest {max}; the profile cuts at {cutoff}").format(
                p99=f"{now.p99_tokens:,}", max=f"{now.max_tokens:,}", cutoff=f"{now.cutoff_len:,}"
            ),
        ),
        (_("batch"), "4–8", _here(str(now.batch_size), str(then.batch_size))),
        (
            _("number of epochs"),
            "5–20",
            _here(str(now.epochs), str(then.epochs))
            + _("; {least} to {most} for {rows} rows").format(
                least=then.usual_epochs[0], most=then.usual_epochs[1], rows=f"{then.rows:,}"
            ),
        ),
        (_("learning rate"), "2e-4", _here(rate(now.learning_rate), rate(then.learning_rate))),
        (_("time"), _("30–60 minutes on a laptop GPU"), _time_beside_rule(now, then, facts)),
    )
    return Table((_("item"), _("rule of thumb"), _("this file, measured or predicted")), rows)


def _here(now: str, then: str) -> str:
    if now == then:
        return _("{now} in this profile, and as advised").format(now=now)
    return _("{now} in this profile, {then} as advised").format(now=now, then=then)


def _time_beside_rule(now: Plan, then: Plan, facts: Facts) -> str:
    words = []
    if now.seconds is not None and then.seconds is not None:
        there = _here(hours(now.seconds), hours(then.seconds))
        words.append(_("on {device}: {time}").format(device=facts.device, time=there))
    if then.flop is not None:
        reason = _(
            "by arithmetic as advised: 4 × {parameters} parameters × {tokens} tokens are {flop:.1e} operations, {time} "
            "on a GPU that sustains {rate:.0f} TFLOP/s"
        )
        words.append(
            reason.format(
                parameters=millions(then.parameters or 0),
                tokens=f"{then.tokens:,}",
                flop=then.flop,
                rate=_LAPTOP_FLOP_S / 1e12,
                time=hours(then.flop / _LAPTOP_FLOP_S),
            )
        )
    return _("; ").join(words) or _("unknown")
