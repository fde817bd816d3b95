"""What a review found, in the rows: shown alone, gone to one after the other, left out of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from core.i18n import N_, _
from tui import messages
from tui.panes.dataset_findings import Selection, finding_of, names_row
from tui.panes.dataset_reading import View
from tui.panes.dataset_review import ReviewedPane
from tui.panes.dataset_table import LOSS
from tui.plain import content
from tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from tui.widgets.report_view import ReportView


class ChoosingPane(ReviewedPane):
    """A pane whose rows are chosen by what a review found."""

    BINDINGS = [
        Binding("f", "choose_rows", N_("Rows of a problem or a form"), id="data.choose", show=False),
        Binding("full_stop", "next_problem(1)", N_("Next row with a problem"), id="data.problem", show=False),
        Binding("comma", "next_problem(-1)", N_("Previous row with a problem"), id="data.problem.previous", show=False),
        Binding("d", "leave_out", N_("Leave out of training, or take back"), id="data.exclude", show=False),
    ]

    def number_here(self) -> int | None:
        """The number of the row under the cursor."""
        raise NotImplementedError

    def show_view(self, view: View) -> None:
        """Show other rows, the cursor on the same one where it is among them."""
        raise NotImplementedError

    def findings_came(self) -> None:
        """What rows were chosen by may have other rows now."""
        among = self.wanted.among
        if among and self.findings is not None:
            known = {(one.group, one.name): one for one in self.findings.selections}
            self._choose(tuple(known.get((one.group, one.name), one) for one in among))

    def sort_by_loss(self) -> None:
        """The most surprising rows first, then the least; the cursor on the first, for these are what is asked for."""
        self.reveal_rows()
        self.find(self.wanted._replace(sort=LOSS, descending=self.wanted.sort != LOSS or not self.wanted.descending))

    # -- choosing

    def action_choose_rows(self) -> None:
        """Ask which rows to show."""
        from tui.widgets.dialogs import Choose

        if self.findings is None:
            self.tell(_("There is no review of this file yet: v makes one."), severity="warning")
            return
        selections = self.findings.selections
        names = [(one.group, one.name) for one in selections]
        last = self.wanted.among[-1:]
        at = 1 + names.index(last[0][:2]) if last and last[0][:2] in names else 0

        def choose(position: int | None) -> None:
            if position is not None:
                self._choose(self._and(selections[position - 1]) if position else ())

        choices = [_("every row"), *(one.words for one in selections)]
        self.app.push_screen(Choose(_("Rows to show"), choices, at=at), choose)

    def _and(self, selection: Selection) -> tuple[Selection, ...]:
        """What the rows are chosen by, with another one in the place of its group."""
        return (*(one for one in self.wanted.among if one.group != selection.group), selection)

    def on_report_view_followed(self, event: ReportView.Followed) -> None:
        """Show the rows of a finding of the review."""
        found = self.findings.selection_of(event.links) if self.findings else finding_of(event.links)
        self._choose(self._and(found))

    def on_report_view_taken(self, event: ReportView.Taken) -> None:
        """Put a text of the review on the clipboard."""
        self.app.copy_to_clipboard(event.text)
        self.tell(_("Copied."), severity="information")

    def _choose(self, among: tuple[Selection, ...]) -> None:
        self.reveal_rows()
        self.show_view(self.wanted._replace(among=among))
        self.show_among()

    def show_among(self) -> None:
        """Say what the rows are chosen by."""
        words = [one.words for one in self.wanted.among]
        line = self.query_one("#data-among", Static)
        line.set_class(bool(words), "-some")
        if words:
            line.update(content(" · ".join([_("esc: every row"), *words])), layout=False)

    def choose_all(self) -> bool:
        """Show rows whatever was found of them; whether they were chosen by that."""
        if not self.wanted.among:
            return False
        self._choose(())
        return True

    # -- one after the other

    def action_next_problem(self, direction: int) -> None:
        """The cursor to the next (1) or previous (-1) of the rows shown that has a problem."""
        if self.findings is None:
            self.tell(_("There is no review of this file yet: v makes one."), severity="warning")
            return
        self.reveal_rows()
        rows, order, listed = self.findings.rows, self.order, self.query_one("#rows", RowList)
        at = listed.cursor or 0
        for step in range(direction, direction * (len(order) + 1), direction):
            index = (at + step) % len(order)
            if order[index] in rows:
                listed.move_to(index)
                self.screen.set_focus(listed)
                return
        self.tell(_("None of the rows shown has a problem."), severity="information")

    # -- leaving out

    def action_leave_out(self) -> None:
        """Have training leave out the row under the cursor, in the review the kind of problem; or take it back."""
        entry = self._entry()
        profile = self.workbench.profile_state.profile
        if entry is None:
            return
        if profile is None or profile.data.path != self.path:
            text = _("The profile in the editor doesn't train on this file: p makes it.")
            self.tell(text, severity="warning")
            return
        exclude = list(profile.data.exclude)
        ranges = [one for one in exclude if isinstance(entry, int) and one != entry and names_row(one, entry)]
        if entry in exclude:
            exclude.remove(entry)
            text = _("{what} is used again.")
        elif ranges:
            self.tell(_("data.exclude has it in {range}: change that.").format(range=ranges[0]), severity="warning")
            return
        else:
            exclude = _with(exclude, entry)
            text = _("{what} is left out of training: d takes it back.")
        what = _("Row {row}").format(row=entry) if isinstance(entry, int) else entry
        self.post_message(messages.SetKeys({"data.exclude": exclude}))
        self.tell(text.format(what=what), severity="information")

    def found_of(self, number: int) -> Content:
        """What is known of a row: whether it is left out, and what a review found."""
        parts = []
        profile = self.workbench.profile_state.profile
        for entry in profile.data.exclude if profile is not None and profile.data.path == self.path else ():
            if names_row(entry, number) or (self.findings and self.findings.has(str(entry), number)):
                words = _("left out of training: data.exclude has {entry}").format(entry=entry)
                parts.append(content(words, "bold $text-warning"))
                break
        parts += [self.findings.content_of(number)] if self.findings else []
        return Content("\n").join(part for part in parts if part)

    def _entry(self) -> int | str | None:
        """What of `data.exclude` would name what is under the cursor; None, and that is said: nothing."""
        if not self.is_reading:
            return self.number_here()
        from core.audit.kinds import EXCLUDABLE

        links = self.report.links if self.report is not None else None
        if links is None or links.kind not in EXCLUDABLE:
            self.tell(_("Put the cursor on a problem whose rows can be left out, or on a row."), severity="warning")
            return None
        return links.kind


def _with(exclude: Sequence[int | str], entry: int | str) -> list[int | str]:
    """With one more entry; kinds come first, then rows in order."""
    kinds = [one for one in (*exclude, entry) if isinstance(one, str)]
    return [*kinds, *sorted(one for one in (*exclude, entry) if isinstance(one, int))]
