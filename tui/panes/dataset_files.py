"""Which data file is open: opening another, saying what its columns are, exporting from it, training on it.

How rows are shown is `dataset`'s matter.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from textual import on
from textual.widgets import Static

from core.data.row import SAMPLE
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from tui import messages
from tui.panes.dataset_reading import ReadingPane, Unreadable
from tui.plain import content
from tui.workbench import DataState

_RECENT_KEPT = 8


class FilePane(ReadingPane):
    """A pane with a data file that a person chooses."""

    def __init__(self, path: str, *, id: str) -> None:
        """A pane that will open `path`."""
        super().__init__(id=id)
        self.path = path
        """As a person typed it, or `builtin:NAME`."""
        self.columns: dict[str, str] = {}
        """Field → column, as a person said; empty: by the rules, or the profile."""
        self.recent: list[str] = []
        """What was opened before, the last first."""
        self._examples: dict[str, str] = {}
        self._problem = ""

    def on_mount(self) -> None:
        """Open the file; follow the profile, which may say what the columns are."""
        self.open_file(self.path)
        self.watch(self.workbench, "profile_state", self._profile_changed, init=False)

    def open_file(self, path: str, *, columns: Mapping[str, str] | None = None) -> None:
        """Open another file.

        Args:
            path: the file, or `builtin:NAME`.
            columns: which of its columns are a row's fields, where no rule says so.
        """
        self.path, self.columns, self._examples = path, dict(columns or {}), {}
        self.remove_class("-error")
        self.workbench.data_state = DataState(path)
        self.read_file(path, self.columns or self._columns_of_profile())

    def _columns_of_profile(self) -> Mapping[str, str]:
        profile = self.workbench.profile_state.profile
        return profile.data.columns if profile is not None and profile.data.path == self.path else {}

    def _profile_changed(self) -> None:
        """Where the columns were the trouble, the profile may say now what they are."""
        from tui.panes.dataset_columns import MapColumns

        if self._examples and self._columns_of_profile():
            if isinstance(self.app.screen, MapColumns):
                self.app.screen.dismiss(None)
            self.open_file(self.path)

    def file_opened(self) -> None:
        """Remember it."""
        self.recent = [self.path, *(path for path in self.recent if path != self.path)][:_RECENT_KEPT]

    def file_failed(self, failure: Unreadable) -> None:
        """Say why there are no rows; where it is the columns, ask what they are."""
        self.workbench.data_state = DataState(self.path, problem=failure.problem.message)
        self.add_class("-error")
        self._examples = dict(failure.examples)
        ways = [_("m says what its columns are.")] if self._examples else []
        ways.append(_("o opens another file."))
        self.query_one("#data-problem", Static).update(content("\n".join([str(failure.problem), "", *ways])))
        self._problem = failure.problem.message
        if self._examples and self.app.screen is self.screen:
            self.action_map()

    def action_map(self) -> None:
        """Ask which column is the instruction, the input and the output."""
        from tui.panes.dataset_columns import MapColumns

        examples, problem = self._examples, ""
        if self.file is not None:
            from core.data.column_examples import column_examples

            try:
                examples = column_examples(self.path)
            except PoemError as error:
                self.tell(error)
                return
        elif examples:
            problem = self._problem
        if not examples:
            return
        guess = self.file.rows.mapping if self.file is not None else self.columns or self._columns_of_profile()
        self.app.push_screen(MapColumns(problem, examples, guess), self._mapped)

    def _mapped(self, columns: dict[str, str] | None) -> None:
        from tui.widgets.dialogs import Confirm

        if not columns:
            return
        self.open_file(self.path, columns=columns)
        profile = self.workbench.profile_state.profile
        if profile is not None and profile.data.path == self.path:
            self.post_message(messages.SetKeys({"data.columns": columns}))
            return
        text = _("Shall the profile train on {path}, with its columns read so?").format(path=self.path)
        question = Confirm(_("Columns"), text, yes=_("Into the profile"), no=_("Only look at it"))
        self.app.push_screen(question, lambda yes: self.action_use() if yes else None)

    def action_use(self) -> None:
        """Make the profile train on this file."""
        if not self.path.isprintable() and any("\ud800" <= one <= "\udfff" for one in self.path):
            text = _("The name of this file isn't UTF-8: no profile can hold it. Rename the file.")
            self.tell(text, severity="warning")
            return
        values: dict[str, Any] = {"data.path": self.path}
        profile = self.workbench.profile_state.profile
        if self.columns or (profile is not None and profile.data.columns and profile.data.path != self.path):
            values["data.columns"] = self.columns
        self.post_message(messages.SetKeys(values))
        self.tell(_("The profile trains on {path} now.").format(path=self.path), severity="information")

    def action_open(self) -> None:
        """Ask which file to open."""
        from tui.widgets.path_input import AskPath, PathSuggester

        question = AskPath(
            _("Open a data file"),
            placeholder=_("JSON, JSONL, CSV or TSV; tab completes"),
            suggester=PathSuggester(also=(SAMPLE,)),
            recent=[path for path in self.recent if path != self.path],
        )
        self.app.push_screen(question, lambda path: self.open_file(path.strip()) if path and path.strip() else None)

    def action_export(self) -> None:
        """Ask where to write the rows that are shown."""
        from tui.widgets.path_input import AskPath

        if not self.order:
            self.tell(_("There are no rows to export."), severity="warning")
            return
        question = AskPath(
            _("Export {count:,} rows").format(count=len(self.order)),
            text=_("A JSONL file of the rows shown, in their order, with all their columns."),
            placeholder=_("rows.jsonl; tab completes"),
            check=check_target,
        )
        self.app.push_screen(question, self._export_to)

    def _export_to(self, answer: str | None) -> None:
        from tui.widgets.dialogs import Confirm

        if not answer:
            return
        path = path_of(answer.strip())
        if os.path.lexists(path):
            text = _("{path} exists. What is in it would be lost.").format(path=path)
            question = Confirm(_("Export"), text, yes=_("Overwrite"), danger=True)
            self.app.push_screen(question, partial(self._overwrite, path))
        else:
            self.export(path, overwrite=False)

    def _overwrite(self, path: Path, answer: bool | None) -> None:
        if answer:
            self.export(path, overwrite=True)

    @on(ReadingPane.Exported)
    def _exported(self, event: ReadingPane.Exported) -> None:
        if isinstance(event.result, int):
            text = _("{rows:,} rows written to {path}").format(rows=event.result, path=event.path)
            self.tell(text, severity="information")
        else:
            self.tell(event.result)


def check_target(answer: str) -> str:
    """What is wrong with the name of a file that is to be written; nothing where it will do."""
    path = path_of(answer.strip())
    if not answer.strip():
        return _("A name is needed.")
    if os.path.isdir(path):
        return _("That is a folder: name a file in it.")
    if not os.path.isdir(path.parent):
        return _("There is no folder {folder}.").format(folder=path.parent)
    return ""
