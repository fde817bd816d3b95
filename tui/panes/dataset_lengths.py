"""How long the poems of the shown rows are, as a histogram over the screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from core.i18n import N_, _
from tui.plain import content
from tui.widgets.dialogs import Dialog
from tui.widgets.histogram import Histogram


class Lengths(Dialog[None]):
    """The histogram."""

    BINDINGS = [Binding("h,q,enter", "close", N_("Close"), id="dialog.close_lengths")]
    DEFAULT_CSS = "Lengths Histogram { height: 12; }"

    def __init__(self, bins: Sequence[tuple[float, float, int]], summary: str) -> None:
        """Show bins of (lowest, the length they end before, rows), and a sentence below."""
        super().__init__(_("Lengths in characters"))
        self._bins, self._summary = bins, summary

    def compose(self) -> ComposeResult:
        """The bars and the sentence."""
        with Vertical():
            yield Histogram()
            yield Static(content(self._summary, "$text-muted"))

    def on_mount(self) -> None:
        """Draw."""
        super().on_mount()
        self.query_one(Histogram).show(self._bins)
