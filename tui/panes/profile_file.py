"""The profile in the editor and its file: opened, saved, reverted, changed by another program. It knows no keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual import on, work
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

from core.errors import PoemError
from core.i18n import N_, _
from core.paths import path_of, refuse_pipe
from tui.pane import Pane
from tui.panes.profile_editor import ProfileEditor
from tui.widgets.dialogs import Choose, Confirm

_LOOK_AT_DISK_S = 2.0
Stamp = tuple[int, int, int]
"""What changes when a file does."""
_NO_STAMP = (0, 0, 0)
DEFAULT = "tang-tiny-cpu"
"""The preset that is open at first: it works on any machine."""


class FiledPane(Pane):
    """A pane whose editor holds a profile that comes from a preset or a file."""

    BINDINGS = [
        Binding("ctrl+s", "save", N_("Save"), id="profile.save"),
        Binding("ctrl+o", "open_other", N_("Open"), id="profile.open"),
        Binding("ctrl+r", "revert", N_("Back to what was saved"), id="profile.revert", show=False),
        Binding("s", "save_as", N_("Save as"), id="profile.save_as", show=False),
        Binding("n", "new", N_("New from a preset"), id="profile.new", show=False),
    ]

    @dataclass
    class DiskSeen(Message):
        """How a file stands on the disk."""

        path: Path
        known: Stamp | None
        """How it stood when it was opened or saved."""
        stamp: Stamp | None
        """How it stands; None: it can't be seen."""

    def __init__(self, *, id: str) -> None:
        """Nothing is open yet."""
        super().__init__(id=id)
        self._source, self._path = DEFAULT, None  # type: str, Path | None
        self._saved: str | None = None
        self._stamp: Stamp | None = None
        self._asked_about: Stamp | None = None
        self._looking = False

    def on_mount(self) -> None:
        """Open what is to be opened, and watch the disk."""
        if self._saved is None:
            self.open_profile(self._source)
        self.set_interval(_LOOK_AT_DISK_S, self._look_at_disk)

    @property
    def _editor(self) -> ProfileEditor:
        return self.query_one(ProfileEditor)

    def _check(self) -> None:
        """Check the text in the editor, which is another."""
        raise NotImplementedError

    def _tell_state(self) -> None:
        """Tell the workbench, which shows whether all is saved."""
        raise NotImplementedError

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

        path = None if source in preset_names() else self._place_of(source)
        stamp = _stamp_of(path)
        try:
            if path is not None:
                refuse_pipe(path)  # which would hold the screen until somebody writes to it
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

    def _place_of(self, source: str) -> Path | None:
        """The file that a profile is saved to; None of a run's own one, which says for ever what the run was."""
        path = path_of(source)
        folder = os.path.abspath(path.parent.parent)
        return None if path.name == "profile.toml" and folder == os.path.abspath(self.workbench.runs_dir) else path

    def _read_if(self, answer: bool | None, source: str) -> None:
        if answer:
            self._read(source)

    def _take(self, text: str, *, saved: str, stamp: Stamp | None) -> None:
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
        elif _stamp_of(self._path) not in (self._stamp, None):
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
        """See whether another program has changed the file; a disk that doesn't answer isn't asked again."""
        if self._path is not None and not self._looking:
            self._looking = True
            self._stat(self._path, self._stamp)

    @work(thread=True, exclusive=True, group="profile.disk", exit_on_error=False)
    def _stat(self, path: Path, known: Stamp | None) -> None:
        self.post_message(self.DiskSeen(path, known, _stamp_of(path)))

    @on(DiskSeen)
    def _disk_seen(self, event: DiskSeen) -> None:
        """Another program may have changed the file: ask once for each change."""
        self._looking = False
        stamp = event.stamp
        if (event.path, event.known) != (self._path, self._stamp):
            return  # another file was opened since, or this one saved
        if stamp is None or stamp in (self._stamp, self._asked_about):
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
                self._source, self._path = source, self._place_of(source)
            # Of a file that has changed since, the stamp is none, so that this is noticed and asked about.
            same = not read or self._path is None or self._saved == saved
            self._take(draft, saved=saved, stamp=_stamp_of(self._path) if same else _NO_STAMP)
        if isinstance(line, int):
            self._editor.move_cursor((max(0, min(line, self._editor.document.line_count - 1)), 0))


def _stamp_of(path: Path | None) -> Stamp | None:
    """What tells whether a file is still the same."""
    try:
        found = path.stat() if path else None
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
