"""Starting a run of the profile in the editor: first what would run is worked out and shown, then a question."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from core.errors import PoemError
from core.i18n import N_, _
from core.runs.directory import RunDirectory, run_name
from tui import messages
from tui.panes.training_acting import ActingPane
from tui.plain import content, fit
from tui.widgets.dialogs import Confirm, Dialog
from tui.wording import short_id
from tui.workbench import ProfileState

if TYPE_CHECKING:
    from core.client import Plan
    from core.profile.schema import Profile

_BYTES_PER_GB, _BYTES_PER_MB = 10**9, 10**6


class Waiting(Dialog[bool]):
    """Says what is being worked out; escape gives it up."""

    def compose(self) -> ComposeResult:
        """One line."""
        with Vertical():
            yield Static(content(_("working out what would run …   (esc gives it up)")))


class StartingPane(ActingPane):
    """A pane that starts runs."""

    BINDINGS = [Binding("s", "start", N_("Start"), id="train.start")]

    def action_start(self) -> None:
        """Ask whether to start a run."""
        self.ask_to_start()

    def ask_to_start(self) -> None:
        """Work out what a run of the profile in the editor would be, show it, and start it if that is wanted."""
        from core.profile.document import check_text
        from core.profile.problem import problems_error

        state = self.workbench.profile_state
        if not state.source:
            self._offer_profile(_("No profile is open."))
            return
        profile, problems = check_text(state.text)
        if profile is None:
            self._offer_profile(str(problems_error(problems[:1], state.source)))
            return
        waiting = Waiting(_("Start a run"))
        worker = self._work_out(state, profile, waiting)
        self.app.push_screen(waiting, lambda _answer: worker.cancel())

    def _offer_profile(self, problem: str) -> None:
        def answered(answer: bool | None) -> None:
            if answer:
                self.post_message(messages.ShowPane("profile"))

        title, text = _("This profile can't be run"), content(problem)
        self.app.push_screen(Confirm(title, text, yes=_("Go to the profile")), answered)

    @work(exclusive=True, group="train.plan", exit_on_error=False)
    async def _work_out(self, state: ProfileState, profile: Profile, waiting: Waiting) -> None:
        from core.client import Superseded

        plan: Plan | None = None
        problem: PoemError | None = None
        try:
            plan = await self.workbench.model.plan(state.text, str(state.base_dir))
        except Superseded:
            pass
        except PoemError as error:
            problem = error
        if waiting.is_attached:
            # Its answer is what cancels this worker: it mustn't be heard any more.
            self.app.call_later(self._worked_out, state, profile, waiting, plan, problem)

    def _worked_out(
        self, state: ProfileState, profile: Profile, waiting: Waiting, plan: Plan | None, problem: PoemError | None
    ) -> None:
        if not waiting.is_attached:
            return
        waiting.dismiss(None)
        if problem is not None:
            self.tell(problem)
        if plan is None:
            return

        def answered(answer: bool | None) -> None:
            if answer:
                self._start(profile, run_name(Path(state.source).stem))

        text = Content("\n").join(plan_lines(plan, state, profile))
        self.app.push_screen(Confirm(_("Start a run"), text, yes=_("Start")), answered)

    @work(group="train.start", exit_on_error=False)
    async def _start(self, profile: Profile, name: str | None) -> None:
        from core.runs.launch import start_detached

        await self.free_device()
        try:
            run: RunDirectory = await asyncio.to_thread(start_detached, profile, self.workbench.runs_dir, name)
        except PoemError as error:
            self.tell(error)
        else:
            self._say(run, _("Started, or in the queue: {run}. It goes on when the app is closed."))
            self.follow(run.id)


def plan_lines(plan: Plan, state: ProfileState, profile: Profile) -> Iterator[Content]:
    """What would run, line by line."""
    rows = _("{rows:,} train, {held_out:,} held out").format(rows=plan.rows, held_out=plan.eval_rows)
    if plan.dropped_rows:
        rows += _(", {dropped:,} left out").format(dropped=plan.dropped_rows)
    named = PurePath(state.source).name
    facts = (
        (_("profile"), _("{name} (as it is in the editor)").format(name=named) if state.unsaved else named),
        (_("base"), plan.base),
        (_("data"), profile.data.path),
        (_("rows"), rows),
        (_("steps"), _("{steps:,}, {per_epoch:,} an epoch; epochs: {epochs}").format(
            steps=plan.steps, per_epoch=plan.steps_per_epoch, epochs=plan.epochs)),
        (_("tokens"), _("{tokens:,} an epoch, the loss over {supervised:,}").format(
            tokens=plan.tokens, supervised=plan.supervised_tokens)),
        (_("parameters"), _("{count:,} are trained").format(count=plan.trainable_parameters)),
        (_("device"), f"{plan.device}, {plan.dtype}"),
        (_("disk"), _("{needed} needed, {free} free").format(
            needed=_size(plan.disk_bytes), free=_size(plan.free_bytes))),
    )  # fmt: skip
    wide = max(cell_len(label) for label, _value in facts)
    short = plan.disk_bytes > plan.free_bytes
    for label, value in facts:
        style = "$text-error" if short and label == _("disk") else ""
        yield Content.assemble(content(fit(label, wide) + "  ", "$text-muted"), content(value, style))
    if plan.queued_behind:
        text = _("It will wait: {run} has the device.").format(run=short_id(plan.queued_behind))
        yield content(text, "$text-warning")
    if profile.notify.command:
        command = _("At the end this program will be run: {command}").format(command=profile.notify.command)
        yield content(command, "$text-warning")
    for note in plan.notes:
        yield content(note, "$text-muted")


def _size(size_bytes: int) -> str:
    if size_bytes >= _BYTES_PER_GB:
        return f"{size_bytes / _BYTES_PER_GB:,.1f} GB"
    return f"{size_bytes / _BYTES_PER_MB:,.1f} MB"
