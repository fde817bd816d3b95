"""Making a run, and starting a worker that no terminal, shell or app can take with it.

The worker gets a session of its own and writes to a file. Knows how it begins and nothing of what it does. The run's
lock is taken here and handed over, so that no reader ever sees a run that has been started and isn't held.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from core.base_folder import BUILTIN, resolve_base
from core.data.rows import read_rows, resolve_data_path
from core.errors import PoemError
from core.profile.document import dump_profile
from core.profile.schema import Profile
from core.runs import queue
from core.runs.control import begin
from core.runs.directory import RunDirectory, create_run
from core.runs.lock import HeldLock, lock_run
from core.runs.resumption import make_resumable
from core.runs.storage import DiskFull, open_private, storage_error, write_whole

# What a worker treats in its own way; held back until it does, so that none can kill it while Python starts.
HELD_BACK = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def start_detached(profile: Profile, runs_dir: Path, name: str | None) -> RunDirectory:
    """Make a run, put it into the queue of its device and start its worker; what can't begin leaves nothing behind.

    Raises:
        PoemError: data or base aren't there, the name isn't one, or the run can't be made.
    """
    # What can be seen without a model is seen here, where the person still looks.
    data = profile.data
    read_rows(data.path, columns=data.columns or None, on_bad_row=data.on_bad_row)
    resolve_base(profile.model.base)
    run = submit(profile, runs_dir, name=name)
    try:
        with lock_run(run) as lock:
            launch_in_turn(run, lock, profile)
    except PoemError:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def resume_detached(run: RunDirectory, *, patience_s: float = 0.5) -> None:
    """Start a worker that goes on with a run that has ended: from its newest checkpoint, or else from its start.

    Raises:
        PoemError: another process is at work on it, it is finished, or it can't go on.
    """
    with lock_run(run, patience_s=patience_s) as lock:
        begin(run)
        launch_in_turn(run, lock, make_resumable(run, overrides=(), from_step=None))


def launch_in_turn(run: RunDirectory, lock: HeldLock, profile: Profile) -> None:
    """Put a run into the queue of its device, and start its worker, which waits there for its turn."""
    with contextlib.suppress(queue.Busy, DiskFull):  # then the worker itself does it, a moment later
        queue.join(run, queue.device_name(profile.model.device))
    launch(run, lock)


def submit(profile: Profile, runs_dir: Path, *, name: str | None) -> RunDirectory:
    """Make the directory of a run, with its profile in it.

    Raises:
        PoemError: the name isn't one, or the directory can't be made.
    """
    run = create_run(runs_dir, name=name)
    write_whole(run.profile_path, dump_profile(with_full_paths(profile)))
    return run


def with_full_paths(profile: Profile) -> Profile:
    """The profile as a run keeps it: it must mean the same wherever its worker is started."""
    data, model = profile.data, profile.model
    if not data.path.startswith(BUILTIN):
        data = replace(data, path=str(resolve_data_path(data.path).absolute()))
    folder = os.path.expanduser(model.base)
    if not model.base.startswith(BUILTIN) and os.path.isdir(folder):
        model = replace(model, base=os.path.abspath(folder))
    return replace(profile, data=data, model=model)


def launch(run: RunDirectory, lock: HeldLock) -> int:
    """Start the run's worker, which holds the lock too from here on; the caller lets go of it.

    Args:
        run: the run; its profile is written.
        lock: the run's.

    Returns:
        the worker's process id.

    Raises:
        PoemError: the console file or the process can't be made.
    """
    command = [sys.executable, "-P", "-m", "core.training", str(run.path.absolute()), "--lock", str(lock.descriptor)]
    # The same code as ours, from wherever we were started; with -P, nothing that lies in the current directory.
    # An empty or relative part of the person's path means where they are, not the run directory.
    theirs = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    paths = [str(Path(__file__).parents[2]), *map(os.path.abspath, theirs)]
    former = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        with open(run.console_path, "ab", opener=open_private) as console:
            worker = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd=run.path,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,
                pass_fds=[lock.descriptor],
            )
    except OSError as error:
        raise storage_error(error, run.console_path) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
    return worker.pid
