"""`poemcore queue`: which runs have the devices, which wait for them, and in what order."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import add_runs_dir, add_verb, print_json
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.runs.directory import typed

if TYPE_CHECKING:
    from core.runs.directory import RunDirectory

_ACTIONS = ("list", "start", "cancel", "move")
_ANSWER_S = 10.0


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "queue", _("show the runs that wait for a device; cancel or reorder them"), run)
    parser.add_argument(
        "action",
        metavar="ACTION",
        nargs="?",
        choices=_ACTIONS,
        default="list",
        help=_(
            "list (default); start: take up again those whose process is gone, as after a reboot; cancel RUN; "
            "move RUN PLACE, 1 being the next"
        ),
    )
    parser.add_argument("wanted_run", metavar="RUN", nargs="?", help=_("an id, the beginning of one, or last"))
    parser.add_argument("place", metavar="PLACE", type=int, nargs="?", help=_("its new place, from 1"))
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Do what is asked, then show the queue as it is."""
    from core.runs import queue

    started: list[str] = []
    if args.action in ("cancel", "move"):
        if args.wanted_run is None or (args.action == "move") != (args.place is not None):
            raise PoemError(
                _("cancel needs RUN; move needs RUN and PLACE"), hint=_("See: poemcore queue --help"), where="queue"
            )
        found = _find(args.wanted_run, path_of(args.runs_dir))
        if args.action == "cancel":
            _cancel(found)
        elif args.place < 1:
            raise PoemError(_("the first place is 1"), where="PLACE")
        else:
            queue.move(found, args.place)
    elif args.wanted_run is not None:
        raise PoemError(_("{action} takes no run").format(action=args.action), hint=_("See: poemcore queue --help"))
    if args.action == "start":
        started = _start()
    _show(started, as_json=args.json)
    return 0


def _find(wanted: str, runs_dir: Path) -> RunDirectory:
    """A waiting run, wherever it is kept, by its id or a beginning of it; else as for every verb."""
    from core.runs import queue
    from core.runs.directory import check_run, find_run

    ids = [entry.run for entry in queue.waiting() if wanted and entry.run.id.startswith(wanted)]
    if len(ids) != 1:
        return find_run(runs_dir, wanted)
    return check_run(ids[0])


def _cancel(run: RunDirectory) -> None:
    from core.runs import queue
    from core.runs.control import ask, await_answer
    from core.runs.ending import cancel_unattended
    from core.runs.lock import is_locked

    if all(entry.path != queue.place_of(run) for entry in queue.waiting()):
        raise PoemError(
            _("The run {run} is not in the queue.").format(run=plain(run.id)),
            hint=_("End a run at work with: poemcore stop {run}").format(run=typed(run)),
        )
    if is_locked(run):
        offset = run.events_path.stat().st_size if run.events_path.exists() else 0
        await_answer(run, ask(run, "stop"), offset=offset, timeout_s=_ANSWER_S)
        queue.leave(run)
    else:
        cancel_unattended(run)


def _start() -> list[str]:
    """Start a worker for every waiting run that has none; they keep their places."""
    from core.runs import queue
    from core.runs.control import begin
    from core.runs.directory import check_run
    from core.runs.launch import launch
    from core.runs.lock import hold

    started = []
    for entry in queue.waiting():
        try:
            check_run(entry.run)
            lock = hold(entry.run.lock_path, patience_s=0)
            if lock is None:
                continue
            with lock:
                begin(entry.run)
                launch(entry.run, lock)
            started.append(entry.run.id)
        except PoemError as error:  # the others can go on
            print(f"poemcore: {error}", file=sys.stderr)
    return started


def _show(started: list[str], *, as_json: bool) -> None:
    from core.runs import queue

    at_work = queue.holders()
    held = {queue.place_of(run) for run in at_work.values()}
    waiting = [entry for entry in queue.waiting() if entry.path not in held]
    if as_json:
        print_json(
            {
                "started": started,
                "running": [
                    {"run": run.id, "path": str(run.path), "device": device} for device, run in at_work.items()
                ],
                "queued": [
                    {
                        "run": entry.run.id,
                        "path": entry.path,
                        "device": entry.device,
                        "attended": queue.is_attended(entry),
                    }
                    for entry in waiting
                ],
            }
        )
        return
    for run_id in started:
        print(_("Started: {run}").format(run=plain(run_id)))
    for device, run in at_work.items():
        print(_("{device}: {run} has it").format(device=plain(device), run=typed(run)))
    places: dict[str, int] = {}
    unattended = False
    for entry in waiting:
        places[entry.device] = places.get(entry.device, 0) + 1
        line = _("{device}: {place}. {run}").format(
            device=plain(entry.device), place=places[entry.device], run=typed(entry.run)
        )
        if not queue.is_attended(entry):
            unattended = True
            line += "  " + _("(its process is gone)")
        print(line)
    if unattended:
        print(_("Take up those whose process is gone with: poemcore queue start"), file=sys.stderr)
    if not at_work and not waiting:
        print(_("No run is at work and none waits."))
