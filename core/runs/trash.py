"""Deleted runs: moved whole into `.trash/` of their runs directory, brought back from there, or removed for good.

A run in the trash is none: nothing that lists or finds runs looks there. Knows nothing of what is in a run.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.runs import queue
from core.runs.directory import RunDirectory
from core.runs.lock import lock_run
from core.runs.storage import check_private, storage_error, sync_directory

TRASH = ".trash"
# In order of deletion; the number keeps apart what once had the same id.
_ENTRY = re.compile(r"(\d{6,12})-(\d{8}-\d{6}(?:-.+)?)")


@dataclass(frozen=True, slots=True)
class Trashed:
    """A run in the trash."""

    path: Path
    """Its directory there: `.trash/NUMBER-ID`."""
    number: int
    """The greater, the later it was deleted; from 1."""
    id: str
    """The id that it had, and will have again."""


def move_to_trash(run: RunDirectory) -> Trashed:
    """Delete a run so that it can be brought back. It is held meanwhile, so that no worker takes it up.

    Raises:
        PoemError: a process is at work on it, it is a link, or it can't be moved; it is then where it was.
    """
    if run.path.is_symlink():
        check_private(run.path)  # which says that links are not followed
    with lock_run(run, patience_s=0.1):
        queue.leave(run)
        place = _new_place(run)
        try:
            os.rename(run.path, place.path)  # in the place of the empty directory that is kept for it
        except OSError as error:
            os.rmdir(place.path)
            raise storage_error(error, run.path) from error
    sync_directory(place.path.parent)
    sync_directory(run.path.parent)
    return place


def in_trash(runs_dir: Path) -> tuple[Trashed, ...]:
    """What is in the trash of a runs directory, deleted last first.

    Raises:
        PoemError: the trash is a link or can't be read, or every user may write in it.
    """
    trash = runs_dir / TRASH
    if not os.path.lexists(trash):
        return ()
    check_private(trash)
    try:
        with os.scandir(trash) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        raise storage_error(error, trash) from error
    found = (Trashed(trash / name, int(match[1]), match[2]) for name in names if (match := _ENTRY.fullmatch(name)))
    return tuple(sorted(found, key=lambda item: (-item.number, item.id)))


def restore(item: Trashed) -> RunDirectory:
    """Bring a run back to where it was.

    Raises:
        PoemError: it isn't there any more, or a run of its id has come since.
    """
    run = RunDirectory(item.path.parents[1] / item.id)
    if os.path.lexists(run.path):
        raise PoemError(
            _("There is a run {run} again, so the deleted one can't come back.").format(run=plain(item.id)),
            hint=_("Move it by hand: it is whole."),
            where=plain(str(item.path)),
        )
    try:
        os.rename(item.path, run.path)
    except OSError as error:
        raise storage_error(error, item.path) from error
    sync_directory(item.path.parent)
    sync_directory(run.path.parent)
    return run


def remove_for_good(item: Trashed) -> None:
    """Remove a run that is in the trash. Links in it go, what they lead to stays.

    Raises:
        PoemError: a part of it can't be removed.
    """
    check_private(item.path.parent)
    try:
        shutil.rmtree(item.path)
    except OSError as error:
        raise storage_error(error, item.path) from error


def disk_bytes(directory: Path) -> int:
    """The length of every file in a directory; what can't be looked at is left out, links are not followed."""
    return sum(_lengths(str(directory)))


def _lengths(directory: str) -> Iterator[int]:
    for folder, _folders, names in os.walk(directory):
        for name in names:
            try:
                yield os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue


def _new_place(run: RunDirectory) -> Trashed:
    """An empty directory in the trash that nobody else will take."""
    trash = run.path.parent / TRASH
    try:
        trash.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise storage_error(error, trash) from error
    number = max((item.number for item in in_trash(run.path.parent)), default=0) + 1
    while True:
        place = Trashed(trash / f"{number:06d}-{run.id}", number, run.id)
        try:
            place.path.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise storage_error(error, place.path) from error
        else:
            return place
