"""The field for the first lines: Textual's own input, so that an input method works; several lines pasted become one.

It also finds out whether a text is written otherwise than the poems are, and recalls earlier lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on, work
from textual.binding import Binding
from textual.events import Paste
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from core.i18n import N_
from tui.panes.completion_history import Recall
from tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from core.data.script import Conversion

_MOST_CHARACTERS = 2000
_SCRIPT_S = 0.25


class FirstLines(Input):
    """A line of text; Enter submits it."""

    BINDINGS = [Binding("enter", "submit", N_("Write"), id="complete.submit", key_display="⏎")]

    @dataclass
    class ScriptSeen(Message):
        """How a text would be written in the poems' script."""

        text: str
        conversion: Conversion | None
        """None: it is already."""

    def __init__(self, placeholder: str, *, id: str) -> None:
        """An empty field whose cursor doesn't blink."""
        super().__init__(placeholder=placeholder, id=id, max_length=_MOST_CHARACTERS, select_on_focus=False)
        self.cursor_blink = False
        self.conversion: Conversion | None = None
        self._recall, self._recalled = Recall(), ""
        self._pause: Timer | None = None

    def _on_paste(self, event: Paste) -> None:
        event.prevent_default()
        event.stop()
        room = _MOST_CHARACTERS - len(self.value) + len(self.selected_text)
        line = "".join(part.strip() for part in event.text[: 2 * _MOST_CHARACTERS].splitlines())
        self.replace(_typable(line)[:room], *self.selection)

    def put(self, text: str) -> None:
        """Show another text, the cursor behind it."""
        self.value = _typable(text)[:_MOST_CHARACTERS]
        self.cursor_position = len(self.value)

    def recall(self, lines: Iterable[str], back: int) -> None:
        """Show the line so many further back (negative: forward), `lines` being the newest first."""
        self.put(self._recall.move(lines, self.value, back))
        self._recalled = self.value

    @on(Input.Changed)
    def _text_changed(self, event: Input.Changed) -> None:
        if event.value != self._recalled:
            self._recall.forget()
        if self._pause is not None:
            self._pause.stop()
        if event.value.isascii():
            self.conversion = None
        else:
            self._pause = self.set_timer(_SCRIPT_S, self._typing_paused)

    def _typing_paused(self) -> None:
        self._look_at_script(self.value)

    @work(thread=True, exclusive=True, group="script", exit_on_error=False)
    def _look_at_script(self, text: str) -> None:
        from core.data.script import traditional_form

        self.post_message(self.ScriptSeen(text, traditional_form(text)))

    @on(ScriptSeen)
    def _script_seen(self, event: ScriptSeen) -> None:
        if event.text == self.value:
            self.conversion = event.conversion
        else:
            event.stop()


def _typable(text: str) -> str:
    """The text without what nobody types: controls, and what turns the direction of writing."""
    return "".join(character for character in text if character.isprintable() or character == "\u3000")


class EarlierList(RowList):
    """Earlier completions, newest first."""

    BINDINGS = [Binding("enter", "open", N_("Show"), id="complete.open", key_display="⏎")]

    class Opened(Message):
        """The one under the cursor shall be shown."""

    def action_open(self) -> None:
        """Ask for it."""
        self.post_message(self.Opened())
