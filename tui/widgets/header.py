"""The line at the top and the line of tabs. They show what they are told and know nothing of runs or panes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from tui.plain import content, fit

_GAP = "  "


class Fact(NamedTuple):
    """One thing in the header."""

    text: str
    """Untrusted."""
    style: str = ""
    """A style of its own; empty: the header's."""
    most_cells: int = 40
    """It is cut beyond this."""


class Header(Static):
    """Facts from left to right, what matters most first; what doesn't fit is left out, never cut in the middle."""

    DEFAULT_CSS = "Header { height: 1; width: 1fr; background: $panel; color: $foreground; padding: 0 1; }"

    def __init__(self) -> None:
        """An empty line."""
        super().__init__()
        self._facts: tuple[Fact, ...] = ()

    def show(self, facts: tuple[Fact, ...]) -> None:
        """Show other facts; nothing is painted where they are the same."""
        if facts != self._facts:
            self._facts = facts
            self._lay_out()

    def on_resize(self) -> None:
        """Lay the facts out anew."""
        self._lay_out()

    def _lay_out(self) -> None:
        left_cells = self.content_size.width
        parts: list[Content] = []
        for fact in self._facts:
            cells = min(cell_len(fact.text), fact.most_cells)
            if not fact.text or cells > left_cells:
                continue
            parts.append(content(fit(fact.text, cells), fact.style))
            left_cells -= cells + len(_GAP)
        self.update(Content(_GAP).join(parts))


class TabLine(Static):
    """The names of the panes, a key before each."""

    DEFAULT_CSS = "TabLine { height: 1; width: 1fr; background: $surface; color: $text-muted; padding: 0 1; }"

    @dataclass(eq=False, repr=False)
    class Chosen(Message):
        """A tab was clicked."""

        pane: str

    def __init__(self, tabs: tuple[tuple[str, str], ...]) -> None:
        """Tabs of (pane, title)."""
        super().__init__()
        self._tabs = tabs
        self._active = ""
        self._spans: list[tuple[int, int, str]] = []

    def show(self, active: str) -> None:
        """Mark a tab as the active one."""
        if active == self._active:
            return
        self._active = active
        self._spans = []
        parts: list[Content] = []
        at = 1  # the padding
        for number, (pane, title) in enumerate(self._tabs, start=1):
            text = f" {number} {title} "
            parts.append(
                Content.styled(
                    text, "bold $block-cursor-foreground on $block-cursor-background" if pane == active else ""
                )
            )
            self._spans.append((at, at + cell_len(text), pane))
            at += cell_len(text) + 1
        self.update(Content(" ").join(parts))

    def on_click(self, event: Click) -> None:
        """Choose the tab that was clicked."""
        for start, end, pane in self._spans:
            if start <= event.x < end:
                self.post_message(self.Chosen(pane))
