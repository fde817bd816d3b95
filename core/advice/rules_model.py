"""What is said of `[model]`, and of memory, which micro-batch, padding and number type decide."""

from __future__ import annotations

import math

from core.advice.amounts import gigabytes, hours, millions, share
from core.advice.case import Case, value_of
from core.advice.facts import Budget
from core.advice.rule import Advice
from core.i18n import _

TINY_PARAMETERS = 100_000_000
"""Below this a model writes form and hardly sense: Eldan & Li 2023 (TinyStories) see sense come with size."""
LONG_RUN_S = 86_400
"""A day: nobody waits for longer without having been told."""
PADDING_SHARE = 0.10
"""The share of padding above which another layout is worth it; rows of like length make 0.2 to 2 % here."""
SPARE_TIMES = 2
"""A GPU with this many times the memory needed has room for a larger micro-batch."""
MICRO = "train.micro_batch_size"


def base(case: Case) -> Advice | None:
    """`model.base`: how large it is."""
    if case.facts is None:
        return None
    model = case.facts.model
    if model is None:
        reason = _(
            "The shape of this base isn't known: it is neither on this machine nor among the published ones. Memory, "
            "time, rank and rate can't be judged by its size."
        )
        return case.hint("base-unknown", "model.base", reason)
    if model.parameters < TINY_PARAMETERS:
        reason = _(
            "{parameters} parameters learn the form of verse and hardly its sense: right for a trial and for a CPU. "
            "For poems worth reading take a base of 1.5 B or more."
        ).format(parameters=millions(model.parameters))
        return case.hint("base-tiny", "model.base", reason)
    reason = _(
        "{parameters} parameters, {trainable} more in the adapter ({share}): large enough for sense as well as form."
    ).format(
        parameters=millions(model.parameters),
        trainable=millions(model.trainable),
        share=share(model.trainable / model.parameters),
    )
    return case.good("base-size", "model.base", reason)


def dtype(case: Case) -> Advice | None:
    """`model.dtype`: against the device."""
    facts = case.facts
    if facts is None:
        return None
    chosen = case.planned.model.dtype
    if chosen == "bfloat16" and facts.device == "cpu":
        reason = _("A CPU computes more slowly in bfloat16 than in float32; auto takes float32 here.")
        return case.hint("dtype-slow", "model.dtype", reason, "auto")
    if chosen == "float32" and facts.device == "cuda":
        reason = _(
            "float32 takes 4 bytes for each weight where bfloat16 takes 2, and is slower on this GPU. It is needed "
            "only to compare runs across devices to the last digit."
        )
        return case.hint("dtype-wide", "model.dtype", reason, "auto")
    taken: str = chosen if chosen != "auto" else "bfloat16" if facts.device == "cuda" else "float32"
    if facts.budget is not None and chosen == case.profile.model.dtype:
        taken = facts.budget.dtype
    reason = _("The base computes in {dtype} on {device}; the adapter trains in float32 always.")
    return case.good("dtype", "model.dtype", reason.format(dtype=taken, device=facts.device))


def device(case: Case) -> Advice | None:
    """`model.device`: what it is, and how long it takes."""
    facts = case.facts
    if facts is None:
        return None
    time_s = None if facts.budget is None else facts.budget.seconds
    if time_s is None:
        reason = _("The run computes on {device}; how long it takes isn't known.").format(device=facts.device)
        return case.good("device", "model.device", reason)
    if time_s > LONG_RUN_S:
        reason = _(
            "About {time} on {device}. Take a GPU, a smaller base, or for a trial fewer rows or train.max_steps = 20."
        )
        return case.hint("time-long", "model.device", reason.format(time=hours(time_s), device=facts.device))
    reason = _("About {time} on {device}.").format(time=hours(time_s), device=facts.device)
    return case.good("device", "model.device", reason)


def memory(case: Case) -> Advice | None:
    """`train.micro_batch_size`: the knob for memory."""
    if case.facts is None:
        return None
    budget = case.facts.budget
    if budget is None or budget.verdict == "unknown":
        reason = _(
            "Up to {rows:,} rows of {tokens:,} tokens go through the model at once; whether they fit into memory isn't "
            "known."
        ).format(rows=case.planned.train.micro_batch_size, tokens=case.facts.tokens.total.max)
        return case.hint("memory-unknown", MICRO, reason)
    needed = {"need": gigabytes(budget.bytes), "memory": gigabytes(budget.memory_bytes), "device": budget.device}
    if is_mended(case, budget) or budget.verdict == "fits":
        reason = _("{rows:,} rows at once fit: at most {need} of the {memory} on {device}.")
        if is_mended(case, budget):
            reason = _(
                "With {rows:,} rows at once it fits; the values before needed {need} of the {memory} on {device}."
            )
        return case.good("memory-fits", MICRO, reason.format(rows=case.planned.train.micro_batch_size, **needed))
    if budget.verdict == "tight":
        reason = _(
            "At most {need} of the {memory} on {device}: it fits, with less than a tenth to spare. Other programs on "
            "it may end the run."
        )
        return case.hint("memory-tight", MICRO, reason.format(**needed))
    if budget.fits_with is None:
        reason = _("It needs {need} where {device} has {memory}, and no setting makes it fit: take a smaller base.")
        return case.error("memory-short", MICRO, reason.format(**needed))
    wanted = budget.fits_with.get(MICRO)
    reason = _("It needs {need} where {device} has {memory}. Nearest that fits: {settings}.").format(
        **needed, settings=", ".join(f"{key} = {value}" for key, value in budget.fits_with.items())
    )
    return case.error("memory-short", MICRO, reason, None if wanted is None else _divisor(case, wanted))


def memory_needs(case: Case, key: str) -> Advice | None:
    """Another key that memory asks to be changed."""
    budget = case.facts.budget if case.facts is not None else None
    if budget is None or budget.fits_with is None:
        return None
    wanted = budget.fits_with[key]
    if value_of(case.profile, key) == wanted:
        return case.good(
            "memory-needs-met", key, _("{value}: with this the run fits into memory.").format(value=wanted)
        )
    reason = _("The run needs {need} where {device} has {memory}; with {key} = {value} it fits.").format(
        need=gigabytes(budget.bytes), memory=gigabytes(budget.memory_bytes), device=budget.device, key=key, value=wanted
    )
    return case.error("memory-needs", key, reason, wanted)


def is_mended(case: Case, budget: Budget) -> bool:
    """Whether the profile has what the budget, made before, asks for."""
    wanted = budget.fits_with
    if budget.verdict != "will not fit" or wanted is None:
        return False
    return all(
        case.profile.train.micro_batch_size <= value if key == MICRO else value_of(case.profile, key) == value
        for key, value in wanted.items()
    )


def spare(case: Case) -> Advice | None:
    """`train.micro_batch_size`: small beside the memory of a GPU."""
    facts, train = case.facts, case.planned.train
    budget = None if facts is None else facts.budget
    if facts is None or budget is None or facts.device != "cuda" or budget.verdict != "fits":
        return None
    if train.micro_batch_size >= train.batch_size or budget.bytes * SPARE_TIMES > budget.memory_bytes:
        return None
    reason = _(
        "{need} of {memory} are needed, so more of the {batch:,} rows of a step can go through the model at once. That "
        "is faster on a GPU and changes nothing else."
    ).format(need=gigabytes(budget.bytes), memory=gigabytes(budget.memory_bytes), batch=train.batch_size)
    return case.hint("memory-spare", MICRO, reason)


def packing(case: Case) -> Advice | None:
    """Padding: whether packing rows into one sequence would save much."""
    if case.facts is None:
        return None
    padding = case.facts.padding_share
    if padding > PADDING_SHARE:
        reason = _(
            "{padding} of what goes through the model is padding: lengths differ much within a micro-batch. A smaller "
            "train.micro_batch_size wastes less."
        )
        return case.hint("padding-wide", MICRO, reason.format(padding=share(padding)))
    reason = _(
        "{padding} of what goes through the model is padding, as rows of like length make a batch: packing rows into "
        "one sequence could save no more than that."
    )
    return case.good("packing", MICRO, reason.format(padding=share(padding)))


def gradient_checkpointing(case: Case) -> Advice | None:
    """Activations: whether computing them twice would be worth it."""
    budget = None if case.facts is None else case.facts.budget
    if budget is None or budget.verdict == "unknown" or "activations" not in budget.parts:
        return None
    activations, whole = gigabytes(budget.parts["activations"]), gigabytes(budget.bytes)
    if budget.verdict == "will not fit" and not is_mended(case, budget):
        reason = _(
            "Activations are {activations} of the {whole}. A smaller micro-batch saves them as well as gradient "
            "checkpointing would, without computing anything twice."
        )
        return case.hint("activations-large", MICRO, reason.format(activations=activations, whole=whole))
    reason = _(
        "Activations are {activations} of the {whole} and the run fits: gradient checkpointing would take about a "
        "third more time for nothing."
    )
    return case.good("gradient-checkpointing", MICRO, reason.format(activations=activations, whole=whole))


def _divisor(case: Case, most: int) -> int:
    """The largest micro-batch up to `most` that divides both the batch and the micro-batch of now.

    Then it goes with the batch of now and with every multiple of the micro-batch of now.
    """
    whole = math.gcd(case.profile.train.batch_size, case.profile.train.micro_batch_size)
    return next(size for size in range(max(1, min(most, whole)), 0, -1) if whole % size == 0)


RULES = (base, device, memory, spare, packing, gradient_checkpointing, dtype)
