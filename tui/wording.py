"""What the frame says in words: the facts of the header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from core.i18n import _
from tui.widgets.header import Fact
from tui.workbench import Workbench

if TYPE_CHECKING:
    from core.runs.view import RunView

_STYLES = {"running": "bold $text-success", "paused": "bold $text-warning", "queued": "bold $text-warning"}
_OPEN = ("paused", "starting", "queued")
_BYTES_PER_GB = 2**30


def header_facts(bench: Workbench) -> Iterator[Fact]:
    """The run at work and how far it is, the profile, the data, the memory; what matters most first."""
    yield Fact("poemtui", "bold $text-primary")
    readable = [run for run in bench.runs if not run.problem]  # of the others nobody knows whether they are at work
    run = next((run for run in readable if run.view.status == "running"), None)
    run = run or next((run for run in readable if run.view.status in _OPEN), None)
    if run is not None:
        yield Fact(
            f"● {short_id(run.id)} {progress_words(run.view, run.status)}", _STYLES.get(run.view.status, "bold"), 48
        )
    profile = bench.profile_state
    if profile.source:
        name = PurePath(profile.source).name
        yield Fact(f"{name} *" if profile.unsaved else name, "$text-warning" if profile.unsaved else "", 28)
    data = bench.data_state
    if data.path:
        name = PurePath(data.path).name
        yield Fact(_("{name} {rows:,} rows").format(name=name, rows=data.rows) if data.rows else name, "", 40)
    memory = bench.memory
    if memory is not None:
        used, total = memory.used_bytes / _BYTES_PER_GB, memory.total_bytes / _BYTES_PER_GB
        yield Fact(f"{memory.device} {used:.1f}/{total:.0f} GB")


def short_id(run_id: str) -> str:
    """A run's name without its date: 20261124-101500-tang → tang; one without a name stays whole."""
    return run_id[16:] or run_id


def progress_words(view: RunView, status: str) -> str:
    """Its status, and while it works the step and the time left: `120/375 32 % 3 min left`."""
    if not view.steps:
        return status
    words = f"{view.step}/{view.steps} {100 * view.step // view.steps} %"
    if view.status != "running":
        return f"{status} {words}"
    if view.evaluating:
        return words + " " + _("evaluating")
    from core.runs.wording import duration

    return words if view.eta_s is None else words + " " + _("{time} left").format(time=duration(view.eta_s))
