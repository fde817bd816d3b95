"""Starting a run of the profile in the editor: first what would run is worked out and shown, then a question."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from core.errors import PoemError
from core.i18n import N_, _
from core.runs.directory import RunDirectory, run_name
from tui import messages
from tui.advice import advice_content, advice_on, facts_for, no_facts_words
from tui.panes.training_acting import ActingPane
from tui.plain import content
from tui.plan_words import aligned, budget_facts, plan_facts
from tui.widgets.dialogs import Confirm, Dialog
from tui.wording import short_id
from tui.workbench import ProfileState

if TYPE_CHECKING:
    from core.advice.rule import Advice
    from core.client import Plan
    from core.profile.schema import Profile

_BYTES_PER_GB, _BYTES_PER_MB = 10**9, 10**6


class Waiting(Dialog[bool]):
    """Says what is being worked out; escape gives it up."""

    def compose(self) -> ComposeResult:
        """One line."""
        with Vertical():
            yield Static(content(_("working out what would run …   (esc gives it up)")))


class StartQuestion(Confirm):
    """What would run, and whether to start it. Where an error is to be expected, "no" is under the cursor."""

    BINDINGS = [
        Binding("up", "scroll(-1)", N_("Up"), id="dialog.up", show=False),
        Binding("down", "scroll(1)", N_("Down"), id="dialog.down", show=False),
        Binding("pageup", "scroll(-10)", N_("A page up"), id="dialog.page_up", show=False),
        Binding("pagedown", "scroll(10)", N_("A page down"), id="dialog.page_down", show=False),
    ]
    DEFAULT_CSS = """
    StartQuestion > Vertical { width: 90; }
    StartQuestion .dialog--text { max-height: 75vh; }
    """

    def __init__(
        self, plan: Plan, state: ProfileState, profile: Profile, advice: Sequence[Advice], *, unknown: str
    ) -> None:
        """Ask about a plan of `profile`, with the advice on it; `unknown`: why that doesn't go by the data."""
        text = Content("\n").join(plan_lines(plan, state, profile, advice, unknown=unknown))
        wont_fit = plan.budget is not None and plan.budget.verdict == "will not fit"
        errors, warnings = (sum(one.severity == grave for one in advice) for grave in ("error", "warning"))
        super().__init__(_("Start a run"), text, yes=_("Start"), danger=wont_fit or errors > 0)
        self._against = [_("errors: {count}").format(count=errors)] if errors else []
        self._against += [_("warnings: {count}").format(count=warnings)] if warnings else []

    def on_mount(self) -> None:
        """Say on the frame what there is to be read."""
        super().on_mount()
        self.call_after_refresh(self._tell_frame)

    def _tell_frame(self) -> None:
        more = [_("↑ ↓ show the rest")] if self.query_one(".dialog--text", VerticalScroll).max_scroll_y else []
        self.query_one(Vertical).border_subtitle = content(" · ".join(self._against + more), "$text-warning")

    def action_scroll(self, lines: int) -> None:
        """Show what is further up or down."""
        self.query_one(".dialog--text", VerticalScroll).scroll_relative(y=lines, animate=False)


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

        facts = facts_for(profile, state.text, self.workbench.findings, plan.budget)
        unknown = "" if facts is not None else no_facts_words(self.workbench.findings)
        question = StartQuestion(plan, state, profile, advice_on(profile, facts), unknown=unknown)
        self.app.push_screen(question, answered)

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


def plan_lines(
    plan: Plan, state: ProfileState, profile: Profile, advice: Sequence[Advice], *, unknown: str
) -> Iterator[Content]:
    """What would run, line by line: figures, what stands against it, and notes.

    Args:
        plan: of the profile.
        state: where it comes from.
        profile: what would run.
        advice: on it; of this errors and warnings are told.
        unknown: where the advice doesn't go by the data, why, and how to get there.
    """
    named = PurePath(state.source).name
    short = plan.disk_bytes > plan.free_bytes
    disk = _("{needed} needed, {free} free").format(needed=_size(plan.disk_bytes), free=_size(plan.free_bytes))
    yield from aligned(
        [
            (
                _("profile"),
                content(_("{name} (as it is in the editor)").format(name=named) if state.unsaved else named),
            ),
            (_("base"), content(plan.base)),
            (_("data"), content(profile.data.path)),
            *plan_facts(plan),
            (_("parameters"), content(_("{count:,} are trained").format(count=plan.trainable_parameters))),
            (_("device"), content(f"{plan.device}, {plan.dtype}")),
            *(budget_facts(plan.budget, with_parts=False) if plan.budget is not None else ()),
            (_("disk"), content(disk, "$text-error" if short else "")),
        ]
    )
    if plan.queued_behind:
        text = _("It will wait: {run} has the device.").format(run=short_id(plan.queued_behind))
        yield content(text, "$text-warning")
    if profile.notify.command:
        command = _("At the end this program will be run: {command}").format(command=profile.notify.command)
        yield content(command, "$text-warning")
    for one in advice:
        if one.severity in ("error", "warning"):
            yield advice_content(one, with_key=True)
    if unknown:
        yield content(unknown, "$text-muted")
    for note in plan.notes:
        yield content(note, "$text-muted")


def _size(size_bytes: int) -> str:
    if size_bytes >= _BYTES_PER_GB:
        return f"{size_bytes / _BYTES_PER_GB:,.1f} GB"
    return f"{size_bytes / _BYTES_PER_MB:,.1f} MB"
