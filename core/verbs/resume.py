"""`poemcore resume`: goes on with a run that was interrupted, or lets one that is paused go on where it is."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import Any

from core.cli import add_runs_dir, add_verb, count
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "resume", _("go on with a run that was interrupted or paused"), run)
    parser.add_argument("wanted_run", metavar="RUN", help=_("an id, the beginning of one, or last"))
    parser.add_argument(
        "--from",
        type=count,
        metavar="STEP",
        dest="from_step",
        help=_("an older checkpoint to go on from, 0: start over; the later ones are removed"),
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help=_("change a key of the run's profile: its length, or how it is watched and kept"),
    )
    parser.add_argument(
        "--detach", action="store_true", help=_("start it in the background, where no terminal can end it, and return")
    )
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Train on until the end or an interrupt; with `--detach`, start that and return."""
    from core.runs.control import begin
    from core.runs.directory import find_run, typed
    from core.runs.lock import is_locked, lock_run
    from core.runs.resumption import make_resumable
    from core.runs.view import view_run
    from core.verbs.control import ask_and_say
    from core.verbs.train import ProgressLine, print_outcome, say_command, say_started

    found = find_run(path_of(args.runs_dir), args.wanted_run)
    if is_locked(found) and view_run(found).status == "paused":
        if args.overrides or args.from_step is not None:
            raise PoemError(
                _("the run is paused, and goes on as it is"),
                hint=_("To change it, end it first: poemcore stop {run}").format(run=typed(found)),
                where=found.id,
            )
        return ask_and_say(found, "resume", as_json=args.json)
    with lock_run(found) as lock:
        begin(found)
        profile = make_resumable(found, overrides=args.overrides, from_step=args.from_step)
        say_command(profile)
        if args.detach:
            from core.runs.launch import launch_in_turn

            launch_in_turn(found, lock, profile)
            say_started(found, as_json=args.json)
            return 0
        from core.training.worker import work_here

        print(_("Going on with {run}").format(run=plain(found.id)), file=sys.stderr)
        with contextlib.redirect_stdout(sys.stderr):  # what a library prints is not the command's answer
            outcome = work_here(found, on_event=ProgressLine())
    return print_outcome(outcome, as_json=args.json)
