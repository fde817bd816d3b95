"""The Profile pane: a profile as text, with its problems, the meaning of the key under the cursor, and what follows.

The text is saved as it stands, so comments live. It knows no other pane; what a profile may hold is `core.profile`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical, VerticalScroll
from textual.events import Resize
from textual.widgets import OptionList, Static, TextArea

from core.errors import PoemError
from core.i18n import N_, _
from tui.advice import no_facts_words
from tui.panes.profile_advice import AdvisedPane
from tui.panes.profile_editor import ProfileEditor
from tui.plain import content
from tui.widgets.block import Block

if TYPE_CHECKING:
    from core.profile.key import Key


class ProfilePane(AdvisedPane):
    """Editor, problems, help."""

    TITLE: ClassVar[str] = N_("Profile")
    HELP: ClassVar[str] = N_(
        "A profile decides a run: base model, data, training, adapter, sampling. Type in it as in any editor. "
        "Problems are marked at once and listed below; the key under the cursor is explained, with what is advised "
        "about its value. ctrl+g goes to the next problem or advice, ctrl+f sets what is advised. F8 and F7 put a "
        "value a step up or down, F9 offers what it may be, ctrl+n completes what is being typed. b, outside the "
        "editor, works out the rows, steps, memory and time of a run; that starts the model process, and while it is "
        "on they follow the text. ctrl+s saves the text as it stands, comments and all. A preset can't be changed; "
        "saving it asks for a file of your own."
    )
    FOCUS_FIRST: ClassVar[str] = "#profile-editor"
    BINDINGS = [
        Binding("f7", "step(-1)", N_("Less"), id="profile.less", key_display="F7"),
        Binding("f8", "step(1)", N_("More"), id="profile.more", key_display="F8"),
        Binding("f9,ctrl+t", "pick", N_("Value"), id="profile.pick", key_display="F9"),
        Binding("ctrl+n", "suggest", N_("Complete the word"), id="profile.suggest", show=False),
        Binding("ctrl+z", "undo", N_("Undo"), id="profile.undo", show=False),
        Binding("ctrl+y", "redo", N_("Redo"), id="profile.redo", show=False),
        Binding("ctrl+l", "pick_base", N_("Choose the model folder"), id="profile.base", show=False),
        Binding("d", "compare", N_("Differences"), id="profile.diff", show=False),
        Binding("enter", "edit", N_("Edit"), id="profile.edit", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        """An empty editor."""
        super().__init__(id=id)
        self._shown: object = None

    def compose(self) -> ComposeResult:
        """A line about the profile, the editor, and beside or below it problems and help."""
        yield Static(id="profile-head", classes="head")
        with Container(classes="body"):
            yield ProfileEditor(id="profile-editor")
            with Vertical(id="profile-side", classes="detail"):
                yield OptionList(id="profile-problems", markup=False)
                with VerticalScroll(id="profile-about", can_focus=False):
                    yield Static(id="profile-help")
                yield Block(id="profile-plan")

    def on_mount(self) -> None:
        """Watch the data."""
        self.watch(self.workbench, "data_state", self.tell_head, init=False)

    def tell_head(self) -> None:
        """Name, whether it is saved, and what is wrong with it or follows from it."""
        from tui.panes.profile_words import head_words

        data = self.workbench.data_state
        state = self.workbench.profile_state
        steps = self.planned.steps_of(state.profile) if self.planned and state.profile else None
        self.query_one("#profile-head", Static).update(content(head_words(state, data, self.advised, steps)))

    # -- the key under the cursor

    @on(TextArea.SelectionChanged)
    def _cursor_moved(self) -> None:
        self._pinned = ""
        self.explain()

    def key_shown(self) -> str | None:
        """The key whose help is shown: the one under the cursor, unless one without a line was gone to."""
        from core.profile.cursor import key_at

        return self._pinned or key_at(self._editor.text, self._editor.cursor_location[0])

    def explain(self) -> None:
        """Show the help of the key, and what is advised about it."""
        from tui.panes.profile_words import key_content

        key, roomy = self.key_shown(), self.has_class("-wide")
        unknown = "" if self._has_facts else no_facts_words(self.workbench.findings)
        now = (key, roomy, self._pinned, self._profile, self._advice, unknown)
        if now == self._shown:
            return
        is_other = not isinstance(self._shown, tuple) or self._shown[0] != key
        self._shown = now
        advice = [one for one in self._advice if one.key == key]
        words = key_content(key, self._profile, advice, roomy=roomy, is_set=not self._pinned, unknown=unknown)
        self.query_one("#profile-help", Static).update(words)
        if is_other:
            self.query_one("#profile-about", VerticalScroll).scroll_home(animate=False)
        self.refresh_bindings()

    def on_resize(self, event: Resize) -> None:
        """Help and figures go by the room that there is."""
        super().on_resize(event)
        self.explain()
        self.show_plan()

    def _key_and_value(self) -> tuple[Key, Any] | None:
        """The key under the cursor and what the text says it is; None, and that is said, where there is none."""
        from core.profile.edit import value_in
        from core.profile.reference import KEYS

        key = KEYS.get(self.key_shown() or "")
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

    def set_keys(self, values: Mapping[str, Any]) -> bool:
        """Change keys in place; whether that could be done."""
        try:
            self._editor.set_keys(values)
        except PoemError as error:
            self.tell(error)
            return False
        finally:
            self._check()
        return True

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

        def picked(path: str | None) -> None:
            if path:
                self.set_keys({"model.base": path})

        self.app.push_screen(ModelPicker(base), picked)
