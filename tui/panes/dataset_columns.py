"""The dialog that maps a file's columns to instruction, input and output, where no rule does. It reads no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from core.data.columns import FIELDS
from core.i18n import N_, _
from tui.plain import content, fit
from tui.widgets.dialogs import Dialog

_EXPLANATION = {
    "instruction": N_("what the model is asked to do"),
    "input": N_("what it is given, such as the first couplet"),
    "output": N_("what it shall write"),
}
_NAME_CELLS, _COLUMN_CELLS, _EXAMPLE_CELLS = 12, 18, 36


class MapColumns(Dialog[dict[str, str]]):
    """Three fields, each with one of the columns or none; the output needs one."""

    BINDINGS = [
        Binding("right,l,space", "turn(1)", N_("Next column"), id="dialog.next_column"),
        Binding("left,h", "turn(-1)", N_("Previous column"), id="dialog.previous_column"),
    ]

    def __init__(self, problem: str, examples: Mapping[str, str], guess: Mapping[str, str]) -> None:
        """Ask for the mapping of a file's columns.

        Args:
            problem: why it is asked.
            examples: column → what it holds in some row, in the file's order.
            guess: field → column to begin with.
        """
        super().__init__(_("Columns"))
        self._problem, self._examples = problem, examples
        self._offered: Sequence[str] = ("", *examples)
        self._chosen = {field: guess.get(field, "") for field in FIELDS}

    def compose(self) -> ComposeResult:
        """The problem, the fields, and what the one under the cursor means."""
        with Vertical():
            yield Static(content(self._problem), classes="dialog--text")
            yield OptionList(*(Option(self._line(field)) for field in FIELDS), markup=False)
            yield Static(classes="dialog--problem")
            yield Static(content(_("← → another column   ↑ ↓ another field   enter: read the file so"), "$text-muted"))

    def on_mount(self) -> None:
        """Begin with the output, which matters most."""
        super().on_mount()
        fields = self.query_one(OptionList)
        fields.focus()
        fields.highlighted = FIELDS.index("output")

    def action_turn(self, by: int) -> None:
        """Give the field under the cursor the next column."""
        fields = self.query_one(OptionList)
        at = fields.highlighted or 0
        field = FIELDS[at]
        column = self._offered.index(self._chosen[field])
        self._chosen[field] = self._offered[(column + by) % len(self._offered)]
        fields.replace_option_prompt_at_index(at, self._line(field))
        self.query_one(".dialog--problem", Static).update("")

    @on(OptionList.OptionSelected)
    def _accept(self) -> None:
        chosen = {field: column for field, column in self._chosen.items() if column}
        problem = ""
        if "output" not in chosen:
            problem = _("The output needs a column.")
        elif len(set(chosen.values())) < len(chosen):
            problem = _("One column is named for two fields.")
        if problem:
            self.query_one(".dialog--problem", Static).update(content(problem))
        else:
            self.dismiss(chosen)

    def _line(self, field: str) -> Content:
        column = self._chosen[field]
        example = self._examples.get(column, "") if column else _(_EXPLANATION[field])
        return Content.assemble(
            content(fit(field, _NAME_CELLS), "bold"),
            content("‹ " + fit(column or _("none"), _COLUMN_CELLS) + " › "),
            content(fit(example, _EXAMPLE_CELLS), "$text-muted"),
        )
