"""The life of a worker: it holds a run, waits for its turn, trains, and writes down how it ended.

Light until its turn has come: a run that waits in the queue costs next to nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import PoemError, WorkError
from core.i18n import _
from core.profile.document import load_profile
from core.profile.schema import Profile
from core.runs.checkpoints import checkpoints, choose_checkpoint, tidy
from core.runs.control import begin, write_pid
from core.runs.directory import RunDirectory, check_run
from core.runs.event_log import iter_events
from core.runs.events import Event, Note, RunFailed, RunStarted, RunStopped
from core.runs.launch import submit
from core.runs.lock import lock_run
from core.runs.resumption import wanted_step
from core.runs.view import view_run
from core.training.commands import Commands, Interrupts, Stopped
from core.training.journal import Journal
from core.training.turn import wait_turn


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a worker ended, where it didn't fail."""

    run: RunDirectory
    """The run."""
    status: str
    """finished or stopped."""
    step: int
    """Optimiser steps done; of a stopped run, those that a resume goes on from."""
    eval_loss_base: float | None = None
    """Held-out loss before the first step, nats per supervised token; None: not known."""
    eval_loss: float | None = None
    """The same after the last step."""


def start(profile: Profile, *, runs_dir: Path, name: str | None, on_event: Callable[[Event], None]) -> Outcome:
    """Make a run and work on it in this process. One that fails before it trains leaves nothing behind.

    Raises:
        PoemError: the profile, the data, the model or the disk is at fault.
    """
    was_there = runs_dir.exists()
    run = submit(profile, runs_dir, name=name)
    try:
        return resume(run, on_event=on_event)
    except PoemError:
        if not any(isinstance(event, RunStarted) for event, _time_s in iter_events(run.events_path)):
            shutil.rmtree(run.path, ignore_errors=True)
            if not was_there:
                with suppress(OSError):
                    runs_dir.rmdir()  # if it is empty
        raise


def resume(run: RunDirectory, *, on_event: Callable[[Event], None]) -> Outcome:
    """Go on with a run in this process, from its newest checkpoint, or from the beginning where it has none.

    Raises:
        PoemError: as for `start`; or another process is at work on it, or its checkpoint, data or model isn't what it
            was.
    """
    with lock_run(run):
        begin(run)
        return work_here(run, on_event=on_event)


def work_here(run: RunDirectory, *, on_event: Callable[[Event], None]) -> Outcome:
    """The same, where the caller holds the run's lock."""
    interrupts = Interrupts()
    try:
        return work(run, interrupts=interrupts, listeners=[on_event])
    finally:
        interrupts.restore()


def work(
    run: RunDirectory,
    *,
    interrupts: Interrupts,
    listeners: list[Callable[[Event], None]],
) -> Outcome:
    """Do the run's work to its end. The caller holds its lock.

    Args:
        run: the run, with its profile in it.
        interrupts: the signals that have come.
        listeners: told of every event; one that raises OSError is told no more.

    Raises:
        PoemError: it can't be done; the run has failed, and its events say why.
        WorkError: the same, after training began.
    """
    former_umask = os.umask(0o077)  # what the libraries write in the run is for this user alone, too
    try:
        # The device is held until all is over: no other run is to load its model beside ours.
        with Journal(run, listeners) as journal, ExitStack() as held:
            try:
                return _work(run, journal, interrupts, held)
            except PoemError as error:
                journal.record(RunFailed(message=error.message, hint=error.hint, where=error.where), sync=True)
                if journal.has_started:
                    raise WorkError(error.message, hint=error.hint, where=error.where) from error
                raise
            except Exception as error:
                message = _("internal error: {kind}: {problem}").format(kind=type(error).__name__, problem=error)
                hint = _("This is a fault of poemtui. A detached run's {path} says where.").format(
                    path=run.console_path.name
                )
                journal.record(RunFailed(message=message, hint=hint, where=""), sync=True)
                raise
            finally:
                _give_notice(run, journal)
    finally:
        os.umask(former_umask)


def _work(run: RunDirectory, journal: Journal, interrupts: Interrupts, held: ExitStack) -> Outcome:
    try:
        check_run(run)
        write_pid(run, os.getpid())
        profile = load_profile(str(run.profile_path))
        commands = Commands(run, interrupts, journal.record)
        held.enter_context(wait_turn(run, profile.model.device, commands=commands, record=journal.record))
        tidy(run)
        checkpoint = choose_checkpoint(run, wanted_step(run))
        from core.model.allocator import keep_freed_memory

        keep_freed_memory()
        from core.training.conductor import conduct

        return conduct(run, profile, checkpoint, commands=commands, journal=journal)
    except Stopped as stopped:
        reason = str(stopped)
    except KeyboardInterrupt:
        reason = interrupts.names[-1]
    found = checkpoints(run)
    step = found[-1].step if found else 0
    journal.record(RunStopped(step=step, reason=reason), sync=True)
    return Outcome(run, "stopped", step)


def _give_notice(run: RunDirectory, journal: Journal) -> None:
    """Run the person's own command, if the profile names one and can be read."""
    try:
        command = load_profile(str(run.profile_path)).notify.command
        if not command:
            return
        view = view_run(run)
    except PoemError:
        return
    if view.status in ("finished", "stopped", "failed"):
        from core.training.notice import give_notice

        problem = give_notice(command, run, view)
        if problem:
            journal.record(Note(problem))
