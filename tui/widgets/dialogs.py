"""Small questions over the screen: yes or no, one of a list, a line of text, a report to copy. They know no pane."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.input import Selection
from textual.widgets.option_list import Option

from core.i18n import N_, _
from tui.plain import content
from tui.widgets.modal import ClosesOnce

_CLOSE = Binding("escape", "close", N_("Close"), id="dialog.close")
_Answer = TypeVar("_Answer")


class Dialog(ModalScreen[_Answer | None], ClosesOnce[_Answer | None], Generic[_Answer]):
    """A question; None is the answer of who closes it."""

    BINDINGS = [_CLOSE]
    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical {
        width: 76; max-width: 96%; height: auto; max-height: 94%;
        border: round $primary; background: $surface; padding: 0 1;
    }
    Dialog .dialog--text { height: auto; max-height: 14; margin-bottom: 1; }
    Dialog .dialog--problem { color: $text-error; height: auto; }
    Dialog Horizontal { height: auto; align-horizontal: right; }
    Dialog Button { margin-left: 2; min-width: 12; height: 1; border: none !important; }
    Dialog Button:focus { text-style: bold reverse; }
    Dialog OptionList, Dialog OptionList:focus { height: auto; max-height: 16; border: none; padding: 0; }
    Dialog Input, Dialog Input:focus { border: none; height: 1; padding: 0 1; background: $panel; }
    """

    def __init__(self, title: str) -> None:
        """A dialog with a title, which may hold untrusted text."""
        super().__init__()
        self._title = title

    def on_mount(self) -> None:
        """Put the title on the frame."""
        self.query_one(Vertical).border_title = content(self._title, "bold")

    def action_close(self) -> None:
        """Answer nothing."""
        self.dismiss(None)


class Confirm(Dialog[bool]):
    """A question that is answered yes or no; what can't be undone has "no" under the cursor."""

    BINDINGS = [
        Binding("y", "answer(True)", N_("Yes"), id="dialog.yes"),
        Binding("n", "answer(False)", N_("No"), id="dialog.no"),
        Binding("left,right", "app.focus_next", show=False, id="dialog.other"),
    ]

    def __init__(self, title: str, text: str | Content, *, yes: str, no: str = "", danger: bool = False) -> None:
        """Ask `text`; `yes` names what would be done, `no` the alternative (default: leave it)."""
        super().__init__(title)
        self._text = content(text) if isinstance(text, str) else text
        self._yes, self._no, self._danger = yes, no or _("Cancel"), danger

    def compose(self) -> ComposeResult:
        """The text and two buttons."""
        with Vertical():
            with VerticalScroll(classes="dialog--text", can_focus=False):
                yield Static(self._text)
            with Horizontal():
                yield Button(content(self._yes), id="yes", variant="error" if self._danger else "primary")
                yield Button(content(self._no), id="no")

    def on_mount(self) -> None:
        """Put the cursor where the enter key does no harm."""
        super().on_mount()
        self.query_one("#no" if self._danger else "#yes", Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer by key."""
        self.dismiss(answer)


class Choose(Dialog[int]):
    """One of a list: its position."""

    def __init__(self, title: str, choices: Sequence[str | Content], *, text: str = "", at: int = 0) -> None:
        """Offer untrusted `choices`, the cursor on the one at `at`."""
        super().__init__(title)
        self._text, self._at = text, at
        self._choices = [content(choice) if isinstance(choice, str) else choice for choice in choices]

    def compose(self) -> ComposeResult:
        """The list."""
        with Vertical():
            if self._text:
                yield Static(content(self._text), classes="dialog--text")
            yield OptionList(*(Option(choice) for choice in self._choices), markup=False)

    def on_mount(self) -> None:
        """Put the cursor on the choice in force."""
        super().on_mount()
        options = self.query_one(OptionList)
        options.focus()
        if self._choices:
            options.highlighted = min(self._at, len(self._choices) - 1)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)


class Ask(Dialog[str]):
    """A line of text, such as a path."""

    def __init__(
        self,
        title: str,
        *,
        text: str = "",
        value: str = "",
        placeholder: str = "",
        suggester: Suggester | None = None,
        check: Callable[[str], str] = lambda _value: "",
    ) -> None:
        """Ask for a line; `check` says what is wrong with it, or nothing."""
        super().__init__(title)
        self._text, self._value, self._placeholder = text, value, placeholder
        self._suggester, self._check = suggester, check

    def compose(self) -> ComposeResult:
        """The question, the field and what is wrong with what is in it."""
        with Vertical():
            if self._text:
                yield Static(content(self._text), classes="dialog--text")
            field = Input(self._value, placeholder=self._placeholder, suggester=self._suggester, select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield Static(classes="dialog--problem")

    def on_mount(self) -> None:
        """Put the cursor in the field; what is in it is selected, so that typing puts something else in its place."""
        super().on_mount()
        field = self.query_one(Input)
        self.set_focus(field)  # at once: `focus` waits, and what is typed meanwhile goes astray
        field.selection = Selection(0, len(field.value))

    @on(Input.Changed)
    def _changed(self) -> None:
        self.query_one(".dialog--problem", Static).update("")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        problem = self._check(event.value)
        if problem:
            self.query_one(".dialog--problem", Static).update(content(problem))
        else:
            self.dismiss(event.value)


@dataclass(frozen=True, slots=True)
class Report:
    """What went wrong, for whoever mends the program."""

    summary: str
    """One line."""
    details: str
    """The traceback, or what a process said last."""


def report_of(error: BaseException) -> Report:
    """A report of an exception."""
    details = "".join(traceback.format_exception(error))
    return Report("".join(traceback.format_exception_only(error)).strip(), details)


class ErrorReport(Dialog[bool]):
    """An accident of the program: what, and a report to copy. The app lives on."""

    BINDINGS = [Binding("c", "copy", N_("Copy the report"), id="dialog.copy")]

    def __init__(self, title: str, report: Report) -> None:
        """Show a report."""
        super().__init__(title)
        self._report = report

    def compose(self) -> ComposeResult:
        """The report and its buttons."""
        with Vertical():
            yield Static(content(self._report.summary), classes="dialog--problem")
            with VerticalScroll(classes="dialog--text"):
                yield Static(content(self._report.details))
            yield Static(content(_("The app goes on. c copies the report for whoever can mend this.")))
            with Horizontal():
                yield Button(_("Copy the report"), id="copy")
                yield Button(_("Close"), id="close", variant="primary")

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        """Put the report on the clipboard of the terminal."""
        self.app.copy_to_clipboard(f"{self._report.summary}\n\n{self._report.details}")
        self.app.notify(_("Copied."), markup=False)

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.dismiss(None)
