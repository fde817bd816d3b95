"""`poemcore follow RUN`: what happened in a run and what happens next, line by line. It only reads."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.cli import add_runs_dir, add_verb
from core.i18n import _
from core.plain import plain
from core.runs.directory import RunDirectory, find_run, is_locked
from core.runs.events import (
    CheckpointSaved,
    EvalDone,
    Event,
    Note,
    RunFailed,
    RunFinished,
    RunStarted,
    RunStopped,
    SampleMade,
    StepDone,
    read_events,
    to_line,
)
from core.runs.view import RunView, fold_all, judged_by_lock

_POLL_S = 0.25


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "follow", _("show a run's events from the first on, and new ones as they come"), run)
    parser.add_argument("run_id", metavar="RUN", help=_("a run's id, the beginning of one, or “last”"))
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Follow until the run is over: exit 0 when it finished or was stopped, 1 when it failed or died."""
    directory = find_run(Path(args.runs_dir).expanduser(), args.run_id)
    status = follow_run(directory, as_json=args.json, wait=lambda: time.sleep(_POLL_S))
    if status == "died":
        message = _("The run {run} has died: its process is gone and left no last word.").format(
            run=plain(directory.id)
        )
        print(message, file=sys.stderr)
        print(
            _("Go on from its last checkpoint with: poemcore resume {run}").format(run=plain(directory.id)),
            file=sys.stderr,
        )
    return 1 if status in ("failed", "died") else 0


def follow_run(run: RunDirectory, *, as_json: bool, wait: Callable[[], None]) -> str:
    """Print the events to stdout until the run is over, and return its last status.

    Args:
        run: the run.
        as_json: print the events as JSON lines, as in the file, instead of sentences.
        wait: called when there is nothing new; returns when it is time to look again.
    """
    view = RunView(run.id)
    offset = 0
    while True:
        locked = is_locked(run)  # before reading, so that the last events of a process that leaves are all seen
        while True:
            events, next_offset = read_events(run.events_path, offset)
            if next_offset == offset:
                break
            offset = next_offset
            view = fold_all(view, events)
            for event, time_s in events:
                print(_printable(to_line(event, time_s)) if as_json else sentence(event, view.steps))
            sys.stdout.flush()
        if not locked or view.status == "finished":  # one that stopped or failed may be about to go on
            return judged_by_lock(view, locked=locked).status
        wait()


def sentence(event: Event, steps: int) -> str:
    """The event for a person; `steps` is how many the run has in all."""
    match event:
        case RunStarted(resumed_from_step=0):
            return _("started {run}: {rows} rows, {steps} steps, base {base} on {device} ({dtype})").format(
                run=plain(event.run),
                rows=event.rows,
                steps=event.steps,
                base=plain(event.base),
                device=plain(event.device),
                dtype=plain(event.dtype),
            )
        case RunStarted():
            return _("resumed {run} after step {step} of {steps} on {device} ({dtype})").format(
                run=plain(event.run),
                step=event.resumed_from_step,
                steps=event.steps,
                device=plain(event.device),
                dtype=plain(event.dtype),
            )
        case Note():
            return _("note: {message}").format(message=_indented(event.message))
        case StepDone():
            return _("step {step}/{steps}  loss {loss:.4f}  lr {lr:.2e}  {speed:.0f} tokens/s").format(
                step=event.step, steps=steps, loss=event.loss, lr=event.lr, speed=event.tokens_per_s
            )
        case EvalDone():
            return _("step {step}: held-out loss {loss:.4f} nats per token, over {tokens} tokens").format(
                step=event.step, loss=event.loss, tokens=event.tokens
            )
        case SampleMade():
            return _("step {step}: sample {prompt} → {text}").format(
                step=event.step, prompt=plain(event.prompt), text=_indented(event.text)
            )
        case CheckpointSaved():
            return _("step {step}: saved {path}").format(step=event.step, path=plain(event.path))
        case RunFinished():
            return _("finished after step {step}: held-out loss {base} → {tuned}, adapter in {adapter}").format(
                step=event.step,
                base=_loss(event.eval_loss_base),
                tuned=_loss(event.eval_loss),
                adapter=plain(event.adapter),
            )
        case RunStopped():
            return _("stopped after step {step}: {reason}").format(step=event.step, reason=_indented(event.reason))
        case RunFailed():
            parts = [f"{plain(event.where)}: " if event.where else "", _indented(event.message)]
            hint = "\n    " + _indented(event.hint) if event.hint else ""
            return _("failed: {message}").format(message="".join(parts)) + hint


def _printable(line: str) -> str:
    """The line of JSON with what a terminal would obey or hide as JSON escapes."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _indented(text: str) -> str:
    return plain(text, keep_newlines=True).replace("\n", "\n    ")


def _loss(loss: float | None) -> str:
    return "-" if loss is None else f"{loss:.3f}"
