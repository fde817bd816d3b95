"""Where a fault is played out: a runs directory and a queue of its own, the real programs, and what they left behind.

The smallest run that has everything in it: 12 steps of two micro-batches, 5 evaluations, some 6 checkpoints (of the
steps 3, 4, 6, 8, 9 and 12), 2 samples. None of the changes that tests make to it changes its weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TypeVar

import victim

from core.runs.directory import RunDirectory, list_runs
from core.runs.event_log import iter_events
from core.runs.events import CheckpointSaved, Event, RunStarted, StepDone

POEMCORE = str(Path(sys.executable).with_name("poemcore"))
SETTINGS = {
    "data.rows": 16,
    "data.eval_rows": 3,
    "train.max_steps": 12,
    "train.batch_size": 2,
    "train.micro_batch_size": 1,
    "train.eval_every": 3,
    "train.checkpoint_every": 4,
    "train.sample_every": 6,
    "generation.max_new_tokens": 8,
    "lora.r": 2,
    "lora.alpha": 4,
    "model.device": "cpu",
}
STEPS = 12
SEED = 20260501
"""What is drawn is drawn with this."""
WAIT_S = 90.0
_POLL_S = 0.01
_Found = TypeVar("_Found")


def wait_for(look: Callable[[], _Found], *, timeout_s: float = WAIT_S) -> _Found:
    """What `look` returns, once that is true of anything."""
    until_s = time.monotonic() + timeout_s
    while not (found := look()):
        if time.monotonic() > until_s:
            raise TimeoutError(f"waited {timeout_s:.0f} s in vain")
        time.sleep(_POLL_S)
    return found


@dataclass(frozen=True, slots=True)
class Stage:
    """A place for one test's runs."""

    root: Path
    """A directory of its own."""
    runs_dir: Path
    """Where its runs are."""

    @property
    def environment(self) -> dict[str, str]:
        """What makes the programs keep to this place."""
        return {"POEMTUI_STATE": str(self.root / "state"), "POEMTUI_RUNS": str(self.runs_dir)}

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `poemcore`."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options
        return subprocess.Popen(
            [POEMCORE, *arguments],
            env={**os.environ, **self.environment},
            cwd=self.root,
            encoding="utf-8",
            **options,
        )

    def poemcore(self, *arguments: str, expect: int = 0, timeout_s: float = WAIT_S) -> tuple[str, str]:
        """Run `poemcore` to its end; what it wrote to stdout and stderr."""
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == expect, f"poemcore {' '.join(arguments)}: {process.returncode}\n{out}\n{err}"
        return out, err

    def document(self, *arguments: str, expect: int = 0) -> Any:
        """The same with `--json`: the document."""
        return json.loads(self.poemcore(*arguments, "--json", expect=expect)[0])

    def victim(self, *arguments: str, faults: Sequence[victim.Fault] = (), jumps: bool = False) -> ForkServerProcess:
        """Start a victim that does `poemcore ARGUMENTS`."""
        return victim.start(
            arguments,
            faults=faults,
            environment=self.environment,
            output=self.root / "victim.log",
            clock_jumps=jumps,
        )

    def suffer(self, *arguments: str, expect: int, faults: Sequence[victim.Fault] = (), jumps: bool = False) -> None:
        """The same, and see how it ends: with an exit code, or by a signal (negative)."""
        assert ended(self.victim(*arguments, faults=faults, jumps=jumps)) == expect, self.said()

    def said(self) -> str:
        """What the victims wrote to their terminal."""
        log = self.root / "victim.log"
        return log.read_text(encoding="utf-8") if log.exists() else ""

    def gate(self, name: str = "gate") -> Path:
        """A gate for a victim to wait at."""
        return self.root / name

    def run(self, name: str = "tried") -> RunDirectory:
        """The run of that name."""
        return next(run for run in list_runs(self.runs_dir) if run.id.endswith(f"-{name}"))

    def status(self, name: str = "tried") -> str:
        """Its status, as `poemcore runs` says it."""
        run_id = self.run(name).id
        return str(next(item for item in self.document("runs")["runs"] if item["id"] == run_id)["status"])

    def detach(self, name: str = "tried", *sets: str) -> RunDirectory:
        """Start a run in the background."""
        self.poemcore(*train(name, *sets), "--detach")
        return self.run(name)


def train(name: str = "tried", *sets: str) -> tuple[str, ...]:
    """The arguments that start the run; `sets` are further KEY=VALUE."""
    settings = [*(f"{key}={value}" for key, value in SETTINGS.items()), *sets]
    return ("train", "tang-tiny-cpu", "--name", name, *(part for item in settings for part in ("--set", item)))


def ended(process: ForkServerProcess, timeout_s: float = WAIT_S) -> int | None:
    """The exit code of a victim; it is killed where it doesn't end in time."""
    process.join(timeout_s)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


def events(run: RunDirectory, *kinds: type[Event]) -> list[Event]:
    """What happened in a run; of some kinds, or all."""
    return [event for event, _time_s in iter_events(run.events_path) if not kinds or isinstance(event, kinds)]


def await_event(run: RunDirectory, kind: type[Event], timeout_s: float = WAIT_S, **fields: Any) -> Event:
    """Wait for an event with these fields."""

    def look() -> Event | None:
        found = events(run, kind)
        return next((e for e in found if all(getattr(e, name) == value for name, value in fields.items())), None)

    event = wait_for(look, timeout_s=timeout_s)
    assert event is not None
    return event


def await_end(run: RunDirectory) -> None:
    """Wait until no process works on the run."""
    from core.runs.lock import is_locked

    wait_for(lambda: not is_locked(run))


def worker_pid(run: RunDirectory) -> int:
    """The process that works on a run."""

    def look() -> int:
        try:
            return int(json.loads(run.process_path.read_text(encoding="utf-8"))["pid"])
        except (OSError, ValueError):
            return 0

    return wait_for(look)


def sha256(run: RunDirectory) -> str:
    """Of the final adapter's weights."""
    return hashlib.sha256((run.adapter_path / "adapter_model.safetensors").read_bytes()).hexdigest()


def lost_steps(run: RunDirectory) -> list[int]:
    """For each time that the run was resumed, how many steps it had done and did again.

    Never more than those since its last checkpoint: that is checked here.
    """
    lost: list[int] = []
    step = saved = 0
    began = False
    for event in events(run):
        match event:
            case RunStarted():
                if began:
                    lost.append(step - event.resumed_from_step)
                    assert 0 <= lost[-1] <= step - saved
                began, step, saved = True, event.resumed_from_step, event.resumed_from_step
            case StepDone():
                step = event.step
            case CheckpointSaved():
                saved = event.step
            case _:
                pass
    return lost
