"""The Data pane: every row of a file in a list, a search in it, and the row under the cursor.

How files are opened and rows found is `dataset_files`' and `dataset_reading`'s matter, how a row is laid out
`dataset_detail`'s, what the review is and does to rows `dataset_review`'s and `dataset_choosing`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from core.data.row import BadRow, Row
from core.i18n import N_, _
from tui.panes.dataset_choosing import ChoosingPane
from tui.panes.dataset_detail import RowDetail
from tui.panes.dataset_reading import Unreadable, View, first_rows
from tui.panes.dataset_table import LOSS, ORDERS, Column, columns_for, head_cells, order_names, row_cells
from tui.plain import content
from tui.widgets.block import SearchInput
from tui.widgets.row_list import Cells, RowList, lay_out
from tui.workbench import DataState

_PALETTE_CHARACTERS = 60


class DatasetPane(ChoosingPane):
    """Rows, search and poem."""

    TITLE: ClassVar[str] = N_("Data")
    HELP: ClassVar[str] = N_(
        "Every row of a data file, and the poem under the cursor with what training makes of it. Type / and words to "
        "see only the rows that hold them all; author:李白, title:春, length:28 and column:text search one column. "
        "x shows the row's tokens, those that the model learns in colour; that starts the model process. "
        "n shows what another epoch would make of the row. The lengths and the export are of the rows found. "
        "v reviews the file and the profile; from each finding the enter key leads to its rows, f chooses rows by "
        "problem and form, . and , go from one row with a problem to the next, d leaves a row out of training."
    )
    FOCUS_FIRST: ClassVar[str] = "#rows"
    BINDINGS = [
        Binding("slash", "search", N_("Search"), id="data.search", priority=True),  # see `check_action`
        Binding("s", "sort", N_("Sort"), id="data.sort"),
        Binding("r", "reverse", N_("Sort the other way round"), id="data.reverse", show=False),
        Binding("g", "ask_row", N_("Go to a row by its number"), id="data.row", show=False),
        Binding("x", "tokens", N_("Tokens"), id="data.tokens"),
        Binding("n", "draw", N_("What another epoch makes of the row"), id="data.draw", show=False),
        Binding("h", "lengths", N_("Lengths of the poems"), id="data.lengths", show=False),
        Binding("e", "export", N_("Export"), id="data.export"),
        Binding("o", "open", N_("Open"), id="data.open"),
        Binding("p", "use", N_("Train on this file"), id="data.use", show=False),
        Binding("m", "map", N_("Say what the columns are"), id="data.map", show=False),
        Binding("escape", "leave_search", N_("Leave the search, then show every row"), id="data.leave", show=False),
    ]

    def __init__(self, file: str, *, id: str) -> None:
        """The pane of a file: a path or `builtin:NAME`."""
        super().__init__(file, id=id)
        self._row_wanted: int | None = None

    def compose(self) -> ComposeResult:
        """The search and the count, the heads of the columns, the list and the row."""
        with Horizontal(id="data-search"):
            yield Static("/", id="data-slash")
            search = SearchInput(placeholder=_("words   author:李白   title:春   length:28   column:text"), id="search")
            search.cursor_blink = False
            yield search
            yield Static(id="data-count")
        yield Static(id="data-among")
        yield Static(id="data-problem")
        with Container(classes="body"):
            with Vertical(id="data-list"):
                yield Static(id="data-head")
                yield RowList(id="rows")
            yield RowDetail(id="row-detail")

    # -- the file

    def on_mount(self) -> None:
        """Follow the profile, which may leave out the row under the cursor."""
        super().on_mount()
        self.watch(self.workbench, "profile_state", self._show_row, init=False)

    def open_file(self, path: str, *, columns: Mapping[str, str] | None = None) -> None:
        """Open another file."""
        self.view = self.wanted = View()
        self._row_wanted = None
        self._set_query("")
        self._count(_("reading …"))
        super().open_file(path, columns=columns)
        self.show_among()
        self._list.show(0, self._cells)

    @property
    def _list(self) -> RowList:
        return self.query_one("#rows", RowList)

    def file_opened(self) -> None:
        """Show its rows, and those of the search that was asked for meanwhile."""
        super().file_opened()
        self.rows_came()
        self._show_rows()
        if not self.wanted.is_whole:
            self.find(self.wanted)
        if self.has_focus:  # which the list lost while there was none
            self.screen.set_focus(self._list)

    def file_failed(self, failure: Unreadable) -> None:
        """Count nothing."""
        super().file_failed(failure)
        self._list.show(0, self._cells)
        self._count("")

    def findings_came(self) -> None:
        """Show what was found of each row."""
        super().findings_came()
        self._show_heads()
        self._list.grow(len(self.order), remake=True)
        self._show_row()

    def rows_came(self) -> None:
        """Further rows of the file are known."""
        assert self.file is not None
        rows = self.file.rows
        self.workbench.data_state = DataState(self.path, rows.count, rows.complete)
        if self.view.is_whole and self.wanted.is_whole:
            self.order = range(rows.count)
            self._list.grow(rows.count, remake=self._show_heads())
            if self._row_wanted is not None and self._row_wanted < rows.count:
                self._go_to_wanted()
        elif rows.complete:
            self.find(self.wanted)
        self._show_count()

    # -- what is shown of it

    def rows_found(self, problem: str, *, more: bool) -> None:
        """Show what the view asked for, and what is wrong with it."""
        if more and self._row_wanted is None:
            self._list.grow(len(self.order))
            self._show_count()
        else:
            self._show_rows(problem)

    def _show_rows(self, problem: str = "") -> None:
        cursor = 0
        if self._row_wanted is not None and self._row_wanted in self.order:
            cursor = self.order.index(self._row_wanted)
            self._row_wanted = None
        with self.prevent(RowList.CursorMoved):
            self._list.show(len(self.order), self._cells, cursor=cursor)
        self.call_after_refresh(self._show_row)  # the screen is laid out for it, and the list shan't wait for that
        self._show_count()
        self._show_heads(problem)

    def _go_to_wanted(self) -> None:
        number, self._row_wanted = self._row_wanted, None
        if number is not None:
            self._list.move_to(self.order.index(number))

    def _show_count(self) -> None:
        if self.file is None:
            return
        found, count = len(self.order), self.file.rows.count
        text = _("{count:,} rows") if self.view.is_whole else _("{found:,} of {count:,} rows")
        if not self.found_all:
            text = _("{found:,} of {count:,} rows …")
        elif not self.file.rows.complete:
            text = _("{count:,} rows so far …")
        self._count(text.format(found=found, count=count))

    def _count(self, text: str) -> None:
        count = self.query_one("#data-count", Static)
        now = content(text)
        if now != count.content:
            count.update(now, layout=now.cell_length > count.content_size.width)

    def _show_heads(self, problem: str = "") -> bool:
        """Show the heads of the columns, or what is wrong with the query; whether that changed anything."""
        head = self.query_one("#data-head", Static)
        head.set_class(bool(problem), "-problem")
        sort = "" if self.view.sort == "number" and not self.view.descending else self.view.sort
        cells = head_cells(self._table_columns(), sort, descending=self.view.descending)
        shown = content(" ".join(problem.split()) if problem else lay_out(cells))
        changed = shown != head.content
        if changed:
            head.update(shown, layout=False)
        return changed

    @on(RowList.Resized)
    def _other_columns_have_room(self) -> None:
        self._show_heads()

    def _table_columns(self) -> tuple[Column, ...]:
        width = self._list.scrollable_content_region.width
        if self.file is None:
            return ()
        return columns_for(self.file.rows.columns, self.file.rows.count, width, with_loss=self._with_loss)

    @property
    def _with_loss(self) -> bool:
        return bool(self.findings and self.findings.losses)

    def _cells(self, index: int) -> Cells:
        number = self.order[index]
        row = self._row(number)
        if row is None:
            return ()
        look, loss = ("", None) if self.findings is None else self.findings.figures_of(number)
        return row_cells(row, self._table_columns(), look, loss)

    def _row(self, number: int | None) -> Row | BadRow | None:
        if number is None or self.file is None or number >= self.file.rows.count:
            return None  # the file may have become shorter since its first rows were shown
        return self.file.rows.row(number)

    @on(RowList.CursorMoved)
    def _show_row(self) -> None:
        nothing = _("No row holds that.") if self.file is not None else ""
        number = self.number_here()
        detail = self.query_one(RowDetail)
        detail.show(self._row(number), nothing)
        detail.show_findings(Content("") if number is None else self.found_of(number))

    def number_here(self) -> int | None:
        """The number of the row under the cursor."""
        cursor = self._list.cursor
        return None if cursor is None or cursor >= len(self.order) else self.order[cursor]

    # -- searching and sorting

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The key of the search comes before all others, lest a key that is typed right after it goes astray."""
        return super().check_action(action, parameters) and not (
            action == "search" and isinstance(self.app.focused, Input)
        )

    def action_search(self) -> None:
        """Go to the search."""
        self.reveal_rows()
        self.screen.set_focus(self.query_one("#search", Input))  # at once: `focus` waits, and the next key goes astray

    def action_leave_search(self) -> None:
        """From the search or the review back to the rows; from there, every row again."""
        search = self.query_one("#search", Input)
        if self.is_reading:
            self.reveal_rows()
        elif not search.has_focus and not self.choose_all():
            search.value = ""
        self.screen.set_focus(self._list)

    @on(Input.Changed, "#search")
    def _search_typed(self, event: Input.Changed) -> None:
        if not event.value.strip():
            self._row_wanted = self.number_here()
        self.find(self.wanted._replace(query=event.value))

    @on(Input.Submitted, "#search")
    def _search_ended(self) -> None:
        self.screen.set_focus(self._list)

    def _set_query(self, query: str) -> None:
        with self.prevent(Input.Changed):
            self.query_one("#search", Input).value = query

    def action_sort(self) -> None:
        """Ask what to sort by."""
        from tui.widgets.dialogs import Choose

        if self.file is None:
            return
        names = order_names(self.file.rows.columns, with_loss=self._with_loss)
        at = names.index(self.wanted.sort) if self.wanted.sort in names else 0

        def sort(choice: int | None) -> None:
            if choice is not None:
                self.show_view(self.wanted._replace(sort=names[choice], descending=False))

        self.app.push_screen(Choose(_("Sort by"), [_(ORDERS[name]) for name in names], at=at), sort)

    def action_reverse(self) -> None:
        """Last first, or first first again."""
        self.show_view(self.wanted._replace(descending=not self.wanted.descending))

    def show_view(self, view: View) -> None:
        """Show rows in another way, the cursor on the same one where it is among them."""
        self._row_wanted = self.number_here()
        self.find(view)

    # -- rows by number and text

    def find_rows(self, query: str, most: int) -> Iterator[tuple[int, str]]:
        """Number and text of the first rows that hold it, for the palette; none of a file too large for that."""
        if self.file is not None:
            for number in first_rows(self.file, query, most):
                row = self._row(number)
                text = row.input + row.output if isinstance(row, Row) else row.problem if row else ""
                yield number, text[:_PALETTE_CHARACTERS]

    def go_to_row(self, number: int) -> None:
        """Put the cursor on a row; where the search or what was chosen has left it out, these end."""
        self.reveal_rows()
        self._row_wanted = number
        if number in self.order:
            self._go_to_wanted()
        elif not self.wanted.is_whole:
            self._set_query("")
            self.find(self.wanted._replace(query="", among=()))
            self.show_among()

    def action_ask_row(self) -> None:
        """Ask which row to go to."""
        from tui.widgets.dialogs import Ask

        if self.file is not None:
            last = self.file.rows.count - 1
            question = Ask(_("Go to row"), placeholder=f"0 – {last}", check=partial(check_number, last))
            self.app.push_screen(question, lambda answer: self.go_to_row(int(answer)) if answer else None)

    # -- the row under the cursor

    def action_tokens(self) -> None:
        """Show the tokens of rows, or no longer."""
        detail = self.query_one(RowDetail)
        detail.show_tokens(not detail.with_tokens)

    def action_draw(self) -> None:
        """Show what the next epoch would make of the row."""
        self.query_one(RowDetail).draw_again()

    def action_lengths(self) -> None:
        """Show how long the poems are."""
        if self.file is not None:
            self.count_lengths()

    def lengths_counted(self, counts: Sequence[tuple[int, int]]) -> None:
        """Show them."""
        from tui.panes.dataset_lengths import Lengths

        if self.app.screen is self.screen:
            self.app.push_screen(Lengths(counts))

    # -- the next start

    def state(self) -> Mapping[str, Any]:
        """The file, the search, the order, the row, and what was opened before."""
        return {
            "path": self.path,
            "columns": dict(self.columns),
            "recent": list(self.recent),
            "query": self.wanted.query,
            "sort": self.wanted.sort,
            "descending": self.wanted.descending,
            "row": self.number_here() if self._row_wanted is None else self._row_wanted,
            "tokens": self.query_one(RowDetail).with_tokens,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what was opened before and, where the same file is open, the search, the order and the row."""
        recent, columns = state.get("recent"), state.get("columns")
        if isinstance(recent, list):
            self.recent = list(dict.fromkeys([*self.recent, *filter(_is_text, recent)]))
        self.query_one(RowDetail).show_tokens(state.get("tokens") is True)
        if state.get("path") != self.path:
            return
        if isinstance(columns, dict) and columns and all(map(_is_text, (*columns, *columns.values()))):
            self.open_file(self.path, columns=columns)
        query, sort, row = state.get("query"), state.get("sort"), state.get("row")
        is_order = isinstance(sort, str) and sort in ORDERS and sort != LOSS  # losses aren't kept
        view = View(
            query if isinstance(query, str) else "",
            str(sort) if is_order else "number",
            is_order and state.get("descending") is True,
        )
        if isinstance(row, int):
            self._row_wanted = row
        self._set_query(view.query)
        if not view.is_whole:
            self.find(view)
        elif self.file is not None and self._row_wanted is not None and self._row_wanted in self.order:
            self._go_to_wanted()


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def check_number(last: int, answer: str) -> str:
    """What is wrong with a row's number; nothing where there is such a row."""
    if answer.strip().isdecimal() and int(answer) <= last:
        return ""
    return _("A number from 0 to {last}.").format(last=last)
