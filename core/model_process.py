"""The end of a model process: how it is brought about, and what it means."""

from __future__ import annotations

import asyncio.subprocess
import contextlib
import os
import signal
from collections.abc import Sequence

from core.i18n import _

_QUOTED_CHARACTERS = 300


def kill(process: asyncio.subprocess.Process) -> None:
    """End it. Not by `process.kill`: that may reap it, and then the loop complains that somebody else has done so."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def death_words(code: int, console: Sequence[str]) -> str:
    """How a process ended, and what it said last."""
    if code == -signal.SIGKILL:
        words = _("the model process was killed, perhaps because memory ran out (signal {number})")
    elif code < 0:
        words = _("the model process ended by signal {number}")
    else:
        words = _("the model process ended with code {number}")
    last = next((line for line in reversed(console) if line.strip()), "")
    words = words.format(number=abs(code))
    return f"{words}: {last[:_QUOTED_CHARACTERS]}" if last else words
