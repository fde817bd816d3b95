"""What is told of one run: how it stands and why, its figures, what is on the disk, samples, notes, last events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from core.i18n import _
from core.plain import plain
from core.runs.view import RunView
from core.runs.wording import duration, loss_words, sentence
from tui.panes.runs_table import Listed
from tui.plain import content

if TYPE_CHECKING:
    from core.runs.facts import OnDisk, Origin

_SAMPLES_SHOWN = 3
_NOTES_SHOWN = 4
_EVENTS_SHOWN = 8
_STATE_STYLES = {
    "running": "bold $text-success",
    "finished": "bold $text-success",
    "paused": "bold $text-warning",
    "queued": "bold $text-warning",
    "failed": "bold $text-error",
    "died": "bold $text-error",
    "unreadable": "bold $text-error",
}
_BYTES_PER_MB = 10**6
_GAP, _BETWEEN = "  ", " · "


def details(run: Listed, origin: Origin | None, disk: OnDisk | None, width: int) -> Content:
    """Everything, what matters most first.

    Args:
        run: the run.
        origin: what it was made from; None: not known.
        disk: what there is of it; None: nobody has looked yet.
        width: cells of a line.
    """
    view = run.seen.view
    head = Content.assemble(
        content(view.id, "bold"), "  ", content(run.state, _STATE_STYLES.get(run.kind, "bold $text-muted"))
    )
    why = why_words(run)
    parts = [head]
    if why:
        parts.append(content(why, "$text-error" if run.kind in ("failed", "died", "unreadable") else "$text-warning"))
    facts = [(name, told) for name, texts in _facts(view, origin, disk) if (told := [text for text in texts if text])]
    indent = max((cell_len(name) for name, _told in facts), default=0) + len(_GAP)
    for name, told in facts:
        for number, line in enumerate(_lines(told, width - indent)):
            label = "" if number else name
            gap = " " * (indent - cell_len(label))
            parts.append(Content.assemble(content(label, "$text-muted"), gap, content(line)))
    parts.append(content(str(run.seen.path), "$text-muted"))
    parts += _section(_("samples"), list(_samples(view)))
    parts += _section(_("notes"), [content(note) for note in reversed(view.notes[-_NOTES_SHOWN:])])
    last = reversed(run.seen.tail[-_EVENTS_SHOWN:])
    parts += _section(_("what it did last"), [content(sentence(event, view.steps)) for event in last])
    return Content("\n").join(parts)


def why_words(run: Listed) -> str:
    """Why it is as it is, and what can be done; nothing where its state says it all."""
    view = run.seen.view
    if run.seen.problem:
        return run.seen.problem
    if view.status == "failed" and view.error is not None:
        where = f"{view.error.where}: " if view.error.where else ""
        return f"{where}{view.error.message}" + (f"\n{view.error.hint}" if view.error.hint else "")
    if view.status == "died":
        if view.saved_step:
            return _("Its process is gone and left no last word. r goes on from its last checkpoint.")
        return _("Its process is gone and left no last word. It has no checkpoint: r starts it from its beginning.")
    if view.status == "queued" and run.place is not None and not run.place.attended:
        return _("It waits for its device, but its process is gone. r starts another one, at the same place.")
    if view.status == "queued":
        waits = _("It waits for its device, which {run} had when it came.").format(run=view.queued_behind)
        return waits if view.queued_behind else _("It waits for its device.")
    if view.status == "paused":
        return view.pause_message or _("It waits until somebody lets it go on.")
    if view.status == "stopped":
        saved = _("It was asked to end ({reason}). r goes on from its last checkpoint.")
        lost = _("It was asked to end ({reason}). It has no checkpoint: r starts it from its beginning.")
        return (saved if view.saved_step else lost).format(reason=view.stop_reason)
    return ""


def _lines(parts: list[str], width: int) -> Iterator[str]:
    """As many parts on a line as fit, a dot between them."""
    line = ""
    for part in parts:
        longer = f"{line}{_BETWEEN}{part}" if line else part
        if line and cell_len(plain(longer)) > width:
            yield line
            longer = part
        line = longer
    yield line


def _facts(view: RunView, origin: Origin | None, disk: OnDisk | None) -> Iterator[tuple[str, list[str]]]:
    if view.steps:
        text = _("{step} of {steps} ({percent} %)")
        percent = 100 * view.step // view.steps
        steps = text.format(step=view.step, steps=view.steps, percent=percent)
        yield _("steps"), [steps, _("epochs: {epochs}").format(epochs=view.epochs)]
    yield _("held-out loss"), _held_out_words(view)
    if view.smoothed_loss is not None and view.loss is not None:
        told = _("{smoothed:.3f} smoothed"), _("{loss:.3f} at the last step")
        yield _("training loss"), [text.format(smoothed=view.smoothed_loss, loss=view.loss) for text in told]
    yield _("time"), _time_words(view)
    yield _("base"), [view.base or (origin.base if origin else ""), view.device, view.dtype]
    rows = _("{rows:,} rows train"), _("{eval_rows:,} held out")
    counts = [text.format(rows=view.rows, eval_rows=view.eval_rows) for text in rows] if view.rows else []
    yield _("data"), [origin.data if origin else "", *counts]
    if disk is not None:
        yield _("on disk"), disk_words(disk)


def _held_out_words(view: RunView) -> list[str]:
    if view.eval_loss_base is None and view.eval_loss is None:
        return []
    before, after = loss_words(view.eval_loss_base), loss_words(view.eval_loss)
    parts = [_("{before} before, {after} now").format(before=before, after=after)]
    if view.best is not None:
        step, loss = view.best
        parts.append(_("best {loss:.3f} at step {step}").format(loss=loss, step=step))
    return parts


def _time_words(view: RunView) -> list[str]:
    parts = [_("{time} worked").format(time=duration(view.worked_s))] if view.worked_s else []
    if view.eta_s is not None:
        parts.append(_("{time} left").format(time=duration(view.eta_s)))
    if view.tokens_per_s is not None:
        parts.append(_("{speed:,.0f} tokens/s").format(speed=view.tokens_per_s))
    return parts


def disk_words(disk: OnDisk) -> list[str]:
    """What there is: adapter, checkpoints and how much room they take."""
    parts = [_("adapter")] if disk.has_adapter else []
    if disk.checkpoints:
        steps = " ".join(f"{step}★" if step == disk.best else str(step) for step in disk.checkpoints)
        parts.append(_("checkpoints {steps}").format(steps=steps))
    if not parts:
        parts.append(_("no adapter, no checkpoint"))
    return [*parts, size_words(disk.size_bytes)]


def size_words(size_bytes: int) -> str:
    """A size on the disk: in MB, or in GB from a thousand of them."""
    megabytes = size_bytes / _BYTES_PER_MB
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.1f} MB"


def _samples(view: RunView) -> Iterator[Content]:
    for sample in reversed(view.samples[-_SAMPLES_SHOWN:]):
        text = _("step {step}: {prompt}").format(step=sample.step, prompt=sample.prompt)
        yield content(text, "$text-muted")
        yield content(sample.text)


def _section(title: str, lines: list[Content]) -> list[Content]:
    return [content(title, "bold $text-primary"), *lines] if lines else []
