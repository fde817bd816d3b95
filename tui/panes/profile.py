"""The Profile pane: a profile as text, with its problems, the meaning of the key under the cursor, and what follows.

The text is saved as it stands, so comments live. It knows no other pane; what a profile may hold is `core.profile`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.events import Resize
from textual.message import Message
from textual.widgets import OptionList, Static, TextArea
from textual.widgets.option_list import Option

from core.errors import PoemError
from core.i18n import N_, _
from tui.panes.profile_editor import ProfileEditor
from tui.panes.profile_file import FiledPane
from tui.plain import content
from tui.workbench import ProfileState

if TYPE_CHECKING:
    from core.profile.key import Key
    from core.profile.problem import Problem
    from core.profile.schema import Profile

_CHECK_AFTER_S = 0.25
_MOST_LISTED = 200  # of a file that is no profile every line may be a problem


class ProfilePane(FiledPane):
    """Editor, problems, help."""

    TITLE: ClassVar[str] = N_("Profile")
    HELP: ClassVar[str] = N_(
        "A profile decides a run: base model, data, training, adapter, sampling. Type in it as in any editor. Problems "
        "are marked at once and listed below; the key under the cursor is explained. F8 and F7 put its value a step up "
        "or down, F9 offers what it may be, ctrl+n completes what is being typed. ctrl+s saves the text as it stands, "
        "comments and all. A preset can't be changed; saving it asks for a file of your own."
    )
    FOCUS_FIRST: ClassVar[str] = "#profile-editor"
    BINDINGS = [
        Binding("f7", "step(-1)", N_("Less"), id="profile.less", key_display="F7"),
        Binding("f8", "step(1)", N_("More"), id="profile.more", key_display="F8"),
        Binding("f9,ctrl+t", "pick", N_("Value"), id="profile.pick", key_display="F9"),
        Binding("ctrl+n", "suggest", N_("Complete the word"), id="profile.suggest", show=False),
        Binding("ctrl+g", "next_problem", N_("Next problem"), id="profile.problem", show=False),
        Binding("ctrl+z", "undo", N_("Undo"), id="profile.undo", show=False),
        Binding("ctrl+y", "redo", N_("Redo"), id="profile.redo", show=False),
        Binding("ctrl+l", "pick_base", N_("Choose the model folder"), id="profile.base", show=False),
        Binding("d", "compare", N_("Differences"), id="profile.diff", show=False),
        Binding("enter", "edit", N_("Edit"), id="profile.edit", show=False),
    ]

    @dataclass
    class Checked(Message):
        """A text was checked."""

        text: str
        profile: Profile | None
        problems: tuple[Problem, ...]

        def can_replace(self, message: Message) -> bool:
            """Only the latest matters."""
            return isinstance(message, ProfilePane.Checked)

    def __init__(self, *, id: str) -> None:
        """An empty editor."""
        super().__init__(id=id)
        self._problems: tuple[Problem, ...] = ()
        self._profile: Profile | None = None
        self._key: str | None = ""

    def compose(self) -> ComposeResult:
        """A line about the profile, the editor, and beside or below it problems and help."""
        yield Static(id="profile-head", classes="head")
        with Container(classes="body"):
            yield ProfileEditor(id="profile-editor")
            with VerticalScroll(id="profile-side", classes="detail", can_focus=False):
                yield OptionList(id="profile-problems", markup=False)
                yield Static(id="profile-help")

    def on_mount(self) -> None:
        """Be ready to check, and watch the data."""
        self._check_timer = self.set_timer(_CHECK_AFTER_S, self._check, pause=True)
        self.watch(self.workbench, "data_state", self._tell_head, init=False)

    # -- checking

    @on(TextArea.Changed)
    def _changed(self) -> None:
        self._tell_state()
        # A timer that has fired once does nothing any more, so each text gets its own.
        self._check_timer.stop()
        self._check_timer = self.set_timer(_CHECK_AFTER_S, self._check)

    def _check(self) -> None:
        self._check_timer.stop()
        self._check_text(self._editor.text)

    @work(thread=True, exclusive=True, group="check", exit_on_error=False)
    def _check_text(self, text: str) -> None:
        from core.profile.document import check_text

        profile, problems = check_text(text)
        self.post_message(self.Checked(text, profile, problems))

    @on(Checked)
    def _show_problems(self, event: Checked) -> None:
        if event.text != self._editor.text:
            return
        from tui.panes.profile_words import problem_content

        self._profile, self._problems = event.profile, event.problems
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(problem_content(problem)) for problem in event.problems[:_MOST_LISTED]])
        listed.display = bool(event.problems)
        self._editor.mark(frozenset(problem.line - 1 for problem in event.problems if problem.line))
        self._tell_state()
        self._explain_again()

    def _tell_state(self) -> None:
        text = self._editor.text
        state = ProfileState(self._source, self._path, text, text != self._saved, self._profile, len(self._problems))
        if state != self.workbench.profile_state:
            self.workbench.profile_state = state
        self._tell_head()

    def _tell_head(self) -> None:
        from tui.panes.profile_words import head_words

        data = self.workbench.data_state
        state = self.workbench.profile_state
        self.query_one("#profile-head", Static).update(content(head_words(state, data)))

    @on(OptionList.OptionSelected, "#profile-problems")
    def _problem_chosen(self, event: OptionList.OptionSelected) -> None:
        self._go_to_problem(self._problems[event.option_index])

    def action_next_problem(self) -> None:
        """The cursor to the next problem that has a line, from the top again after the last."""
        line = self._editor.cursor_location[0] + 1
        placed = [problem for problem in self._problems if problem.line]
        later = [problem for problem in placed if problem.line and problem.line > line]
        if placed:
            self._go_to_problem((later or placed)[0])

    def _go_to_problem(self, problem: Problem) -> None:
        if problem.line:
            self._editor.move_cursor((problem.line - 1, 0), center=True)
            self.screen.set_focus(self._editor)

    # -- the key under the cursor

    @on(TextArea.SelectionChanged)
    def _cursor_moved(self) -> None:
        self._explain()

    def _explain(self) -> None:
        from core.profile.cursor import key_at
        from tui.panes.profile_words import key_content

        key = key_at(self._editor.text, self._editor.cursor_location[0])
        if key != self._key:
            self._key = key
            words = key_content(key, self._profile, roomy=self.has_class("-wide"))
            self.query_one("#profile-help", Static).update(words)
            self.query_one("#profile-side", VerticalScroll).scroll_home(animate=False)

    def on_resize(self, event: Resize) -> None:
        """The help goes by the room that there is."""
        super().on_resize(event)
        self._explain_again()

    def _explain_again(self) -> None:
        self._key = ""
        self._explain()

    def _key_and_value(self) -> tuple[Key, Any] | None:
        """The key under the cursor and what the text says it is; None, and that is said, where there is none."""
        from core.profile.cursor import key_at
        from core.profile.edit import value_in
        from core.profile.reference import KEYS

        key = KEYS.get(key_at(self._editor.text, self._editor.cursor_location[0]) or "")
        if key is None:
            self.tell(_("Put the cursor on a key."), severity="warning")
            return None
        try:
            return key, value_in(self._editor.text, key)
        except PoemError as error:
            self.tell(error)
            return None

    def action_step(self, direction: int) -> None:
        """The value of the key under the cursor a step up or down."""
        from core.profile.edit import step_value

        found = self._key_and_value()
        if found is None:
            return
        key, value = found
        changed = step_value(key, value, direction)
        if changed == value:
            self.tell(_("This value has no next one; F9 or typing changes it."), severity="warning")
        else:
            self.set_keys({key.name: changed})

    def action_pick(self) -> None:
        """Offer what the key under the cursor may be."""
        from tui.panes.profile_dialogs import pick_value

        found = self._key_and_value()
        if found is None:
            return
        key, value = found
        if key.name == "model.base":
            self.action_pick_base()
        else:
            pick_value(self, key, value, lambda chosen: self.set_keys({key.name: chosen}))

    def set_keys(self, values: Mapping[str, Any]) -> None:
        """Change keys in place."""
        try:
            for key, value in values.items():
                self._editor.set_key(key, value)
        except PoemError as error:
            self.tell(error)
        self._check()

    def action_suggest(self) -> None:
        """Offer what could go on from the cursor."""
        from tui.panes.profile_dialogs import suggest

        suggest(self, self._editor)

    def action_undo(self) -> None:
        """Take back the last change."""
        self._editor.undo()

    def action_redo(self) -> None:
        """Make it again."""
        self._editor.redo()

    # -- dialogs

    def action_edit(self) -> None:
        """Into the editor."""
        self.screen.set_focus(self._editor)

    def action_compare(self) -> None:
        """What differs from the saved text, a preset or a run."""
        from tui.panes.profile_dialogs import compare

        compare(self, self._saved or "", self._editor.text)

    def action_pick_base(self) -> None:
        """Choose a model folder."""
        from tui.panes.profile_dialogs import ModelPicker

        base = self._profile.model.base if self._profile else ""
        self.app.push_screen(ModelPicker(base), lambda path: self.set_keys({"model.base": path}) if path else None)
