"""What is said of `[train]` and `[notify]`: how a run warms up, and how it is watched and kept.

All of it depends on how many steps there are, and is judged for the run as the rules before would have it.
"""

from __future__ import annotations

import math

from core.advice.amounts import gigabytes, hours, share
from core.advice.case import Case
from core.advice.facts import Facts
from core.advice.plan import run_steps
from core.advice.rule import Advice
from core.i18n import _

LONG_STEPS = 200
"""From here on a run is worth watching and keeping while it goes on."""
WARMUP_STEPS = 500
"""From here on a run wants a warm-up: at first Adam knows the variance of gradients poorly (Liu et al. 2020)."""
WARMUP_RATIO, MOST_WARMUP = 0.03, 0.20
"""The default; Hu et al. 2021 and Dettmers et al. 2023 warm up over 3 to 6 % of the steps."""
POINTS = 10
"""The least points that make a curve."""
LONGEST_INTERVAL = 500
EVAL_SHARE = 0.25
"""Of the time for training, what evaluations may take on top."""
EVAL_COST = 0.5
"""An evaluated row against a trained one: forward alone. Backward costs as much, as the base's weights get no gradient
(2 operations a weight each: Kaplan et al. 2020)."""
MOST_CHECKPOINTS = 500
"""Checkpoints written in a run: more wear out a disk."""
SAMPLE_STEPS = 10
"""Samples closer together than this cost more than the steps between."""
STATE_BYTES = 12
"""Bytes in a checkpoint for each number that trains: itself and AdamW's two moments, float32."""
KEEP_BYTES = 20_000_000_000
NOTICE_S = 3_600
"""Nobody watches a run for longer than an hour."""


def interval(steps: int) -> int:
    """The number of 1, 2, 5, 10, … that gives a run `POINTS` points or more, up to `LONGEST_INTERVAL`."""
    most = min(LONGEST_INTERVAL, max(1, steps // POINTS))
    power: int = 10 ** int(math.log10(most))
    return power * max(digit for digit in (1, 2, 5) if power * digit <= most)


def warmup(case: Case) -> Advice | None:
    """`train.warmup_ratio`: of how many steps."""
    facts, ratio = case.facts, case.profile.train.warmup_ratio
    if facts is None:
        return None
    steps = run_steps(case.planned, facts)
    figures = {"warmup": math.ceil(ratio * steps), "steps": steps, "share": share(ratio)}
    if ratio > MOST_WARMUP:
        reason = _("The rate rises for {warmup:,} of {steps:,} steps ({share}) and has little time left at its peak.")
        return case.warning("warmup-long", "train.warmup_ratio", reason.format(**figures), WARMUP_RATIO)
    if ratio == 0 and steps >= WARMUP_STEPS:
        reason = _(
            "No warm-up in {steps:,} steps: the first gradients are noisy and meet the full rate. 3 % of the steps "
            "cost nothing."
        )
        return case.hint("warmup-none", "train.warmup_ratio", reason.format(**figures), WARMUP_RATIO)
    reason = _("The rate rises for {warmup:,} of {steps:,} steps ({share}).")
    if ratio == 0:
        reason = _("No warm-up: {steps:,} steps are few enough to do without.")
    return case.good("warmup", "train.warmup_ratio", reason.format(**figures))


def eval_every(case: Case) -> Advice | None:
    """`train.eval_every`: points on the curve, and what they cost."""
    facts, every = case.facts, case.profile.train.eval_every
    if facts is None:
        return None
    if case.planned.data.eval_rows == 0:
        reason = _("No rows are held out, so nothing is evaluated.")
        return case.good("eval-every-idle", "train.eval_every", reason)
    steps, best = run_steps(case.planned, facts), _eval_interval(case, facts)
    figures = {"every": every, "steps": steps, "rows": case.planned.data.eval_rows}
    if every == 0 and steps >= LONG_STEPS and best:
        reason = _(
            "In {steps:,} steps the held-out loss is measured before the first and after the last only: learning by "
            "heart would be seen too late."
        )
        return case.warning("eval-every-never", "train.eval_every", reason.format(**figures), best)
    if every > steps:
        reason = _("{every:,} steps are more than the run has ({steps:,}): nothing is measured on the way.")
        return case.warning("eval-every-beyond", "train.eval_every", reason.format(**figures), best)
    cost = _eval_cost(case, every) if every else 0.0
    if cost > EVAL_SHARE:
        reason = _("{rows:,} held-out rows every {every:,} steps take {share} more time on top of training.")
        return case.hint("eval-every-often", "train.eval_every", reason.format(**figures, share=share(cost)), best)
    reason = _("Points on the curve of {steps:,} steps: {points:,}, for {share} more time.")
    if every == 0:
        reason = _("{steps:,} steps are few enough to measure before the first and after the last only.")
    points = steps // every if every else 0
    return case.good("eval-every", "train.eval_every", reason.format(**figures, points=points, share=share(cost)))


def checkpoint_every(case: Case) -> Advice | None:
    """`train.checkpoint_every`: what an end by accident costs."""
    facts, every = case.facts, case.profile.train.checkpoint_every
    if facts is None:
        return None
    steps = run_steps(case.planned, facts)
    figures = {"every": every, "steps": steps}
    if every == 0 and steps >= LONG_STEPS:
        reason = _("{steps:,} steps are saved at the end only: a power cut or a full disk costs all of them.")
        return case.warning("checkpoint-never", "train.checkpoint_every", reason.format(**figures), interval(steps))
    if every > steps >= LONG_STEPS:
        reason = _("{every:,} steps are more than the run has ({steps:,}): it is saved at the end only.")
        return case.warning("checkpoint-beyond", "train.checkpoint_every", reason.format(**figures), interval(steps))
    if every and steps // every > MOST_CHECKPOINTS:
        reason = _("{count:,} checkpoints in {steps:,} steps: writing them takes time and wears out the disk.")
        reason = reason.format(**figures, count=steps // every)
        return case.hint("checkpoint-often", "train.checkpoint_every", reason, interval(steps))
    reason = _("An end by accident costs {every:,} of {steps:,} steps at most.")
    if every == 0 or every > steps:
        reason = _("{steps:,} steps are few enough to be saved at the end only.")
    return case.good("checkpoint-every", "train.checkpoint_every", reason.format(**figures))


def keep_checkpoints(case: Case) -> Advice | None:
    """`train.keep_checkpoints`: the way back, and its room on the disk."""
    keep = case.profile.train.keep_checkpoints
    model = None if case.facts is None else case.facts.model
    if keep == 1:
        reason = _("With one there is no way back to before the loss rose.")
        return case.hint("keep-one", "train.keep_checkpoints", reason, 3)
    if model is None:
        return case.good("keep", "train.keep_checkpoints", _("The newest {keep:,} stay.").format(keep=keep))
    figures = {"keep": keep, "size": gigabytes(model.trainable * STATE_BYTES * keep)}
    if model.trainable * STATE_BYTES * keep > KEEP_BYTES and keep > 3:
        reason = _("{keep:,} checkpoints take {size} on the disk.")
        return case.hint("keep-many", "train.keep_checkpoints", reason.format(**figures), 3)
    reason = _("{keep:,} checkpoints take {size} on the disk, with the optimiser's state.")
    return case.good("keep", "train.keep_checkpoints", reason.format(**figures))


def sample_every(case: Case) -> Advice | None:
    """`train.sample_every`: poems on the way."""
    facts, every = case.facts, case.profile.train.sample_every
    if facts is None:
        return None
    steps, prompts = run_steps(case.planned, facts), len(case.profile.train.sample_prompts)
    figures = {"every": every, "steps": steps, "prompts": prompts}
    if every == 0 and prompts and steps >= LONG_STEPS:
        reason = _(
            "No poem is seen in {steps:,} steps. Poems show what a loss can't: broken lines, repetition, a lost rhyme."
        )
        return case.hint("samples-never", "train.sample_every", reason.format(**figures), interval(steps))
    if every > steps:
        reason = _("{every:,} steps are more than the run has ({steps:,}): no poem is seen on the way.")
        return case.hint("samples-beyond", "train.sample_every", reason.format(**figures), interval(steps))
    best = max(SAMPLE_STEPS, interval(steps))
    if 0 < every < SAMPLE_STEPS and steps >= LONG_STEPS:
        reason = _("{prompts:,} poems every {every:,} steps take longer than the steps between them.")
        return case.hint("samples-often", "train.sample_every", reason.format(**figures), best)
    reason = _("Samples every {every:,} of {steps:,} steps show how the verse comes on.")
    if every == 0:
        reason = _("No samples in {steps:,} steps: so short a run is judged at its end.")
        if steps >= LONG_STEPS:
            reason = _("There are no prompts to write samples for.")
    return case.good("samples", "train.sample_every", reason.format(**figures))


def sample_prompts(case: Case) -> Advice | None:
    """`train.sample_prompts`: whether there are any."""
    prompts = case.profile.train.sample_prompts
    if prompts:
        reason = _("Prompts: {count:,}. Keep the same ones over runs, and their poems can be compared.")
        return case.good("sample-prompts", "train.sample_prompts", reason.format(count=len(prompts)))
    reason = _("Without a first couplet here no poem is seen before the run's end.")
    return case.hint("sample-prompts-none", "train.sample_prompts", reason)


def trackers(case: Case) -> Advice | None:
    """`train.trackers`: where figures go."""
    names = case.profile.train.trackers
    if not names:
        reason = _("The run's own files hold every figure that poemtui shows, so no other place is needed.")
        return case.good("trackers-none", "train.trackers", reason)
    reason = _("Figures and samples are mirrored to {names}.").format(names=", ".join(names))
    return case.good("trackers", "train.trackers", reason)


def notify(case: Case) -> Advice | None:
    """`notify.command`: whether anybody hears of the end."""
    budget = None if case.facts is None else case.facts.budget
    if case.profile.notify.command:
        return case.good("notify", "notify.command", _("It is run when the run has ended, whatever the end."))
    if budget is not None and budget.seconds is not None and budget.seconds > NOTICE_S:
        reason = _("The run takes about {time}. A command here can tell you when it has ended.")
        return case.hint("notify-none", "notify.command", reason.format(time=hours(budget.seconds)))
    return case.good("notify-idle", "notify.command", _("Nothing is run at the end; a short run needs no message."))


def _eval_cost(case: Case, every: int) -> float:
    """Time for evaluations as a share of the time for training."""
    return EVAL_COST * case.planned.data.eval_rows / (every * case.planned.train.batch_size)


def _eval_interval(case: Case, facts: Facts) -> int:
    """The usual interval, longer where that would cost too much; 0 where the run is too short for any."""
    steps = run_steps(case.planned, facts)
    least = math.ceil(_eval_cost(case, 1) / EVAL_SHARE)
    best = max(interval(steps), least)
    return best if best <= steps // 2 else 0


RULES = (
    warmup,
    eval_every,
    checkpoint_every,
    keep_checkpoints,
    sample_every,
    sample_prompts,
    trackers,
    notify,
)
