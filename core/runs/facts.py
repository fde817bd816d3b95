"""What a run was made from and what there is of it on the disk, for lists and details: nothing here says how it goes.

It reads files that anybody may have written, so it opens regular files of reasonable size only, and follows no link.
"""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from core.errors import PoemError
from core.i18n import _
from core.paths import refuse_pipe
from core.plain import plain
from core.profile.document import check_text, problems_error
from core.profile.schema import Profile
from core.runs.checkpoints import checkpoints
from core.runs.directory import RunDirectory
from core.runs.storage import storage_error
from core.runs.trash import disk_bytes

_LARGEST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Origin:
    """What a run was made from, as its profile says. Untrusted."""

    base: str = ""
    """The base model; empty: not known."""
    data: str = ""
    """The data file; empty: not known."""

    @property
    def base_name(self) -> str:
        """The last part of the base's name: a folder's, or what follows `builtin:`."""
        return PurePath(self.base).name.rpartition(":")[2]

    @property
    def data_name(self) -> str:
        """The last part of the data file's name."""
        return PurePath(self.data).name.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class OnDisk:
    """What there is of a run on the disk."""

    checkpoints: tuple[int, ...]
    """The steps of its checkpoints, ascending."""
    best: int | None
    """The step whose adapter `adapter/best` leads to; None: there is none."""
    has_adapter: bool
    """Whether the final adapter is whole."""
    size_bytes: int
    """All of its files together."""


def origin_of(run: RunDirectory) -> Origin | None:
    """What it was made from; None where there is no profile yet, an empty one where that can't be read."""
    try:
        document: dict[str, Any] = tomllib.loads(_profile_text(run))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return Origin()
    tables = (document.get("model"), document.get("data"))
    base, data = (
        table.get(key) if isinstance(table, dict) else None for table, key in zip(tables, ("base", "path"), strict=True)
    )
    return Origin(base if isinstance(base, str) else "", data if isinstance(data, str) else "")


def profile_of(run: RunDirectory) -> Profile:
    """The run's profile.

    Raises:
        PoemError: it has none, it can't be read, or it is wrong.
    """
    try:
        refuse_pipe(run.profile_path)
        text = _profile_text(run)
    except OSError as error:
        raise storage_error(error, run.profile_path) from error
    except ValueError as error:
        raise PoemError(_("This is no profile."), where=plain(str(run.profile_path))) from error
    profile, problems = check_text(text)
    if profile is None:
        raise problems_error(problems, plain(str(run.profile_path)))
    return profile


def on_disk(run: RunDirectory) -> OnDisk:
    """What there is of it now."""
    try:
        found = checkpoints(run)
    except OSError:
        found = []
    try:
        parts = PurePath(os.readlink(run.best_path)).parts
    except OSError:
        parts = ()
    best = next((item.step for item in found if item.path.name in parts), None)
    whole = stat.S_ISREG(_mode_of(run.adapter_path / "adapter_config.json"))
    return OnDisk(tuple(item.step for item in found), best, whole, disk_bytes(run.path))


def _mode_of(path: os.PathLike[str]) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _profile_text(run: RunDirectory) -> str:
    descriptor = os.open(run.profile_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_BYTES:
            raise ValueError(run.profile_path)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(_LARGEST_BYTES).decode("utf-8")
    finally:
        os.close(descriptor)
