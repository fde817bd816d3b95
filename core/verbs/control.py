"""`poemcore control RUN ACTION`: asks a living run for something, from any terminal, and waits for its answer."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from core.cli import add_runs_dir, add_verb, count, print_json, seconds
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.runs.control import ACTIONS, ask, await_answer, take_away
from core.runs.lock import is_locked

if TYPE_CHECKING:
    from core.runs.directory import RunDirectory

_TIMEOUT_S = 60.0


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "control", _("ask a run at work to stop, pause, save, sample …"), run)
    parser.add_argument("wanted_run", metavar="RUN", help=_("an id, the beginning of one, or last"))
    parser.add_argument(
        "action",
        metavar="ACTION",
        choices=ACTIONS,
        help=_(
            "stop: save and end; stop-now: end at once; checkpoint, sample: make one now; pause, resume: wait with "
            "everything in memory, and go on; eval-every: evaluate every so many steps"
        ),
    )
    parser.add_argument("value", metavar="N", type=count, nargs="?", help=_("steps between evaluations, 0: none"))
    _add_timeout(parser)
    add_runs_dir(parser)


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=_TIMEOUT_S,
        metavar="SECONDS",
        help=_("how long to wait for the answer (default: 60)"),
    )


def run(args: argparse.Namespace) -> int:
    """Ask, and wait for the answer: exit 0 when the run has taken it, 1 when no answer came in time."""
    from core.runs.directory import find_run

    if (args.action == "eval-every") != (args.value is not None):
        raise PoemError(
            _("eval-every needs the number of steps, and no other action has a number"),
            hint=_("For example: poemcore control last eval-every 50"),
        )
    if args.value is not None and args.value > 10**9:
        raise PoemError(_("so many steps no run has"), where="eval-every")
    found = find_run(path_of(args.runs_dir), args.wanted_run)
    return ask_and_say(found, args.action, args.value or 0, timeout_s=args.timeout, as_json=args.json)


def ask_and_say(run: RunDirectory, action: str, value: int = 0, *, timeout_s: float = _TIMEOUT_S, as_json: bool) -> int:
    """Put a request to a run, wait for the answer and print it; the exit code."""
    offset = run.events_path.stat().st_size if run.events_path.exists() else 0
    request = ask(run, action, value)
    answer = await_answer(run, request, offset=offset, timeout_s=timeout_s)
    problem = "" if answer is None else answer.problem
    if answer is None and not is_locked(run):
        take_away(run, request)
        problem = _("its process ended before it took the request")
    if as_json:
        print_json(
            {
                "run": run.id,
                "action": action,
                "request": request.id,
                "answered": answer is not None,
                "problem": problem or None,
            }
        )
    elif answer is None and not problem:
        print(_("No answer yet. The request stays: the run takes it as soon as it can."), file=sys.stderr)
    elif not problem:
        print(_("{run} has taken the request: {action}").format(run=plain(run.id), action=action))
    if problem and not as_json:
        print(f"poemcore: {plain(problem)}", file=sys.stderr)
    return 0 if answer is not None and not problem else 1
