"""The help screen: what a pane is for, its keys, and those that work everywhere."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widgets import Static

from core.i18n import N_, _
from tui.keys import keys_of
from tui.pane import Pane
from tui.plain import content
from tui.settings import Settings
from tui.widgets.modal import ClosesOnce

_KEYS_CELLS = 18


class HelpScreen(ModalScreen[None], ClosesOnce[None]):
    """Help for one pane."""

    BINDINGS = [Binding("escape,q,f1,question_mark", "dismiss", N_("Close"), id="help.close")]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > Vertical {
        width: 90; max-width: 98%; height: 94%; border: round $primary; background: $surface; padding: 0 1;
    }
    """

    def __init__(self, pane: Pane, settings: Settings) -> None:
        """Help for a pane, with the person's own keys."""
        super().__init__()
        self._pane, self._settings = pane, settings

    def compose(self) -> ComposeResult:
        """The text, to be scrolled."""
        with Vertical() as frame:
            frame.border_title = content(_(self._pane.TITLE), "bold")
            frame.border_subtitle = content(_("esc closes"))
            with VerticalScroll():
                yield Static(Content("\n").join(self._lines()))

    def on_mount(self) -> None:
        """Arrow keys scroll at once."""
        self.query_one(VerticalScroll).focus()

    def _lines(self) -> Iterator[Content]:
        yield content(_(self._pane.HELP))
        seen: set[type[DOMNode]] = set()
        for node in (self._pane, *self._pane.query("*")):
            for cls in type(node).__mro__:
                if issubclass(cls, DOMNode) and cls.__module__.startswith("tui.") and cls not in seen:
                    seen.add(cls)
                    yield from self._section(cls)
        yield content("")
        yield content(_("Everywhere"), "bold $text-primary")
        yield from self._section(type(self.app))
        yield content("")
        other = _("Other keys: [keys] in {path}; the ids are in docs/keys.md.")
        yield content(other.format(path=self._settings.path), "$text-muted")

    def _section(self, cls: type[DOMNode]) -> Iterator[Content]:
        for found in keys_of(cls, self._settings.keys):
            gap = " " * max(1, _KEYS_CELLS - cell_len(found.keys))
            yield Content.assemble(content(found.keys, "bold"), gap, content(found.description))
