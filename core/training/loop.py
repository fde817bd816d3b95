"""The training loop: a generator of events. It knows no files, screens or signals; who stops reading stops it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from core.data.chance import draw
from core.encoding.encode import Encoded
from core.errors import PoemError
from core.i18n import _
from core.model.device import memory_in_use
from core.runs.events import EvalDone, EvalStarted, Note, StepDone
from core.training.batch import collate, plan_epoch, split_micro
from core.training.loss import count_supervised, held_out_batches, supervised_nats


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
        return count_steps(examples, epochs=self.epochs, batch_size=self.batch_size, max_steps=self.max_steps)


def count_steps(examples: int, *, epochs: int, batch_size: int, max_steps: int) -> int:
    """Optimiser steps in all, for so many examples an epoch; `max_steps` 0: no limit of their own."""
    steps = epochs * math.ceil(examples / batch_size)
    return min(steps, max_steps) if max_steps else steps


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


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the machine itself, has no memory left. Not every back end has a type for that."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text


@dataclass(frozen=True, slots=True)
class Pulse:
    """A moment between two pieces of work, at which whoever reads the loop may act."""

    step: int
    """Optimiser steps done."""
    at_rest: bool
    """Whether model and optimiser hold those steps and nothing of the next."""
    is_complete: bool
    """Whether the evaluation that is due after this step, if any, is over as well."""
    micro_batch_size: int
    """Rows that go through the model at once by now."""


def train(
    model: Any,
    optimiser: torch.optim.Optimizer,
    *,
    examples: Callable[[int], Sequence[Encoded]],
    held_out: Sequence[Encoded],
    plan: Plan,
    accelerator: Accelerator,
    done_steps: int = 0,
    is_complete: bool = False,
    eval_every: Callable[[], int] | None = None,
) -> Generator[StepDone | EvalStarted | EvalDone | Note | Pulse, None, None]:
    """Train `model` in place.

    Where memory runs out, the micro-batch is halved and the step done again; the optimiser batch stays as it is.

    Args:
        model: a peft model in its place on the device; only parameters that require a gradient change.
        optimiser: over those parameters; its state goes on where `done_steps` left it.
        examples: the training examples of an epoch (from 0); of the same number in each.
        held_out: scored before the first step, every `eval_every` steps and after the last; may be empty.
        plan: how.
        accelerator: carries device and precision.
        done_steps: steps that an earlier part of the run has done.
        is_complete: whether that part has also done the evaluation that is due after them.
        eval_every: asked after every step for the steps between evaluations, 0: none; by default the plan's.

    Yields:
        an event after each step and each evaluation, and pulses.

    Raises:
        PoemError: a loss or gradient is not finite, or one row is too much for the memory; parameters are still as
            they were before that step.
    """
    device = accelerator.device
    first = examples(0)
    steps = plan.count_steps(len(first))
    per_epoch = math.ceil(len(first) / plan.batch_size)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    micro_batch_size, eval_batch_size = plan.micro_batch_size, 2 * plan.micro_batch_size

    def is_due(step: int) -> bool:
        every = plan.eval_every if eval_every is None else eval_every()
        return bool(held_out) and (step in (0, steps) or bool(every and step % every == 0))

    def halved(rows: int, step: int) -> tuple[int, Note]:
        optimiser.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if rows == 1:
            raise PoemError(
                _("memory ran out at step {step}, with one row at a time").format(step=step),
                hint=_("Lower data.cutoff_len or lora.r, close what else uses the device, or take a smaller base."),
                where=_("step {step}").format(step=step),
            )
        rows //= 2
        return rows, Note(
            _("Memory ran out at step {step}. Rows that go through the model at once from here on: {rows}").format(
                step=step, rows=rows
            )
        )

    def evaluate(step: int) -> Iterator[EvalStarted | EvalDone | Note | Pulse]:
        nonlocal eval_batch_size
        yield EvalStarted(step=step, rows=len(held_out))
        started_s = time.monotonic()
        tokens = count_supervised(held_out)
        nats: float | None = None
        while nats is None:
            total = 0.0
            try:
                for part in held_out_batches(model, held_out, batch_size=eval_batch_size, device=device):
                    total += part
                    yield Pulse(step, at_rest=True, is_complete=False, micro_batch_size=micro_batch_size)
                nats = total
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # Not in the except: what the error holds of the batch must be gone before the next try.
            if nats is None:
                eval_batch_size, note = halved(eval_batch_size, step)
                yield note
        yield EvalDone(step=step, loss=nats / tokens, tokens=tokens, eval_s=time.monotonic() - started_s)

    def accumulate(batch: Sequence[Encoded], supervised: int) -> Iterator[torch.Tensor]:
        for micro in split_micro(batch, micro_batch_size=micro_batch_size):
            nats = supervised_nats(model, collate(micro, device=device))
            accelerator.backward(nats / supervised)
            yield nats.detach()

    if is_due(done_steps) and not is_complete:
        yield from evaluate(done_steps)
    yield Pulse(done_steps, at_rest=True, is_complete=True, micro_batch_size=micro_batch_size)
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
            rate = learning_rate(step, steps, plan)
            for group in optimiser.param_groups:
                group["lr"] = rate
            total: torch.Tensor | None = None
            while total is None:
                seed_step(plan.seed, step)
                so_far = torch.zeros((), device=device)
                try:
                    for nats in accumulate(batch, supervised):
                        so_far += nats
                        yield Pulse(step - 1, at_rest=False, is_complete=True, micro_batch_size=micro_batch_size)
                    total = so_far
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                if total is None:
                    micro_batch_size, note = halved(micro_batch_size, step)
                    yield note
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
                memory_bytes=memory_in_use(device),
            )
            if is_due(step):
                yield from evaluate(step)
            yield Pulse(step, at_rest=True, is_complete=True, micro_batch_size=micro_batch_size)
