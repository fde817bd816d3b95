"""Locks of the operating system: held for the life of a process, and let go of by the kernel however it dies.

A lock belongs to an open file, so it can be handed to a child process without ever being free in between. Nothing is
concluded from times or process ids.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.runs.directory import RunDirectory, typed
from core.runs.storage import storage_error

# A reader that looks whether a run is alive holds its lock for microseconds, and a process that was killed may hold
# its own until its memory is freed; who wants the lock tries again for this long.
_PATIENCE_S = 2.0
_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that this process holds until it lets go or dies."""

    descriptor: int
    """The open file that the lock belongs to. A child that inherits it holds the lock too."""

    def release(self) -> None:
        """Let go; a child that inherited the lock still holds it."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        """The lock itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        self.release()


def hold(path: Path, *, patience_s: float = _PATIENCE_S) -> HeldLock | None:
    """Take the lock on a file, which is made (mode 0600) where it is missing; None where another process holds it.

    Raises:
        PoemError: the file can't be opened, or the file system has no locks.
    """
    try:
        lock = HeldLock(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600))
    except OSError as error:
        raise storage_error(error, path) from error
    if _try(lock.descriptor, path, patience_s):
        return lock
    lock.release()
    return None


def adopt(descriptor: int, path: Path) -> HeldLock | None:
    """The lock that the parent process held when it started this one; None where it was lost on the way."""
    # Some file systems give locks to processes, not to open files: there the parent's ends when it closes the file.
    os.set_inheritable(descriptor, False)
    return HeldLock(descriptor) if _try(descriptor, path, _PATIENCE_S) else None


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now. Asking neither makes the file nor disturbs others who ask."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        # Shared, so that two readers never take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        os.close(descriptor)
    return False


def is_locked(run: RunDirectory) -> bool:
    """Whether a worker holds the run now."""
    return is_held(run.lock_path)


def lock_run(run: RunDirectory, *, patience_s: float = _PATIENCE_S) -> HeldLock:
    """Hold the run; wait `patience_s` seconds for a process that is just letting go of it.

    Raises:
        PoemError: another process holds it, or the file system has no locks.
    """
    lock = hold(run.lock_path, patience_s=patience_s)
    if lock is None:
        raise PoemError(
            _("The run {run} is at work in another process.").format(run=plain(run.id)),
            hint=_("Watch it with: poemcore follow {run}").format(run=typed(run)),
            where=plain(str(run.path)),
        )
    return lock


def _try(descriptor: int, path: Path, patience_s: float) -> bool:
    until_s = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                return False
            time.sleep(_POLL_S)
        except OSError as error:
            os.close(descriptor)
            raise storage_error(error, path) from error
        else:
            return True
