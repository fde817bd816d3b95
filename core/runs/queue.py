"""Whose turn it is on a device: one run at a time, the others in the order in which they were submitted.

There is no daemon. Every waiting run is a process that looks by itself whether its turn has come; what is shared is a
short list in the state directory of this user (`$POEMTUI_STATE`, else where the platform keeps such things) and one
lock for each device. Entries whose process is gone keep their place and hold nobody up.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.runs.directory import RunDirectory
from core.runs.lock import HeldLock, hold, is_held, is_locked
from core.runs.storage import check_private, read_json, storage_error, write_json

_EDIT_PATIENCE_S = 10.0
_MACHINE_ID = Path("/etc/machine-id")
# What a GPU that torch calls cuda shows itself by: NVIDIA's driver, the same under WSL, a Jetson, AMD's.
_GPU_DEVICES = ("nvidiactl", "dxg", "nvhost-gpu", "kfd")


class Busy(PoemError):
    """Another process is changing the list, and doesn't come to an end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that waits for a device."""

    path: str
    """The run directory, as `place_of` gives it."""
    device: str
    """The device, as `device_name` names it."""

    @property
    def run(self) -> RunDirectory:
        """The run."""
        return RunDirectory(Path(self.path))


def state_directory() -> Path:
    """Where this user's queue and device locks are, made (0700) where it is missing.

    Raises:
        PoemError: it can't be made, is a link, or every user may write in it.
    """
    named = os.environ.get("POEMTUI_STATE")
    if named:
        path = path_of(named).absolute()
    else:
        import platformdirs

        path = Path(platformdirs.user_state_dir("poemtui", appauthor=False))
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PoemError(
            _("The directory of the queue can't be made: {reason}.").format(reason=error.strerror or error),
            hint=_("Set POEMTUI_STATE to a directory that you may write in."),
            where=plain(str(path)),
        ) from error
    check_private(path)
    return path


def device_name(wanted: str) -> str:
    """The device that `model.device` will lead to, found without loading torch: cpu, mps, cuda-0, cuda-GPU-6f…

    A GPU is named as CUDA_VISIBLE_DEVICES names it, so that two runs that count GPUs differently still mean the same.
    """
    if wanted == "auto":
        wanted = "mps" if sys.platform == "darwin" else "cuda" if _has_cuda() else "cpu"
    kind, _colon, index = wanted.partition(":")
    if kind != "cuda":
        return _file_part(kind)
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    number = int(index) if index.isdigit() else 0
    return f"cuda-{_file_part(visible[number]) if number < len(visible) else number}"


def waiting() -> tuple[Entry, ...]:
    """The runs that wait, those whose turn comes first at the head; runs that were removed are left out."""
    return _read(_list_path(state_directory()))


def holders() -> dict[str, RunDirectory]:
    """The run that has each device which is in use."""
    found = {}
    state = state_directory()
    prefix = f"device-{_host()}-"
    for path in sorted(state.glob(f"{prefix}*.lock")):
        if is_held(path):
            found[path.name.removeprefix(prefix).removesuffix(".lock")] = RunDirectory(Path(_holder_in(path)))
    return found


def place_of(run: RunDirectory) -> str:
    """The run directory as the queue names it: the same however a person comes to it."""
    return str(run.path.resolve())


def join(run: RunDirectory, device: str) -> None:
    """Put a run at the end of the line for a device; one that is in it keeps its place."""
    with _editing() as entries:
        path = place_of(run)
        if all(entry.path != path for entry in entries):
            entries.append(Entry(path, device))


def leave(run: RunDirectory) -> bool:
    """Take a run out of the line; whether it was in it."""
    with _editing() as entries:
        path = place_of(run)
        kept = [entry for entry in entries if entry.path != path]
        was_in = len(kept) < len(entries)
        entries[:] = kept
        return was_in


def move(run: RunDirectory, place: int) -> None:
    """Put a run that waits at another place among those of its device; 1 is the next.

    Raises:
        PoemError: it doesn't wait.
    """
    with _editing() as entries:
        path = place_of(run)
        mine = next((entry for entry in entries if entry.path == path), None)
        if mine is None:
            raise PoemError(
                _("The run {run} is not in the queue.").format(run=plain(run.id)), hint=_("See: poemcore queue")
            )
        entries.remove(mine)
        same = [entry for entry in entries if entry.device == mine.device]
        at = entries.index(same[place - 1]) if place <= len(same) else len(entries)
        entries.insert(at, mine)


def take_turn(run: RunDirectory, device: str) -> HeldLock | None:
    """The device's lock, if it is free and no living run waits before this one.

    The run stays in the line until `leave`.

    Raises:
        Busy, DiskFull: not now, but perhaps later.
        PoemError: the state directory can't be used.
    """
    with _editing() as entries:
        path = place_of(run)
        for entry in entries:
            if entry.path == path:
                break
            if entry.device == device and is_attended(entry):
                return None
        place = _device_path(device)
        lock = hold(place, patience_s=0)
        if lock is not None:
            try:
                os.ftruncate(lock.descriptor, 0)
                os.pwrite(lock.descriptor, os.fsencode(path), 0)
            except OSError as error:
                lock.release()
                raise storage_error(error, place) from error
        return lock


def is_attended(entry: Entry) -> bool:
    """Whether a living process waits for the entry's turn. One whose lock can't be looked at holds nobody up."""
    try:
        return is_locked(entry.run)
    except PoemError:
        return False


def holder(device: str) -> str:
    """The id of the run that has the device; empty where it is free."""
    path = _device_path(device)
    return Path(_holder_in(path)).name if is_held(path) else ""


@contextmanager
def _editing() -> Iterator[list[Entry]]:
    """The list, to be changed in place; written back when it did change. One process at a time."""
    state = state_directory()
    lock = hold(state / f"queue-{_host()}.lock", patience_s=_EDIT_PATIENCE_S)
    if lock is None:
        raise Busy(
            _("The queue is in use by another process."), hint=_("Try again in a moment."), where=plain(str(state))
        )
    with lock:
        path = _list_path(state)
        before = _read(path)
        entries = list(before)
        yield entries
        if tuple(entries) != before:
            write_json(path, {"waiting": [asdict(entry) for entry in entries]})


def _read(path: Path) -> tuple[Entry, ...]:
    try:
        entries = [Entry(str(item["path"]), str(item["device"])) for item in read_json(path)["waiting"]]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise storage_error(error, path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise PoemError(
            _("The queue can't be read."),
            hint=_("Remove this file; runs that waited are taken up again with: poemcore resume RUN"),
            where=plain(str(path)),
        ) from error
    return tuple(entry for entry in entries if os.path.isabs(entry.path) and not _is_removed(entry.path))


def _is_removed(path: str) -> bool:
    """Whether there is no such run any more; where its disk is not there either, it may come back."""
    return not os.path.isdir(path) and os.path.isdir(os.path.dirname(path))


def _list_path(state: Path) -> Path:
    return state / f"queue-{_host()}.json"


def _device_path(device: str) -> Path:
    return state_directory() / f"device-{_host()}-{device}.lock"


def _holder_in(path: Path) -> str:
    try:
        return os.fsdecode(path.read_bytes()[:4096])
    except OSError:
        return ""


def _host() -> str:
    """This machine: homes can be shared by several, devices can't. Its name alone may change with the network."""
    try:
        found = _MACHINE_ID.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        found = ""
    if not found and sys.platform == "darwin":
        import uuid

        found = f"{uuid.getnode():012x}"
    return _file_part(found)[:12] or _file_part(os.uname().nodename) or "localhost"


def _file_part(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text)[:80]


def _has_cuda() -> bool:
    from importlib import metadata

    try:
        # "2.13.0+cpu" computes on no GPU, whatever the machine has.
        built_for_cpu = metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        built_for_cpu = False
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    return not built_for_cpu and not hidden and any(Path("/dev", name).exists() for name in _GPU_DEVICES)
