"""The person's own program, run when a run has ended, with the run's summary in its environment.

No shell is involved, and nothing that a run, a model or a data file says becomes an argument. It knows nothing of how
the run was trained.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping

from core.i18n import _
from core.plain import plain
from core.runs.directory import RunDirectory
from core.runs.view import RunView

_LONGEST_MESSAGE = 4_000
"""Characters. Linux starts no program that gets one text of more than 128 KB."""


def give_notice(command: str, run: RunDirectory, view: RunView, *, timeout_s: float = 60) -> str:
    """Run the command in the run's directory and wait for it; its input is empty and its output is thrown away.

    Args:
        command: a program and its arguments, split as a shell would split words; empty: nothing is run.
        run: the run that has ended.
        view: what became of it.
        timeout_s: seconds until it is killed, with all that it has started.

    Returns:
        What went wrong, one sentence; empty: nothing.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return _("notify.command was not run: it ends inside quotation marks or after a backslash.")
    if not words:
        return ""
    program = plain(words[0])
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=run.path,
            # As bytes: the messages may hold characters that the locale's own encoding lacks.
            env=dict(os.environb) | _encoded(_summary(run, view)),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = plain(getattr(error, "strerror", None) or str(error))
        return _("notify.command can't be run: {program}: {reason}").format(program=program, reason=reason)
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return _("notify.command took longer than {seconds} s and was ended: {program}").format(
            seconds=f"{timeout_s:g}", program=program
        )
    finally:
        if process.poll() is None:
            with contextlib.suppress(OSError):  # it may end by itself at this moment
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code == 0:
        return ""
    if code < 0:
        return _("notify.command was ended by signal {number}: {program}").format(number=-code, program=program)
    return _("notify.command failed with exit code {code}: {program}").format(code=code, program=program)


def _summary(run: RunDirectory, view: RunView) -> Mapping[str, str]:
    message = view.stop_reason if view.error is None else view.error.message
    return {
        "POEMTUI_RUN": run.id,
        "POEMTUI_RUN_PATH": str(run.path.absolute()),
        "POEMTUI_STATUS": view.status,
        "POEMTUI_STEP": str(view.step),
        "POEMTUI_STEPS": str(view.steps),
        "POEMTUI_EVAL_LOSS_BASE": _figure(view.eval_loss_base),
        "POEMTUI_EVAL_LOSS": _figure(view.eval_loss),
        "POEMTUI_SECONDS": f"{view.worked_s:.0f}",
        "POEMTUI_MESSAGE": plain(message[:_LONGEST_MESSAGE]),
    }


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _encoded(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    return {name.encode("ascii"): value.encode("utf-8", "surrogateescape") for name, value in variables.items()}
