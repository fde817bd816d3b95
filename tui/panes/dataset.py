"""The Data pane: every row of a file in a list, a search in it, and the row under the cursor.

It shows and asks. How files are opened and rows found is `dataset_reading`'s matter, how a row is laid out
`dataset_detail`'s, what it becomes in training the recipe's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal
from textual.widgets import Input, Static

from core.errors import PoemError
from core.i18n import N_, _
from tui.panes.dataset_asking import AskingPane
from tui.panes.dataset_detail import RowDetail
from tui.panes.dataset_reading import View
from tui.panes.dataset_table import columns_for, head_cells, row_cells
from tui.plain import content
from tui.widgets.row_list import Cells, RowList, lay_out


class DatasetPane(AskingPane):
    """Rows, search and poem."""

    TITLE: ClassVar[str] = N_("Data")
    HELP: ClassVar[str] = N_(
        "Every row of a data file, and the poem under the cursor with what training makes of it. Type / and words to "
        "see only the rows that hold them all; author:李白, title:春, length:28 and column:text search one column. "
        "x shows the row's tokens, those that the model learns in colour; that starts the model process. "
        "n shows what another epoch would make of the row. Lengths, the export and the sort go by the rows found."
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

    def compose(self) -> ComposeResult:
        """The search and the count, the heads of the columns, the list and the row."""
        with Horizontal(id="data-search"):
            yield Static("/", id="data-slash")
            search = Input(placeholder=_("words   author:李白   title:春   length:28   column:text"), id="search")
            search.cursor_blink = False
            yield search
            yield Static(_("reading …"), id="data-count")
        yield Static(id="data-head")
        yield Static(id="data-problem")
        with Container(classes="body"):
            yield RowList(id="rows")
            yield RowDetail(id="row-detail")
