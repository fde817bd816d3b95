"""The Profile pane: a profile as text, with its problems, the meaning of the key under the cursor, and what follows.

The text is saved as it stands, so comments live. It knows no other pane; what a profile may hold is `core.profile`'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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
from tui.pane import Pane
from tui.panes.profile_editor import ProfileEditor
from tui.plain import content
from tui.widgets.dialogs import Choose, Confirm
from tui.workbench import ProfileState

if TYPE_CHECKING:
    from core.profile.key import Key
    from core.profile.problem import Problem
    from core.profile.schema import Profile

_CHECK_AFTER_S = 0.25
_LOOK_AT_DISK_S = 2.0
_NO_STAMP = (0, 0, 0)
DEFAULT = "tang-tiny-cpu"
"""The preset that is open at first: it works on any machine."""


class ProfilePane(Pane):
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
        Binding("ctrl+s", "save", N_("Save"), id="profile.save"),
        Binding("f7", "step(-1)", N_("Less"), id="profile.less", key_display="F7", priority=True),
        Binding("f8", "step(1)", N_("More"), id="profile.more", key_display="F8"),
        Binding("f9,ctrl+t", "pick", N_("Value"), id="profile.pick", key_display="F9"),
        Binding("ctrl+n", "suggest", N_("Complete the word"), id="profile.suggest", show=False),
        Binding("ctrl+o", "open_other", N_("Open"), id="profile.open"),
        Binding("ctrl+g", "next_problem", N_("Next problem"), id="profile.problem", show=False),
        Binding("ctrl+z", "undo", N_("Undo"), id="profile.undo", show=False),
        Binding("ctrl+y", "redo", N_("Redo"), id="profile.redo", show=False),
        Binding("ctrl+l", "pick_base", N_("Choose the model folder"), id="profile.base", show=False),
        Binding("ctrl+r", "revert", N_("Back to what was saved"), id="profile.revert", show=False),
        Binding("d", "compare", N_("Differences"), id="profile.diff", show=False),
        Binding("s", "save_as", N_("Save as"), id="profile.save_as", show=False),
        Binding("n", "new", N_("New from a preset"), id="profile.new", show=False),
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
        self._source, self._path = DEFAULT, None  # type: str, Path | None
        self._saved: str | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._problems: tuple[Problem, ...] = ()
        self._profile: Profile | None = None
        self._key: str | None = ""
        self._asked_about: tuple[int, int, int] | None = None

    def compose(self) -> ComposeResult:
        """A line about the profile, the editor, and beside or below it problems and help."""
        yield Static(id="profile-head", classes="head")
        with Container(classes="body"):
            yield ProfileEditor(id="profile-editor")
            with VerticalScroll(id="profile-side", classes="detail", can_focus=False):
                yield OptionList(id="profile-problems", markup=False)
                yield Static(id="profile-help")

    def on_mount(self) -> None:
        """Open what is to be opened, and watch the disk and the data."""
        self._check_timer = self.set_timer(_CHECK_AFTER_S, self._check, pause=True)
        if self._saved is None:
            self.open_profile(self._source)
        self.set_interval(_LOOK_AT_DISK_S, self._look_at_disk)
        self.watch(self.workbench, "data_state", self._tell_head, init=False)

    # -- opening and saving

    @property
    def _editor(self) -> ProfileEditor:
        return self.query_one(ProfileEditor)

    @property
    def unsaved(self) -> bool:
        """Whether the text is another than what was saved or opened."""
        return self._saved is not None and self._editor.text != self._saved

    def open_profile(self, source: str) -> None:
        """Open a preset or a file in the place of what is open; what isn't saved is asked about first."""
        if self.unsaved:
            text = _("{name} has changes that aren't saved.").format(name=self._source)
            question = Confirm(_("Open another profile"), text, yes=_("Give them up"), danger=True)
            self.app.push_screen(question, lambda answer: self._read_if(answer, source))
        else:
            self._read(source)

    def _read(self, source: str) -> bool:
        """Open what can be read; else say why, and keep what is open."""
        from core.profile.document import preset_names, read_profile_text

        path = None if source in preset_names() else Path(os.path.expanduser(source))
        stamp = _stamp_of(path)
        try:
            text = read_profile_text(source)[1]
        except PoemError as error:
            self.tell(error)
            return self._read(DEFAULT) if self._saved is None and source != DEFAULT else False
        at = self._editor.cursor_location if source == self._source else (0, 0)
        self._source, self._path = source, path
        self._take(text, saved=text, stamp=stamp)
        self._editor.move_cursor(at)
        if self._editor.text != text:
            self.tell(_("The lines of this file end in different ways; saving it makes them alike."))
        return True

    def _read_if(self, answer: bool | None, source: str) -> None:
        if answer:
            self._read(source)

    def _take(self, text: str, *, saved: str, stamp: tuple[int, int, int] | None) -> None:
        """Put a text into the editor."""
        self._stamp = stamp
        editor = self._editor
        with self.prevent(TextArea.Changed):
            editor.show_text(text)
        # What the editor makes of line ends is what counts as unchanged.
        self._saved = editor.text if text == saved else saved
        self._check()

    def action_save(self) -> None:
        """Write the text to its file; a preset asks for one first."""
        if self._path is None:
            self.action_save_as()
        elif self._stamp != _stamp_of(self._path):
            text = _("{path} was changed by another program since it was opened. Write over that?")
            question = Confirm(_("Save"), text.format(path=self._path), yes=_("Write over it"), danger=True)
            self.app.push_screen(question, lambda answer: self._write(Path(str(self._path))) if answer else None)
        else:
            self._write(self._path)

    def action_save_as(self) -> None:
        """Ask for a file and write the text to it."""
        from tui.panes.profile_dialogs import ask_where

        suggested = f"{Path(self._source).stem}.toml" if self._path is None else str(self._path)
        ask_where(self, suggested, self._path, self._write)

    def _write(self, path: Path) -> None:
        from core.profile.files import write_profile_text

        try:
            write_profile_text(path, self._editor.text)
        except PoemError as error:
            self.tell(error)
            return
        self._source, self._path, self._saved = str(path), path, self._editor.text
        self._stamp = _stamp_of(path)
        self._tell_state()
        self.tell(_("Saved: {path}").format(path=path), severity="information")

    def action_revert(self) -> None:
        """Back to what was saved or opened."""
        if self.unsaved:
            question = Confirm(
                _("Back to what was saved"), _("All changes since then go."), yes=_("Go back"), danger=True
            )
            self.app.push_screen(question, lambda answer: self._revert() if answer else None)

    def _revert(self) -> None:
        if not self._read(self._source):  # the file is gone, but not what it held
            self._take(self._saved or "", saved=self._saved or "", stamp=self._stamp)

    def _look_at_disk(self) -> None:
        """Another program may have changed the file: ask once for each change."""
        stamp = _stamp_of(self._path)
        if self._path is None or stamp is None or stamp in (self._stamp, self._asked_about):
            return
        if self.unsaved and not (self.screen.is_current and self.has_focus_within):
            return  # whoever is busy elsewhere is asked later
        self._asked_about = stamp
        if not self.unsaved:
            if not self._read(self._source):
                return
            words = _("{path} was changed by another program; this is what it holds now.").format(path=self._path)
            self.tell(words, severity="information")
            return
        text = _("{path} was changed by another program, and here are changes that aren't saved.").format(
            path=self._path
        )
        question = Confirm(_("The file has changed"), text, yes=_("Read it again"), no=_("Keep mine"), danger=True)
        self.app.push_screen(question, lambda answer: self._read_if(answer, self._source))

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
        listed.add_options([Option(problem_content(problem)) for problem in event.problems])
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

    def action_new(self) -> None:
        """A preset to begin with."""
        from core.profile.presets import preset_names

        names = preset_names()
        question = Choose(_("New from a preset"), names)
        self.app.push_screen(question, lambda at: None if at is None else self.open_profile(names[at]))

    def action_open_other(self) -> None:
        """A preset or a file."""
        from tui.panes.profile_dialogs import ask_which

        ask_which(self, self.open_profile)

    def action_compare(self) -> None:
        """What differs from the saved text, a preset or a run."""
        from tui.panes.profile_dialogs import compare

        compare(self, self._saved or "", self._editor.text)

    def action_pick_base(self) -> None:
        """Choose a model folder."""
        from tui.panes.profile_dialogs import ModelPicker

        base = self._profile.model.base if self._profile else ""
        self.app.push_screen(ModelPicker(base), lambda path: self.set_keys({"model.base": path}) if path else None)

    # -- state

    def state(self) -> Mapping[str, Any]:
        """The profile, and its text where that isn't saved."""
        draft = {"draft": self._editor.text, "saved": self._saved} if self.unsaved else {}
        return {"source": self._source, "line": self._editor.cursor_location[0], **draft}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The same again; where the file is gone, the draft alone."""
        source, draft, saved, line = (state.get(name) for name in ("source", "draft", "saved", "line"))
        if not isinstance(source, str) or not source:
            return
        read = self._read(source)
        if isinstance(draft, str) and isinstance(saved, str):
            if not read:
                self._source, self._path = source, Path(os.path.expanduser(source))
            # Of a file that has changed since, the stamp is none, so that this is noticed and asked about.
            same = not read or self._path is None or self._saved == saved
            self._take(draft, saved=saved, stamp=_stamp_of(self._path) if same else _NO_STAMP)
        if isinstance(line, int):
            self._editor.move_cursor((max(0, min(line, self._editor.document.line_count - 1)), 0))


def _stamp_of(path: Path | None) -> tuple[int, int, int] | None:
    """What tells whether a file is still the same."""
    try:
        found = path.stat() if path else None
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
