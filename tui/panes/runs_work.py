"""What is done to runs, on the disk and to their processes. It blocks, so threads call it; it knows no widget.

Everything returns what a person is to be told (nothing: they see it), and raises a `PoemError` where it can't be done.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.runs.directory import RunDirectory, check_run
from core.runs.lock import is_locked
from core.runs.view import RunView
from tui.panes.runs_table import Place


def go_on(run: RunDirectory) -> str:
    """Let a paused run go on, or start a worker for one that has ended or lost its own."""
    from core.runs.control import ask
    from core.runs.launch import resume_detached
    from core.runs.view import view_run

    check_run(run)
    status = view_run(run).status if is_locked(run) else ""
    if status == "paused":
        ask(run, "resume")
        return _("Asked: {run} goes on as soon as it can.").format(run=plain(run.id))
    if status == "queued":
        return _("{run} waits for its turn already.").format(run=plain(run.id))
    resume_detached(run)
    return _("{run} goes on.").format(run=plain(run.id))


def end(run: RunDirectory, *, now: bool) -> str:
    """Ask a run to end, with a checkpoint unless it is to be now; or take it out of the queue."""
    from core.runs.ending import ask_to_end

    if ask_to_end(run, now=now):
        return _("{run} is stopped.").format(run=plain(run.id))
    return _("Asked: {run} ends as soon as it can.").format(run=plain(run.id))


def places() -> Mapping[str, Place]:
    """The place of every run that waits among those of its device, by the path of its directory."""
    from core.runs import queue

    held = {queue.place_of(run) for run in queue.holders().values()}
    counts: dict[str, int] = {}
    found = {}
    for entry in queue.waiting():
        if entry.path not in held:
            counts[entry.device] = counts.get(entry.device, 0) + 1
            found[entry.path] = Place(counts[entry.device], queue.is_attended(entry))
    return found


def move_in_queue(run: RunDirectory, by: int) -> str:
    """Put a run that waits so many places later, or earlier where that is negative; where it stands then is seen."""
    from core.runs import queue

    entries = queue.waiting()
    mine = next((entry for entry in entries if entry.path == queue.place_of(run)), None)
    if mine is None:
        raise PoemError(_("The run {run} is not in the queue.").format(run=plain(run.id)))
    held = {queue.place_of(holder) for holder in queue.holders().values()}
    line = [entry for entry in entries if entry.device == mine.device]
    wanted = line.index(mine) + by
    if not 0 <= wanted < len(line) or line[wanted].path in held:
        first, last = _("{run} is the next already."), _("{run} is the last already.")
        return (first if by < 0 else last).format(run=plain(run.id))
    queue.move(run, wanted + 1)
    return ""


def delete(run: RunDirectory) -> str:
    """Move a run to the trash."""
    from core.runs.trash import move_to_trash

    move_to_trash(run)
    return _("{run} is in the trash. u brings it back.").format(run=plain(run.id))


def bring_back(runs_dir: Path) -> tuple[str, str]:
    """Bring back the run that was deleted last: what to say, and its id; no id where the trash is empty."""
    from core.runs.trash import in_trash, restore

    found = in_trash(runs_dir)
    if not found:
        return _("The trash is empty."), ""
    run = restore(found[0])
    return _("{run} is back.").format(run=plain(run.id)), run.id


def trash_contents(runs_dir: Path) -> tuple[int, int]:
    """How many runs are in the trash, and how many bytes they take."""
    from core.runs.trash import disk_bytes, in_trash

    found = in_trash(runs_dir)
    return len(found), sum(disk_bytes(item.path) for item in found)


def empty_trash(runs_dir: Path) -> str:
    """Remove for good what is in the trash."""
    from core.runs.trash import in_trash, remove_for_good

    found = in_trash(runs_dir)
    for item in found:
        remove_for_good(item)
    return _("The trash is empty now. Runs removed: {count}.").format(count=len(found))


def command_lines(run: RunDirectory, view: RunView) -> list[str]:
    """What does on a command line what can be done here, ready to be typed in any directory."""
    path = run.path.absolute()
    rest = f"{shlex.quote(run.id)} --runs-dir {shlex.quote(str(path.parent))}"
    lines = [f"poemcore follow {rest}"]
    if view.status in ("running", "starting", "paused", "queued"):
        lines.append(f"poemcore stop {rest}")
    if view.status in ("stopped", "failed", "died", "paused"):
        lines += [f"poemcore resume {rest}", f"poemcore resume {rest} --detach"]
    if view.status == "finished":
        lines.append(f"poemcore resume {rest} --set train.epochs={view.epochs + 1}")
    if view.adapter or view.checkpoints:
        lines.append(f"poemcore complete 白日依山盡，黃河入海流。 --run {rest}")
        lines.append(f"poemcore evaluate --run {rest}")
    lines.append(f"poemcore train {shlex.quote(str(path / 'profile.toml'))} --runs-dir {shlex.quote(str(path.parent))}")
    return lines
