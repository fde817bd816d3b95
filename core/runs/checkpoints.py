"""The checkpoints of a run as files: which there are, whether each is whole, and which one a resume goes on from.

Knows no tensors; `core.training.checkpoint` writes and loads what is in them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.runs.directory import RunDirectory, typed
from core.runs.storage import read_json, storage_error, sync_directory, sync_file, write_json

STATE_FILE = "state.json"
_SUMS_FILE = "checksums.json"
_NAME = re.compile(r"step-(\d{6,12})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint, whole or damaged."""

    path: Path
    """Its directory."""
    step: int
    """Optimiser steps done in it."""


def checkpoints(run: RunDirectory) -> list[Checkpoint]:
    """The checkpoints of a run, oldest first, damaged ones included: a folder gets its name when it is whole."""
    try:
        names = os.listdir(run.checkpoints_path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [(int(match[1]), name) for name in names if (match := _NAME.fullmatch(name))]
    paths = [(step, run.checkpoints_path / name) for step, name in sorted(found)]
    return [Checkpoint(path, step) for step, path in paths if path.is_dir() and not path.is_symlink()]


def seal(folder: Path) -> None:
    """Write down the SHA-256 of every file in a new checkpoint, and make all of it survive a power cut."""
    files = _files(folder)
    write_json(folder / _SUMS_FILE, {"sha256": {name: _sha256(folder / name) for name in files}})
    for name in files:
        with (folder / name).open("rb") as opened:
            sync_file(opened.fileno())
    for directory in (path for path in folder.rglob("*") if path.is_dir()):
        sync_directory(directory)
    sync_directory(folder)


def read_state(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint says of the run at that moment, once all of it is known to be as it was written.

    Raises:
        PoemError: a file is missing, or is not what was written.
    """
    where = plain(str(checkpoint.path))
    hint = _("Copy it again, or go on from an older checkpoint.")
    try:
        if not (checkpoint.path / _SUMS_FILE).exists():
            raise PoemError(_("{name} is missing").format(name=_SUMS_FILE), hint=hint, where=where)
        sums = read_json(checkpoint.path / _SUMS_FILE)["sha256"]
        expected = {str(name): str(value) for name, value in sums.items()}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise PoemError(_("{name} can't be read").format(name=_SUMS_FILE), hint=hint, where=where) from error
    there = set(_files(checkpoint.path))
    for name in sorted(expected):
        if name not in there:
            raise PoemError(_("{name} is missing").format(name=plain(name)), hint=hint, where=where)
        try:
            same = _sha256(checkpoint.path / name) == expected[name]
        except OSError as error:
            raise PoemError(_("{name} can't be read").format(name=plain(name)), hint=hint, where=where) from error
        if not same:
            raise PoemError(_("{name} is not what was written").format(name=plain(name)), hint=hint, where=where)
    try:
        state = read_json(checkpoint.path / STATE_FILE)
        if state["step"] != checkpoint.step:
            raise ValueError
    except (OSError, ValueError, KeyError) as error:
        raise PoemError(_("{name} can't be read").format(name=STATE_FILE), hint=hint, where=where) from error
    return state


def choose_checkpoint(run: RunDirectory, step: int | None = None) -> Checkpoint | None:
    """The checkpoint that a resume goes on from: the newest, or the one of `step`; None where there is none yet.

    Raises:
        PoemError: it is damaged (the message says how, the hint offers the next older one that isn't), or there is no
            such step.
    """
    found = checkpoints(run)
    if step == 0 or not found:
        if step:
            raise PoemError(_("The run {run} has no checkpoint.").format(run=plain(run.id)))
        return None
    if step is not None and step not in (item.step for item in found):
        steps = ", ".join(str(item.step) for item in found)
        raise PoemError(
            _("The run {run} has no checkpoint of step {step}.").format(run=plain(run.id), step=step),
            hint=_("It has: {steps}.").format(steps=steps),
        )
    chosen = found[-1] if step is None else next(item for item in found if item.step == step)
    try:
        read_state(chosen)
    except PoemError as error:
        older = next((item.step for item in reversed(found) if item.step < chosen.step and _is_whole(item)), 0)
        raise PoemError(
            _("the checkpoint of step {step} can't be resumed: {reason}").format(
                step=chosen.step, reason=error.message
            ),
            hint=_("Go on from step {older}: poemcore resume {run} --from {older}").format(older=older, run=typed(run)),
            where=error.where,
        ) from error
    return chosen


def remove(checkpoint: Checkpoint) -> None:
    """Remove a checkpoint: first its name, so that what a kill leaves of it is taken for none.

    Raises:
        PoemError: it can't be removed.
    """
    gone = checkpoint.path.with_name(f".{checkpoint.path.name}.old")
    try:
        shutil.rmtree(gone, ignore_errors=True)
        checkpoint.path.rename(gone)
    except OSError as error:
        raise storage_error(error, checkpoint.path) from error
    shutil.rmtree(gone, ignore_errors=True)


def remove_after(run: RunDirectory, step: int) -> list[int]:
    """Remove the checkpoints of later steps, which a run that goes on from `step` has not done; return their steps.

    Raises:
        PoemError: one can't be removed.
    """
    later = [item for item in checkpoints(run) if item.step > step]
    for item in later:
        remove(item)
    return [item.step for item in later]


def tidy(run: RunDirectory) -> None:
    """Remove what a killed worker has left half written. Only who holds the run may do this."""
    for path in (*run.checkpoints_path.glob(".step-*"), run.path / ".adapter.new"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (*run.path.glob(".*.new"), run.adapter_path / ".best.new"):
        if path.is_symlink() or path.is_file():
            path.unlink()


def _is_whole(checkpoint: Checkpoint) -> bool:
    try:
        read_state(checkpoint)
    except PoemError:
        return False
    return True


def _files(folder: Path) -> list[str]:
    """Every file in it but the sums, relative to it."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(name for path in paths if (name := path.relative_to(folder).as_posix()) != _SUMS_FILE)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
