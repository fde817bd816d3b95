"""The worker: owns a run directory while it trains. Everything that the loop yields it writes down, then reports.

An interrupt ends the current step, saves a checkpoint and closes the run, which can then be resumed.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import accelerate
import peft
import torch
import transformers
from accelerate import Accelerator

from core import __version__
from core.data.rows import resolve_data_path
from core.errors import PoemError
from core.generation.decode import Completion, complete, sampling_of
from core.generation.prompt import make_completion_example
from core.i18n import _
from core.model.load import BUILTIN, Base, load_base
from core.model.lora import add_lora, load_adapter, save_adapter
from core.profile.document import dump_profile, profile_from_dict
from core.profile.schema import Profile
from core.runs.directory import RunDirectory, create_run, free_bytes, lock_run, write_json
from core.runs.events import (
    CheckpointSaved,
    EvalDone,
    Event,
    EventLog,
    Note,
    RunFailed,
    RunFinished,
    RunStarted,
    RunStopped,
    SampleMade,
    StepDone,
    iter_events,
)
from core.training.checkpoint import COPIES_PER_CHECKPOINT, checkpoints, load_optimiser, save_checkpoint
from core.training.loop import Plan, make_optimiser, train
from core.training.loss import count_supervised
from core.training.prepare import Prepared, prepare

_SPARE_BYTES = 16 * 2**20
_SAMPLE_SEED = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    run: RunDirectory
    status: str  # finished or stopped
    step: int
    eval_loss_base: float | None
    eval_loss: float | None


@dataclass(frozen=True, slots=True)
class _Ready:
    profile: Profile
    base: Base
    prepared: Prepared
    model: Any
    optimiser: torch.optim.Optimizer
    plan: Plan


def start(profile: Profile, *, runs_dir: Path, name: str | None, on_event: Callable[[Event], None]) -> Outcome:
    """Make everything ready, then make a run and train it. Nothing is written before everything is ready.

    Raises:
        PoemError: the profile, the data, the model or the disk is at fault.
    """
    profile = _with_full_paths(profile)
    ready = _make_ready(profile, adapter=None)
    _check_space(ready, runs_dir)
    run = create_run(runs_dir, name=name)
    with lock_run(run):
        run.profile_path.write_text(dump_profile(profile), encoding="utf-8")
        run.profile_path.chmod(0o600)
        write_json(run.manifest_path, _manifest(ready))
        return _work(run, ready, done_steps=0, on_event=on_event)


def resume(run: RunDirectory, *, on_event: Callable[[Event], None]) -> Outcome:
    """Go on with a run from its newest checkpoint, with its own profile.

    Raises:
        PoemError: it is at work, is finished, has no checkpoint, or its data or model has changed.
    """
    with lock_run(run):
        profile = profile_from_dict(tomllib.loads(run.profile_path.read_text(encoding="utf-8")))
        if run.adapter_path.exists():
            raise PoemError(_("the run is finished"), hint=_("Start a new one with: poemcore train"), where=run.id)
        found = checkpoints(run)
        if not found:
            raise PoemError(
                _("the run has no checkpoint to go on from"),
                hint=_("Start it anew: poemcore train {path}").format(path=run.profile_path),
                where=run.id,
            )
        ready = _make_ready(profile, adapter=found[-1] / "adapter")
        _check_same(run, ready)
        done_steps = load_optimiser(found[-1], ready.optimiser)
        return _work(run, ready, done_steps=done_steps, on_event=on_event)


def _with_full_paths(profile: Profile) -> Profile:
    """The profile as a run keeps it: it must mean the same when it is resumed from another directory."""
    data, model = profile.data, profile.model
    if not data.path.startswith(BUILTIN):
        data = replace(data, path=str(resolve_data_path(data.path).absolute()))
    folder = Path(model.base).expanduser()
    if not model.base.startswith(BUILTIN) and folder.is_dir():
        model = replace(model, base=str(folder.absolute()))
    return replace(profile, data=data, model=model)


def _make_ready(profile: Profile, *, adapter: Path | None) -> _Ready:
    base = load_base(profile.model.base, dtype=profile.model.dtype, device=profile.model.device)
    prepared = prepare(profile, base.tokenizer, base.embeddings)
    lora, keys = profile.lora, profile.train
    if adapter is not None:
        model = load_adapter(base, adapter, trainable=True)
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
        micro_batch_size=keys.micro_batch_size,
        batch_size=keys.batch_size,
        weight_decay=keys.weight_decay,
        adam_betas=(keys.adam_beta1, keys.adam_beta2),
        adam_epsilon=keys.adam_epsilon,
        max_grad_norm=keys.max_grad_norm,
        seed=keys.seed,
        eval_every=keys.eval_every,
    )
    return _Ready(profile, base, prepared, model, make_optimiser(model, plan), plan)


def _trainable(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _check_space(ready: _Ready, runs_dir: Path) -> None:
    one = _trainable(ready.model) * 4
    needed = one * (1 + COPIES_PER_CHECKPOINT * (ready.profile.train.keep_checkpoints + 1)) + _SPARE_BYTES
    place = runs_dir.absolute()
    while not place.exists():
        place = place.parent
    free = free_bytes(place)
    if free < needed:
        raise PoemError(
            _("too little room for the run: {needed} MB needed, {free} MB free").format(
                needed=needed // 10**6, free=free // 10**6
            ),
            hint=_("Make room, choose another --runs-dir, or lower train.keep_checkpoints."),
            where=str(runs_dir),
        )


def _manifest(ready: _Ready) -> dict[str, Any]:
    versions = {
        "poemtui": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "accelerate": accelerate.__version__,
    }
    return {
        "versions": versions,
        "data": {"path": str(ready.prepared.file.path), "sha256": ready.prepared.file.sha256},
        "model": {"base": ready.base.name, **ready.base.identity},
        "instruction": ready.prepared.instruction,
        "threads": torch.get_num_threads(),
        "held_out": list(ready.prepared.split.eval),
    }


def _check_same(run: RunDirectory, ready: _Ready) -> None:
    manifest, now = json.loads(run.manifest_path.read_text(encoding="utf-8")), _manifest(ready)
    for key, what in (("data", _("the data file")), ("model", _("the base model"))):
        if manifest.get(key) != now[key]:
            raise PoemError(
                _("{what} is not what the run began with").format(what=what),
                hint=_("Put it back, or start a new run."),
                where=run.id,
            )


@contextmanager
def _interrupts() -> Iterator[list[str]]:
    """Collect SIGINT and SIGTERM instead of dying of them; the list is empty until one comes."""
    got: list[str] = []

    def note(number: int, _frame: Any) -> None:
        if got:
            raise KeyboardInterrupt
        got.append(signal.Signals(number).name)

    former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _work(run: RunDirectory, ready: _Ready, *, done_steps: int, on_event: Callable[[Event], None]) -> Outcome:
    with EventLog(run.events_path) as log, _interrupts() as interrupts:

        def record(event: Event, *, sync: bool = False) -> None:
            log.append(event, sync=sync)
            on_event(event)

        write_json(run.process_path, {"pid": os.getpid()})
        try:
            return _train(run, ready, done_steps=done_steps, record=record, interrupts=interrupts)
        except PoemError as error:
            record(RunFailed(message=error.message, hint=error.hint, where=error.where), sync=True)
            raise


def _train(
    run: RunDirectory, ready: _Ready, *, done_steps: int, record: Callable[..., None], interrupts: list[str]
) -> Outcome:
    prepared, model, keys = ready.prepared, ready.model, ready.profile.train
    first = prepared.examples(0)
    steps = ready.plan.count_steps(len(first))
    record(
        RunStarted(
            run=run.id,
            resumed_from_step=done_steps,
            rows=len(first),
            eval_rows=len(prepared.held_out),
            steps=steps,
            epochs=keys.epochs,
            base=ready.base.name,
            device=str(ready.base.device.torch_device),
            dtype=str(ready.base.precision.dtype).removeprefix("torch."),
            supervised_tokens=count_supervised(first),
            trainable_parameters=_trainable(model),
        )
    )
    device = _("Device: {device}; {precision}").format(
        device=ready.base.device.reason, precision=ready.base.precision.reason
    )
    for note in (device, *prepared.notes):
        record(Note(note))
    accelerator = Accelerator(cpu=ready.base.device.torch_device.type == "cpu")
    earlier = [event for event, _time_s in iter_events(run.events_path) if isinstance(event, EvalDone)]
    losses = {event.step: event.loss for event in earlier if event.step <= done_steps}
    step = saved = done_steps

    def save() -> None:
        path = save_checkpoint(run, model, ready.optimiser, step=step, keep=keys.keep_checkpoints)
        record(CheckpointSaved(step=step, path=str(path.relative_to(run.path))), sync=True)

    for event in train(
        model,
        ready.optimiser,
        examples=prepared.examples,
        held_out=prepared.held_out,
        plan=ready.plan,
        accelerator=accelerator,
        done_steps=done_steps,
    ):
        record(event)
        if isinstance(event, EvalDone):
            losses[event.step] = event.loss
        if isinstance(event, StepDone):
            step = event.step
            if keys.sample_every and step % keys.sample_every == 0:
                for sample in _samples(ready, step):
                    record(sample)
            if keys.checkpoint_every and step % keys.checkpoint_every == 0:
                save()
                saved = step
        if interrupts:
            if saved != step or step == 0:
                save()
            record(RunStopped(step=step, reason=interrupts[0]), sync=True)
            return Outcome(run, "stopped", step, losses.get(0), losses.get(step))
    fresh = run.adapter_path.with_name(".adapter.new")
    save_adapter(model, fresh)
    fresh.rename(run.adapter_path)
    outcome = Outcome(run, "finished", step, losses.get(0), losses.get(step))
    record(
        RunFinished(
            step=step,
            eval_loss_base=outcome.eval_loss_base,
            eval_loss=outcome.eval_loss,
            adapter=run.adapter_path.name,
        ),
        sync=True,
    )
    return outcome


def _samples(ready: _Ready, step: int) -> Iterator[SampleMade]:
    keys = ready.profile.generation
    sampling = sampling_of(keys)
    for prompt in ready.profile.train.sample_prompts:
        example = make_completion_example(prompt, ready.profile, ready.prepared.instruction)
        ids = ready.prepared.encoder.prompt_ids(example)
        ends = ready.prepared.encoder.end_ids
        for item in complete(
            ready.model, ready.base.tokenizer, ids, end_ids=ends, sampling=sampling, seeds=[_SAMPLE_SEED]
        ):
            if isinstance(item, Completion):
                yield SampleMade(step=step, prompt=prompt, text=item.text)
