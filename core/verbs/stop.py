"""`poemcore stop RUN`: ends a run, with a checkpoint unless told otherwise, and waits until it is over."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from core.cli import add_runs_dir, add_verb, print_json, seconds
from core.i18n import _
from core.paths import path_of
from core.plain import plain

_POLL_S = 0.05


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "stop", _("end a run that is at work or waits, keeping what it has done"), run)
    parser.add_argument("wanted_run", metavar="RUN", help=_("an id, the beginning of one, or last"))
    parser.add_argument("--now", action="store_true", help=_("don't save first: lose the steps since its checkpoint"))
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=600.0,
        metavar="SECONDS",
        help=_("how long to wait for the end; 0: only ask (default: 600)"),
    )
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Ask it to end and wait: exit 0 when it is over, 1 when it still is at work."""
    from core.runs.directory import find_run
    from core.runs.ending import ask_to_end
    from core.runs.lock import is_locked
    from core.runs.view import view_run
    from core.runs.wording import status_words

    found = find_run(path_of(args.runs_dir), args.wanted_run)
    ask_to_end(found, now=args.now)
    until_s = time.monotonic() + args.timeout
    while is_locked(found) and time.monotonic() < until_s:
        time.sleep(_POLL_S)
    over, view = not is_locked(found), view_run(found)
    if args.json:
        print_json({"run": found.id, "status": view.status, "step": view.step})
    elif over:
        print(
            _("{run} is over: {status} after step {step}").format(
                run=plain(found.id), status=status_words(view), step=view.step
            )
        )
    else:
        print(_("Asked. {run} will end as soon as it can.").format(run=plain(found.id)), file=sys.stderr)
    return 0 if over or args.timeout == 0 else 1
