"""How the files of a run reach the disk: whole or not at all, for this user alone, and what to say when they can't.

Knows nothing of what is in them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import PoemError
from core.i18n import _
from core.plain import plain

_LARGEST_BYTES = 64 * 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFull(PoemError):
    """There was no room for a write. What was there before is still there."""


def write_whole(path: Path, text: str) -> None:
    """Put a small text at `path` (mode 0600) so that a reader sees the old one or the new one, never a part.

    Raises:
        PoemError: it can't be written; what was there before is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        # A lone surrogate has no UTF-8; \udXXX, which backslashreplace writes, is its JSON escape.
        with open(
            temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n", opener=open_private
        ) as file:
            file.write(text)
            file.flush()
            sync_file(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise storage_error(error, path) from error


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """The same for a JSON document.

    Raises:
        PoemError: it can't be written; what was there before is still there.
    """
    write_whole(path, json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object out of a regular file of reasonable size; nothing else is opened, so nothing can hang.

    Raises:
        FileNotFoundError: it isn't there.
        ValueError: it holds no JSON object, or is no such file.
        OSError: it can't be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_BYTES:
            raise ValueError(path)
        with open(descriptor, encoding="utf-8", closefd=False) as file:
            document = json.load(file)
    except RecursionError as error:
        raise ValueError(path) from error
    finally:
        os.close(descriptor)
    if not isinstance(document, dict):
        raise ValueError(path)
    return document


def sync_file(descriptor: int) -> None:
    """Make what was written to an open file survive a power cut."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full)  # macOS: fsync alone leaves it in the drive's own memory


def sync_directory(path: Path) -> None:
    """Make the names in a directory (new, renamed, removed) survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(path: Path) -> int:
    """Bytes that this user may still write on the disk where `path` is, or will be once it is made."""
    here = path.absolute()
    while not here.exists() and here != here.parent:
        here = here.parent
    try:
        disk = os.statvfs(here)
    except OSError as error:
        raise storage_error(error, path) from error
    return disk.f_bavail * disk.f_frsize


def storage_error(error: OSError, path: Path) -> PoemError:
    """What the operating system refused, in words that say how to mend it. Raise it `from` the OSError."""
    if error.errno in _FULL:
        return DiskFull(
            _("There is no space left on the disk."),
            hint=_("Free some space, or keep runs elsewhere with --runs-dir or POEMTUI_RUNS."),
            where=plain(str(path)),
        )
    if error.errno == errno.EROFS:
        message = _("The file system is read-only.")
        hint = _("Keep runs elsewhere with --runs-dir or POEMTUI_RUNS.")
    elif error.errno in (errno.EACCES, errno.EPERM):
        message = _("You may not read or write here.")
        hint = _("Change the permissions, or keep runs elsewhere with --runs-dir or POEMTUI_RUNS.")
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        message = _("A file is in the way: a directory is needed here.")
        hint = _("Move the file, or keep runs elsewhere with --runs-dir or POEMTUI_RUNS.")
    elif error.errno == errno.ELOOP:
        message = _("This is a symbolic link, and links are not followed here.")
        hint = _("Put the file itself in the place of the link.")
    else:
        message = _("The operating system refused: {reason}.").format(reason=error.strerror or error)
        hint = _("Mend it, or keep runs elsewhere with --runs-dir or POEMTUI_RUNS.")
    return PoemError(message, hint=hint, where=plain(str(path)))


def open_private(path: str, flags: int) -> int:
    """An opener for `open`: new files are for this user alone (0600), and a link is not followed."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def check_private(path: Path) -> None:
    """See that a directory is one, not a link to one, and that no other user may write in it.

    Raises:
        PoemError: it is a link, or every user of this machine may write in it.
    """
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise storage_error(error, path) from error
    if stat.S_ISLNK(mode):
        raise PoemError(
            _("This is a symbolic link, and links are not followed here."),
            hint=_("Give the directory itself."),
            where=plain(str(path)),
        )
    if not stat.S_ISDIR(mode):
        raise storage_error(NotADirectoryError(errno.ENOTDIR, ""), path)
    if mode & stat.S_IWOTH:
        raise PoemError(
            _("Every user of this machine may write in this directory, so what is in it can't be trusted."),
            hint=_("If it is yours and in order: chmod o-w {path}").format(path=plain(str(path))),
            where=plain(str(path)),
        )
