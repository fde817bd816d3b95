"""The app: its tabs, its keys and a notice on a small terminal. What is in a tab is its pane's matter."""

from __future__ import annotations

from pathlib import Path

from textual.app import App, ComposeResult
from textual.widgets import Footer, Input, Static, TabbedContent, TabPane

from core.i18n import _
from tui.panes.dataset import DatasetPane
from tui.panes.runs import RunsPane
from tui.widgets.row_list import RowList


class PoemApp(App[None]):
    """One screen with a tab for each pane."""

    TITLE = "poemtui"
    CSS_PATH = "app.tcss"
    AUTO_FOCUS = "#rows"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (80, "-narrow"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-tall")]

    def __init__(self, file: str, *, runs_dir: Path) -> None:
        """The app on a data file (a path or `builtin:NAME`) and a runs directory, neither of which need exist."""
        super().__init__()
        self._file, self._runs_dir = file, runs_dir
        # Not in BINDINGS: at module scope the language isn't chosen yet.
        self.bind("1", "show('data')", description=_("Data"))
        self.bind("2", "show('runs')", description=_("Runs"))
        # With priority, so that it has opened the search before a key that was typed right after it is passed on.
        self._bindings.bind("slash", "search", _("Search"), key_display="/", priority=True)
        self.bind("escape", "end_search", description=_("End search"), show=False)
        self.bind("q", "quit", description=_("Quit"))

    def compose(self) -> ComposeResult:
        """The tabs, the footer, and the notice that takes their place on a small terminal."""
        with TabbedContent(initial="data"):
            with TabPane(_("Data"), id="data"):
                yield DatasetPane(self._file)
            with TabPane(_("Runs"), id="runs"):
                yield RunsPane(self._runs_dir)
        yield Static(_("poemtui needs a terminal of at least 80 × 24 characters."), id="too-small")
        yield Footer()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In a text field "/" is a character."""
        return not (action == "search" and isinstance(self.focused, Input))

    def action_show(self, tab: str) -> None:
        """Switch to a tab and to the list in it."""
        self.query_one(TabbedContent).active = tab
        self.call_after_refresh(self.query_one(f"#{tab} RowList", RowList).focus)

    def action_search(self) -> None:
        """Search the rows, from whatever tab."""
        self.query_one(TabbedContent).active = "data"
        self.query_one(DatasetPane).action_search()

    def action_end_search(self) -> None:
        """Show all rows again."""
        if self.query_one(TabbedContent).active == "data":
            self.query_one(DatasetPane).action_end_search()
