"""`poemcore train`: fine-tunes a LoRA adapter as a profile says, here with a line of progress, or detached."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import add_runs_dir, add_verb, print_json
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.runs.directory import typed

if TYPE_CHECKING:
    from core.profile.schema import Profile
    from core.runs.directory import RunDirectory
    from core.runs.events import Event
    from core.training.worker import Outcome


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "train", _("train an adapter as a profile says"), run)
    parser.add_argument("profile", metavar="PROFILE", help=_("a preset's name or a profile file"))
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help=_("change a key of the profile"),
    )
    parser.add_argument("--name", help=_("the last part of the run's id (default: the profile's name)"))
    parser.add_argument(
        "--detach", action="store_true", help=_("start it in the background, where no terminal can end it, and return")
    )
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Train until the end or an interrupt; with `--detach`, start that and return."""
    from core.profile.document import load_profile
    from core.runs.directory import run_name

    profile = load_profile(args.profile, overrides=args.overrides)
    say_command(profile)
    runs_dir = path_of(args.runs_dir)
    name = args.name or run_name(Path(args.profile).stem)
    if args.detach:
        from core.runs.launch import start_detached

        say_started(start_detached(profile, runs_dir, name), as_json=args.json)
        return 0
    from core.training.worker import start

    with contextlib.redirect_stdout(sys.stderr):  # what a library prints is not the command's answer
        outcome = start(profile, runs_dir=runs_dir, name=name, on_event=ProgressLine())
    return print_outcome(outcome, as_json=args.json)


def say_command(profile: Profile) -> None:
    """Name the program that the profile has run at the end: whoever runs somebody else's profile should know."""
    if profile.notify.command:
        command = plain(profile.notify.command)
        print(_("At the end this program will be run: {command}").format(command=command), file=sys.stderr)


def say_started(run: RunDirectory, *, as_json: bool) -> None:
    """Say that a run has been started in the background, and how to go on."""
    if as_json:
        print_json({"run": run.id})
    else:
        print(_("Started: {run}").format(run=run.id))
        print(_("Watch it: poemcore follow {run}   End it: poemcore stop {run}").format(run=typed(run)))


def print_outcome(outcome: Outcome, *, as_json: bool) -> int:
    """Say how a run ended; the exit code."""
    run = outcome.run
    finished = outcome.status == "finished"
    if as_json:
        print_json(
            {
                "run": run.id,
                "status": outcome.status,
                "steps": outcome.step,
                "eval_loss_base": outcome.eval_loss_base,
                "eval_loss": outcome.eval_loss,
                "adapter": str(run.adapter_path) if finished else None,
            }
        )
    elif finished:
        print(_("Finished after {steps} steps: {run}").format(steps=outcome.step, run=run.id))
        if outcome.eval_loss_base is not None and outcome.eval_loss is not None:
            print(
                _("Held-out loss: {base:.3f} before, {tuned:.3f} after (nats a token)").format(
                    base=outcome.eval_loss_base, tuned=outcome.eval_loss
                )
            )
        print(_("Adapter: {path}").format(path=run.adapter_path))
    else:
        print(
            _("Stopped after step {step}; go on with: poemcore resume {run}").format(step=outcome.step, run=typed(run))
        )
    return 0 if finished else 130


class ProgressLine:
    """Shows events on stderr: one line that is rewritten on a terminal, a line now and then elsewhere."""

    _STEPS_BETWEEN_LINES = 20

    def __init__(self) -> None:
        """Look what stderr is."""
        self._is_terminal = sys.stderr.isatty()
        self._steps = 0
        self._seconds: list[float] = []
        self._open_line = False

    def __call__(self, event: Event) -> None:
        """Show one event."""
        from core.runs import events
        from core.runs.wording import duration, sentence

        if isinstance(event, events.StepDone):
            self._seconds = [*self._seconds[-19:], event.step_s]
            left_s = (self._steps - event.step) * sum(self._seconds) / len(self._seconds)
            line = _("step {step}/{steps}  loss {loss:.3f}  {speed:.0f} tokens/s  {left} left").format(
                step=event.step,
                steps=self._steps,
                loss=event.loss,
                speed=event.tokens_per_s,
                left=duration(left_s),
            )
            if self._is_terminal:
                print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
                self._open_line = True
            elif event.step % self._STEPS_BETWEEN_LINES == 0 or event.step == self._steps:
                print(line, file=sys.stderr, flush=True)
            return
        text = ""
        if isinstance(event, (events.RunQueued, events.RunPaused, events.RunContinued)):
            text = sentence(event, self._steps)
        elif isinstance(event, events.RunStarted):
            self._steps = event.steps
            text = _("{run}: {rows} rows train, {held_out} held out, {steps} steps").format(
                run=event.run, rows=event.rows, held_out=event.eval_rows, steps=event.steps
            )
        elif isinstance(event, events.Note):
            text = event.message
        elif isinstance(event, events.EvalDone):
            text = _("step {step}: held-out loss {loss:.4f}").format(step=event.step, loss=event.loss)
        elif isinstance(event, events.SampleMade):
            text = f"{event.prompt}｜{event.text}"
        elif isinstance(event, events.CheckpointSaved):
            text = _("step {step}: checkpoint saved").format(step=event.step)
        if text:
            print(("\n" if self._open_line else "") + plain(text), file=sys.stderr, flush=True)
            self._open_line = False
