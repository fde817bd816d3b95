"""The directory of a run: its name, its parts, its lock, and how runs are made and found again.

Knows nothing of what is trained, and of events only where their file lies. No run is ever overwritten, and no name
that a person types leads out of the runs directory.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import PoemError
from core.i18n import _
from core.plain import plain

LAST = "last"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ID = re.compile(r"\d{8}-\d{6}(-[a-z0-9][a-z0-9._-]{0,70})?")
# A reader that looks whether a run is alive holds its lock for microseconds; a writer tries again for this long.
_LOCK_PATIENCE_S = 0.25
_RUNS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run on the disk. The paths are where its parts are or will be; none need exist yet."""

    path: Path
    """The directory itself; its last component is the run's id."""

    @property
    def id(self) -> str:
        """`YYYYMMDD-HHMMSS-name`, in the local time of the machine that made it."""
        return self.path.name

    @property
    def lock_path(self) -> Path:
        """The file whose OS lock the worker holds for its whole life. Its content means nothing."""
        return self.path / "lock"

    @property
    def events_path(self) -> Path:
        """What happened, one JSON object a line, only ever appended to."""
        return self.path / "events.jsonl"

    @property
    def profile_path(self) -> Path:
        """The resolved profile that the run uses."""
        return self.path / "profile.toml"

    @property
    def manifest_path(self) -> Path:
        """Versions, hashes and identities: what the run was made from."""
        return self.path / "manifest.json"

    @property
    def console_path(self) -> Path:
        """What the worker wrote to its terminal."""
        return self.path / "console.log"

    @property
    def process_path(self) -> Path:
        """The worker's process, for sending signals; whether it lives is known by the lock alone."""
        return self.path / "process.json"

    @property
    def control_path(self) -> Path:
        """The directory of requests to a living worker."""
        return self.path / "control"

    @property
    def checkpoints_path(self) -> Path:
        """The directory of checkpoints."""
        return self.path / "checkpoints"

    @property
    def adapter_path(self) -> Path:
        """The final adapter, in peft's own format."""
        return self.path / "adapter"

    def checkpoint_path(self, step: int) -> Path:
        """Where the checkpoint after optimiser step `step` is: `checkpoints/step-000200`."""
        return self.checkpoints_path / f"step-{step:06d}"


def create_run(runs_dir: Path, *, name: str | None = None) -> RunDirectory:
    """Make a new, empty run directory (mode 0700), and the runs directory where it is missing.

    Args:
        runs_dir: where runs are kept.
        name: the last part of the id; None leaves it out. `run_name` makes one from any text.

    Raises:
        PoemError: the name isn't one, or the directory can't be made.
    """
    if name is not None and (not _NAME.fullmatch(name) or ".." in name):
        raise PoemError(
            _("“{name}” can't be the name of a run.").format(name=plain(name[:80])),
            hint=_("Use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, without '..'."),
        )
    _make_runs_dir(runs_dir)
    stem = time.strftime("%Y%m%d-%H%M%S") + (f"-{name}" if name else "")
    number = 1
    while True:
        path = runs_dir / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise storage_error(error, path) from error
        else:
            return RunDirectory(path)


def run_name(text: str) -> str | None:
    """A lawful name for a run from any text, such as a profile's file name; None where nothing of it is left."""
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower())
    return re.sub(r"\.{2,}", ".", name).strip("._-")[:64] or None


def list_runs(runs_dir: Path) -> tuple[RunDirectory, ...]:
    """Every run in `runs_dir`, oldest first by id; none where it doesn't exist. Links are never followed.

    Raises:
        PoemError: `runs_dir` is no directory, or can't be read.
    """
    try:
        with os.scandir(runs_dir) as entries:
            names = [entry.name for entry in entries if _is_run_id(entry.name) and entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise storage_error(error, runs_dir) from error
    return tuple(RunDirectory(runs_dir / name) for name in sorted(names, key=_age_order))


def find_run(runs_dir: Path, wanted: str) -> RunDirectory:
    """The run that a person means by `wanted`: its id, an unambiguous beginning of it, or `last`.

    Raises:
        PoemError: there is no such run, or more than one; the message lists the near ones.
    """
    runs = list_runs(runs_dir)
    if not runs:
        raise PoemError(
            _("There are no runs here."),
            hint=_("Start one with: poemcore train PROFILE. Or name another directory with --runs-dir."),
            where=plain(str(runs_dir)),
        )
    if wanted == LAST:
        return runs[-1]
    by_id = {run.id: run for run in runs}
    if wanted in by_id:
        return by_id[wanted]
    shown = plain(wanted[:80])
    if _is_run_id(wanted) and (runs_dir / wanted).is_symlink():
        raise PoemError(
            _("The run {run} is a link to somewhere else, and links are not followed.").format(run=shown),
            hint=_("Give --runs-dir the directory that the run itself lies in."),
            where=plain(str(runs_dir)),
        )
    matches = [run for run in runs if wanted and run.id.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise PoemError(
            _("“{wanted}” is the beginning of {count} runs.").format(wanted=shown, count=len(matches)),
            hint=_("Give more of the id: {runs}").format(runs=_some_ids([run.id for run in matches])),
            where=plain(str(runs_dir)),
        )
    import difflib

    near = difflib.get_close_matches(wanted[:80], by_id, n=_RUNS_SHOWN)
    near += [run_id for run_id in by_id if wanted and wanted in run_id and run_id not in near]
    raise PoemError(
        _("There is no run “{wanted}”.").format(wanted=shown),
        hint=_("RUN is an id, the beginning of one, or “last”. There are: {runs}").format(
            runs=_some_ids(near or list(by_id))
        ),
        where=plain(str(runs_dir)),
    )


def is_locked(run: RunDirectory) -> bool:
    """Whether a worker holds the run now. Asking neither makes the lock file nor disturbs others who ask."""
    try:
        descriptor = os.open(run.lock_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise storage_error(error, run.lock_path) from error
    try:
        # Shared, so that two readers never take each other for the worker.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise storage_error(error, run.lock_path) from error
    finally:
        os.close(descriptor)
    return False


@contextmanager
def lock_run(run: RunDirectory) -> Iterator[None]:
    """Hold the run for as long as the context lasts. The kernel lets go of it when the process dies, however it dies.

    Raises:
        PoemError: another process holds it, or the file system has no locks.
    """
    import filelock

    # A lock by a file's mere existence would outlive a killed worker, so there is no falling back to one.
    lock = filelock.FileLock(run.lock_path, mode=0o600, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=_LOCK_PATIENCE_S, poll_interval=0.01)
    except filelock.Timeout as error:
        raise PoemError(
            _("The run {run} is at work in another process.").format(run=plain(run.id)),
            hint=_("Watch it with: poemcore follow {run}").format(run=plain(run.id)),
            where=plain(str(run.path)),
        ) from error
    except OSError as error:
        raise storage_error(error, run.lock_path) from error
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Put a small JSON document at `path` (mode 0600) so that a reader sees the old one or the new one, never a part.

    Raises:
        PoemError: it can't be written; what was there before is still there.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        # A lone surrogate has no UTF-8; \udXXX, which backslashreplace writes, is its JSON escape.
        with open(
            temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n", opener=_open_private
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise storage_error(error, path) from error


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
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = _("There is no space left on the disk.")
        hint = _("Free some space, or keep runs elsewhere with --runs-dir or POEMTUI_RUNS.")
    elif error.errno == errno.EROFS:
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


def _make_runs_dir(runs_dir: Path) -> None:
    try:
        runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, runs_dir) from error


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _is_run_id(name: str) -> bool:
    return _ID.fullmatch(name) is not None and ".." not in name


def _age_order(run_id: str) -> list[tuple[int, str]]:
    """Sort key: by time, and within a second by the number that was added, so that -10 comes after -2."""
    parts = re.split(r"(\d+)", run_id)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _some_ids(run_ids: list[str]) -> str:
    """The newest few, newest first."""
    text = ", ".join(reversed(run_ids[-_RUNS_SHOWN:]))
    return f"{text}, …" if len(run_ids) > _RUNS_SHOWN else text
