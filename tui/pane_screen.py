"""The screen of the panes: it lays them out anew in another room, and keeps the focus among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.events import Resize

from tui.keys import WorkScreen
from tui.pane import Pane

if TYPE_CHECKING:
    from tui.app import PoemApp


class PaneScreen(WorkScreen):
    """The app's one screen. A pane always has the focus, or its keys would be dead."""

    def on_resize(self, event: Resize) -> None:
        """There may be room for other panes, or none at all."""
        del event
        cast("PoemApp", self.app).arrange()

    def on_descendant_blur(self) -> None:
        """What had the focus may have been hidden: by a message in its place, or in a terminal too small for it."""
        self.call_after_refresh(self._keep_focus)

    def _keep_focus(self) -> None:
        if self.focused is None:
            for pane in self.query(f"#{cast('PoemApp', self.app).pane}").results(Pane):
                pane.focus()
