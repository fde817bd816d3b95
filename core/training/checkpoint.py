"""What a checkpoint holds: the adapter, the optimiser's tensors, and where the run was.

It is written beside its place, synced, then renamed, so that a checkpoint that is there is whole. Safetensors and JSON
only; nothing is ever pickled or unpickled.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from core.errors import PoemError
from core.i18n import _
from core.model.lora import CONFIG_FILE, WEIGHTS_FILE, save_adapter
from core.runs.checkpoints import STATE_FILE, Checkpoint, checkpoints, read_state, remove, seal
from core.runs.directory import RunDirectory
from core.runs.faults import reached
from core.runs.storage import DiskFull, storage_error, sync_directory, sync_file, write_json

OPTIMISER_FILE = "optimiser.safetensors"
# AdamW keeps two float32 tensors for each trainable one; a checkpoint holds these and the weights.
COPIES_PER_CHECKPOINT = 3
_FULL = ("(os error 28)", "(os error 122)")  # ENOSPC and EDQUOT, as safetensors words them


@dataclass(frozen=True, slots=True)
class State:
    """Where a run is between two steps. Randomness has no state: every step is seeded by its number."""

    step: int
    """Optimiser steps done; the place in the data follows from it."""
    micro_batch_size: int
    """Rows that go through the model at once: the profile's, or fewer where memory ran out."""
    is_complete: bool
    """Whether the evaluation that is due after this step is done."""
    evals: dict[int, float] = field(default_factory=dict)
    """Held-out loss (nats per supervised token) by step."""

    @property
    def best_step(self) -> int | None:
        """The step with the lowest held-out loss after training began, the earlier of equals; None before the first."""
        return min((step for step in self.evals if step > 0), key=lambda step: (self.evals[step], step), default=None)


def save_checkpoint(
    run: RunDirectory, model: PeftModel, optimiser: torch.optim.Optimizer, state: State, *, keep: int
) -> Checkpoint:
    """Write the checkpoint of a state, and remove all but the newest `keep` and the best.

    Raises:
        DiskFull: there is no room; the earlier checkpoints are still there.
        PoemError: it can't be written for another reason; the earlier ones are still there.
    """
    place = run.checkpoint_path(state.step)
    fresh = place.with_name(f".{place.name}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        if not place.parent.exists():
            place.parent.mkdir(mode=0o700)
            sync_directory(run.path)
        fresh.mkdir(mode=0o700)
        reached("checkpoint: begun")
        save_adapter(model, fresh / "adapter")
        reached("checkpoint: adapter written")
        tensors = {
            f"{index}.{key}": value.detach().cpu().contiguous()
            for index, item in optimiser.state_dict()["state"].items()
            for key, value in item.items()
        }
        save_file(tensors, fresh / OPTIMISER_FILE)
        reached("checkpoint: optimiser written")
        write_json(fresh / STATE_FILE, asdict(state))
        seal(fresh)
        reached("checkpoint: sealed")
        shutil.rmtree(place, ignore_errors=True)  # at most a folder that was never sealed
        fresh.rename(place)
        sync_directory(place.parent)
    except (OSError, SafetensorError, DiskFull) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise _write_error(error, place) from error
    reached("checkpoint: in place")
    if state.best_step == state.step:
        link_best(run, state.step)  # before the former best is removed
    for old in checkpoints(run)[:-keep]:
        if old.step != state.best_step:
            remove(old)
    reached("checkpoint: old ones removed")
    return Checkpoint(place, state.step)


def save_final(run: RunDirectory, model: PeftModel) -> None:
    """Write the final adapter. Its configuration comes last: where that is, the adapter is whole.

    Raises:
        DiskFull: there is no room.
        PoemError: it can't be written for another reason.
    """
    fresh = run.path / ".adapter.new"
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        save_adapter(model, fresh)
        reached("adapter: written")
        run.adapter_path.mkdir(mode=0o700, exist_ok=True)
        sync_directory(run.path)
        for file in sorted(fresh.iterdir(), key=lambda path: path.name == CONFIG_FILE):
            with file.open("rb") as opened:
                sync_file(opened.fileno())
            file.replace(run.adapter_path / file.name)
            sync_directory(run.adapter_path)
            reached("adapter: a file in place")
        fresh.rmdir()
    except (OSError, SafetensorError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise _write_error(error, run.adapter_path) from error


def drop_final(run: RunDirectory) -> None:
    """Remove the final adapter of a run that goes on: it is final no more, and its checkpoint holds the same."""
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        (run.adapter_path / name).unlink(missing_ok=True)


def link_best(run: RunDirectory, step: int) -> bool:
    """Lead `adapter/best` to the adapter of a step's checkpoint, by a relative link that survives a move of the run.

    Returns:
        whether that could be done: some file systems have no links.

    Raises:
        DiskFull: there is no room.
    """
    target = Path("..") / run.checkpoint_path(step).relative_to(run.path) / "adapter"
    fresh = run.adapter_path / ".best.new"
    try:
        run.adapter_path.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(target)
        fresh.replace(run.best_path)
        sync_directory(run.adapter_path)
    except OSError as error:
        problem = storage_error(error, run.best_path)
        if isinstance(problem, DiskFull):
            raise problem from error
        return False
    return True


def load_state(checkpoint: Checkpoint) -> State:
    """Where the run was; the checkpoint's files are checked against their sums.

    Raises:
        PoemError: it is damaged.
    """
    document = read_state(checkpoint)
    try:
        evals = {int(step): float(loss) for step, loss in document["evals"].items()}
        return State(int(document["step"]), int(document["micro_batch_size"]), bool(document["is_complete"]), evals)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _damaged(checkpoint, error) from error


def load_optimiser(checkpoint: Checkpoint, optimiser: torch.optim.Optimizer) -> None:
    """Put a checkpoint's optimiser state back; the adapter is loaded by `core.model.lora`.

    Raises:
        PoemError: the file is damaged, or is of another optimiser.
    """
    try:
        tensors = load_file(checkpoint.path / OPTIMISER_FILE)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            index, _dot, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        document = optimiser.state_dict()
        indices = {index for group in document["param_groups"] for index in group["params"]}
        if checkpoint.step and state.keys() != indices:
            raise ValueError(_("optimiser tensors are missing"))
        optimiser.load_state_dict({"state": state, "param_groups": document["param_groups"]})
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise _damaged(checkpoint, error) from error


def _write_error(error: Exception, place: Path) -> PoemError:
    if isinstance(error, PoemError):
        return error
    if isinstance(error, OSError):
        return storage_error(error, place)
    if any(words in str(error) for words in _FULL):
        return storage_error(OSError(28, "No space left on device"), place)
    return PoemError(
        _("the checkpoint can't be written: {reason}").format(reason=error),
        hint=_("Mend it and resume the run."),
        where=str(place),
    )


def _damaged(checkpoint: Checkpoint, error: Any) -> PoemError:
    return PoemError(
        _("the checkpoint is damaged: {reason}").format(reason=str(error)[:200]),
        hint=_("Go on from an older one with: poemcore resume RUN --from STEP"),
        where=str(checkpoint.path),
    )
