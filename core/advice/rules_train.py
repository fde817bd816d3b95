"""What is said of `[train]`: how much and how fast is learnt, and by which optimiser."""

from __future__ import annotations

import math

from core.advice.amounts import millions, sentences
from core.advice.amounts import rate as shown_rate
from core.advice.case import Case
from core.advice.plan import full_steps, run_steps, train_rows
from core.advice.rule import Advice
from core.advice.rules_model import TINY_PARAMETERS
from core.i18n import _

SMALL_ROWS, LARGE_ROWS = 2_000, 100_000
"""Below and above these, the passes that a file needs differ."""
FEWEST_EPOCHS, MOST_EPOCHS = 3, 10
"""The task's own range for a file of ordinary size; Muennighoff et al. 2023: up to 4 passes teach nearly as much as
fresh data, and after 16 almost nothing more is learnt."""
MOST_EPOCHS_SMALL, MOST_EPOCHS_LARGE = 20, 5
ADVISED_EPOCHS = 5
HUGE_PARAMETERS = 30_000_000_000
"""From here on Dettmers et al. 2023 (QLoRA) halve the rate."""
RATES = {"tiny": (3e-4, 1e-3, 3e-3), "usual": (5e-5, 2e-4, 2.5e-4), "huge": (2e-5, 1e-4, 2e-4)}
"""Least, best and greatest learning rate by size of the base. Hu et al. 2021 and Dettmers et al. 2023: 2e-4 for bases
of 0.3 to 13 B; Schulman et al. 2025: ten times the rate of full fine-tuning. Tiny: the preset tang-tiny-cpu."""
HIGHEST_BRIEF_RATE = 5e-4
"""For fewer than `FEWEST_EPOCHS`: Schulman et al. 2025 find higher rates best for short runs."""
FAR_TIMES = 4
"""A rate this many times outside its range spoils a run."""
FEWEST_STEPS = 50
"""Fewer updates than this hardly move an adapter from 0."""
SMALLEST_BATCH, USUAL_BATCH, LARGE_BATCH, LARGEST_BATCH = 4, 8, 32, 128
"""Schulman et al. 2025: LoRA bears large batches worse than full fine-tuning does."""
MOST_DECAY = 0.1
"""Loshchilov & Hutter 2019 (AdamW) decay by 0.01 to 0.1 of the rate."""
BETA1, BETA2, EPSILON = (0.8, 0.95), (0.95, 0.9999), (1e-10, 1e-6)
"""Around the values of Kingma & Ba 2015 (Adam): 0.9, 0.999 and 1e-8."""
NORMS = (0.1, 10.0)
"""Pascanu et al. 2013 clip near the usual norm; Dettmers et al. 2023 at 0.3, most others at 1."""


def epochs(case: Case) -> Advice | None:
    """`train.epochs`: passes, from how many rows there are."""
    facts, passes = case.facts, case.profile.train.epochs
    if facts is None:
        return None
    rows = train_rows(case.planned, facts)
    least, most = FEWEST_EPOCHS, MOST_EPOCHS
    if rows < SMALL_ROWS:
        most = MOST_EPOCHS_SMALL
    elif rows >= LARGE_ROWS:
        least, most = 1, MOST_EPOCHS_LARGE
    figures = {"epochs": passes, "rows": rows, "least": least, "most": most, "now": run_steps(case.profile, facts)}
    if passes < least:
        reason = _(
            "{epochs} is hardly a warm-up: {now:,} steps as it is, and the rate falls before the form is learnt. For "
            "{rows:,} rows {least} to {most} are usual."
        )
        return case.warning("epochs-few", "train.epochs", reason.format(**figures), ADVISED_EPOCHS)
    if passes > most:
        reason = _(
            "{epochs} passes over {rows:,} rows teach them by heart: after {most} hardly anything new is learnt, and "
            "the held-out loss rises."
        )
        return case.warning("epochs-many", "train.epochs", reason.format(**figures), most)
    reason = _(
        "{epochs} passes over {rows:,} rows, {steps:,} steps: within the {least} to {most} that are usual for so many "
        "rows."
    )
    if rows < SMALL_ROWS and passes < ADVISED_EPOCHS:
        reason = _(
            "{epochs} passes over {rows:,} rows, {steps:,} steps: enough for a first look; {usual} to {most} are usual "
            "for so few rows."
        )
    steps = full_steps(case.planned, facts)
    return case.good("epochs", "train.epochs", reason.format(**figures, steps=steps, usual=ADVISED_EPOCHS))


def max_steps(case: Case) -> Advice | None:
    """`train.max_steps`: what it leaves of the epochs."""
    facts, most = case.facts, case.profile.train.max_steps
    if most == 0:
        return case.good("max-steps-none", "train.max_steps", _("No limit: the epochs decide."))
    if facts is None:
        return None
    steps, rows = full_steps(case.planned, facts), train_rows(case.planned, facts)
    seen = most * case.planned.train.batch_size / rows
    if most >= steps:
        reason = _("The run ends after {steps:,} steps, before this limit of {most:,}.")
        return case.good("max-steps-idle", "train.max_steps", reason.format(steps=steps, most=most))
    reason = _("{most:,} of {steps:,} steps: {seen:.2f} passes over {rows:,} rows.")
    reason = reason.format(most=most, steps=steps, seen=seen, rows=rows)
    if seen < 1:
        reason = sentences(reason, _("That is a trial; most poems are never seen."))
        return case.warning("max-steps-trial", "train.max_steps", reason, 0)
    return case.hint("max-steps-cuts", "train.max_steps", reason)


def learning_rate(case: Case) -> Advice | None:
    """`train.learning_rate`: by the size of the base and the length of the run."""
    facts, rate = case.facts, case.profile.train.learning_rate
    if facts is None:
        return None
    parameters = None if facts.model is None else facts.model.parameters
    size = "usual"
    if parameters is not None and parameters < TINY_PARAMETERS:
        size = "tiny"
    elif parameters is not None and parameters >= HUGE_PARAMETERS:
        size = "huge"
    least, best, most = RATES[size]
    passes = case.planned.train.epochs
    if size == "usual" and passes < FEWEST_EPOCHS:
        most = HIGHEST_BRIEF_RATE
    figures = {
        "rate": shown_rate(rate),
        "least": shown_rate(least),
        "best": shown_rate(best),
        "most": shown_rate(most),
        "epochs": passes,
        "size": _size(parameters),
    }
    if least <= rate <= most:
        reason = _("{rate} is in the range for LoRA on {size}: {least} to {most} at {epochs} epochs.")
        return case.good("learning-rate", "train.learning_rate", reason.format(**figures))
    if rate > most:
        reason = _(
            "{rate} is high for LoRA on {size} at {epochs} epochs: 3e-4 and more suit one or two passes, {best} "
            "suits more of them."
        )
        if size != "usual" or rate > FAR_TIMES * most:
            reason = _("{rate} is high for LoRA on {size}: the loss may jump. {best} is usual.")
        if rate > FAR_TIMES * most:
            return case.warning("learning-rate-wild", "train.learning_rate", reason.format(**figures), best)
        return case.hint("learning-rate-high", "train.learning_rate", reason.format(**figures), best)
    reason = _(
        "{rate} is low for LoRA on {size}: an adapter needs about ten times the rate of full fine-tuning, {best} here."
    )
    if rate < least / FAR_TIMES:
        return case.warning("learning-rate-tiny", "train.learning_rate", reason.format(**figures), best)
    return case.hint("learning-rate-low", "train.learning_rate", reason.format(**figures), best)


def schedule(case: Case) -> Advice | None:
    """`train.schedule`: whether the rate falls."""
    if case.profile.train.schedule != "constant":
        reason = _("{schedule}: the rate falls to 0, and the last steps polish; cosine and linear end alike.")
        return case.good("schedule", "train.schedule", reason.format(schedule=case.profile.train.schedule))
    reason = _("The rate never falls, so the last steps still jump about; with a run whose end is known let it fall.")
    return case.hint("schedule-constant", "train.schedule", reason, "cosine")


def batch_size(case: Case) -> Advice | None:
    """`train.batch_size`: how many steps it leaves, and how noisy they are."""
    facts, train = case.facts, case.profile.train
    batch, micro = train.batch_size, train.micro_batch_size
    if facts is None:
        return None
    rows, passes = train_rows(case.planned, facts), case.planned.train.epochs
    steps = full_steps(case.planned, facts)
    if steps < FEWEST_STEPS:
        reason = _("{batch:,} rows a step are only {steps:,} steps in all: hardly enough to move an adapter.")
        fix = max(micro, _largest_batch(rows, passes) // micro * micro)
        reason = reason.format(batch=batch, steps=steps)
        return case.warning("steps-few", "train.batch_size", reason, fix if fix < batch else None)
    if batch > LARGEST_BATCH:
        reason = _("{batch:,} rows a step: LoRA learns less from very large batches than from more, smaller steps.")
        fix = max(micro, LARGE_BATCH // micro * micro)
        return case.hint("batch-large", "train.batch_size", reason.format(batch=batch), fix if fix < batch else None)
    tokens = round(batch * facts.supervised_tokens / max(1, facts.rows))
    usual = -(-USUAL_BATCH // micro) * micro
    if batch < SMALLEST_BATCH and passes * math.ceil(rows / usual) >= FEWEST_STEPS:
        reason = _("{batch:,} rows a step have about {tokens:,} supervised tokens: steps this noisy wander.")
        return case.hint("batch-small", "train.batch_size", reason.format(batch=batch, tokens=tokens), usual)
    reason = _("{batch:,} rows a step have about {tokens:,} supervised tokens; {steps:,} steps in all.")
    return case.good("batch-size", "train.batch_size", reason.format(batch=batch, tokens=tokens, steps=steps))


def batch_arithmetic(case: Case) -> Advice | None:
    """Gradient accumulation follows; a checked profile has no remainder."""
    batch, micro = case.profile.train.batch_size, case.profile.train.micro_batch_size
    reason = _("{batch:,} / {micro:,} = {count:,}: gradients of {count:,} micro-batches are added up for a step.")
    if batch == micro:
        reason = _("{batch:,} / {micro:,} = 1: a step is one micro-batch, and nothing is added up.")
    return case.good(
        "batch-arithmetic", "train.batch_size", reason.format(batch=batch, micro=micro, count=batch // micro)
    )


def weight_decay(case: Case) -> Advice | None:
    """`train.weight_decay`."""
    decay = case.profile.train.weight_decay
    if decay > MOST_DECAY:
        reason = _("{decay:g} pulls the adapter towards 0 harder than the 0 to 0.1 that are usual; it learns less.")
        return case.hint("weight-decay-high", "train.weight_decay", reason.format(decay=decay), 0.0)
    reason = _("{decay:g}: an adapter is small and hardly overfits by size; up to 0.1 is harmless.")
    return case.good("weight-decay", "train.weight_decay", reason.format(decay=decay))


def adam_beta1(case: Case) -> Advice | None:
    """`train.adam_beta1`."""
    beta = case.profile.train.adam_beta1
    if BETA1[0] <= beta <= BETA1[1]:
        reason = _("{beta:g}: the mean of about {steps:,.0f} gradients steers a step.")
        return case.good("beta1", "train.adam_beta1", reason.format(beta=beta, steps=1 / (1 - beta)))
    reason = _("{beta:g} is outside {least:g} to {most:g}; nothing here asks for another value than 0.9.")
    return case.hint("beta1-odd", "train.adam_beta1", reason.format(beta=beta, least=BETA1[0], most=BETA1[1]), 0.9)


def adam_beta2(case: Case) -> Advice | None:
    """`train.adam_beta2`."""
    beta = case.profile.train.adam_beta2
    if BETA2[0] <= beta <= BETA2[1]:
        reason = _("{beta:g}: gradients are scaled by the memory of about {steps:,.0f} steps.")
        return case.good("beta2", "train.adam_beta2", reason.format(beta=beta, steps=1 / (1 - beta)))
    reason = _("{beta:g} is outside {least:g} to {most:g}; nothing here asks for another value than 0.999.")
    return case.hint("beta2-odd", "train.adam_beta2", reason.format(beta=beta, least=BETA2[0], most=BETA2[1]), 0.999)


def adam_epsilon(case: Case) -> Advice | None:
    """`train.adam_epsilon`."""
    epsilon = case.profile.train.adam_epsilon
    if EPSILON[0] <= epsilon <= EPSILON[1]:
        reason = _("{epsilon:g} only keeps the divisor above 0.").format(epsilon=epsilon)
        return case.good("epsilon", "train.adam_epsilon", reason)
    reason = _("{epsilon:g} is outside {least:g} to {most:g}: too large it slows, too small it doesn't protect.")
    reason = reason.format(epsilon=epsilon, least=EPSILON[0], most=EPSILON[1])
    return case.hint("epsilon-odd", "train.adam_epsilon", reason, 1e-8)


def max_grad_norm(case: Case) -> Advice | None:
    """`train.max_grad_norm`."""
    norm = case.profile.train.max_grad_norm
    if NORMS[0] <= norm <= NORMS[1]:
        reason = _("Gradients longer than {norm:g} are scaled down: one odd batch can't throw the adapter off.")
        return case.good("clipping", "train.max_grad_norm", reason.format(norm=norm))
    if norm == 0:
        reason = _("No gradient is clipped, so one batch of rare characters can throw the adapter off.")
    else:
        reason = _("{norm:g} is outside {least:g} to {most:g}: it clips nearly every gradient, or none.")
    return case.hint(
        "clipping-odd", "train.max_grad_norm", reason.format(norm=norm, least=NORMS[0], most=NORMS[1]), 1.0
    )


def seed(case: Case) -> Advice | None:
    """`train.seed`."""
    steps = None if case.facts is None else run_steps(case.planned, case.facts)
    if steps is None:
        reason = _("Any number will do. Keep it to compare two settings.")
    else:
        reason = _(
            "Any number will do: it decides which rows are held out and the order of {steps:,} steps. Keep it to "
            "compare."
        )
    return case.good("seed", "train.seed", reason.format(steps=steps))


def _size(parameters: int | None) -> str:
    if parameters is None:
        return _("a base of unknown size")
    return _("{size} parameters").format(size=millions(parameters))


def _largest_batch(rows: int, passes: int) -> int:
    """The largest batch with which there are `FEWEST_STEPS`, at least 1; where that is very large, a usual one."""
    each = math.ceil(FEWEST_STEPS / passes)
    largest = max(1, rows if each == 1 else math.ceil(rows / (each - 1)) - 1)
    return largest if largest <= LARGEST_BATCH else LARGE_BATCH


RULES = (
    epochs,
    batch_size,
    batch_arithmetic,
    max_steps,
    learning_rate,
    schedule,
    weight_decay,
    adam_beta1,
    adam_beta2,
    adam_epsilon,
    max_grad_norm,
    seed,
)
