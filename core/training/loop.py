"""The training loop: a generator of events. It knows no files, screens or signals; who stops reading stops it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from core.data.chance import draw
from core.encoding.encode import Encoded
from core.errors import PoemError
from core.i18n import _
from core.runs.events import EvalDone, StepDone
from core.training.batch import collate, plan_epoch, split_micro
from core.training.loss import count_supervised, held_out_nats, supervised_nats


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train, as flat values."""

    epochs: int
    max_steps: int  # 0: no limit
    learning_rate: float
    schedule: str  # linear, cosine, constant
    warmup_ratio: float
    micro_batch_size: int
    batch_size: int
    weight_decay: float
    adam_betas: tuple[float, float]
    adam_epsilon: float
    max_grad_norm: float  # 0: no clipping
    seed: int
    eval_every: int  # steps; 0: only before the first and after the last

    def count_steps(self, examples: int) -> int:
        """Optimiser steps in all, for so many examples an epoch."""
        steps = self.epochs * math.ceil(examples / self.batch_size)
        return min(steps, self.max_steps) if self.max_steps else steps


def learning_rate(step: int, steps: int, plan: Plan) -> float:
    """The rate of step `step` (from 1) of `steps`: a linear warm-up from 0, then the schedule down to 0.

    Warm-up takes ceil(warmup_ratio · steps) steps, the last of which has the full rate.
    """
    warmup = math.ceil(plan.warmup_ratio * steps)
    if step <= warmup:
        return plan.learning_rate * step / warmup
    if plan.schedule == "constant":
        return plan.learning_rate
    done = (step - warmup - 1) / max(1, steps - warmup)
    share = 1 - done if plan.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return plan.learning_rate * share


def make_optimiser(model: torch.nn.Module, plan: Plan) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) over the parameters that train, in the model's order."""
    return torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=plan.learning_rate,
        betas=plan.adam_betas,
        eps=plan.adam_epsilon,
        weight_decay=plan.weight_decay,
    )


def seed_step(seed: int, step: int) -> None:
    """Seed every generator for one step, so that a step depends on nothing that came before it."""
    torch.manual_seed(draw("step", seed, step) % 2**63)


def train(
    model: Any,
    optimiser: torch.optim.Optimizer,
    *,
    examples: Callable[[int], Sequence[Encoded]],
    held_out: Sequence[Encoded],
    plan: Plan,
    accelerator: Accelerator,
    done_steps: int = 0,
) -> Iterator[StepDone | EvalDone]:
    """Train `model` in place.

    Args:
        model: a peft model in its place on the device; only parameters that require a gradient change.
        optimiser: over those parameters; its state goes on where `done_steps` left it.
        examples: the training examples of an epoch (from 0); of the same number in each.
        held_out: scored before the first step, every `plan.eval_every` steps and after the last; may be empty.
        plan: how.
        accelerator: carries device and precision.
        done_steps: steps that an earlier part of the run has done.

    Yields:
        an event after each step and each evaluation. Between two events model and optimiser are at rest.

    Raises:
        PoemError: a loss or gradient is not finite; parameters are still as they were before that step.
    """
    device = accelerator.device
    first = examples(0)
    steps = plan.count_steps(len(first))
    per_epoch = math.ceil(len(first) / plan.batch_size)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def evaluate(step: int) -> EvalDone:
        started_s = time.monotonic()
        tokens = count_supervised(held_out)
        nats = held_out_nats(model, held_out, batch_size=2 * plan.micro_batch_size, device=device)
        return EvalDone(step=step, loss=nats / tokens, tokens=tokens, eval_s=time.monotonic() - started_s)

    if held_out and done_steps == 0:
        yield evaluate(0)
    model.train()
    for epoch in range(done_steps // per_epoch, math.ceil(steps / per_epoch)):
        items = first if epoch == 0 else examples(epoch)
        batches = plan_epoch([len(i.ids) for i in items], batch_size=plan.batch_size, seed=plan.seed, epoch=epoch)
        for position, indices in enumerate(batches):
            step = epoch * per_epoch + position + 1
            if step <= done_steps or step > steps:
                continue
            started_s = time.monotonic()
            batch = [items[index] for index in indices]
            supervised = count_supervised(batch)
            seed_step(plan.seed, step)
            rate = learning_rate(step, steps, plan)
            for group in optimiser.param_groups:
                group["lr"] = rate
            total = torch.zeros((), device=device)
            for micro in split_micro(batch, micro_batch_size=plan.micro_batch_size):
                nats = supervised_nats(model, collate(micro, device=device))
                accelerator.backward(nats / supervised)
                total += nats.detach()
            loss = float(total) / supervised
            limit = plan.max_grad_norm or math.inf
            grad_norm = float(torch.nn.utils.clip_grad_norm_(trainable, limit))
            if not (math.isfinite(loss) and math.isfinite(grad_norm)):
                optimiser.zero_grad(set_to_none=True)
                raise PoemError(
                    _("the loss of step {step} is not a finite number; its rows: {rows}").format(
                        step=step, rows=", ".join(str(item.row) for item in batch)
                    ),
                    hint=_("Look at these rows; lower train.learning_rate, or set model.dtype to float32."),
                    where=_("step {step}").format(step=step),
                )
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step_s = time.monotonic() - started_s
            tokens = sum(len(item.ids) for item in batch)
            yield StepDone(
                step=step,
                epoch=(step / per_epoch),
                loss=loss,
                lr=rate,
                grad_norm=grad_norm,
                tokens=tokens,
                tokens_per_s=tokens / step_s,
                step_s=step_s,
            )
            if held_out and (step == steps or (plan.eval_every and step % plan.eval_every == 0)):
                yield evaluate(step)
