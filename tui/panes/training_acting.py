"""What a person can ask of the followed run: end, pause, go on, save, write a sample. The run answers in its own time.

It knows neither chart nor panels. Closing the app asks nothing of a run.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from textual import work
from textual.binding import Binding
from textual.worker import Worker, get_current_worker

from core.errors import PoemError
from core.i18n import N_, _
from core.runs.directory import RunDirectory
from tui import messages
from tui.panes.training_reading import ReadingPane
from tui.widgets.dialogs import Confirm
from tui.wording import short_id

_ANSWER_S = 60.0
_STATES = {
    "end": ("queued", "starting", "running", "paused"),
    "end_now": ("queued", "starting", "running", "paused"),
    "pause": ("starting", "running"),
    "go_on": ("paused",),
    "save": ("starting", "running", "paused"),
    "sample": ("starting", "running", "paused"),
    "resume": ("stopped", "failed", "died"),
}
"""In which states of the run an action makes sense."""
_SAID = {
    "stop": N_("{run} saves what it has learnt and ends."),
    "stop-now": N_("{run} ends at once."),
    "pause": N_("{run} pauses."),
    "resume": N_("{run} goes on."),
    "checkpoint": N_("{run} saves a checkpoint."),
    "sample": N_("{run} writes samples."),
}


class _AppEnds(Exception):
    """Nobody waits for the answer any more."""


class ActingPane(ReadingPane):
    """A pane that asks things of the run that it follows."""

    BINDINGS = [
        Binding("x", "end", N_("Stop"), id="train.stop"),
        Binding("p", "pause", N_("Pause"), id="train.pause"),
        Binding("p", "go_on", N_("Go on"), id="train.continue"),
        Binding("c", "save", N_("Checkpoint now"), id="train.checkpoint", show=False),
        Binding("v", "sample", N_("Sample"), id="train.sample"),
        Binding("r", "resume", N_("Resume"), id="train.resume"),
        Binding("X", "end_now", N_("Stop at once, without saving"), id="train.stop_now", show=False),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What makes no sense in the run's state isn't offered."""
        view = self.live_view
        if action in _STATES:
            return view is not None and not self.replaying and view.status in _STATES[action]
        if action == "replay":
            return self.replaying or self.may_replay()
        if action == "replay_speed":
            return self.replaying
        if action in ("other_run", "choose_run"):
            return self.followed is not None
        return super().check_action(action, parameters)

    def action_end(self) -> None:
        """Save and end it, after a question; one that waits for its device leaves the queue."""
        view = self.live_view
        if view is None or self.followed is None:
            return
        if view.status == "queued":
            text = _("Take {run} out of the queue? It can be resumed later.")
        else:
            text = _("End {run}, with a checkpoint of what it has learnt? It can be resumed later.")
        self._confirm(_("Stop"), text, lambda run: self._end(run, now=False), danger=False)

    def action_end_now(self) -> None:
        """End it at once, after a question."""
        text = _("End {run} at once? What it has learnt since its last checkpoint is lost.")
        self._confirm(_("Stop at once"), text, lambda run: self._end(run, now=True), danger=True)

    def action_pause(self) -> None:
        """Have it wait with everything in memory."""
        self._ask_run("pause")

    def action_go_on(self) -> None:
        """Let it go on where it waits."""
        self._ask_run("resume")

    def action_save(self) -> None:
        """Have it save a checkpoint after this step."""
        self._ask_run("checkpoint")

    def action_sample(self) -> None:
        """Have it continue the profile's sample prompts after this step."""
        self._ask_run("sample")

    def action_resume(self) -> None:
        """Start a process that goes on with it, after a question."""
        view = self.live_view
        if view is None:
            return
        step = view.saved_step
        text = (
            _("Go on with {run} after step {step} of {steps}?") if step else _("Start {run} again from its beginning?")
        )
        text = text.replace("{step}", str(step)).replace("{steps}", str(view.steps))
        self._confirm(_("Resume"), text, self._free_and_resume, danger=False)

    def _confirm(self, title: str, text: str, deed: Callable[[RunDirectory], object], *, danger: bool) -> None:
        run = self.followed
        if run is None:
            return

        def answered(answer: bool | None) -> None:
            if answer:
                deed(run)

        question = Confirm(title, text.replace("{run}", run.id), yes=title, danger=danger)
        self.app.push_screen(question, answered)

    # -- how it is done

    def _ask_run(self, action: str) -> None:
        if self.followed is not None:
            self._ask(self.followed, action)

    @work(thread=True, group="train.ask", exit_on_error=False)
    def _ask(self, run: RunDirectory, action: str) -> None:
        from core.runs.control import ask

        self._ask_and_tell(run, action, lambda: ask(run, action))

    @work(thread=True, group="train.ask", exit_on_error=False)
    def _end(self, run: RunDirectory, *, now: bool) -> None:
        from core.runs.control import ask, signal_stop
        from core.runs.ending import cancel_unattended
        from core.runs.lock import is_locked
        from core.runs.storage import DiskFull
        from core.runs.view import view_run

        action = "stop-now" if now else "stop"
        try:
            if not is_locked(run) and view_run(run).status == "queued":
                cancel_unattended(run)
                self._say(run, _("{run} has left the queue."))
                return
        except PoemError as error:
            self.tell(error)
            return

        def asked() -> object:
            try:
                return ask(run, action)
            except DiskFull:
                signal_stop(run, now=now)
                return None

        self._ask_and_tell(run, action, asked)

    def _ask_and_tell(self, run: RunDirectory, action: str, asked: Callable[[], object]) -> None:
        """Put a request before the run and tell what it answers; in a thread."""
        from core.runs.control import Request, await_answer

        worker = get_current_worker()
        try:
            offset = os.stat(run.events_path).st_size if run.events_path.exists() else 0
            request = asked()
            if not isinstance(request, Request):
                self._say(run, _(_SAID[action]))
                return
            answer = await_answer(
                run, request, offset=offset, timeout_s=_ANSWER_S, wait=lambda seconds: _wait(worker, seconds)
            )
        except PoemError as error:
            self.tell(error)
            return
        except _AppEnds:
            return
        if answer is None:
            text = _("{run} hasn't answered yet. It takes the request as soon as it can.")
            self._say(run, text, severity="warning")
        elif answer.problem:
            self.tell(f"{short_id(run.id)}: {answer.problem}", severity="warning")
        else:
            self._say(run, _(_SAID[action]))

    def _free_and_resume(self, run: RunDirectory) -> None:
        self._resume(run)

    @work(group="train.start", exit_on_error=False)
    async def _resume(self, run: RunDirectory) -> None:
        import asyncio

        from core.runs.launch import resume_detached

        await self.free_device()
        try:
            await asyncio.to_thread(resume_detached, run)
        except PoemError as error:
            self.tell(error)
        else:
            self._say(run, _("{run} goes on."))
            self.follow(run.id)

    async def free_device(self) -> None:
        """The warm model makes room for a run."""
        self.post_message(messages.FreeDevice())
        await self.workbench.model.unload()

    def _say(self, run: RunDirectory, text: str, *, severity: str = "information") -> None:
        self.tell(text.format(run=short_id(run.id)), severity=severity)
        self.post_message(messages.LookAtRuns())


def _wait(worker: Worker[object], seconds: float) -> None:
    import time

    if worker.is_cancelled:
        raise _AppEnds
    time.sleep(seconds)
