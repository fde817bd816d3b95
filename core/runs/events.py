"""What can happen in a run, as types, and each as one line of JSON.

Every fact that a reader shows about a run comes from these lines. Reading forgives what writing never does: unknown
kinds and fields, and garbage. docs/run-directory.md describes the format.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import MISSING, dataclass, fields
from typing import Any

VERSION = 1
_LATEST_S = 1e11  # the year 5138: whatever is later is no time


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
class RunQueued:
    """The run waits for its turn: another run has the device, or others have been waiting longer."""

    device: str
    """The device it waits for: cpu, mps, cuda-0 …"""
    behind: str
    """The run that has the device now; empty: not known."""


@dataclass(frozen=True, slots=True)
class DeviceTaken:
    """It is the run's turn: no other run gets the device until this one's process ends. Model and data come next."""

    device: str
    """The device: cpu, mps, cuda-0 …"""


@dataclass(frozen=True, slots=True)
class RunPaused:
    """The worker waits; what it has in memory stays there."""

    step: int
    """Optimiser steps done."""
    reason: str
    """request: somebody asked; disk: there is no room to write."""
    message: str
    """What it waits for, one sentence."""


@dataclass(frozen=True, slots=True)
class RunContinued:
    """A paused run goes on."""

    step: int
    """Optimiser steps done."""


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """The worker has taken a request out of `control/`. What comes of it is told by events of its own."""

    request: str
    """The request's id."""
    action: str
    """What was asked; empty: it was no request."""
    problem: str
    """Why it isn't done; empty: it is done, or will be at the next step."""


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """A key of the run's profile has another value from here on."""

    step: int
    """Optimiser steps done."""
    key: str
    """The profile's key."""
    before: str
    """The value so far, as TOML."""
    after: str
    """The value from now on, as TOML."""


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
    memory_bytes: int = 0
    """Bytes in use: on a GPU the most that was ever allocated, on the CPU the process's memory; 0: not known."""


@dataclass(frozen=True, slots=True)
class EvalStarted:
    """The held-out rows are being scored."""

    step: int
    """After which optimiser step; 0: before the first."""
    rows: int
    """How many."""


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
class BestChanged:
    """`adapter/best` is now the adapter of this step's checkpoint, whose held-out loss is the lowest so far."""

    step: int
    """Optimiser steps done in it."""
    loss: float
    """Its held-out loss, nats per supervised token."""


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
    """Ended on request. Closes the run until it is resumed."""

    step: int
    """Optimiser steps that a resume goes on from: those in the newest checkpoint; 0: there is none."""
    reason: str
    """Who or what asked: stop, stop-now, or the name of a signal."""


@dataclass(frozen=True, slots=True)
class RunFailed:
    """It can't go on. Closes the run until it is resumed."""

    message: str
    """What is wrong, one sentence."""
    hint: str
    """How to mend it; empty: the message says it."""
    where: str
    """The file, key, row or step concerned; empty: none."""


Event = (
    RunStarted
    | RunQueued
    | DeviceTaken
    | RunPaused
    | RunContinued
    | RequestAnswered
    | SettingChanged
    | Note
    | StepDone
    | EvalStarted
    | EvalDone
    | SampleMade
    | CheckpointSaved
    | BestChanged
    | RunFinished
    | RunStopped
    | RunFailed
)


def kind_of(event_class: type[Event]) -> str:
    """The `kind` of a class: its name in snake_case."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", event_class.__name__).lower()


CLASSES: dict[str, type[Event]] = {kind_of(event_class): event_class for event_class in Event.__args__}
_EXACT: dict[str, type] = {"str": str, "int": int, "float": float}
_FIELDS = {kind: tuple((f.name, str(f.type)) for f in fields(cls)) for kind, cls in CLASSES.items()}
_MAY_LACK = {kind: {f.name for f in fields(cls) if f.default is not MISSING} for kind, cls in CLASSES.items()}


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
        values = {
            name: _value(document[name], type_name)
            for name, type_name in _FIELDS[kind]
            if name in document or name not in _MAY_LACK[kind]
        }
        time_s = _value(document["time_s"], "float")
    except (KeyError, TypeError, OverflowError):
        return None, 0.0
    if not abs(time_s) < _LATEST_S:
        return None, 0.0
    return CLASSES[kind](**values), time_s


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
