"""Runs and their events in words: the same on the command line and in the app."""

from __future__ import annotations

from core.i18n import N_, _
from core.plain import plain
from core.runs.events import (
    BestChanged,
    CheckpointSaved,
    DeviceTaken,
    EvalDone,
    EvalStarted,
    Event,
    Note,
    RequestAnswered,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunQueued,
    RunStarted,
    RunStopped,
    SampleMade,
    SettingChanged,
    StepDone,
)
from core.runs.view import RunView

_STATUS_WORDS = {
    "starting": N_("starting"),
    "queued": N_("queued"),
    "running": N_("running"),
    "paused": N_("paused"),
    "finished": N_("finished"),
    "stopped": N_("stopped"),
    "failed": N_("failed"),
    "died": N_("died"),
}
_PAUSE_WORDS = {"disk": N_("paused: disk")}


def status_words(view: RunView) -> str:
    """How the run stands, in a word or two."""
    if view.status == "paused" and view.pause_reason in _PAUSE_WORDS:
        return _(_PAUSE_WORDS[view.pause_reason])
    return _(_STATUS_WORDS[view.status])


def sentence(event: Event, steps: int) -> str:
    """The event for a person; `steps` is how many the run has in all."""
    match event:
        case RunStarted(resumed_from_step=0):
            return _("started {run}: {rows} rows, {steps} steps, base {base} on {device} ({dtype})").format(
                run=plain(event.run),
                rows=event.rows,
                steps=event.steps,
                base=plain(event.base),
                device=plain(event.device),
                dtype=plain(event.dtype),
            )
        case RunStarted():
            return _("resumed {run} after step {step} of {steps} on {device} ({dtype})").format(
                run=plain(event.run),
                step=event.resumed_from_step,
                steps=event.steps,
                device=plain(event.device),
                dtype=plain(event.dtype),
            )
        case RunQueued(behind=""):
            return _("queued: waits for {device}").format(device=plain(event.device))
        case RunQueued():
            return _("queued: waits for {device}, which {run} has").format(
                device=plain(event.device), run=plain(event.behind)
            )
        case DeviceTaken():
            return _("its turn on {device}: loading model and data").format(device=plain(event.device))
        case RunPaused():
            return _("step {step}: paused: {message}").format(step=event.step, message=_indented(event.message))
        case RunContinued():
            return _("step {step}: goes on").format(step=event.step)
        case RequestAnswered(problem=""):
            return _("asked: {action}").format(action=plain(event.action))
        case RequestAnswered():
            return _("asked: {action}: {problem}").format(action=plain(event.action), problem=_indented(event.problem))
        case SettingChanged():
            return _("step {step}: {key} {before} → {after}").format(
                step=event.step, key=plain(event.key), before=plain(event.before), after=plain(event.after)
            )
        case EvalStarted():
            return _("step {step}: scoring {rows} held-out rows").format(step=event.step, rows=event.rows)
        case BestChanged():
            return _("step {step}: best held-out loss so far, {loss:.4f}").format(step=event.step, loss=event.loss)
        case Note():
            return _("note: {message}").format(message=_indented(event.message))
        case StepDone():
            return _("step {step}/{steps}  loss {loss:.4f}  lr {lr:.2e}  {speed:.0f} tokens/s").format(
                step=event.step, steps=steps, loss=event.loss, lr=event.lr, speed=event.tokens_per_s
            )
        case EvalDone():
            return _("step {step}: held-out loss {loss:.4f} nats per token, over {tokens} tokens").format(
                step=event.step, loss=event.loss, tokens=event.tokens
            )
        case SampleMade():
            return _("step {step}: sample {prompt} → {text}").format(
                step=event.step, prompt=plain(event.prompt), text=_indented(event.text)
            )
        case CheckpointSaved():
            return _("step {step}: saved {path}").format(step=event.step, path=plain(event.path))
        case RunFinished():
            return _("finished after step {step}: held-out loss {base} → {tuned}, adapter in {adapter}").format(
                step=event.step,
                base=loss_words(event.eval_loss_base),
                tuned=loss_words(event.eval_loss),
                adapter=plain(event.adapter),
            )
        case RunStopped():
            return _("stopped after step {step}: {reason}").format(step=event.step, reason=_indented(event.reason))
        case RunFailed():
            parts = [f"{plain(event.where)}: " if event.where else "", _indented(event.message)]
            hint = "\n    " + _indented(event.hint) if event.hint else ""
            return _("failed: {message}").format(message="".join(parts)) + hint


def duration(seconds: float) -> str:
    """`0:07`, `12:34` or `1:02:03`."""
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest_s:02d}" if hours else f"{minutes}:{rest_s:02d}"


def _indented(text: str) -> str:
    return plain(text, keep_newlines=True).replace("\n", "\n    ")


def loss_words(loss: float | None) -> str:
    """A loss to three decimals; `-` where there is none."""
    return "-" if loss is None else f"{loss:.3f}"
