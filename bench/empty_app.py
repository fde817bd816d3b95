"""An app with the widgets of poemtui's first frame, of Textual's own kinds, and nothing behind them."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.scroll_view import ScrollView
from textual.widgets import Footer, Input, Static


class EmptyApp(App[None]):
    """The widgets."""

    CSS = """
    Static { height: 1; }
    Horizontal { height: 1; }
    Input { height: 1; border: none; }
    Container { height: 1fr; }
    """
    BINDINGS = [Binding(key, "bell", name) for key, name in zip("abcdefg", ("Search",) * 7, strict=True)]

    def compose(self) -> ComposeResult:
        """Header, tabs, the Data pane with its search, list and detail, footer."""
        yield Static("poemtui")
        yield Static("1 Data  2 Profile  3 Train  4 Complete  5 Runs")
        with Container(), Vertical():
            with Horizontal():
                yield Static("/")
                yield Input()
                yield Static("400 rows")
            yield Static("")
            with Container():
                with Vertical():
                    yield Static("no. author title")
                    yield ScrollView()
                with VerticalScroll():
                    for _number in range(5):
                        yield Static("")
        yield Static("")
        yield Footer()


if __name__ == "__main__":
    EmptyApp().run()
