"""The Runs pane: every run of the runs directory in a table, the one under the cursor in words, several compared.

What runs there are comes from the workbench. The table, the details and the comparison are laid out in modules beside
this one; what is done to a run is in `runs_acting`, what is read of it in `runs_reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.widgets import Input, Static

from core.i18n import N_, _
from tui.panes.runs_reading import ReadingPane
from tui.panes.runs_table import MOST_MARKED, ORDERS, Listed, Table, Wanted, fit_table, list_runs_wanted
from tui.plain import content
from tui.widgets.dialogs import Choose
from tui.widgets.row_list import Cells, RowList, lay_out
from tui.workbench import RunSeen


class RunList(RowList):
    """A list that tells when it has another size."""

    class Resized(Message):
        """It has; everything beside it has too."""

    def on_resize(self, event: Resize) -> None:
        """Tell."""
        del event
        self.post_message(self.Resized())


class RunsPane(ReadingPane):
    """The table of runs and the details of one."""

    TITLE: ClassVar[str] = N_("Runs")
    HELP: ClassVar[str] = N_(
        "Every run there is, at work or ended, with its losses, and the one under the cursor in words. Type / and "
        "words to see only runs whose name, state, base or data hold them all; s sorts. Mark two to four runs with the "
        "space bar and compare them with c: their curves, their figures, and where their profiles differ. Enter shows "
        "a run in the Train pane, a completes with its adapter. A run that ended too early is resumed with r; d moves "
        "one to the trash, and u brings it back. Closing the app never ends a run."
    )
    FOCUS_FIRST: ClassVar[str] = "#runs-list"
    BINDINGS = [
        Binding("c", "compare", N_("Compare"), id="runs.compare"),
        Binding("space", "mark", N_("Mark for a comparison, or not"), id="runs.mark", show=False),
        Binding("slash", "filter", N_("Filter"), id="runs.filter", show=False),
        Binding("s,o", "sort", N_("Sort"), id="runs.sort", show=False),
        Binding("escape", "clear", N_("Leave the filter; drop filter and marks"), id="runs.clear", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        """The pane of the app's runs directory."""
        super().__init__(id=id)
        self.wanted = Wanted()
        self._listed: list[Listed] = []
        self._table = Table(())
        self._marked: list[str] = []
        self._cursor_on = self._cursor_wanted = ""
        self._told: Content | None = None
        self._offered = False

    def compose(self) -> ComposeResult:
        """The filter, the heads of the columns, the list, the details; words where there is no list."""
        with Horizontal(id="runs-filter"):
            yield Static("/")
            field = Input(placeholder=_("words in a run's name, state, base or data"), id="runs-words")
            field.cursor_blink = False
            yield field
            yield Static(id="runs-count")
        with Container(classes="body"):
            with Vertical(id="runs-table"):
                yield Static(id="runs-head")
                yield RunList(id="runs-list")
                yield Static(id="runs-none")
            with VerticalScroll(id="run-detail", classes="detail", can_focus=False):
                yield Static(id="run")

    def on_mount(self) -> None:
        """Show what there is, and watch it."""
        self.watch(self.workbench, "runs", self._runs_changed, init=False)
        self.watch(self.workbench, "runs_problem", self._lay_out, init=False)
        self._runs_changed()

    @on(RunList.Resized)
    def _other_columns_fit(self) -> None:
        self._lay_out()

    def state(self) -> Mapping[str, Any]:
        """The filter, the order, the cursor."""
        return {"query": self.wanted.query, "order": self.wanted.order, "run": self._cursor_on}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take them up."""
        query, order, run = (state.get(name) for name in ("query", "order", "run"))
        self._cursor_wanted = run if isinstance(run, str) else ""
        self.wanted = Wanted(
            query if isinstance(query, str) else "", order if isinstance(order, str) else self.wanted.order
        )
        with self.prevent(Input.Changed):
            self.query_one("#runs-words", Input).value = self.wanted.query
        self._lay_out()

    # -- what is shown

    def _runs_changed(self) -> None:
        self.read_about_runs()
        self._lay_out()

    def reading_done(self) -> None:
        """Show what has been read."""
        self._lay_out()

    def _lay_out(self) -> None:
        runs = self.workbench.runs
        there = {run.id for run in runs}
        self._marked = [run_id for run_id in self._marked if run_id in there]
        before = self._listed, self._table
        self._listed = list_runs_wanted(
            runs, self.wanted, origins=self.origins, places=self.places, marked=self._marked
        )
        row_list = self.query_one(RowList)
        self._table = fit_table(self._listed, self.wanted.sorting, row_list.size.width)
        self._say_how_many(len(runs))
        self.query_one("#runs-head", Static).update(content(lay_out(self._table.head())))
        # No taller than its lines, where the details are below it.
        table, most = self.query_one("#runs-table"), len(self._listed) + 1
        table.styles.max_height = None if self.has_class("-wide") or not self._listed else most
        if (self._listed, self._table) == before and self._listed:
            self._show_run()
            return
        ids = [run.seen.id for run in self._listed]
        if self._cursor_wanted in ids:
            self._cursor_on, self._cursor_wanted = self._cursor_wanted, ""
        if self._cursor_on in ids:
            cursor = ids.index(self._cursor_on)
        else:
            cursor = min(row_list.cursor or 0, max(0, len(ids) - 1))
        row_list.show(len(ids), self._cells, cursor=cursor)
        self._offer()

    def _say_how_many(self, count: int) -> None:
        problem, query = self.workbench.runs_problem, self.wanted.query
        self.set_class(bool(problem), "-error")
        self.set_class(bool(query), "-filtered")
        self.set_class(not self._listed, "-none")
        shown = _("{found} of {count}").format(found=len(self._listed), count=count)
        self.query_one("#runs-count", Static).update(content(shown))
        if problem:
            text = problem
        elif count:
            text = _("No run holds that. Escape shows them all.")
        else:
            text = _(
                "No run is kept in {directory} yet.\n\n"
                "A run teaches the base model of a profile (2) with the rows of a data file (1). To start one, go to "
                "Train (3) and press s: it goes on in the background, also when this app is closed, and is listed here."
            ).format(directory=self.workbench.runs_dir)
        self.query_one("#runs-none", Static).update(content(text) if not self._listed else "")

    def _cells(self, index: int) -> Cells:
        return self._table.line(self._listed[index])

    @on(RowList.CursorMoved)
    def _cursor_moved(self) -> None:
        run = self.run_under_cursor()
        if run is not None:
            if run.seen.id != self._cursor_on:
                self.query_one("#run-detail", VerticalScroll).scroll_home(animate=False)
            self._cursor_on = run.seen.id
        self._offer()
        self._show_run()

    def _offer(self) -> None:
        """Show in the footer what can be done, where that is another now."""
        offered = self.run_under_cursor() is not None
        if offered != self._offered:
            self._offered = offered
            self.refresh_bindings()

    def _show_run(self) -> None:
        from tui.panes.runs_details import details

        run = self.run_under_cursor()
        told = Content("")
        if run is not None:
            seen = run.seen
            width = self.query_one("#run", Static).size.width
            told = details(run, self.origins.get(seen.id), self.disks.get(seen.id), width)
            self.read_disk_of(run)
        if told != self._told:
            self._told = told
            self.query_one("#run", Static).update(told)

    # -- which run is meant

    def run_under_cursor(self) -> Listed | None:
        """The run that is meant."""
        cursor = self.query_one(RowList).cursor
        return self._listed[cursor] if cursor is not None and cursor < len(self._listed) else None

    def put_cursor_on(self, run_id: str) -> None:
        """Mean this run, as soon as it is there."""
        self._cursor_wanted = run_id

    # -- filter, order, marks

    def action_filter(self) -> None:
        """Type words."""
        self.add_class("-filtering")
        self.query_one("#runs-words", Input).focus()

    @on(Input.Changed, "#runs-words")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.wanted = replace(self.wanted, query=event.value)
        self._lay_out()

    @on(Input.Submitted, "#runs-words")
    def _filter_done(self) -> None:
        self.query_one(RowList).focus()

    def on_descendant_blur(self) -> None:
        """An empty filter takes no line."""
        self.set_class(self.query_one("#runs-words", Input).has_focus, "-filtering")

    def action_clear(self) -> None:
        """From the filter to the list; there, drop the filter, then the marks."""
        field = self.query_one("#runs-words", Input)
        if field.has_focus:
            self.query_one(RowList).focus()
        elif self.wanted.query:
            field.value = ""
        elif self._marked:
            self._marked = []
            self._lay_out()
        else:
            self.query_one(RowList).focus()

    def action_sort(self) -> None:
        """Choose an order."""
        names = [order.name for order in ORDERS]

        def choose(answer: int | None) -> None:
            if answer is not None:
                self.wanted = replace(self.wanted, order=names[answer])
                self._lay_out()

        at = names.index(self.wanted.sorting.name)
        self.app.push_screen(Choose(_("Sort runs by"), [_(order.title) for order in ORDERS], at=at), choose)

    def action_mark(self) -> None:
        """Mark the run for a comparison, or take its mark away, and go on to the next one."""
        run = self.run_under_cursor()
        if run is None:
            return
        if run.seen.id in self._marked:
            self._marked.remove(run.seen.id)
        elif len(self._marked) == MOST_MARKED:
            text = _("At most {count} runs are compared. Space on a marked one takes its mark away.")
            self.tell(text.format(count=MOST_MARKED), severity="information")
            return
        else:
            self._marked.append(run.seen.id)
        self._lay_out()
        self.query_one(RowList).action_move(1)

    def action_compare(self) -> None:
        """Compare the marked runs; one that is marked is compared with the one under the cursor."""
        by_id: dict[str, RunSeen] = {run.id: run for run in self.workbench.runs}
        ids = list(self._marked)
        here = self.run_under_cursor()
        if len(ids) < 2 and here is not None and here.seen.id not in ids:
            ids.append(here.seen.id)
        runs = [Listed(by_id[run_id]) for run_id in ids if run_id in by_id]
        if len(runs) < 2:
            self.tell(_("Mark two to four runs with the space bar first."), severity="information")
            return
        from tui.panes.runs_compare import Comparison

        self.app.push_screen(Comparison(runs))
