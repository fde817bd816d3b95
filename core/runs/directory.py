"""The directory of a run: its name, its parts, and how runs are made and found again.

Knows nothing of what is trained, and of events only where their file lies. No run is ever overwritten, and no name
that a person types leads out of the runs directory.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from core.errors import PoemError
from core.i18n import _
from core.paths import refuse_pipe
from core.plain import plain
from core.runs.storage import check_private, storage_error, sync_directory

LAST = "last"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ID = re.compile(r"\d{8}-\d{6}(-[a-z0-9][a-z0-9._-]{0,70})?")
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
        """The final adapter, in peft's own format; complete once it holds `adapter_config.json`."""
        return self.path / "adapter"

    @property
    def best_path(self) -> Path:
        """A link to the adapter of the checkpoint with the lowest held-out loss."""
        return self.adapter_path / "best"

    @property
    def trackers_path(self) -> Path:
        """What trackers keep of the run."""
        return self.path / "trackers"

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
            sync_directory(runs_dir)
            return RunDirectory(path)


def run_name(text: str) -> str | None:
    """A lawful name for a run from any text, such as a profile's file name; None where nothing of it is left."""
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower())
    return re.sub(r"\.{2,}", ".", name).strip("._-")[:64] or None


def default_runs_dir() -> str:
    """Where runs are kept unless a person says otherwise."""
    return os.environ.get("POEMTUI_RUNS") or "runs"


def typed(run: RunDirectory) -> str:
    """The run as a person types it: its id, and where it is kept unless that is where it would be looked for anyway."""
    runs_dir = run.path.parent
    if os.path.abspath(runs_dir) == os.path.abspath(default_runs_dir()):
        return plain(run.id)
    return plain(f"{run.id} --runs-dir {shlex.quote(str(runs_dir))}")


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
        PoemError: there is no such run, or more than one (the message lists the near ones); or every user of the
            machine may write in it.
    """
    runs = list_runs(runs_dir)
    if not runs:
        raise PoemError(
            _("There are no runs here."),
            hint=_("Start one with: poemcore train PROFILE. Or name another directory with --runs-dir."),
            where=plain(str(runs_dir)),
        )
    by_id = {run.id: run for run in runs}
    if wanted in by_id or wanted == LAST:
        return check_run(by_id.get(wanted, runs[-1]))
    shown = plain(wanted[:80])
    if _is_run_id(wanted) and (runs_dir / wanted).is_symlink():
        raise PoemError(
            _("The run {run} is a link to somewhere else, and links are not followed.").format(run=shown),
            hint=_("Give --runs-dir the directory that the run itself lies in."),
            where=plain(str(runs_dir)),
        )
    matches = [run for run in runs if wanted and run.id.startswith(wanted)]
    if len(matches) == 1:
        return check_run(matches[0])
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


def check_run(run: RunDirectory) -> RunDirectory:
    """The run, if its directory and those in it are what they seem: no links, no pipes, not open to every user.

    Raises:
        PoemError: one isn't.
    """
    check_private(run.path)
    for part in (run.checkpoints_path, run.adapter_path, run.control_path, run.trackers_path):
        if os.path.lexists(part):
            check_private(part)
    refuse_pipe(run.profile_path)
    return run


def _make_runs_dir(runs_dir: Path) -> None:
    try:
        runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, runs_dir) from error


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
