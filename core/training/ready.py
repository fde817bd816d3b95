"""What a run needs in memory before its first step, made from its profile alone, and what it was made from."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import accelerate
import peft
import torch
import transformers

from core import __version__
from core.base_folder import identity_of
from core.errors import PoemError
from core.i18n import _
from core.model.load import Base, load_base
from core.model.lora import add_lora, load_adapter
from core.profile.changes import changes_between, refuse_fixed
from core.profile.document import profile_from_dict, profile_to_dict
from core.profile.schema import Profile
from core.runs.checkpoints import Checkpoint
from core.runs.directory import RunDirectory
from core.training.checkpoint import State, load_optimiser, load_state
from core.training.loop import Plan, make_optimiser
from core.training.prepare import Prepared, prepare


@dataclass(frozen=True, slots=True)
class Ready:
    """A run in memory, at rest."""

    profile: Profile
    """The run's own."""
    base: Base
    """The model that is being taught, in its place on the device."""
    prepared: Prepared
    """Its data."""
    model: Any
    """The base with the adapter that trains: a peft model."""
    optimiser: torch.optim.Optimizer
    """Over the adapter."""
    plan: Plan
    """How to train."""
    state: State
    """Where it goes on."""

    @property
    def trainable_parameters(self) -> int:
        """Numbers that training changes."""
        return sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)


def make_ready(profile: Profile, checkpoint: Checkpoint | None, *, between: Callable[[], None]) -> Ready:
    """Load, encode, and put the checkpoint's state back.

    Args:
        profile: the run's.
        checkpoint: to go on from; None: from the beginning.
        between: called between two pieces of work; may raise to leave.

    Raises:
        PoemError: the data, the model, the checkpoint, or what the profile asks of them, is at fault.
    """
    lora, keys = profile.lora, profile.train
    state = State(0, keys.micro_batch_size, False) if checkpoint is None else load_state(checkpoint)
    between()
    base = load_base(profile.model.base, dtype=profile.model.dtype, device=profile.model.device)
    between()
    prepared = prepare(profile, base.tokenizer, base.embeddings)
    between()
    if checkpoint is not None:
        model = load_adapter(base, checkpoint.path / "adapter", trainable=True)
    else:
        model = add_lora(
            base,
            r=lora.r,
            alpha=lora.alpha,
            dropout=lora.dropout,
            bias=lora.bias,
            target_modules=lora.target_modules,
            seed=keys.seed,
        )
    plan = Plan(
        epochs=keys.epochs,
        max_steps=keys.max_steps,
        learning_rate=keys.learning_rate,
        schedule=keys.schedule,
        warmup_ratio=keys.warmup_ratio,
        micro_batch_size=state.micro_batch_size,
        batch_size=keys.batch_size,
        weight_decay=keys.weight_decay,
        adam_betas=(keys.adam_beta1, keys.adam_beta2),
        adam_epsilon=keys.adam_epsilon,
        max_grad_norm=keys.max_grad_norm,
        seed=keys.seed,
        eval_every=keys.eval_every,
    )
    optimiser = make_optimiser(model, plan)
    if checkpoint is not None:
        load_optimiser(checkpoint, optimiser)
    between()
    return Ready(profile, base, prepared, model, optimiser, plan, state)


def manifest_of(ready: Ready) -> dict[str, Any]:
    """What the run was made from, as `manifest.json` keeps it."""
    device = ready.base.device.torch_device
    return {
        "versions": {
            "poemtui": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "peft": peft.__version__,
            "accelerate": accelerate.__version__,
        },
        "numerics": {
            "torch": torch.__version__,
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "dtype": str(ready.base.precision.dtype).removeprefix("torch."),
        },
        "data": {"path": str(ready.prepared.file.path), "sha256": ready.prepared.file.sha256},
        "model": {"base": ready.base.name, **identity_of(ready.base.folder)},
        "profile": profile_to_dict(ready.profile),
        "instruction": ready.prepared.instruction,
        "held_out": list(ready.prepared.split.eval),
    }


def check_same(run: RunDirectory, ready: Ready, began: Mapping[str, Any]) -> list[str]:
    """Compare what a run began with and what it would go on with.

    Args:
        run: the run.
        ready: what it would go on with.
        began: its manifest.

    Returns:
        notes for the person where the result will not be the same bit for bit.

    Raises:
        PoemError: the data, the base model, or a part of the profile that stays as it is, is another one.
    """
    now = manifest_of(ready)
    refuse_fixed(changes_between(profile_from_dict(began["profile"]), ready.profile), where=run.id)
    for key, what in (("data", _("the data file")), ("model", _("the base model"))):
        if began.get(key) != now[key]:
            raise PoemError(
                _("{what} is not what the run began with").format(what=what),
                hint=_("Put it back, or start a new run."),
                where=run.id,
            )
    before, after = began["numerics"], now["numerics"]
    changed = [
        _("{name} {before} → {after}").format(name=name, before=before.get(name, "?"), after=after[name])
        for name in after
        if before.get(name) != after[name]
    ]
    if not changed:
        return []
    return [
        _(
            "This machine computes otherwise than the one that the run began on ({changes}): the result will be equal "
            "but for rounding, not bit for bit."
        ).format(changes=", ".join(changed))
    ]


def use_threads(wanted: Any) -> list[str]:
    """Compute with as many threads as the run began with, where there are cores for them: sums then round alike.

    Returns:
        a note for the person where that is another number than this process would have taken.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if type(wanted) is not int or wanted == torch.get_num_threads() or not 1 <= wanted <= cores:
        return []
    torch.set_num_threads(wanted)
    return [_("Threads: {threads}, as the run began with").format(threads=wanted)]
