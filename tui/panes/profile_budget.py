"""What a run of the profile in the editor would be, live: asked of the model process once the text has come to rest.

The process is never started for it unasked: the figures come once it is on for some other reason, or by their key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from textual import work
from textual.binding import Binding
from textual.content import Content
from textual.timer import Timer

from core.errors import PoemError
from core.i18n import N_, _
from tui.panes.profile_file import FiledPane
from tui.plain import content
from tui.widgets.block import Block

if TYPE_CHECKING:
    from core.advice.facts import Budget
    from core.client import Plan
    from core.profile.schema import Profile

_REST_S = 0.4
"""Longer than the text takes to be checked."""


class Planned(NamedTuple):
    """A plan, and of what."""

    keys: tuple[Any, ...]
    """As `planned_keys`."""
    plan: Plan

    def budget_of(self, profile: Profile) -> Budget | None:
        """The budget, if it is this profile's."""
        return self.plan.budget if self.keys == planned_keys(profile) else None

    def steps_of(self, profile: Profile) -> int | None:
        """The number of steps, if it is this profile's."""
        return self.plan.steps if self.keys == planned_keys(profile) else None


def planned_keys(profile: Profile) -> tuple[Any, ...]:
    """What a plan depends on: how poems are completed, and who is told of the end, is no part of it."""
    return (profile.model, profile.data, profile.train, profile.lora)


class PlannedPane(FiledPane):
    """A pane that shows what a run of its profile would be."""

    BINDINGS = [Binding("b", "plan", N_("Rows, steps, memory and time of a run"), id="profile.plan", show=False)]

    def __init__(self, *, id: str) -> None:
        """Nothing is planned yet."""
        super().__init__(id=id)
        self.planned: Planned | None = None
        """The last plan, perhaps of another text."""
        self._plan_problem = ""
        self._refused: tuple[Any, ...] = ()  # what the problem is of
        self._asked: tuple[Any, ...] = ()  # what is being worked out
        self._plan_timer: Timer | None = None

    def on_mount(self) -> None:
        """Follow the text and the model process."""
        self.watch(self.workbench, "profile_state", self._plan_changed, init=False)
        self.watch(self.workbench, "model_state", self._plan_changed, init=False)

    def on_show(self) -> None:
        """Ask for what wasn't asked for while nobody looked."""
        self._plan_changed()

    def plan_came(self) -> None:
        """There is another plan."""
        raise NotImplementedError

    def action_plan(self) -> None:
        """Work it out, though that starts the model process."""
        profile = self.workbench.profile_state.profile
        if profile is None:
            self.tell(_("The profile has problems."), severity="warning")
        elif self._asked != planned_keys(profile):
            self._refused = ()
            self._ask_for_plan(profile)

    def _is_missing(self, profile: Profile) -> bool:
        keys = planned_keys(profile)
        return keys not in (self._asked, self._refused) and (self.planned is None or self.planned.keys != keys)

    def _plan_changed(self) -> None:
        if self._plan_timer is not None:
            self._plan_timer.stop()
            self._plan_timer = None
        state, model = self.workbench.profile_state, self.workbench.model_state
        is_on = model is not None and model.status != "off"
        if is_on and state.profile is not None and self._is_missing(state.profile):
            self._plan_timer = self.set_timer(_REST_S, self._ask_again)
        self.show_plan()

    def _ask_again(self) -> None:
        """The text has come to rest."""
        self._plan_timer = None
        profile = self.workbench.profile_state.profile
        if profile is None or not self._is_missing(profile) or not self.is_on_screen:
            return
        if self.app.screen is not self.screen:
            self._plan_changed()  # whoever is asked something may be waiting for a plan: theirs comes first
            return
        self._ask_for_plan(profile)

    def _ask_for_plan(self, profile: Profile) -> None:
        self._asked = planned_keys(profile)
        self.show_plan()
        self._plan(profile, str(self.workbench.profile_state.base_dir))

    @work(exclusive=True, group="plan", exit_on_error=False)
    async def _plan(self, profile: Profile, base_dir: str) -> None:
        from core.client import Superseded
        from core.profile.document import dump_profile

        keys = planned_keys(profile)
        try:
            plan = await self.workbench.model.plan(dump_profile(profile), base_dir)
        except Superseded:
            self._asked = ()
            self._plan_changed()
        except PoemError as error:
            self._asked, self._refused, self._plan_problem = (), keys, " · ".join(str(error).splitlines())
            self._plan_changed()
        else:
            self._asked, self._refused, self.planned = (), (), Planned(keys, plan)
            self._plan_changed()
            self.plan_came()

    def show_plan(self) -> None:
        """Show what is known of it."""
        profile = self.workbench.profile_state.profile
        self.query_one("#profile-plan", Block).update(self._plan_content(profile, roomy=self.has_class("-wide")))

    def _plan_content(self, profile: Profile | None, *, roomy: bool) -> Content:
        from tui.plan_words import aligned, budget_facts, plan_facts, plan_line

        keys = planned_keys(profile) if profile is not None else ()
        if keys and keys == self._refused:
            return content(self._plan_problem, "$text-warning")
        waiting = bool(self._asked)
        if self.planned is None:
            words = _("working out a run …") if waiting else _("Rows, steps, memory and time of a run: esc, then b.")
            return content(words, "$text-muted")
        plan = self.planned.plan
        if roomy:
            facts = [*plan_facts(plan), *(budget_facts(plan.budget, with_parts=True) if plan.budget else ())]
            shown = Content("\n").join(aligned(facts))
        else:
            shown = plan_line(plan)
        if keys == self.planned.keys:
            return shown
        shown = content(shown.plain, "$text-muted")
        if waiting:
            return Content.assemble(shown, content(" …", "$text-muted"))
        return shown
