"""An app with the same widgets as poemtui's first frame and nothing behind them: what Textual itself takes."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.scroll_view import ScrollView
from textual.widgets import Footer, Input, Static


class EmptyApp(App[None]):
    """The widgets."""

    def compose(self) -> ComposeResult:
        """Header, tabs, a pane with head, search, list and detail, footer."""
        yield Static("poemtui")
        yield Static("1 Data  2 Profile  3 Train  4 Complete  5 Runs")
        with Container(), Vertical():
            yield Static("rows")
            yield Input()
            with Container():
                yield ScrollView()
                with VerticalScroll():
                    yield Static("")
        yield Static("")
        yield Footer()


if __name__ == "__main__":
    EmptyApp().run()
