"""Training a run as its profile, the requests that come in, and the disk allow.

It reads the loop, writes down what happens, and decides at each pulse whether to evaluate otherwise, sample, save,
wait or end. The loop knows nothing of it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from accelerate import Accelerator

from core.errors import PoemError
from core.generation.decode import Completion, complete, sampling_of
from core.generation.prompt import make_completion_example
from core.i18n import _
from core.profile.document import dump_profile, load_profile, profile_to_dict
from core.profile.schema import Profile
from core.runs.checkpoints import Checkpoint
from core.runs.directory import RunDirectory
from core.runs.events import (
    BestChanged,
    CheckpointSaved,
    EvalDone,
    Note,
    RunContinued,
    RunFinished,
    RunPaused,
    RunStarted,
    SampleMade,
    SettingChanged,
    StepDone,
)
from core.runs.faults import reached
from core.runs.resumption import meet_wanted_step, wanted_step
from core.runs.storage import DiskFull, free_bytes, read_json, write_json, write_whole
from core.training.checkpoint import COPIES_PER_CHECKPOINT, State, drop_final, link_best, save_checkpoint, save_final
from core.training.commands import Commands, Stopped
from core.training.journal import Journal
from core.training.loop import Pulse, is_out_of_memory, train
from core.training.loss import count_supervised
from core.training.ready import Ready, check_same, make_ready, manifest_of, use_threads
from core.training.space import room_needed
from core.training.worker import Outcome

_SAMPLE_SEED = 1
_POLL_S = 0.1
_RETRY_S = 5.0


def conduct(
    run: RunDirectory, profile: Profile, checkpoint: Checkpoint | None, *, commands: Commands, journal: Journal
) -> Outcome:
    """Train until the last step.

    Args:
        run: the run, whose lock and device this process holds.
        profile: the run's.
        checkpoint: to go on from; None: from the beginning.
        commands: what is asked of the run.
        journal: for its events.

    Raises:
        Stopped: the run was told to end, and what is to be kept is saved.
        PoemError: it can't be done.
    """
    began = _read_manifest(run, may_be_missing=checkpoint is None)
    notes = use_threads(began.get("numerics", {}).get("threads"))
    ready = make_ready(profile, checkpoint, between=commands.raise_if_stopped)
    if began:
        notes += check_same(run, ready, began)
        asked = wanted_step(run) is not None
        removed = meet_wanted_step(run, ready.state.step)
        drop_final(run)
        if removed:
            notes.append(_("Later checkpoints removed: steps {steps}").format(steps=", ".join(map(str, removed))))
        if checkpoint is None and not asked:
            notes.append(_("The run has no checkpoint, so it begins again with its first step."))
    else:
        _check_space(run, ready)
        write_json(run.manifest_path, manifest_of(ready))
    commands.raise_if_stopped()
    conductor = _Conductor(run, ready, checkpoint, commands, journal)
    if not profile.train.trackers:
        return conductor.conduct(notes)
    from core.training.trackers import Mirror

    mirror = Mirror(
        profile.train.trackers,
        run=run,
        settings=profile_to_dict(profile),
        on_problem=lambda problem: journal.record(Note(problem)),
    )
    journal.tell(mirror)
    try:
        return conductor.conduct(notes)
    finally:
        mirror.close()


def _read_manifest(run: RunDirectory, *, may_be_missing: bool) -> dict[str, Any]:
    """The manifest; empty before the run has got as far as one."""
    try:
        document = read_json(run.manifest_path)
        if not isinstance(document["numerics"], dict) or not isinstance(document["profile"], dict):
            raise ValueError(run.manifest_path)
        return document
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, FileNotFoundError) and may_be_missing:
            return {}
        raise PoemError(
            _("the manifest can't be read, so nothing tells whether data and model are what the run began with"),
            hint=_("Put the file back, or start a new run."),
            where=str(run.manifest_path),
        ) from error


def _check_space(run: RunDirectory, ready: Ready) -> None:
    needed = room_needed(ready.trainable_parameters, keep_checkpoints=ready.profile.train.keep_checkpoints)
    free = free_bytes(run.path)
    if free < needed:
        raise PoemError(
            _("too little room for the run: {needed} needed, {free} free").format(
                needed=_megabytes(needed), free=_megabytes(free)
            ),
            hint=_("Make room, choose another --runs-dir, or lower train.keep_checkpoints."),
            where=str(run.path.parent),
        )


def _megabytes(count_bytes: int) -> str:
    return f"{count_bytes / 10**6:.1f} MB"


class _Conductor:
    def __init__(
        self, run: RunDirectory, ready: Ready, checkpoint: Checkpoint | None, commands: Commands, journal: Journal
    ) -> None:
        self._run, self._ready, self._commands, self._journal = run, ready, commands, journal
        self._keys, self._state = ready.profile.train, ready.state
        self._evals = dict(ready.state.evals)
        self._eval_every = self._keys.eval_every
        self._saved_step = None if checkpoint is None else checkpoint.step
        # The last step whose samples, checkpoint and best are seen to.
        self._settled_step = ready.state.step if ready.state.is_complete else ready.state.step - 1
        self._has_no_links = False
        self._was_short = False
        self._checkpoint_bytes = ready.trainable_parameters * 4 * COPIES_PER_CHECKPOINT + 2**20

    def conduct(self, notes: list[str]) -> Outcome:
        ready, record = self._ready, self._journal.record
        first = ready.prepared.examples(0)
        steps = ready.plan.count_steps(len(first))
        if ready.state.step > steps:
            raise PoemError(
                _("the run has done {done} steps and is now to have {steps}").format(
                    done=ready.state.step, steps=steps
                ),
                hint=_("Raise train.epochs or train.max_steps, or go on from an earlier step with --from."),
                where=self._run.id,
            )
        record(
            RunStarted(
                run=self._run.id,
                resumed_from_step=ready.state.step,
                rows=len(first),
                eval_rows=len(ready.prepared.held_out),
                steps=steps,
                epochs=self._keys.epochs,
                base=ready.base.name,
                device=str(ready.base.device.torch_device),
                dtype=str(ready.base.precision.dtype).removeprefix("torch."),
                supervised_tokens=count_supervised(first),
                trainable_parameters=ready.trainable_parameters,
            )
        )
        device = _("Device: {device}; {precision}").format(
            device=ready.base.device.reason, precision=ready.base.precision.reason
        )
        for note in (device, *ready.prepared.notes, *notes):
            record(Note(note))
        self._restore_best()
        events = train(
            ready.model,
            ready.optimiser,
            examples=ready.prepared.examples,
            held_out=ready.prepared.held_out,
            plan=ready.plan,
            accelerator=Accelerator(cpu=ready.base.device.torch_device.type == "cpu"),
            done_steps=ready.state.step,
            is_complete=ready.state.is_complete,
            eval_every=lambda: self._eval_every,
        )
        with contextlib.closing(events):
            for event in events:
                if isinstance(event, Pulse):
                    self._at(event)
                    continue
                record(event)
                if isinstance(event, EvalDone) and math.isfinite(event.loss):
                    self._evals[event.step] = event.loss
                if isinstance(event, (StepDone, EvalDone)):
                    reached(f"{type(event).__name__} {event.step}")
        if steps:
            self._save()
        self._write(lambda: save_final(self._run, ready.model), self._checkpoint_bytes)
        base, tuned = self._evals.get(0), self._evals.get(steps)
        record(
            RunFinished(step=steps, eval_loss_base=base, eval_loss=tuned, adapter=self._run.adapter_path.name),
            sync=True,
        )
        return Outcome(self._run, "finished", steps, base, tuned)

    def _at(self, pulse: Pulse) -> None:
        commands = self._commands
        commands.look()
        if commands.stop_now:
            raise Stopped(commands.stop_now)
        if not pulse.at_rest:
            return
        self._state = State(pulse.step, pulse.micro_batch_size, pulse.is_complete, dict(self._evals))
        if pulse.is_complete and pulse.step > self._settled_step:
            self._settle(pulse.step)
        if self._journal.is_short:
            self._wait_for_room(64 * 1024, self._journal.catch_up)
        self._meet_wishes()
        if commands.stop:
            if pulse.step:
                self._save()
            raise Stopped(commands.stop)
        if commands.pause:
            self._pause()

    def _settle(self, step: int) -> None:
        """What a step brings with it once it is evaluated."""
        self._settled_step = step
        if self._keys.sample_every and step and step % self._keys.sample_every == 0:
            self._sample()
        is_best = self._state.best_step == step
        if step and (is_best or (self._keys.checkpoint_every and step % self._keys.checkpoint_every == 0)):
            self._save()
        if is_best:
            self._link_best(step)
            self._journal.record(BestChanged(step=step, loss=self._evals[step]), sync=True)

    def _meet_wishes(self) -> None:
        commands = self._commands
        if commands.eval_every is not None:
            self._change_eval_every(commands.eval_every)
            commands.eval_every = None
        if commands.sample:
            commands.sample = False
            self._sample()
        if commands.checkpoint:
            commands.checkpoint = False
            self._save()

    def _save(self) -> None:
        step = self._state.step
        if self._saved_step == step:
            return
        self._write(
            lambda: save_checkpoint(
                self._run, self._ready.model, self._ready.optimiser, self._state, keep=self._keys.keep_checkpoints
            ),
            self._checkpoint_bytes,
        )
        self._saved_step = step
        path = self._run.checkpoint_path(step).relative_to(self._run.path)
        self._journal.record(CheckpointSaved(step=step, path=str(path)), sync=True)

    def _link_best(self, step: int) -> None:
        def link() -> None:
            if not link_best(self._run, step) and not self._has_no_links:
                self._has_no_links = True
                self._journal.record(Note(_("There is no adapter/best: the file system of the run has no links.")))

        self._write(link, 4096)

    def _restore_best(self) -> None:
        """After a resume: the link may be of a checkpoint that is void by now."""
        best = self._state.best_step
        if best is not None and self._run.checkpoint_path(best).is_dir():
            self._link_best(best)
        else:
            self._run.best_path.unlink(missing_ok=True)

    def _write(self, write: Callable[[], object], needed_bytes: int) -> None:
        """Write, if need be after waiting for room. What is already on the disk stays as it is until then."""

        def is_written() -> bool:
            if free_bytes(self._run.path) < needed_bytes:
                return False
            try:
                write()
            except DiskFull:
                return False
            return True

        if not is_written():
            self._wait_for_room(needed_bytes, is_written)

    def _wait_for_room(self, needed_bytes: int, is_done: Callable[[], bool]) -> None:
        """Pause until something could be written.

        Raises:
            Stopped: the run was told to end meanwhile.
        """
        free = free_bytes(self._run.path)
        message = _("too little room on the disk: {needed} needed, {free} free").format(
            needed=_megabytes(needed_bytes), free=_megabytes(free)
        )
        self._journal.record(RunPaused(step=self._state.step, reason="disk", message=message))
        tried_s = time.monotonic()
        while True:
            time.sleep(_POLL_S)
            self._commands.look()
            if self._commands.stop:
                raise Stopped(self._commands.stop)
            now = free_bytes(self._run.path)
            if self._commands.retry or now > free or time.monotonic() - tried_s > _RETRY_S:
                self._commands.retry = False
                free, tried_s = now, time.monotonic()
                if is_done():
                    break
        self._was_short = True
        self._journal.catch_up()
        self._journal.record(RunContinued(step=self._state.step))

    def _pause(self) -> None:
        self._was_short = True
        while self._commands.pause and not self._commands.stop:
            if self._was_short:  # and so said that it goes on
                self._was_short = False
                message = _("somebody asked it to wait")
                self._journal.record(RunPaused(step=self._state.step, reason="request", message=message), sync=True)
            self._meet_wishes()
            time.sleep(_POLL_S)
            self._commands.look()
        if self._commands.stop_now:
            raise Stopped(self._commands.stop_now)
        if self._commands.stop:
            if self._state.step:
                self._save()
            raise Stopped(self._commands.stop)
        self._journal.record(RunContinued(step=self._state.step))

    def _change_eval_every(self, steps: int) -> None:
        before, self._eval_every = self._eval_every, steps
        own = load_profile(str(self._run.profile_path))
        changed = dump_profile(replace(own, train=replace(own.train, eval_every=steps)))
        self._write(lambda: write_whole(self._run.profile_path, changed), len(changed))
        self._journal.record(
            SettingChanged(step=self._state.step, key="train.eval_every", before=str(before), after=str(steps))
        )

    def _sample(self) -> None:
        ready, keys = self._ready, self._ready.profile.generation
        sampling = sampling_of(keys)
        try:
            for prompt in self._keys.sample_prompts:
                example = make_completion_example(prompt, ready.profile, ready.prepared.instruction)
                ids, ends = ready.prepared.encoder.prompt_ids(example), ready.prepared.encoder.end_ids
                pieces = complete(
                    ready.model, ready.base.tokenizer, ids, end_ids=ends, sampling=sampling, seeds=[_SAMPLE_SEED]
                )
                with contextlib.closing(pieces):
                    for piece in pieces:
                        self._commands.look()
                        if self._commands.stop:
                            return  # whoever waits for the end doesn't wait for a poem
                        if isinstance(piece, Completion):
                            sample = SampleMade(step=self._state.step, prompt=prompt, text=piece.text)
                            self._journal.record(sample)
        except PoemError as error:
            self._journal.record(Note(_("No sample: {reason}").format(reason=error.message)))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self._journal.record(Note(_("No sample: {reason}").format(reason=_("memory ran out"))))
