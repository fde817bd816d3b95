"""The adapters of a run that one can complete with, and what they are called. It knows no widget and no model.

An adapter is named by its folder relative to the run's, as on the disk: `adapter`, `adapter/best` or
`checkpoints/step-000200/adapter`; "" is the final one, else that of the newest checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.runs.directory import RunDirectory
from tui.wording import short_id

if TYPE_CHECKING:
    from core.runs.view import RunView

BEST = "adapter/best"
_FINAL = "adapter"
_CHECKPOINT = re.compile(r"checkpoints/step-(\d{6,12})/adapter")


class AdapterGone(PoemError):
    """The adapter that was chosen is no longer there."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An adapter that can be chosen."""

    name: str
    """Its folder; "": whichever is the run's own choice."""
    words: str
    """What it is, for people."""


def step_of(name: str) -> int:
    """The step of the checkpoint whose adapter is named; 0: it is of none."""
    found = _CHECKPOINT.fullmatch(name)
    return int(found[1]) if found else 0


def is_name(name: str) -> bool:
    """Whether it names an adapter, be it there or not."""
    return name in ("", BEST) or step_of(name) > 0


def may_have_several(view: RunView) -> bool:
    """Whether the run's events speak of more than one adapter; how many are left, the disk knows."""
    return len({checkpoint.step for checkpoint in view.checkpoints} | ({view.step} if view.adapter else set())) > 1


def offers_of(path: Path, view: RunView) -> tuple[Offer, ...]:
    """What the run keeps now: its own choice, the best, checkpoints from the newest; empty where that is no choice.

    Reads the disk.
    """
    from core.runs.facts import on_disk

    run = RunDirectory(path)
    disk = on_disk(run)
    if len({*disk.checkpoints, *([view.step] if disk.has_adapter else [])}) < 2:
        return ()
    return tuple(_offers(run, view, disk.checkpoints, disk.best, is_final=disk.has_adapter))


def _offers(
    run: RunDirectory, view: RunView, checkpoints: tuple[int, ...], best: int | None, *, is_final: bool
) -> Iterator[Offer]:
    newest = checkpoints[-1] if checkpoints else 0
    own = _("final") if is_final else _("the newest checkpoint, now of step {step}").format(step=newest)
    yield Offer("", own)
    losses = dict(view.evals)
    if best is not None:
        yield Offer(BEST, best_words(best, losses.get(best)))
    for step in reversed(checkpoints):
        name = str((run.checkpoint_path(step) / "adapter").relative_to(run.path))
        yield Offer(name, checkpoint_words(step, losses.get(step)))


def best_words(step: int, loss: float | None) -> str:
    """The best adapter."""
    if loss is None:
        return _("best, of step {step}").format(step=step)
    return _("best, of step {step}: held-out loss {loss:.3f}").format(step=step, loss=loss)


def checkpoint_words(step: int, loss: float | None) -> str:
    """A checkpoint's adapter."""
    words = _("checkpoint of step {step}").format(step=step)
    return words if loss is None else _("{checkpoint}: held-out loss {loss:.3f}").format(checkpoint=words, loss=loss)


def has_adapter(view: RunView) -> bool:
    """Whether there is anything of the run to complete with."""
    return bool(view.adapter or view.checkpoints)


def adapter_words(view: RunView, name: str = "") -> str:
    """Which adapter of the run writes."""
    if name == BEST:
        return best_words(*view.best) if view.best is not None else _("best")
    if step := step_of(name):
        return checkpoint_words(step, None)
    if view.adapter:
        return _("final")
    if view.checkpoints:
        return checkpoint_words(view.checkpoints[-1].step, None)
    return _("no adapter yet")


def short_words(name: str, *, is_best: bool) -> str:
    """The adapter that wrote, for a narrow list; "": not known."""
    step = step_of(name)
    if is_best:
        return _("best {step}").format(step=step) if step else _("best")
    if step:
        return _("step {step}").format(step=step)
    return _("final") if name == _FINAL else ""


def check_kept(path: Path, name: str) -> None:
    """See that the adapter that was chosen is still there. Reads the disk.

    Raises:
        AdapterGone: it isn't.
    """
    if not name or (path / name / "adapter_config.json").is_file():
        return
    gone = _("the best adapter") if name == BEST else checkpoint_words(step_of(name), None)
    raise AdapterGone(
        _("{adapter} isn't there any more: {run} keeps its newest checkpoints and the best").format(
            adapter=gone, run=plain(short_id(path.name))
        ),
        hint=_("Enter completes with the usual adapter; ^r chooses another."),
    )
