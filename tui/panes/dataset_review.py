"""The review of the open file: asked for in the background, and read beside the rows.

What a review says is `core.review`'s matter; what is done with what it found, `dataset_choosing`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

from textual import work
from textual.binding import Binding
from textual.containers import Container
from textual.events import Resize

from core.errors import PoemError
from core.i18n import N_, _
from tui.panes.dataset_files import FilePane
from tui.panes.dataset_findings import RowFindings
from tui.widgets.row_list import RowList
from tui.workbench import Findings, ProfileState

if TYPE_CHECKING:
    from core.client import Review, ReviewRequest
    from core.report.document import Section, Text
    from tui.widgets.report_view import ReportView


class ReviewedPane(FilePane):
    """A pane whose file is reviewed."""

    BINDINGS = [
        Binding("v", "review", N_("Review"), id="data.review"),
        Binding("V", "review_anew", N_("Review anew"), id="data.review.anew", show=False),
        Binding("l", "score", N_("Loss of each row, then sort by it"), id="data.loss", show=False),
    ]

    def __init__(self, path: str, *, id: str) -> None:
        """No review yet."""
        super().__init__(path, id=id)
        self._sections: tuple[Section, ...] = ()
        self._reviewed: ReviewRequest | None = None
        """What the sections are of."""
        self._at_work: ReviewRequest | None = None
        self._failure = ""
        self._scored: tuple[Any, Mapping[int, float]] | None = None
        """What the last losses depend on, and these."""

    def findings_came(self) -> None:
        """`findings` are others: what is shown of each row may be too."""

    def sort_by_loss(self) -> None:
        """Show the rows in the order of their losses."""

    # -- asking

    def on_mount(self) -> None:
        """Watch what a review goes by."""
        super().on_mount()
        self.watch(self.workbench, "profile_state", self._show_report, init=False)
        self.watch(self.workbench, "model_state", self._show_report, init=False)

    def open_file(self, path: str, *, columns: Mapping[str, str] | None = None) -> None:
        """Open another file; what was found of the one before is void."""
        self.workers.cancel_group(self, "review")
        self._sections, self._reviewed, self._at_work, self._failure = (), None, None, ""
        self.findings = None
        super().open_file(path, columns=columns)
        self._show_report()

    def _request(self, *, loss: bool) -> ReviewRequest:
        from core.client import ReviewRequest

        state = self.workbench.profile_state
        columns = self.columns or self._columns_of_profile()
        return ReviewRequest(self.path, dict(columns), state.text, state.source, str(state.base_dir), loss)

    @property
    def _is_current(self) -> bool:
        """Whether what is shown, or on its way, is of the file and the profile as they are."""
        asked = self._at_work or self._reviewed
        return asked is not None and replace(asked, loss=False) == self._request(loss=False)

    def action_review_anew(self) -> None:
        """Review the file with the profile as it is now."""
        self._begin(loss=False)

    def action_score(self) -> None:
        """Have the base score every row, or stop that; sort scored rows by their loss."""
        if self._at_work is not None and self._at_work.loss:
            self.workers.cancel_group(self, "review")
            self._at_work = None
            self._show_report()
            self.tell(_("The base scores no more rows."), severity="information")
        elif self.findings is not None and self.findings.losses:
            self.sort_by_loss()
        elif self._begin(loss=True):
            self.tell(_("The base scores every row, which takes a while; l stops it."), severity="information")

    def _begin(self, *, loss: bool) -> bool:
        """Ask for a review; whether there is anything to review."""
        state = self.workbench.profile_state
        if self.file is None:
            return False
        if not state.text:
            self.tell(_("A review needs a profile: open one."), severity="warning")
            return False
        if state.problems and self._sections:  # the report that is there is worth more than the one problem
            self.tell(_("The profile has problems."), severity="warning")
            return False
        keeps = loss and self._is_current  # the report that is there will say the same
        self._at_work, self._failure = self._request(loss=loss), ""
        self._sections = self._sections if keeps else ()
        self._show_report()
        self._ask(self._at_work, _scoring_of(state), quietly=keeps and bool(self._sections))
        return True

    @work(exclusive=True, group="review", exit_on_error=False)
    async def _ask(self, request: ReviewRequest, scoring: Any, *, quietly: bool) -> None:
        from core.client import Superseded

        try:
            async with aclosing(self.workbench.model.review(request)) as snapshots:
                async for review in snapshots:
                    if review.done:
                        self._take(request, review, scoring)
                    elif not quietly and review.sections is not self._sections:
                        self._sections = review.sections
                        self._show_report()
        except Superseded:
            self._fail(_("The review was stopped: a run has the device now."))
        except PoemError as error:
            self._fail(str(error))

    def _fail(self, why: str) -> None:
        self._at_work, self._failure = None, why
        self._show_report()
        if not self.has_class("-reviewing"):
            self.tell(why)

    def _take(self, request: ReviewRequest, review: Review, scoring: Any) -> None:
        """A whole review; losses of rows that would be the same are kept from an earlier one."""
        if review.losses is not None:
            self._scored = scoring, review.losses
            self.tell(_("Each row has its loss now: l sorts by it."), severity="information")
        elif self._scored is not None and self._scored[0] == scoring:
            review = replace(review, losses=self._scored[1])
        self._sections, self._reviewed, self._at_work = review.sections, request, None
        self.findings = RowFindings(review)
        if review.facts is not None:
            self.workbench.findings = Findings(review.facts, request.path, request.profile)
        self._show_report()
        self.findings_came()

    # -- reading

    @property
    def report(self) -> ReportView | None:
        """What shows the review; None: it was never opened."""
        return cast("ReportView | None", next(iter(self.query("#review")), None))

    @property
    def is_reading(self) -> bool:
        """Whether the focus is in the review."""
        return self.report is not None and self.screen.focused is self.report

    async def action_review(self) -> None:
        """Open the review, or go to it, or close it."""
        if self.is_reading:
            self.close_review()
            return
        if self.file is None:
            self.tell(_("There are no rows to review."), severity="warning")
            return
        view = self.report
        if view is None:
            from tui.widgets.report_view import ReportView

            view = ReportView(id="review")
            await self.query_one(".body", Container).mount(view, before="#row-detail")
        self.add_class("-reviewing")
        self.screen.set_focus(view)
        if self._is_current:
            self._show_report()
        else:
            self._begin(loss=False)

    def close_review(self) -> None:
        """Show the rows alone again."""
        if self.is_reading:
            self.screen.set_focus(self.query_one("#rows", RowList))
        self.remove_class("-reviewing")

    def reveal_rows(self) -> None:
        """Close the review where it is in the place of the rows."""
        if self.has_class("-reviewing") and not self.has_class("-wide"):
            self.close_review()

    def on_resize(self, event: Resize) -> None:
        """Where there is room for one only, keep that which has the focus."""
        super().on_resize(event)
        if self.screen.focused is not None and self in self.screen.focused.ancestors and not self.is_reading:
            self.reveal_rows()

    def _show_report(self) -> None:
        if self.report is not None:
            self.report.show_report(self._texts(), self._sections)

    def _texts(self) -> list[Text]:
        """What stands above the sections: what was reviewed, and how far it is."""
        from core.report.document import Text

        file, profile = PurePath(self.path).name, PurePath(self.workbench.profile_state.source).name
        texts = [Text(_("Review of {file} with the profile {profile}").format(file=file, profile=profile))]
        if self._failure:
            problem, *hints = self._failure.splitlines()
            texts += [Text(problem, "error"), *map(Text, hints), Text(_("V reviews it anew."))]
        elif self._at_work is not None:
            state = self.workbench.model_state
            words = (state.doing if state else "") or _("reviewing")
            texts.append(Text(f"{words} …", "hint"))
        elif self._reviewed is None:
            texts.append(Text(_("This file isn't reviewed yet: V reviews it."), "hint"))
        elif not self._is_current:
            texts.append(Text(_("The profile has changed since: V reviews it anew."), "warning"))
        elif self.findings is not None:
            count = len(self.findings.rows)
            words = _("1 row has some problem.") if count == 1 else _("{rows:,} rows have some problem.")
            keys = _("The enter key shows the rows of a finding; - folds every section, + unfolds all.")
            texts += [Text(words.format(rows=count)), Text(keys)]
        return texts


def _scoring_of(state: ProfileState) -> Any:
    """What the losses of rows depend on; of an unchecked text, the text."""
    profile = state.profile
    if profile is None:
        return state.text
    data = profile.data
    return profile.model, data.template, data.system_prompt, data.tasks, data.cutoff_len, data.overlong, data.columns
