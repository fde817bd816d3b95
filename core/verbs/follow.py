"""`poemcore follow RUN`: what happened in a run and what happens next, line by line. It only reads."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from core.cli import add_runs_dir, add_verb, count
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.runs.directory import RunDirectory, find_run, typed
from core.runs.event_log import offset_of_last, read_events
from core.runs.events import to_line
from core.runs.lock import is_locked
from core.runs.view import RunView, fold_all, judged_by_lock
from core.runs.wording import sentence, status_words

_POLL_S = 0.25
_LAST = 50


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(
        subparsers,
        "follow",
        _("show a run's last events, and new ones as they come; with --json a line of JSON each"),
        run,
    )
    parser.add_argument("run_id", metavar="RUN", help=_("a run's id, the beginning of one, or “last”"))
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument(
        "--last",
        type=count,
        metavar="N",
        help=_("begin with the last N events (default: {count}; with --json: all)").format(count=_LAST),
    )
    begin.add_argument("--all", action="store_true", help=_("begin with the first event"))
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Follow until the run is over: exit 0 when it finished or was stopped, 1 when it failed or died."""
    directory = find_run(path_of(args.runs_dir), args.run_id)
    last = None if args.all or (args.json and args.last is None) else _LAST if args.last is None else args.last
    status = follow_run(directory, as_json=args.json, last=last, wait=lambda: time.sleep(_POLL_S))
    if sys.stdout.isatty() and not args.json:
        ring(f"{directory.id}: {status_words(replace(RunView(directory.id), status=status))}")
    if not directory.path.is_dir():
        print(_("The directory of the run {run} was removed.").format(run=plain(directory.id)), file=sys.stderr)
        return 1
    if status == "queued":
        print(
            _(
                "The run {run} is in the queue, and its process is gone. Take it up again with: poemcore queue start"
            ).format(run=plain(directory.id)),
            file=sys.stderr,
        )
    if status == "died":
        message = _("The run {run} has died: its process is gone and left no last word.").format(
            run=plain(directory.id)
        )
        print(message, file=sys.stderr)
        print(
            _(
                "Go on from its last checkpoint, or from the beginning where it has none, with: poemcore resume {run}"
            ).format(run=typed(directory)),
            file=sys.stderr,
        )
    return 1 if status in ("failed", "died") else 0


def ring(message: str) -> None:
    """Call the person back: the terminal's bell, and a notice (OSC 9) where the terminal shows such."""
    sys.stdout.write(f"\x1b]9;{plain(message)}\x07\x07")
    sys.stdout.flush()


def follow_run(run: RunDirectory, *, as_json: bool, last: int | None = None, wait: Callable[[], None]) -> str:
    """Print the events to stdout until the run is over, and return its last status.

    Args:
        run: the run.
        as_json: print the events as JSON lines, as in the file, instead of sentences.
        last: of what is there already, print only about so many of the last events; None: all.
        wait: called when there is nothing new; returns when it is time to look again.
    """
    view = RunView(run.id)
    offset = 0 if last is None else offset_of_last(run.events_path, last)
    if offset:  # how many steps there are is said near the beginning
        view = _slim(fold_all(view, read_events(run.events_path, 0)[0]))
        view = _slim(
            fold_all(view, read_events(run.events_path, offset_of_last(run.events_path, max(last or 0, _LAST)))[0])
        )
    while True:
        locked = is_locked(run)  # before reading, so that the last events of a process that leaves are all seen
        while True:
            events, next_offset = read_events(run.events_path, offset)
            if next_offset == offset:
                break
            offset = next_offset
            view = _slim(fold_all(view, events))
            for event, time_s in events:
                print(_printable(to_line(event, time_s)) if as_json else sentence(event, view.steps))
            sys.stdout.flush()
        if not locked or view.status == "finished":  # one that stopped or failed may be about to go on
            return judged_by_lock(view, locked=locked).status
        wait()


def _slim(view: RunView) -> RunView:
    """The view without what grows with the run: a long run is followed as quickly as a short one."""
    return replace(view, losses=(), evals=(), samples=(), checkpoints=(), notes=())


def _printable(line: str) -> str:
    """The line of JSON with what a terminal would obey or hide as JSON escapes."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
