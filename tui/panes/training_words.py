"""What the Train pane says of a run: the lines above the chart, and what is in the panels. Pure; it knows no widget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from textual.content import Content

from core.i18n import _
from core.runs.events import SampleMade
from core.runs.health import Finding
from core.runs.view import RunView
from core.runs.wording import duration, loss_words, sentence, status_words
from tui.plain import content
from tui.run_track import RunTrack
from tui.verse import verse_lines
from tui.widgets.loss_chart import Mark, Series
from tui.wording import short_id
from tui.workbench import ProfileState

SAMPLES_SHOWN = 40
_EVENTS_SHOWN = 100
_GAP = "  "
_STYLES = {"running": "bold $text-success", "finished": "bold $text-primary", "failed": "bold $text-error"}
_STYLES |= {"paused": "bold $text-warning", "queued": "bold $text-warning", "died": "bold $text-error"}
_BYTES_PER_GB = 2**30

Piece = tuple[str, str]
"""Untrusted text and its style."""


def status_pieces(track: RunTrack, *, place: str = "", replayed: str = "") -> Iterator[Piece]:
    """How the run stands, piece by piece.

    Args:
        track: the run.
        place: which of how many runs it is; empty: there is no other.
        replayed: how fast it is replayed, and how far; empty: it isn't.
    """
    view = track.view
    yield short_id(view.id), "bold"
    yield (_("replay"), "bold $text-warning") if replayed else (status_words(view), _STYLES.get(view.status, "bold"))
    if replayed:
        yield replayed, "$text-warning"
    if view.steps:
        yield (
            _("step {step}/{steps} ({share} %)").format(
                step=view.step, steps=view.steps, share=100 * view.step // view.steps
            ),
            "",
        )
        yield _("epoch {epoch:.2f}/{epochs}").format(epoch=track.epoch, epochs=view.epochs), ""
    if view.evaluating:
        yield _("evaluating"), "$text-warning"
    if view.eta_s is not None and not replayed:
        yield _("{time} left").format(time=duration(view.eta_s)), ""
    if view.worked_s:
        yield _("{time} at work").format(time=duration(view.worked_s)), "$text-muted"
    if place:
        yield place, "$text-muted"


def loss_pieces(view: RunView) -> Iterator[Piece]:
    """Its losses."""
    if view.loss is not None:
        yield _("loss {loss}").format(loss=loss_words(view.loss)), ""
        yield _("smoothed {loss}").format(loss=loss_words(view.smoothed_loss)), ""
    if view.eval_loss_base is not None or view.eval_loss is not None:
        yield (
            _("held out {base} → {now}").format(base=loss_words(view.eval_loss_base), now=loss_words(view.eval_loss)),
            "",
        )
    if view.best is not None:
        yield _("best {loss} at step {step}").format(loss=loss_words(view.best[1]), step=view.best[0]), "$text-muted"


def in_lines(pieces: Iterable[Piece], cells: int, *, most: int) -> list[Content]:
    """The pieces one after another in lines of so many cells, as many as there may be; what doesn't fit is left out."""
    lines: list[list[Content]] = [[]]
    used = 0
    for text, style in pieces:
        piece = content(text, style)
        wide = cell_len(piece.plain)
        if lines[-1] and used + len(_GAP) + wide > cells:
            if len(lines) == most:
                break
            lines.append([])
            used = 0
        used += wide + (len(_GAP) if lines[-1] else 0)
        lines[-1].append(piece)
    return [Content(_GAP).join(line) for line in lines if line]


def note_of(view: RunView) -> Piece:
    """What a person should know or do about a run that isn't simply at work; empty texts: nothing."""
    match view.status:
        case "queued" if view.queued_behind:
            text = _("It waits for its device, which {run} had when it came; it starts by itself.")
            return text.format(run=view.queued_behind), "$text-warning"
        case "queued":
            return _("It waits for its device and starts by itself."), "$text-warning"
        case "starting":
            return _("Its process is loading model and data."), "$text-muted"
        case "paused":
            message = view.pause_message.rstrip(".。")
            return _("It waits: {message}. p lets it go on.").format(message=message), "$text-warning"
        case "stopped":
            text = _("It was stopped ({reason}). r goes on after step {step}.")
            if not view.saved_step:
                text = _("It was stopped ({reason}). It has no checkpoint: r starts it from its beginning.")
            return text.format(reason=view.stop_reason, step=view.saved_step), "$text-muted"
        case "died":
            text = _("Its process is gone and left no last word. r goes on after step {step}, its last checkpoint.")
            if not view.saved_step:
                text = _(
                    "Its process is gone and left no last word. It has no checkpoint: r starts it from its beginning."
                )
            return text.format(step=view.saved_step), "$text-error"
        case "failed" if view.error is not None:
            parts = [part for part in (view.error.where, view.error.message) if part]
            return ": ".join(parts) + (f"\n{view.error.hint}" if view.error.hint else ""), "$text-error"
    return "", ""


def series_of(track: RunTrack) -> tuple[Series, ...]:
    """The curves of the chart."""
    view = track.view
    return (
        Series(_("loss"), view.losses, "loss-chart--raw", "faint"),
        Series(_("smoothed"), track.smoothed, "loss-chart--smoothed", "line"),
        Series(_("held out"), view.evals, "loss-chart--eval", "dots"),
    )


def marks_of(view: RunView) -> tuple[Mark, ...]:
    """What is marked in the chart."""
    samples = tuple(Mark(step, "sample") for step in dict.fromkeys(sample.step for sample in view.samples))
    saved = tuple(Mark(saved.step, "checkpoint") for saved in view.checkpoints)
    return samples + saved + ((Mark(view.best[0], "best"),) if view.best is not None else ())


def gigabytes(value: float) -> str:
    """Bytes in words."""
    return f"{value / _BYTES_PER_GB:.2f} GB"


def speed_words(value: float) -> str:
    """Tokens per second, to two digits: more of them would change with every step."""
    return f"{float(f'{value:.2g}'):,.0f}"


def sample_content(samples: Sequence[SampleMade]) -> Content:
    """The poems, newest first, the given line in bold."""
    if not samples:
        return content(_("No sample yet. v has the model write some after this step."), "$text-muted")
    parts: list[Content] = []
    step: int | None = None
    for sample in reversed(samples[-SAMPLES_SHOWN:]):
        if sample.step != step:
            step = sample.step
            parts.append(content(_("step {step}").format(step=step), "$text-primary"))
        verse = [content("\n".join(verse_lines(sample.prompt)), "bold"), content("\n".join(verse_lines(sample.text)))]
        parts += [line for line in verse if line.plain]
        parts.append(Content(""))
    return Content("\n").join(parts[:-1])


def health_content(track: RunTrack, findings: Sequence[Finding]) -> Content:
    """What stands out, what was noted, and what happened, newest first."""
    view = track.view
    parts = [
        Content.assemble(
            content(_("• {message}").format(message=finding.message), "$text-warning"),
            " ",
            content(_("(rule: {rule})").format(rule=finding.rule), "$text-muted"),
        )
        for finding in findings
    ]
    if not parts and view.step:
        parts.append(content(_("Nothing stands out."), "$text-success"))
    events = [sentence(event, view.steps) for event, _time_s in track.told[-_EVENTS_SHOWN:]]
    parts += [content(text) for text in reversed(events)]
    return Content("\n").join(parts) if parts else content(_("Nothing has happened yet."), "$text-muted")


def console_content(lines: Sequence[str]) -> Content:
    """What the run's process wrote, oldest first."""
    if not lines:
        return content(_("Its process has written nothing to the console."), "$text-muted")
    return Content("\n").join(content(line) for line in lines)


def empty_words(profile: ProfileState, directory: str, wanted: str) -> Content:
    """What the pane says while there is no run to show."""
    parts = []
    if wanted:
        parts.append(content(_("There is no run {run}.").format(run=wanted), "$text-warning"))
    parts.append(content(_("No run is kept in {directory} yet.").format(directory=directory), "bold"))
    if profile.profile is not None:
        text = _("s starts one with the profile {profile}: it teaches {base} with {data}.")
        model, data = profile.profile.model.base, profile.profile.data.path
        parts.append(content(text.format(profile=profile.source, base=model, data=data)))
        parts.append(
            content(_("First you are shown what would run: rows, steps, device, disk. Nothing starts before."))
        )
    elif profile.problems:
        text = _("The profile {profile} has problems. Go to it with 2; then s starts a run.")
        parts.append(content(text.format(profile=profile.source), "$text-warning"))
    elif profile.source:
        parts.append(content(_("s starts one with the profile {profile}.").format(profile=profile.source)))
    else:
        parts.append(content(_("Open a profile first (2); then s starts a run with it.")))
    parts.append(content(_("A run goes on in the background, also when this app is closed.")))
    return Content("\n\n").join(parts)
