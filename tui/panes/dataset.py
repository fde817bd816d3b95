"""The Data pane: every row of a file in a list, a search in it, and the row under the cursor.

It shows and asks. How files are opened and rows found is `dataset_reading`'s matter, how a row is laid out
`dataset_detail`'s, what it becomes in training the recipe's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Input, Static

from core.data.rows import SAMPLE, Row
from core.errors import PoemError
from core.i18n import N_, _
from tui import messages
from tui.panes.dataset_book import Book
from tui.panes.dataset_detail import RowDetail
from tui.panes.dataset_reading import ReadingPane, View
from tui.panes.dataset_table import columns_for, head_cells, row_cells
from tui.plain import content
from tui.widgets.dialogs import Ask, Choose, Confirm
from tui.widgets.path_input import AskPath, PathSuggester
from tui.widgets.row_list import Cells, RowList, lay_out
from tui.workbench import DataState, ProfileState

_RECENT_KEPT = 8
_ORDERS = (
    ("number", N_("as in the file")),
    ("author", N_("author")),
    ("title", N_("title")),
    ("form", N_("form")),
    ("length", N_("length")),
    ("text", N_("text")),
)


class DatasetPane(ReadingPane):
    """Rows, search and poem."""

    TITLE: ClassVar[str] = N_("Data")
    HELP: ClassVar[str] = N_(
        "Every row of a data file, and the poem under the cursor with what training makes of it. Type / and words to "
        "see only the rows that hold them all; author:李白, title:春, length:28 and column:text search one column. "
        "x shows the row's tokens, those that the model learns in colour; that starts the model process. "
        "n shows what another epoch would make of the row. The lengths and the export are of the rows found."
    )
    FOCUS_FIRST: ClassVar[str] = "#rows"
    BINDINGS = [
        Binding("slash", "search", N_("Search"), id="data.search"),
        Binding("s", "sort", N_("Sort"), id="data.sort"),
        Binding("r", "reverse", N_("Sort the other way round"), id="data.reverse", show=False),
        Binding("g", "ask_row", N_("Go to a row by its number"), id="data.row", show=False),
        Binding("x", "tokens", N_("Tokens"), id="data.tokens"),
        Binding("n", "draw", N_("What another epoch makes of the row"), id="data.draw", show=False),
        Binding("h", "lengths", N_("Lengths of the poems"), id="data.lengths", show=False),
        Binding("e", "export", N_("Export"), id="data.export"),
        Binding("o", "open", N_("Open"), id="data.open"),
        Binding("p", "use", N_("Train on this file"), id="data.use", show=False),
        Binding("escape", "leave_search", N_("Leave the search, then show every row"), id="data.leave", show=False),
    ]

    def __init__(self, file: str, *, id: str) -> None:
        """The pane of a file: a path or `builtin:NAME`."""
        super().__init__(id=id)
        self._path = file
        self._columns: dict[str, str] = {}
        self._recent: list[str] = []
        self._wanted_row: int | None = None

    def compose(self) -> ComposeResult:
        """The search and the count, the heads of the columns, the list and the row."""
        with Horizontal(id="data-search"):
            yield Static("/", id="data-slash")
            search = Input(placeholder=_("words   author:李白   title:春   length:28   column:text"), id="search")
            search.cursor_blink = False
            yield search
            yield Static(id="data-count")
        yield Static(id="data-problem")
        with Container(classes="body"):
            with Vertical(id="data-list"):
                yield Static(id="data-head")
                yield RowList(id="rows")
            yield RowDetail(id="row-detail")

    def on_mount(self) -> None:
        """Start reading."""
        self.open(self._path, columns=self._columns, view=self.view)

    # -- what is open

    def open(self, path: str, *, columns: Mapping[str, str] | None = None, view: View = View()) -> None:
        """Open another file; `columns` says which of its columns are a row's fields, where no rule does."""
        self._path, self._columns, self.view = path, dict(columns or {}), view
        self.workbench.data_state = DataState(path)
        self.remove_class("-error")
        with self.prevent(Input.Changed):
            self.query_one("#search", Input).value = view.query
        self.query_one("#data-count", Static).update(content(_("reading …")))
        self.query_one(RowList).show(0, self._cells)
        self.read_file(path, self._columns or self._columns_of_profile())

    def _columns_of_profile(self) -> Mapping[str, str]:
        profile = self.workbench.profile_state.profile
        return profile.data.columns if profile is not None and profile.data.path == self._path else {}

    def file_opened(self, book: Book) -> None:
        """Show its rows."""
        self._recent = [self._path, *(path for path in self._recent if path != self._path)][:_RECENT_KEPT]
        self.rows_came()
        if not self.view.is_whole:
            self.find(self.view)
            return
        self.order = range(book.count)
        self._show_rows()

    def file_failed(self, problem: PoemError) -> None:
        """Say why there are no rows."""
        self.workbench.data_state = DataState(self._path, problem=problem.message)
        self.add_class("-error")
        self.query_one("#data-count", Static).update("")
        hint = _("o opens another file.")
        self.query_one("#data-problem", Static).update(content(f"{problem}\n\n{hint}"))

    def rows_came(self) -> None:
        """Further rows of the file are known."""
        assert self.book is not None
        self.workbench.data_state = DataState(self._path, self.book.count, self.book.complete)

    # -- what is shown of it

    def rows_found(self, problem: PoemError | None) -> None:
        """Show what the view asked for, or what is wrong with it."""
        self.query_one("#data-head", Static).set_class(problem is not None, "-problem")
        if problem is not None:
            self.query_one("#data-head", Static).update(content(" ".join(str(problem).split())))
            return
        self._show_rows()

    def _show_rows(self) -> None:
        rows = self.query_one(RowList)
        cursor = 0
        if self._wanted_row is not None and self._wanted_row in self.order:
            cursor = self.order.index(self._wanted_row)
        self._wanted_row = None
        rows.show(len(self.order), self._cells, cursor=cursor)
        self._show_count()
        self._show_heads()

    def _show_count(self) -> None:
        if self.book is None:
            return
        found, count = len(self.order), self.book.count
        text = _("{count:,} rows") if found == count else _("{found:,} of {count:,} rows")
        self.query_one("#data-count", Static).update(content(text.format(found=found, count=count)))

    def _show_heads(self) -> None:
        columns = self._table_columns()
        cells = head_cells(columns, self.view.sort if not self.view.is_whole else "", descending=self.view.descending)
        self.query_one("#data-head", Static).update(content(lay_out(cells)))

    def on_resize(self, event: Resize) -> None:
        """Other columns may have room now."""
        super().on_resize(event)
        self.call_after_refresh(self._show_heads)

    def _table_columns(self) -> tuple[Column, ...]:
        width = self.query_one(RowList).scrollable_content_region.width
        return columns_for(self.book.columns, self.book.count, width) if self.book else ()

    def _cells(self, index: int) -> Cells:
        assert self.book is not None
        row = self.book.row(self.order[index])
        return row_cells(row, self._table_columns(), poem_length(row) if isinstance(row, Row) else 0)

    @on(RowList.CursorMoved)
    def _show_row(self) -> None:
        number = self._row_number()
        nothing = _("No row holds that.") if self.book is not None else ""
        row = None if number is None or self.book is None else self.book.row(number)
        self.query_one(RowDetail).show(row, nothing)

    def _row_number(self) -> int | None:
        cursor = self.query_one(RowList).cursor
        return None if cursor is None or cursor >= len(self.order) else self.order[cursor]

    # -- searching and sorting

    def action_search(self) -> None:
        """Go to the search."""
        self.screen.set_focus(self.query_one("#search", Input))  # at once: `focus` would wait, and the next key go astray

    def action_leave_search(self) -> None:
        """From the search back to the rows; from there, every row again."""
        search, rows = self.query_one("#search", Input), self.query_one(RowList)
        if search.has_focus:
            self.screen.set_focus(rows)
        elif search.value:
            search.value = ""
        else:
            self.screen.set_focus(self)

    @on(Input.Changed, "#search")
    def _search_typed(self, event: Input.Changed) -> None:
        if not event.value.strip():
            self._wanted_row = self._row_number()
        self.find(replace(self.view, query=event.value))

    @on(Input.Submitted, "#search")
    def _search_ended(self) -> None:
        self.screen.set_focus(self.query_one(RowList))

    def action_sort(self) -> None:
        """Ask what to sort by."""
        if self.book is None:
            return
        names = [(name, title) for name, title in _ORDERS if name in _ALWAYS or name in self.book.columns]
        at = [name for name, _title in names].index(self.view.sort)
        self.app.push_screen(
            Choose(_("Sort by"), [_(title) for _name, title in names], at=at), partial(self._sort_chosen, names)
        )

    def _sort_chosen(self, names: Sequence[tuple[str, str]], choice: int | None) -> None:
        if choice is not None:
            self._arrange(replace(self.view, sort=names[choice][0], descending=False))

    def action_reverse(self) -> None:
        """Last first, or first first again."""
        self._arrange(replace(self.view, descending=not self.view.descending))

    def _arrange(self, view: View) -> None:
        self._wanted_row = self._row_number()
        self.find(view)

    # -- rows by number and text

    def find_rows(self, query: str, most: int) -> Iterator[tuple[int, str]]:
        """Number and text of the first rows that hold it, for the palette."""
        return iter(())

    def go_to_row(self, number: int) -> None:
        """Put the cursor on a row; where the search has left it out, the search ends."""
        if self.book is None or number in self.order:
            self._wanted_row = number
            if self.book is not None:
                self.query_one(RowList).move_to(self.order.index(number))
            return
        self._wanted_row = number
        with self.prevent(Input.Changed):
            self.query_one("#search", Input).value = ""
        self.find(replace(self.view, query=""))

    def action_ask_row(self) -> None:
        """Ask which row to go to."""
        if self.book is not None:
            question = Ask(_("Go to row"), placeholder=f"0 – {self.book.count - 1}", check=self._check_row)
            self.app.push_screen(question, lambda answer: self.go_to_row(int(answer)) if answer else None)

    def _check_row(self, answer: str) -> str:
        count = self.book.count if self.book is not None else 0
        if answer.isdecimal() and int(answer) < count:
            return ""
        return _("A number from 0 to {last}.").format(last=count - 1)

    # -- the row under the cursor

    def action_tokens(self) -> None:
        """Show the tokens of rows, or no longer."""
        detail = self.query_one(RowDetail)
        detail.show_tokens(not detail.with_tokens)

    def action_draw(self) -> None:
        """Show what the next epoch would make of the row."""
        self.query_one(RowDetail).draw_again()

    # -- files

    def action_open(self) -> None:
        """Ask which file to open."""
        question = AskPath(
            _("Open a data file"),
            placeholder=_("JSON, JSONL, CSV or TSV; tab completes"),
            suggester=PathSuggester(also=(SAMPLE,)),
            recent=[path for path in self._recent if path != self._path],
        )
        self.app.push_screen(question, lambda path: self.open(path.strip()) if path and path.strip() else None)

    def action_use(self) -> None:
        """Make the profile train on this file."""
        if self.book is None:
            return
        values: dict[str, Any] = {"data.path": self._path}
        profile = self.workbench.profile_state.profile
        if self._columns or (profile is not None and profile.data.columns):
            values["data.columns"] = self._columns
        self.post_message(messages.SetKeys(values))
        self.tell(_("The profile trains on {path} now.").format(path=self._path), severity="information")

    def action_export(self) -> None:
        """Ask where to write the rows that are shown."""
        if self.book is None or not self.order:
            self.tell(_("There are no rows to export."), severity="warning")
            return
        title = _("Export {count:,} rows").format(count=len(self.order))
        question = AskPath(title, text=_("A JSONL file with every column, in the order shown."), check=check_target)
        self.app.push_screen(question, self._export_asked)

    def _export_asked(self, answer: str | None) -> None:
        if not answer:
            return
        path = Path(answer.strip()).expanduser()
        if path.exists():
            text = _("{path} exists. Its content would be lost.").format(path=path)
            question = Confirm(_("Overwrite"), text, yes=_("Overwrite"), danger=True)
            self.app.push_screen(question, lambda yes: self.export(path) if yes else None)
        else:
            self.export(path)

    def rows_written(self, path: Path, rows: int) -> None:
        """Say so."""
        self.tell(_("{rows:,} rows written to {path}").format(rows=rows, path=path), severity="information")

    # -- the next start

    def state(self) -> Mapping[str, Any]:
        """The file, the search, the order, the row, and what was opened before."""
        return {
            "path": self._path,
            "columns": dict(self._columns),
            "recent": list(self._recent),
            "query": self.wanted.query,
            "sort": self.wanted.sort,
            "descending": self.wanted.descending,
            "row": self._row_number(),
            "tokens": self.query_one(RowDetail).with_tokens,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the search, the order and the row, where it is the same file."""
        recent = state.get("recent")
        self._recent = [path for path in recent if isinstance(path, str)][:_RECENT_KEPT] if isinstance(recent, list) else []
        self.query_one(RowDetail).show_tokens(state.get("tokens") is True)
