"""What a person sees of a run: the fold of its events into one frozen snapshot.

Pure but for `view_run`, which reads the disk. Knows the events and nothing of screens. Every figure is defined here,
once, for the command line and the app alike.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.runs.directory import RunDirectory, check_run
from core.runs.event_log import iter_events
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
from core.runs.lock import is_locked

OPEN_STATUSES = ("starting", "queued", "running", "paused")
STATUSES = (*OPEN_STATUSES, "finished", "stopped", "failed", "died")
SMOOTHING = 0.95
"""Weight of a loss relative to the next step's: the smoothed loss looks back over about 1 / (1 - 0.95) = 20 steps."""
RECENT_STEPS = 20
"""Speed and remaining time are means over this many steps."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run at one moment. Steps that were done again after a resume count once, in their later form."""

    id: str
    """The run's id."""
    status: str = "starting"
    """One of `STATUSES`; by events alone it is never "died", which takes a look at the lock."""
    pause_reason: str = ""
    """While it is paused: request or disk."""
    pause_message: str = ""
    """While it is paused: what it waits for."""
    queued_behind: str = ""
    """While it is queued: the run that had the device; empty: not known."""
    evaluating: bool = False
    """Whether the held-out rows are being scored now."""
    best: tuple[int, float] | None = None
    """(step, held-out loss) of the checkpoint that `adapter/best` leads to; None: there is none yet."""
    step: int = 0
    """Optimiser steps done."""
    steps: int = 0
    """Optimiser steps in all; 0: not known yet."""
    epochs: int = 0
    """Epochs asked for; 0: not known yet."""
    rows: int = 0
    """Rows that train."""
    eval_rows: int = 0
    """Held-out rows."""
    base: str = ""
    """The model that is being taught; empty: not known yet."""
    device: str = ""
    """Where it runs."""
    dtype: str = ""
    """The number type of the base model's weights."""
    loss: float | None = None
    """Nats per supervised token at the last step; None before the first; may be NaN."""
    lr: float | None = None
    """Learning rate of the last step of this process; None before it."""
    loss_sum: float = 0.0
    """Finite losses, each weighted by SMOOTHING to the power of its age in steps."""
    loss_weight: float = 0.0
    """The sum of those weights."""
    recent: tuple[tuple[int, float], ...] = ()
    """(tokens, seconds) of the last RECENT_STEPS steps of this process."""
    losses: tuple[tuple[int, float], ...] = ()
    """(step, loss) of every step whose loss was finite."""
    evals: tuple[tuple[int, float], ...] = ()
    """(step, held-out loss), one a step."""
    samples: tuple[SampleMade, ...] = ()
    """Continuations written on the way."""
    checkpoints: tuple[CheckpointSaved, ...] = ()
    """Checkpoints ever completed; the older ones may have been removed since."""
    notes: tuple[str, ...] = ()
    """What the person should know."""
    eval_loss_base: float | None = None
    """Held-out loss before the first step; None: not known, or nothing held out."""
    eval_loss: float | None = None
    """The latest held-out loss after at least one step; None: not known."""
    adapter: str = ""
    """The final adapter, relative to the run directory; empty until it is there."""
    stop_reason: str = ""
    """Who or what asked a stopped run to stop."""
    error: RunFailed | None = None
    """Why a failed run failed."""
    started_s: float | None = None
    """Unix seconds of the first event."""
    ended_s: float | None = None
    """Unix seconds of the closing event; None while there is none."""
    last_s: float | None = None
    """Unix seconds of the last event that isn't a note."""
    worked_s: float = 0.0
    """Seconds of training, evaluating and saving, all processes together; the time between them left out."""

    @property
    def saved_step(self) -> int:
        """The step of its newest checkpoint, from which a resume goes on; 0: it has none, so that one begins anew."""
        return self.checkpoints[-1].step if self.checkpoints else 0

    @property
    def smoothed_loss(self) -> float | None:
        """Exponential moving average of the losses with bias correction (as Adam's), so that it starts at the first."""
        return self.loss_sum / self.loss_weight if self.loss_weight else None

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens trained on per second, over the last steps; None before the first."""
        seconds = sum(step_s for _tokens, step_s in self.recent)
        return sum(tokens for tokens, _step_s in self.recent) / seconds if seconds > 0 else None

    @property
    def eta_s(self) -> float | None:
        """Seconds that the remaining steps take at the mean pace of the last ones; evaluations are not in it.

        None before the first step, and when the run isn't at work.
        """
        if self.status != "running" or not self.recent or not self.steps:
            return None
        mean_step_s = sum(step_s for _tokens, step_s in self.recent) / len(self.recent)
        return mean_step_s * max(0, self.steps - self.step)


def fold(view: RunView, event: Event, time_s: float) -> RunView:
    """The view after one more event, which happened at `time_s` (unix seconds). Costs time in the run's length."""
    return fold_all(view, ((event, time_s),))


def fold_all(view: RunView, events: Iterable[tuple[Event, float]]) -> RunView:
    """The view after all these (event, unix seconds): the same as folding one by one, but in linear time."""
    draft = _Draft(view)
    for event, time_s in events:
        draft.take_time(event, time_s)
        draft.take(event, time_s)
    return draft.finished()


def view_run(run: RunDirectory) -> RunView:
    """The run as it is now, from its events and its lock.

    Raises:
        PoemError: its files can't be read.
    """
    # Before the events: a worker that writes its last one and leaves while we read has not died.
    check_run(run)
    locked = is_locked(run)
    return judged_by_lock(fold_all(RunView(run.id), iter_events(run.events_path)), locked=locked)


def judged_by_lock(view: RunView, *, locked: bool) -> RunView:
    """The view with its status set right: an open run that no process held, before its events were read, has died.

    A queued one has lost nothing: it keeps its place, and waits to be taken up again.
    """
    if locked or view.status not in OPEN_STATUSES or view.status == "queued":
        return view
    return replace(view, status="died", evaluating=False, pause_reason="", pause_message="")


class _Draft:
    """A view being folded. What grows or changes with every step is held loose, the rest in a frozen head."""

    def __init__(self, view: RunView) -> None:
        self._head = view
        self._step, self._loss, self._lr = view.step, view.loss, view.lr
        self._loss_sum, self._loss_weight = view.loss_sum, view.loss_weight
        self._started_s, self._last_s, self._worked_s = view.started_s, view.last_s, view.worked_s
        self._recent = deque(view.recent, RECENT_STEPS)
        self._losses, self._evals, self._notes = list(view.losses), list(view.evals), list(view.notes)
        self._samples, self._checkpoints = list(view.samples), list(view.checkpoints)

    def finished(self) -> RunView:
        return replace(
            self._head,
            step=self._step,
            loss=self._loss,
            lr=self._lr,
            loss_sum=self._loss_sum,
            loss_weight=self._loss_weight,
            recent=tuple(self._recent),
            losses=tuple(self._losses),
            evals=tuple(self._evals),
            samples=tuple(self._samples),
            checkpoints=tuple(self._checkpoints),
            notes=tuple(self._notes),
            started_s=self._started_s,
            last_s=self._last_s,
            worked_s=self._worked_s,
        )

    def take_time(self, event: Event, time_s: float) -> None:
        if self._started_s is None:
            self._started_s = time_s
        if isinstance(event, (Note, RequestAnswered, SettingChanged)):
            return  # these come between two processes of a run too, when the time since the last event wasn't work
        begins = isinstance(event, (RunQueued, DeviceTaken, RunStarted))
        if self._last_s is not None and self._head.status == "running" and not begins:
            self._worked_s += max(0.0, time_s - self._last_s)  # a clock set back adds nothing
        self._last_s = time_s

    def take(self, event: Event, time_s: float) -> None:
        match event:
            case StepDone():
                self._take_step(event)
            case Note():
                self._notes.append(event.message)
            case RunQueued():
                self._become("queued", queued_behind=event.behind)
            case DeviceTaken():
                self._become("starting")
            case RunPaused():
                self._become("paused", pause_reason=event.reason, pause_message=event.message)
            case RunContinued():
                self._become("running")
            case SettingChanged() if self._head.status == "finished":
                self._become("starting")  # it is made longer
            case EvalStarted():
                self._head = replace(self._head, evaluating=True)
            case BestChanged():
                self._head = replace(self._head, best=(event.step, event.loss))
            case EvalDone():
                self._head = replace(self._head, evaluating=False)
                if self._evals and self._evals[-1][0] == event.step:
                    self._evals.pop()  # a run that was resumed here scores the same step again
                self._evals.append((event.step, event.loss))
                self._head = _with_eval_losses(self._head, self._evals[-1:])
            case SampleMade():
                self._samples.append(event)
            case CheckpointSaved():
                self._checkpoints.append(event)
            case RunStarted():
                self._take_start(event)
            case RunFinished():
                self._step = event.step
                self._become("finished")
                self._head = replace(
                    self._head,
                    eval_loss_base=event.eval_loss_base,
                    eval_loss=event.eval_loss,
                    adapter=event.adapter,
                    ended_s=time_s,
                )
            case RunStopped():
                self._step = event.step
                self._become("stopped")
                self._head = replace(self._head, stop_reason=event.reason, ended_s=time_s)
            case RunFailed():
                self._become("failed")
                self._head = replace(self._head, error=event, ended_s=time_s)

    def _become(self, status: str, *, queued_behind: str = "", pause_reason: str = "", pause_message: str = "") -> None:
        """Another status; what was known of the one before it is void."""
        self._head = replace(
            self._head,
            status=status,
            queued_behind=queued_behind,
            pause_reason=pause_reason,
            pause_message=pause_message,
            stop_reason="",
            evaluating=False,
            error=None,
            ended_s=None,
        )

    def _take_step(self, event: StepDone) -> None:
        self._step, self._loss, self._lr = event.step, event.loss, event.lr
        self._recent.append((event.tokens, event.step_s))
        if math.isfinite(event.loss):
            self._losses.append((event.step, event.loss))
            self._smooth(event.loss)

    def _take_start(self, event: RunStarted) -> None:
        """Begin, or go on from a checkpoint: what was done after it will be done again, so it is dropped."""
        kept = event.resumed_from_step
        self._losses = [(step, loss) for step, loss in self._losses if step <= kept]
        self._evals = [(step, loss) for step, loss in self._evals if step <= kept]
        self._samples = [sample for sample in self._samples if sample.step <= kept]
        self._checkpoints = [saved for saved in self._checkpoints if saved.step <= kept]
        self._recent.clear()
        self._step, self._lr = kept, None
        self._loss = self._losses[-1][1] if self._losses else None
        self._loss_sum = self._loss_weight = 0.0
        for _step, loss in self._losses:
            self._smooth(loss)
        self._become("running")
        best = self._head.best
        self._head = replace(
            self._head,
            best=best if best is not None and best[0] <= kept else None,
            steps=event.steps,
            epochs=event.epochs,
            rows=event.rows,
            eval_rows=event.eval_rows,
            base=event.base,
            device=event.device,
            dtype=event.dtype,
            eval_loss_base=None,
            eval_loss=None,
            adapter="",
        )
        self._head = _with_eval_losses(self._head, self._evals)

    def _smooth(self, loss: float) -> None:
        self._loss_sum = SMOOTHING * self._loss_sum + loss
        self._loss_weight = SMOOTHING * self._loss_weight + 1.0


def _with_eval_losses(head: RunView, evals: list[tuple[int, float]]) -> RunView:
    for step, loss in evals:
        head = replace(head, eval_loss=loss) if step > 0 else replace(head, eval_loss_base=loss)
    return head
