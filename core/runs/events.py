"""What can happen in a run, as types, and how it is written to and read from `events.jsonl`.

Every fact that a reader shows about a run comes from these lines. Reading forgives what writing never does: unknown
kinds and fields, garbage, and a last line that isn't finished yet. docs/run-directory.md describes the format.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core.runs.directory import storage_error

VERSION = 1
# A line longer than this is skipped. The longest of ours is a sample of a very long prompt.
READ_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The worker has everything it needs and will now train (or go on training)."""

    run: str
    """The run's id."""
    resumed_from_step: int
    """Optimiser steps done before; 0: a fresh start. Steps after it that the file already tells of are void."""
    rows: int
    """Rows that train."""
    eval_rows: int
    """Held-out rows; 0: none."""
    steps: int
    """Optimiser steps in all, those done before included."""
    epochs: int
    """Epochs asked for; `steps` may end earlier."""
    base: str
    """The model that is being taught, as the profile names it."""
    device: str
    """Where it runs: cpu, mps, cuda:0 …"""
    dtype: str
    """The number type of the base model's weights."""
    supervised_tokens: int
    """Tokens of one epoch that the loss is taken over."""
    trainable_parameters: int
    """Numbers that training changes."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the person should know: a choice that was made for them, rows left out …"""

    message: str
    """One or more sentences."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """One optimiser step."""

    step: int
    """The step's number, from 1."""
    epoch: float
    """Epochs done after this step, 0 < epoch."""
    loss: float
    """Nats per supervised token of the whole optimiser batch, before the update."""
    lr: float
    """The learning rate of this step."""
    grad_norm: float
    """Length of the gradient of all trainable parameters, before clipping."""
    tokens: int
    """All token ids in the batch, padding left out."""
    tokens_per_s: float
    """`tokens` / `step_s`."""
    step_s: float
    """Seconds that the step took."""


@dataclass(frozen=True, slots=True)
class EvalDone:
    """The held-out rows were scored."""

    step: int
    """After which optimiser step; 0: before the first."""
    loss: float
    """Nats per supervised token of the held-out rows."""
    tokens: int
    """Supervised tokens that the loss is the mean over."""
    eval_s: float
    """Seconds that it took."""


@dataclass(frozen=True, slots=True)
class SampleMade:
    """The model wrote a continuation of one of the profile's sample prompts."""

    step: int
    """After which optimiser step."""
    prompt: str
    """The couplet that was given."""
    text: str
    """The continuation alone."""


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint is complete on the disk."""

    step: int
    """Optimiser steps done in it."""
    path: str
    """Its directory, relative to the run directory."""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """All steps are done and the adapter is saved. Closes the run."""

    step: int
    """The last optimiser step."""
    eval_loss_base: float | None
    """Nats per supervised token of the held-out rows before the first step; null: nothing was held out."""
    eval_loss: float | None
    """The same after the last step."""
    adapter: str
    """The adapter's directory, relative to the run directory."""


@dataclass(frozen=True, slots=True)
class RunStopped:
    """Interrupted on request, with a checkpoint. Closes the run until it is resumed."""

    step: int
    """The step that the checkpoint holds."""
    reason: str
    """Who or what asked."""


@dataclass(frozen=True, slots=True)
class RunFailed:
    """It can't go on. Closes the run until it is resumed."""

    message: str
    """What is wrong, one sentence."""
    hint: str
    """How to mend it; empty: the message says it."""
    where: str
    """The file, key, row or step concerned; empty: none."""


Event = RunStarted | Note | StepDone | EvalDone | SampleMade | CheckpointSaved | RunFinished | RunStopped | RunFailed


def kind_of(event_class: type[Event]) -> str:
    """The `kind` of a class: its name in snake_case."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", event_class.__name__).lower()


CLASSES: dict[str, type[Event]] = {kind_of(event_class): event_class for event_class in Event.__args__}
_EXACT: dict[str, type] = {"str": str, "int": int, "float": float}
_FIELDS = {kind: tuple((f.name, str(f.type)) for f in fields(cls)) for kind, cls in CLASSES.items()}


def to_line(event: Event, time_s: float) -> str:
    """The event as one line of JSON, without the line feed. Numbers that are not finite become null."""
    kind = kind_of(type(event))
    document: dict[str, Any] = {"v": VERSION, "kind": kind, "time_s": round(time_s, 3)}
    for name, _type in _FIELDS[kind]:
        value = getattr(event, name)
        document[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def parse_line(line: str | bytes) -> tuple[Event | None, float]:
    """The event in a line and its time (unix seconds), or (None, 0.0) for a line that holds none that we know."""
    try:
        document = json.loads(line.decode("utf-8") if isinstance(line, bytes) else line)
    except (ValueError, RecursionError):
        return None, 0.0
    if not isinstance(document, dict) or document.get("v") != VERSION:
        return None, 0.0
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in CLASSES:
        return None, 0.0
    try:
        values = {name: _value(document[name], type_name) for name, type_name in _FIELDS[kind]}
        time_s = _value(document["time_s"], "float")
    except (KeyError, TypeError, OverflowError):
        return None, 0.0
    if not math.isfinite(time_s):
        return None, 0.0
    return CLASSES[kind](**values), time_s


class EventLog:
    """The writing end of `events.jsonl`. One process at a time has one: the holder of the run's lock."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending; it is made (mode 0600) where it is missing."""
        self._path = path
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(path, flags, 0o600)
            size = os.fstat(self._descriptor).st_size
            # A killed writer can leave half a line; ours must not become the other half.
            self._mid_line = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        except OSError as error:
            raise storage_error(error, path) from error

    def append(self, event: Event, *, time_s: float | None = None, sync: bool = False) -> None:
        """Add one line.

        Args:
            event: what happened.
            time_s: when, in unix seconds; None: now.
            sync: return only when the line would survive a power cut.

        Raises:
            PoemError: it can't be written. A part of the line may be in the file; readers pass over it.
        """
        line = to_line(event, time.time() if time_s is None else time_s) + "\n"
        # A lone surrogate has no UTF-8; \udXXX, which backslashreplace writes, is its JSON escape.
        data = line.encode("utf-8", "backslashreplace")
        if self._mid_line:
            data = b"\n" + data
        try:
            self._mid_line = True
            while data:
                data = data[os.write(self._descriptor, data) :]
            self._mid_line = False
            if sync:
                os.fsync(self._descriptor)
        except OSError as error:
            raise storage_error(error, self._path) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def read_events(path: Path, offset: int = 0) -> tuple[list[tuple[Event, float]], int]:
    """The next events of a file, at most `READ_BYTES` of it, however long it is.

    Args:
        path: an `events.jsonl`; a missing one has no events yet.
        offset: byte to read from: 0, or what an earlier call returned.

    Returns:
        (event, time in unix seconds) for every known event read, and the offset to go on from. The end is reached
        (for now) when that equals `offset`. A last line without a line feed is left for a later call.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return [], offset
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        offset = min(offset, os.fstat(descriptor).st_size)  # somebody cut the file: go on from its new end
        data = os.pread(descriptor, READ_BYTES, offset)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        os.close(descriptor)
    end = data.rfind(b"\n") + 1
    if end == 0:
        return [], offset + (len(data) if len(data) == READ_BYTES else 0)
    parsed = (parse_line(line) for line in data[:end].split(b"\n"))
    return [(event, time_s) for event, time_s in parsed if event is not None], offset + end


def iter_events(path: Path) -> Iterator[tuple[Event, float]]:
    """Every event that the file holds now, with its time in unix seconds, a few megabytes in memory at a time."""
    offset = 0
    while True:
        events, next_offset = read_events(path, offset)
        if next_offset == offset:
            return
        yield from events
        offset = next_offset


def _value(value: Any, type_name: str) -> Any:
    """A JSON value as a field's type; TypeError where it isn't one. A null float was not finite when written."""
    if type(value) is _EXACT.get(type_name):
        return value
    if type_name.startswith("float"):
        if value is None:
            return None if "None" in type_name else math.nan
        if type(value) in (int, float):
            return float(value)
    raise TypeError(type_name)
