"""What every pane is: a part of the workbench that stands alone, laid out by its own size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from textual.containers import Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from tui.workbench import Workbench

_NARROW_CELLS, _WIDE_CELLS, _SHORT_ROWS = 70, 110, 16


class Pane(Vertical, can_focus=True):
    """A pane; `id` is its name in messages, bindings and state."""

    TITLE: ClassVar[str] = ""
    """Its name on the screen, marked for translation."""
    HELP: ClassVar[str] = ""
    """What it is for, for the help screen, marked for translation."""
    FOCUS_FIRST: ClassVar[str] = ""
    """Selector of the widget that gets the focus when the pane is shown."""

    def __init__(self, *, id: str) -> None:
        """An empty pane, classed by its own size once it has one: it can't go by the screen's, which it may share."""
        super().__init__(id=id)
        self._last_focus: Widget | None = None

    @property
    def workbench(self) -> Workbench:
        """What the panes share."""
        return cast(Workbench, self.app)

    def focus_pane(self) -> None:
        """Give the focus to what last had it here, else to what comes first."""
        last = self._last_focus
        if last is not None and last.is_attached and last.focusable:
            self.screen.set_focus(last)
        else:
            first = self.query(self.FOCUS_FIRST) if self.FOCUS_FIRST else ()
            self.screen.set_focus(next((found for found in first if found.focusable), self))

    def on_descendant_focus(self) -> None:
        """Remember what had the focus."""
        self._last_focus = self.screen.focused

    def state(self) -> Mapping[str, Any]:
        """What the next start shall find again: JSON values."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up such a state; it comes from a file and may be anything."""

    def tell(self, problem: PoemError | str, *, severity: str = "error") -> None:
        """Show a message for a few seconds; a `PoemError` with its place and hint."""
        kind = cast(Any, severity)
        timeout = 4 if severity == "information" else 10
        self.app.notify(plain(str(problem), keep_newlines=True), severity=kind, markup=False, timeout=timeout)

    def on_resize(self, event: Resize) -> None:
        """Class the pane by its own size."""
        self.set_class(event.size.width < _NARROW_CELLS, "-narrow")
        self.set_class(event.size.width >= _WIDE_CELLS, "-wide")
        self.set_class(event.size.height < _SHORT_ROWS, "-short")

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker that fell over is reported, and the app goes on."""
        error = event.worker.error
        if event.state != WorkerState.ERROR or error is None:
            return
        if isinstance(error, PoemError):
            self.tell(error)
        else:
            from tui.widgets.dialogs import ErrorReport, report_of

            self.app.push_screen(
                ErrorReport(_("The pane {pane} had an accident").format(pane=_(self.TITLE)), report_of(error))
            )
