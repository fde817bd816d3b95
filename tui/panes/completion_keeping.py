"""What is done with a good poem: to the clipboard of the terminal, or as a row into a JSONL file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual import on, work
from textual.binding import Binding
from textual.message import Message

from core.errors import PoemError
from core.i18n import N_, _
from core.paths import path_of
from core.plain import plain
from tui.pane import Pane
from tui.panes import completion_rows as rows
from tui.panes.completion_history import Entry, Poem
from tui.panes.completion_layout import verse_text
from tui.panes.completion_wish import seen_run
from tui.widgets.dialogs import Ask


class KeepingPane(Pane):
    """A pane that shows a poem which can be kept."""

    BINDINGS = [
        Binding("c,ctrl+y", "copy", N_("Copy"), id="complete.copy", key_display="^y"),
        Binding("s,ctrl+s", "save", N_("Save"), id="complete.save", key_display="^s"),
        Binding("S", "save_elsewhere", N_("Save to another file"), id="complete.save.elsewhere", show=False),
    ]

    @dataclass
    class RowSaved(Message):
        """A poem was added to a file, was there already (False), or could not be."""

        path: Path
        result: bool | PoemError

    def __init__(self, *, id: str) -> None:
        """A pane that has saved nothing yet."""
        super().__init__(id=id)
        self.save_path = ""
        """The file of the last poem saved, which need not be asked for again; empty: ask."""
        self._offered_path = rows.DEFAULT_NAME

    def shown_poem(self) -> tuple[Entry, Poem] | None:
        """The poem under the cursor, if anything of it is written."""
        raise NotImplementedError

    def _poem_to_keep(self) -> tuple[Entry, Poem] | None:
        found = self.shown_poem()
        if found is None:
            self.tell(_("There is no poem yet."), severity="warning")
        return found

    def action_copy(self) -> None:
        """Put the poem on the clipboard of the terminal."""
        found = self._poem_to_keep()
        if found is not None:
            self.app.copy_to_clipboard(verse_text(found[0].text, found[1].text))
            note = _(
                "Copied, if the terminal permits it (OSC 52; in tmux: set -g set-clipboard on). ^s saves to a file."
            )
            self.tell(note, severity="information")

    def action_save(self) -> None:
        """Add the poem to the file of rows; which one is asked once."""
        found = self._poem_to_keep()
        if found is None:
            return
        if self.save_path:
            self._save(path_of(self.save_path), *found)
        else:
            self.action_save_elsewhere()

    def action_save_elsewhere(self) -> None:
        """Ask for the file, and add the poem to it."""
        found = self._poem_to_keep()
        if found is None:
            return

        def save(answer: str | None) -> None:
            if answer:
                self.save_path = self._offered_path = answer.strip()
                self._save(path_of(self.save_path), *found)

        text = _("Poems are added to this JSONL file as rows, from now on without a question. The Data pane opens it.")
        self.app.push_screen(Ask(_("Save as a row"), text=text, value=self._offered_path, check=rows.check_path), save)

    def offer_path(self, path: str) -> None:
        """Offer this file when a poem is first saved."""
        self._offered_path = path

    @work(thread=True, group="save", exit_on_error=False)
    def _save(self, path: Path, entry: Entry, poem: Poem) -> None:
        from_adapter = poem.side == "adapter"
        run = seen_run(self.workbench, entry.run) if entry.run else None
        try:
            row = rows.make_row(
                instruction=rows.instruction_of(run.path if run is not None else None),
                given=entry.text,
                written=poem.text,
                model=entry.run if from_adapter else entry.base,
                seed=poem.seed,
                adapter=entry.adapter if from_adapter else "",
            )
            result: bool | PoemError = rows.append_row(path, row)
        except PoemError as error:
            result = error
        self.post_message(self.RowSaved(path, result))

    @on(RowSaved)
    def _row_saved(self, event: RowSaved) -> None:
        if isinstance(event.result, PoemError):
            self.save_path = ""
            self.tell(event.result)
        else:
            words = _("Saved to {path}.") if event.result else _("{path} has this poem already.")
            self.tell(words.format(path=plain(str(event.path))), severity="information")
