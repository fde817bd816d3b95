"""Checkpoints: the adapter, the optimiser's tensors and the step, written beside their place, synced, then renamed.

Safetensors and JSON only; nothing is ever pickled or unpickled.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from core.errors import PoemError
from core.i18n import _
from core.model.load import read_json
from core.model.lora import save_adapter
from core.runs.directory import RunDirectory, storage_error, sync_directory, write_json

_OPTIMISER_FILE = "optimiser.safetensors"
_STATE_FILE = "state.json"
# AdamW keeps two float32 tensors for each trainable one; a checkpoint holds these and the weights.
COPIES_PER_CHECKPOINT = 3


def save_checkpoint(
    run: RunDirectory, model: PeftModel, optimiser: torch.optim.Optimizer, *, step: int, keep: int
) -> Path:
    """Write the checkpoint after `step` steps and remove all but the newest `keep`.

    Raises:
        PoemError: it can't be written; the earlier ones are still there.
    """
    place = run.checkpoint_path(step)
    fresh = place.with_name(f".{place.name}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        save_adapter(model, fresh / "adapter")
        tensors = {
            f"{index}.{key}": value.detach().cpu().contiguous()
            for index, state in optimiser.state_dict()["state"].items()
            for key, value in state.items()
        }
        save_file(tensors, fresh / _OPTIMISER_FILE)
        write_json(fresh / _STATE_FILE, {"step": step})
        for file in sorted(path for path in fresh.rglob("*") if path.is_file()):
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        sync_directory(fresh / "adapter")
        sync_directory(fresh)
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
        sync_directory(place.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, OSError):
            raise storage_error(error, place) from error
        raise PoemError(
            _("the checkpoint can't be written: {reason}").format(reason=error),
            hint=_("Make room on the disk and resume the run."),
            where=str(place),
        ) from error
    for old in checkpoints(run)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def checkpoints(run: RunDirectory) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    found = run.checkpoints_path.glob("step-*") if run.checkpoints_path.is_dir() else ()
    return sorted((path for path in found if (path / _STATE_FILE).is_file()), key=lambda path: int(path.name[5:]))


def load_optimiser(checkpoint: Path, optimiser: torch.optim.Optimizer) -> int:
    """Put a checkpoint's optimiser state back; the adapter is loaded by `core.model.lora`.

    Returns:
        the number of steps done.

    Raises:
        PoemError: a file is missing or damaged.
    """
    step = read_json(checkpoint / _STATE_FILE).get("step")
    try:
        tensors = load_file(checkpoint / _OPTIMISER_FILE)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            index, _dot, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        document = optimiser.state_dict()
        indices = {index for group in document["param_groups"] for index in group["params"]}
        if step and state.keys() != indices:
            raise ValueError(_("optimiser tensors are missing"))
        optimiser.load_state_dict({"state": state, "param_groups": document["param_groups"]})
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise PoemError(
            _("the checkpoint is damaged: {reason}").format(reason=str(error)[:200]),
            hint=_("Remove this folder, and the run resumes from the checkpoint before it."),
            where=str(checkpoint),
        ) from error
    if not isinstance(step, int):
        raise PoemError(_("the checkpoint names no step"), hint=_("Remove this folder."), where=str(checkpoint))
    return step
