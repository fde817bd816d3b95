"""What is wrong with the profile in the editor, and what could be better: found, marked, gone to, fixed.

Problems are `core.profile`'s to find, advice is `core.advice`'s. A text with problems is no profile, so nothing is
advised about it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from textual import on, work
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from core.i18n import N_, _
from tui.advice import advice_head, advice_on, change_words, facts_for
from tui.panes.profile_budget import Planned, PlannedPane
from tui.panes.profile_words import problem_content
from tui.workbench import Findings, ProfileState

if TYPE_CHECKING:
    from core.advice.rule import Advice
    from core.profile.problem import Problem
    from core.profile.schema import Profile

_CHECK_AFTER_S = 0.25
_MOST_LISTED = 200  # of a file that is no profile every line may be a problem


class Spot(NamedTuple):
    """A problem or a piece of advice, and where it is."""

    line: int | None
    """From 0; None: it has no line, as a key that isn't set."""
    key: str
    """Whose help is shown there; empty: that of the line."""
    words: Content
    """How it is listed."""


class AdvisedPane(PlannedPane):
    """A pane whose editor's text is checked and advised about."""

    BINDINGS = [
        Binding("ctrl+f,f", "fix", N_("Fix"), id="profile.fix", key_display="^f"),
        Binding("F", "fix_all", N_("Apply all fixes"), id="profile.fix_all", show=False),
        Binding("ctrl+g,g", "next_spot(1)", N_("Next problem or advice"), id="profile.problem", show=False),
        Binding("G", "next_spot(-1)", N_("Previous problem or advice"), id="profile.problem.previous", show=False),
    ]

    @dataclass
    class Checked(Message):
        """A text was checked."""

        text: str
        profile: Profile | None
        problems: tuple[Problem, ...]
        advice: Sequence[Advice]
        """The gravest first."""
        lines: Mapping[str, int]
        """Key → its line, from 0, of those that the text sets."""
        has_facts: bool
        """Whether the advice goes by the data."""

        def can_replace(self, message: Message) -> bool:
            """Only the latest matters."""
            return isinstance(message, AdvisedPane.Checked)

    def __init__(self, *, id: str) -> None:
        """Nothing is checked yet."""
        super().__init__(id=id)
        self._profile: Profile | None = None
        self._problems: tuple[Problem, ...] = ()
        self._advice: Sequence[Advice] = ()
        self._has_facts = False
        self._spots: Sequence[Spot] = ()
        self._pinned = ""
        """A key that has no line, and whose help is shown in the place of that of the cursor's."""

    def on_mount(self) -> None:
        """Be ready to check, and to check anew when more is known."""
        self._check_timer = self.set_timer(_CHECK_AFTER_S, self._check, pause=True)
        self.watch(self.workbench, "findings", self._check, init=False)

    def explain(self) -> None:
        """Show the help of the key once more: what it says may be another."""
        raise NotImplementedError

    def key_shown(self) -> str | None:
        """The key whose help is shown; None: there is none."""
        raise NotImplementedError

    def set_keys(self, values: Mapping[str, Any]) -> bool:
        """Change keys in place; whether that could be done."""
        raise NotImplementedError

    # -- checking

    @on(TextArea.Changed)
    def _changed(self) -> None:
        self._tell_state()
        # A timer that has fired once does nothing any more, so each text gets its own.
        self._check_timer.stop()
        self._check_timer = self.set_timer(_CHECK_AFTER_S, self._check)

    def _check(self) -> None:
        self._check_timer.stop()
        self._check_text(self._editor.text, self.workbench.findings, self.planned)

    @work(thread=True, exclusive=True, group="check", exit_on_error=False)
    def _check_text(self, text: str, findings: Findings | None, planned: Planned | None) -> None:
        from core.profile.document import check_text

        profile, problems = check_text(text)
        if profile is None:
            self.post_message(self.Checked(text, None, problems, (), {}, has_facts=False))
            return
        from core.profile.lines import find_lines

        facts = facts_for(profile, text, findings, planned.budget_of(profile) if planned else None)
        advice = advice_on(profile, facts)
        lines = {".".join(map(str, path)): line - 1 for path, line in find_lines(text).items()}
        self.post_message(self.Checked(text, profile, problems, advice, lines, has_facts=facts is not None))

    def plan_came(self) -> None:
        """Whether it fits may be something to advise about."""
        self._check()

    @on(Checked)
    def _show_checked(self, event: Checked) -> None:
        if event.text != self._editor.text:
            return
        self._profile, self._problems, self._advice = event.profile, event.problems, event.advice
        self._has_facts = event.has_facts
        spots = [Spot(one.line and one.line - 1, one.key, problem_content(one)) for one in self._problems]
        better = [one for one in self._advice if one.severity != "good"]
        spots += [Spot(event.lines.get(one.key), one.key, advice_head(one)) for one in better]
        self._spots, before = spots, self._spots
        if [spot.words for spot in spots] != [spot.words for spot in before]:
            self._list_spots()
        grave = {one.key for one in self._advice if one.severity in ("error", "warning")}
        self._editor.mark(
            faulty=frozenset(problem.line - 1 for problem in self._problems if problem.line),
            advised=frozenset(event.lines[key] for key in grave if key in event.lines),
        )
        self._tell_state()
        self.explain()

    def _list_spots(self) -> None:
        listed = self.query_one("#profile-problems", OptionList)
        listed.clear_options()
        listed.add_options([Option(spot.words) for spot in self._spots[:_MOST_LISTED]])
        listed.set_class(bool(self._spots), "-some")
        listed.set_class(not self._problems, "-advice")

    def _tell_state(self) -> None:
        text = self._editor.text
        state = ProfileState(self._source, self._path, text, text != self._saved, self._profile, len(self._problems))
        if state != self.workbench.profile_state:
            self.workbench.profile_state = state
        self.tell_head()

    def tell_head(self) -> None:
        """Say above the editor how the text stands."""
        raise NotImplementedError

    @property
    def advised(self) -> int:
        """How many pieces of advice there are that ask for something."""
        return sum(one.severity != "good" for one in self._advice)

    # -- from one to the next

    @on(OptionList.OptionSelected, "#profile-problems")
    def _spot_chosen(self, event: OptionList.OptionSelected) -> None:
        spot = self._spots[event.option_index]
        self._go_to(spot.key if spot.line is None else spot.line)

    def action_next_spot(self, direction: int) -> None:
        """To the next (1) or the last (-1) line with a problem or advice; after those, to the keys that have no line.

        After the last one the first comes again.
        """
        placed = sorted({spot.line for spot in self._spots if spot.line is not None})
        places: list[int | str] = [*placed]
        places += dict.fromkeys(spot.key for spot in self._spots if spot.line is None and spot.key)
        if not places:
            return
        line = self._editor.cursor_location[0]
        if self._pinned in places:
            at = places.index(self._pinned) + direction
        else:
            at = bisect_right(placed, line) if direction > 0 else bisect_left(placed, line) - 1
        self._go_to(places[at % len(places)])

    def _go_to(self, place: int | str) -> None:
        """The cursor to a line, or the help to a key that has none."""
        if isinstance(place, int):
            self._pinned = ""
            self._editor.move_cursor((place, 0), center=True)
            self.screen.set_focus(self._editor)
        else:
            self._pinned = place
        self.explain()

    # -- fixes

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what has a fix can be fixed."""
        if action == "fix":
            return any(self._fixable(self.key_shown()))
        return super().check_action(action, parameters)

    def _fixable(self, key: str | None) -> list[Advice]:
        """The advice on a key that has a fix, the gravest first."""
        return [one for one in self._advice if one.key == key and one.fix is not None]

    def action_fix(self) -> None:
        """Do what is advised about the key under the cursor."""
        for advice in self._fixable(self.key_shown())[:1]:
            self._apply([advice])

    def action_fix_all(self) -> None:
        """Do all that is advised; of two that would change one key, the graver."""
        self._apply([one for one in self._advice if one.fix is not None])

    def _apply(self, advice: Sequence[Advice]) -> None:
        values: dict[str, Any] = {}
        told = []
        for one in advice:
            if one.fix is not None and one.fix.key not in values:
                values[one.fix.key] = one.fix.value
                told.append(change_words(one) if one.fix.key != one.key else f"{one.key}: {change_words(one)}")
        if not values:
            self.tell(_("There is nothing to change."), severity="information")
        elif self.set_keys(values):
            self.tell("\n".join(told), severity="information")
