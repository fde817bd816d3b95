"""The dialogs of the Profile pane: which profile, what differs, which model folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from core.base_folder import BUILTIN
from core.errors import PoemError
from core.i18n import N_, _
from core.model_folders import FolderFacts, folders_in, look_at_folder
from core.paths import path_of, refuse_pipe
from core.profile.cursor import suggestions_at
from core.profile.difference import DiffLine, difference
from core.profile.document import read_profile_text
from core.profile.key import Key
from core.profile.presets import SUFFIX, preset_names, preset_text
from tui.pane import Pane
from tui.panes.profile_editor import ProfileEditor
from tui.panes.profile_words import offered
from tui.plain import content, fit
from tui.widgets.dialogs import Choose, Confirm, Dialog
from tui.widgets.modal import ClosesOnce
from tui.widgets.path_input import AskPath, PathInput, PathSuggester

_STYLES = {"added": "$text-success", "removed": "$text-error", "same": "", "gap": "$text-muted"}
_LABEL_CELLS = 70
_UP = ".."
_MARKS = {"added": "+ ", "removed": "- ", "same": "  ", "gap": "  ⋯"}


def ask_which(pane: Pane, then: Callable[[str], None]) -> None:
    """Ask for a preset, a run's profile or a file."""
    names = preset_names()
    runs = pane.workbench.runs
    labels = [_("a file …"), *(_("preset {name}").format(name=name) for name in names)]
    labels += [_("the profile of the run {run}").format(run=run.id) for run in runs]

    def chosen(at: int | None) -> None:
        if at == 0:
            question = AskPath(_("Open a profile"), placeholder=_("a path that ends in .toml"))
            pane.app.push_screen(question, lambda path: then(path) if path else None)
        elif at is not None and at <= len(names):
            then(names[at - 1])
        elif at is not None:
            then(str(runs[at - 1 - len(names)].path / "profile.toml"))

    pane.app.push_screen(Choose(_("Open a profile"), labels), chosen)


def compare(pane: Pane, saved: str, text: str) -> None:
    """Ask what to compare with, and show the difference."""
    names = preset_names()
    runs = pane.workbench.runs
    labels = [_("what was saved"), *(_("preset {name}").format(name=name) for name in names)]
    labels += [_("the profile of the run {run}").format(run=run.id) for run in runs]

    def chosen(at: int | None) -> None:
        if at is None:
            return
        try:
            if at == 0:
                before = saved
            elif at <= len(names):
                before = preset_text(names[at - 1])
            else:
                path = runs[at - 1 - len(names)].path / "profile.toml"
                refuse_pipe(path)
                before = read_profile_text(str(path))[1]
            lines = difference(before, text)
        except PoemError as error:
            pane.tell(error)
            return
        pane.app.push_screen(DifferenceScreen(labels[at], lines))

    pane.app.push_screen(Choose(_("Compare with"), labels), chosen)


def ask_where(pane: Pane, suggested: str, path: Path | None, then: Callable[[Path], None]) -> None:
    """Ask for a file to save to; of one that is there already and isn't `path`, whether to write over it."""

    def chosen(answer: str | None) -> None:
        if not answer:
            return
        found = path_of(answer)
        if os.path.lexists(found) and found != path:
            text = _("{path} is there already.").format(path=found)
            question = Confirm(_("Save as"), text, yes=_("Write over it"), danger=True)
            pane.app.push_screen(question, lambda sure: then(found) if sure else None)
        else:
            then(found)

    pane.app.push_screen(AskPath(_("Save as"), value=suggested, check=_check_profile_path), chosen)


def _check_profile_path(value: str) -> str:
    if not value.strip():
        return _("Type a file's name.")
    if not value.endswith(SUFFIX):
        return _("A profile's name ends in .toml.")
    folder = os.path.dirname(os.path.expanduser(value)) or "."
    return "" if os.path.isdir(folder) else _("There is no such folder.")


def pick_value(pane: Pane, key: Key, now: Any, then: Callable[[Any], object]) -> None:
    """Offer what a key may be."""
    values = offered(key, now)
    if not values:
        pane.tell(_("This value is typed."), severity="information")
        return

    def chosen(at: int | None) -> None:
        if at is not None:
            then(values[at])

    labels, at = [str(value) for value in values], values.index(now) if now in values else 0
    pane.app.push_screen(Choose(key.name, labels, text=_(key.meaning), at=at), chosen)


def suggest(pane: Pane, editor: ProfileEditor) -> None:
    """Offer what could go on from the cursor; a single answer is taken at once."""
    line, column = editor.cursor_location
    found = suggestions_at(editor.text, line, column)
    if not found:
        pane.tell(_("Nothing goes on from here."), severity="information")
    elif len(found) == 1:
        editor.put(line, found[0].start, found[0].end, found[0].text)
    else:

        def chosen(at: int | None) -> None:
            if at is not None:
                editor.put(line, found[at].start, found[at].end, found[at].text)

        pane.app.push_screen(Choose(_("Complete"), [fit(one.label, _LABEL_CELLS).rstrip() for one in found]), chosen)


class DifferenceScreen(ModalScreen[None], ClosesOnce[None]):
    """Lines that two texts don't share."""

    BINDINGS = [Binding("escape,q", "dismiss", N_("Close"), id="dialog.close_difference")]
    DEFAULT_CSS = """
    DifferenceScreen { align: center middle; }
    DifferenceScreen > Vertical {
        width: 100; max-width: 98%; height: 90%; border: round $primary; background: $surface;
    }
    """

    def __init__(self, other: str, lines: tuple[DiffLine, ...]) -> None:
        """The lines against what `other` names."""
        super().__init__()
        self._other, self._lines = other, lines

    def compose(self) -> ComposeResult:
        """The lines, to be scrolled."""
        with Vertical() as frame:
            frame.border_title = content(_("Differences from {other}").format(other=self._other), "bold")
            frame.border_subtitle = content(_("esc closes"))
            with VerticalScroll():
                shown = [content(_MARKS[line.kind] + line.text, _STYLES[line.kind]) for line in self._lines]
                yield Static(Content("\n").join(shown or [content(_("They are the same."))]))

    def on_mount(self) -> None:
        """Arrow keys scroll at once."""
        self.query_one(VerticalScroll).focus()


class ModelPicker(Dialog[str]):
    """A folder of a base model, and what is found in it."""

    @dataclass
    class Looked(Message):
        """A folder was looked at."""

        path: str
        facts: FolderFacts
        folder: str
        folders: tuple[tuple[str, bool], ...]

    def __init__(self, base: str) -> None:
        """Begin at the base in force."""
        super().__init__(_("Choose the model folder"))
        self._base = base
        self._folder = ""
        self._folders: tuple[tuple[str, bool], ...] = ()
        self._wanted = False

    def compose(self) -> ComposeResult:
        """The path, what it is, and the folders in it."""
        with Vertical() as frame:
            frame.border_subtitle = content(_("Enter takes it, Tab completes it or goes to the list"))
            yield PathInput(self._base, suggester=PathSuggester(also=("builtin:tang-tiny",), folders_only=True))
            yield Static(id="model-facts", classes="dialog--text")
            yield OptionList(id="model-folders", markup=False)

    def on_mount(self) -> None:
        """Look at once."""
        super().on_mount()
        self.query_one(Input).focus()
        self._look(self._base)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._wanted = False
        self._look(event.value)

    @work(thread=True, exclusive=True, group="look", exit_on_error=False)
    def _look(self, path: str) -> None:
        folder = "" if path.startswith(BUILTIN) else _nearest_folder(path)
        folders = ((_UP, False), *folders_in(folder))
        self.post_message(self.Looked(path, look_at_folder(path), folder, folders))

    @on(Looked)
    def _show(self, event: Looked) -> None:
        facts = event.facts
        if event.path != self.query_one(Input).value:
            return
        if self._wanted and not facts.problem:
            self.dismiss(event.path)
            return
        self._folder, self._folders = event.folder, event.folders
        style = "$text-error" if facts.problem and self._wanted else "$text-muted" if facts.problem else "$text-success"
        self._wanted = False
        self.query_one("#model-facts", Static).update(content(facts_words(facts), style))
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(_folder_words(name, is_model)) for name, is_model in event.folders])

    @on(OptionList.OptionSelected)
    def _into(self, event: OptionList.OptionSelected) -> None:
        field = self.query_one(Input)
        name = self._folders[event.option_index][0]
        within = os.path.expanduser(self._folder) if name == _UP else self._folder
        field.value = os.path.normpath(os.path.join(within, name))
        field.focus()

    @on(Input.Submitted)
    def _taken(self, event: Input.Submitted) -> None:
        self._wanted = True
        self._look(event.value)


def _nearest_folder(path: str) -> str:
    """The folder itself, or the nearest above it that is there; empty: the working directory."""
    while path and not os.path.isdir(os.path.expanduser(path)):
        path = os.path.dirname(path)
    return path


def _folder_words(name: str, is_model: bool) -> Content:
    if is_model:
        return Content.assemble(content(f"{name}/  "), content(_("a model"), "$text-success"))
    return content(f"{name}/")


def facts_words(facts: FolderFacts) -> str:
    """What was found, in a line or two."""
    if facts.problem:
        return facts.problem
    words = _(
        "{architecture}: {layers} layers of {hidden}, {vocabulary:,} token ids, {parameters:,} parameters, {size} MB"
    )
    return words.format(
        architecture=facts.architecture or "?",
        layers=facts.layers or "?",
        hidden=facts.hidden or "?",
        vocabulary=facts.vocabulary,
        parameters=facts.parameters,
        size=f"{facts.weights_bytes / 1e6:,.1f}",
    )
