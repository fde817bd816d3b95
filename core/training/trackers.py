"""A run's figures mirrored to TensorBoard, trackio or wandb, by accelerate's own tracker classes.

Each tracker lives in a thread of its own, so that one that fails, hangs or is slow costs the run nothing but its
figures there. It knows events and nothing of how they come about; events.jsonl stays the only record that counts.
"""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import textwrap
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelerate.tracking import TensorBoardTracker, TrackioTracker, WandBTracker

from core.i18n import _
from core.plain import plain
from core.runs.directory import RunDirectory
from core.runs.events import EvalDone, Event, RunStarted, SampleMade, StepDone

MOST_WAITING = 1_000
"""Entries that wait for one tracker; what comes while there are so many is left out."""
CLOSE_S = 10.0
"""Seconds that all trackers together get for what still waits at the end."""
_PROJECT = "poemtui"
_CLASSES: dict[str, type[Any]] = {"tensorboard": TensorBoardTracker, "trackio": TrackioTracker, "wandb": WandBTracker}
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a tracker is told at once."""

    step: int
    """Optimiser steps done."""
    values: Mapping[str, float | str]
    """Figures and texts by their names."""


class Mirror:
    """A listener for a run's events; a tracker that fails or hangs never stops or slows the run.

    A resumed run goes on under the same name in the same place. Steps that are done again come again; of the trackers,
    TensorBoard then leaves out their earlier form.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        run: RunDirectory,
        settings: Mapping[str, Any],
        on_problem: Callable[[str], None],
    ) -> None:
        """Make ready. A tracker starts with its first figure, when accelerate knows the device.

        Args:
            names: of `train.trackers`.
            run: what TensorBoard writes, and what the others keep unless the environment says otherwise, goes there.
            settings: the run's profile, as tables; what `[notify]` says is kept back, for it may hold a password.
            on_problem: is told, one sentence each, what went wrong with a tracker; only from within `__call__` and
                `close`.
        """
        self._on_problem = on_problem
        self._problems: queue.SimpleQueue[str] = queue.SimpleQueue()
        settings = {table: keys for table, keys in settings.items() if table != "notify"}
        self._lines: list[_Line] = []
        for name in names:
            if not _is_installed(name):
                message = _("{tracker} is not installed, so no figures go there; try: pip install '{extra}'")
                self._problems.put(message.format(tracker=name, extra=f"poemtui[{name}]"))
                continue
            for variable, value in _environment(name, run).items():
                os.environ.setdefault(variable, value)
            self._lines.append(_Line(name, run, settings, self._problems))
        self._resumed_from = 0
        self._sample = (0, 0)

    def __call__(self, event: Event) -> None:
        """Pass on what the event has for trackers; returns at once."""
        if isinstance(event, RunStarted):
            self._resumed_from = event.resumed_from_step
        entry = self._entry(event)
        if entry is not None:
            for line in self._lines:
                line.put(entry, self._resumed_from)
        self._tell()

    def close(self) -> None:
        """Let the trackers finish what waits for them; returns after `CLOSE_S` at most."""
        deadline_s = time.monotonic() + CLOSE_S
        for line in self._lines:
            line.end()
        for line in self._lines:
            line.wait(deadline_s)
        self._tell()

    def _entry(self, event: Event) -> _Entry | None:
        match event:
            case StepDone():
                names = ("loss", "lr", "grad_norm", "tokens_per_s", "epoch")
                return _Entry(event.step, {f"train/{name}": getattr(event, name) for name in names})
            case EvalDone():
                return _Entry(event.step, {"eval/loss": event.loss})
            case SampleMade():
                step, count = self._sample
                self._sample = (event.step, count + 1 if step == event.step else 1)
                return _Entry(event.step, {f"sample/{self._sample[1]}": f"{event.prompt}\n\n{event.text}"})
        return None

    def _tell(self) -> None:
        while True:
            try:
                message = self._problems.get_nowait()
            except queue.Empty:
                return
            self._on_problem(message)


class _Line:
    """One tracker, its thread, and what waits in between."""

    def __init__(
        self, name: str, run: RunDirectory, settings: Mapping[str, Any], problems: queue.SimpleQueue[str]
    ) -> None:
        self._name, self._run, self._settings, self._problems = name, run, settings, problems
        self._waiting: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._resumed_from = 0
        self._is_full_told = False
        self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)
        self._is_given_up = False

    def put(self, entry: _Entry, resumed_from: int) -> None:
        if self._is_given_up:
            return
        if self._thread.ident is None:
            self._resumed_from = resumed_from
            self._thread.start()
        if self._waiting.qsize() < MOST_WAITING:  # only this thread puts, so it can't overflow in between
            self._waiting.put(entry)
        elif not self._is_full_told:
            self._is_full_told = True
            message = _("{tracker} does not keep up, or hangs; some figures will be missing there")
            self._problems.put(message.format(tracker=self._name))

    def end(self) -> None:
        self._waiting.put(None)

    def wait(self, deadline_s: float) -> None:
        if self._thread.ident is None:
            return
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        if self._thread.is_alive():
            message = _("{tracker} did not finish within {seconds} s; the last figures may be missing there")
            self._problems.put(message.format(tracker=self._name, seconds=f"{CLOSE_S:g}"))

    def _work(self) -> None:
        try:
            tracker = _start(self._name, self._run, self._settings, self._resumed_from)
            while (entry := self._waiting.get()) is not None:
                tracker.log(dict(entry.values), step=entry.step)
            tracker.finish()
        # Whatever a foreign package raises, SystemExit included: the run goes on.
        except (Exception, SystemExit) as error:
            self._is_given_up = True
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:_LONGEST_REASON]
            message = _("{tracker} failed and gets no more figures: {reason}")
            self._problems.put(message.format(tracker=self._name, reason=plain(reason)))


def _is_installed(name: str) -> bool:
    # A folder of that name in the current directory, such as wandb makes, is found too, but has no origin.
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def _environment(name: str, run: RunDirectory) -> dict[str, str]:
    """What a tracker reads from the environment, where the person has not set it themselves."""
    place = str(run.trackers_path.absolute())
    if name == "wandb":
        return {"WANDB_MODE": "offline", "WANDB_DIR": place, "WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}
    return {"TRACKIO_DIR": place} if name == "trackio" else {}


def _start(name: str, run: RunDirectory, settings: Mapping[str, Any], resumed_from: int) -> Any:
    """The tracker at work, told the run's settings."""
    run.trackers_path.mkdir(mode=0o700, exist_ok=True)
    match name:
        case "tensorboard":
            purge_step = resumed_from + 1 if resumed_from else None
            place = os.fspath(run.trackers_path)
            tracker = _CLASSES[name](name, place, purge_step=purge_step)
        case "trackio":
            if any(os.environ.get(variable) for variable in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")):
                _let_to_the_hub()
            tracker = _CLASSES[name](_PROJECT, name=run.id, resume="allow", config=dict(settings))
        case _:
            tracker = _CLASSES[name](_PROJECT, id=run.id, name=run.id, resume="allow", config=dict(settings))
    tracker.main_process_only = False  # only one process of a run has a mirror
    tracker.start()
    if name == "tensorboard" and not resumed_from:
        # As text: what TensorBoard has for settings takes no tables, and makes a run of its own of them.
        profile = json.dumps(dict(settings), ensure_ascii=False, indent=2, default=str)
        tracker.log({"profile": textwrap.indent(profile, "    ")}, step=0)
    return tracker


def _let_to_the_hub() -> None:
    """Lift what keeps this process off the hub: the person has named a place for trackio's figures there."""
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = False
