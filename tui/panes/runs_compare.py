"""Up to four runs beside each other: their curves, their figures, and the keys in which their profiles differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from core.errors import PoemError
from core.i18n import N_, _
from core.plain import plain
from core.runs.directory import RunDirectory
from core.runs.view import SMOOTHING, RunView
from core.runs.wording import duration, loss_words
from tui.panes.runs_table import Listed
from tui.plain import content, fit
from tui.widgets.block import Block
from tui.widgets.dialogs import Dialog
from tui.widgets.loss_chart import LossChart, Series
from tui.wording import short_id
from tui.workbench import RunSeen

if TYPE_CHECKING:
    from core.profile.schema import Profile

_LABEL_CELLS = 24
_GAP = "  "
_SIDE_BY_SIDE_CELLS = 130


@dataclass(frozen=True, slots=True)
class Difference:
    """A key of the profile whose value isn't the same in all."""

    key: str
    """The key, as `train.epochs`."""
    values: tuple[str, ...]
    """Its value in each, as TOML; empty where that profile can't be read."""


def differences(runs: Sequence[RunDirectory]) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """The keys in which the profiles of runs differ, and why any of them can't be read."""
    from core.profile.changes import changes_between
    from core.runs.facts import profile_of

    profiles: list[Profile | None] = []
    problems = []
    for run in runs:
        try:
            profiles.append(profile_of(run))
        except PoemError as error:
            profiles.append(None)
            problems.append(str(error))
    first = next((profile for profile in profiles if profile is not None), None)
    if first is None:
        return (), tuple(problems)
    changes = [
        None if profile is None else {change.key: change for change in changes_between(first, profile)}
        for profile in profiles
    ]
    usual = {key: change.before for found in changes if found for key, change in found.items()}
    return tuple(
        Difference(
            key, tuple("" if found is None else found[key].after if key in found else usual[key] for found in changes)
        )
        for key in sorted(usual)
    ), tuple(problems)


def smoothed(losses: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """The losses as `RunView.smoothed_loss` has them, at every step."""
    total = weight = 0.0
    points = []
    for step, loss in losses:
        total, weight = SMOOTHING * total + loss, SMOOTHING * weight + 1.0
        points.append((step, total / weight))
    return tuple(points)


def figures(view: RunView, status: str) -> Iterator[tuple[str, str]]:
    """What a comparison tells of each run: names and values."""
    yield _("state"), status
    yield _("steps"), f"{view.step}/{view.steps}" if view.steps else "-"
    yield _("held-out loss before"), loss_words(view.eval_loss_base)
    yield _("held-out loss now"), loss_words(view.eval_loss)
    best = f"{view.best[1]:.3f} @ {view.best[0]}" if view.best else "-"
    yield _("best, at step"), best
    yield _("training loss, smoothed"), loss_words(view.smoothed_loss)
    yield _("time worked"), duration(view.worked_s)
    yield _("tokens/s"), "-" if view.tokens_per_s is None else f"{view.tokens_per_s:,.0f}"
    yield _("rows"), f"{view.rows:,}"
    yield _("device"), f"{view.device} {view.dtype}".strip() or "-"


class Table(Block):
    """Names and values, laid out for the width that there is."""

    def on_resize(self) -> None:
        """Lay them out for another one."""
        if isinstance(self.screen, Comparison):
            self.screen.show_table()


class Comparison(Dialog[None]):
    """The comparison, over the whole screen; it follows runs that go on."""

    BINDINGS = [
        Binding("e,c", "other_curves", N_("Training or held-out loss"), id="runs.compare.curves"),
        Binding("up", "scroll(-1)", N_("Scroll the table up"), id="runs.compare.up", show=False),
        Binding("down", "scroll(1)", N_("Scroll the table down"), id="runs.compare.down", show=False),
        Binding("pageup", "scroll(-8)", N_("A page up"), id="runs.compare.page_up", show=False),
        Binding("pagedown", "scroll(8)", N_("A page down"), id="runs.compare.page_down", show=False),
    ]
    DEFAULT_CSS = """
    Comparison > Vertical { width: 100%; max-width: 100%; height: 100%; max-height: 100%; }
    Comparison Container { height: 1fr; layout: vertical; }
    Comparison LossChart { height: 1fr; min-height: 6; }
    Comparison VerticalScroll { height: 1fr; border-top: solid $panel; }
    Comparison.-wide Container { layout: horizontal; }
    Comparison.-wide LossChart { width: 1fr; }
    Comparison.-wide VerticalScroll { width: 1fr; border-top: none; border-left: solid $panel; padding-left: 1; }
    Comparison VerticalScroll > Static { width: 1fr; height: auto; }
    """

    @dataclass
    class ProfilesRead(Message):
        """Where the profiles differ, and why any of them can't be read."""

        differences: tuple[Difference, ...]
        problems: tuple[str, ...]

    def __init__(self, runs: Sequence[Listed]) -> None:
        """A comparison of two to four runs."""
        super().__init__(_("Comparison of {count} runs").format(count=len(runs)))
        self._runs = tuple(run.seen for run in runs)
        self._held_out = any(len(run.seen.view.evals) > 1 for run in runs)
        self._differences: tuple[Difference, ...] | None = None
        self._problems: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """Curves, and the table beside or below them."""
        with Vertical():
            with Container():
                yield LossChart(id="compare-chart")
                with VerticalScroll(can_focus=False):
                    yield Table(id="compare-table")
            yield Static(id="compare-foot", classes="dialog--foot")

    def on_mount(self) -> None:
        """Show them, and what they come to."""
        self.query_one(LossChart).focus()
        self.watch(self.app, "runs", self._follow, init=False)
        self._show()
        self._read_profiles()

    def on_resize(self, event: Resize) -> None:
        """Beside each other where there is room."""
        self.set_class(event.size.width >= _SIDE_BY_SIDE_CELLS, "-wide")

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _read_profiles(self) -> None:
        worker = get_current_worker()
        found = differences([RunDirectory(run.path) for run in self._runs])
        if not worker.is_cancelled:
            self.post_message(self.ProfilesRead(*found))

    @on(ProfilesRead)
    def _take_differences(self, event: ProfilesRead) -> None:
        self._differences, self._problems = event.differences, event.problems
        self.show_table()

    def _follow(self, runs: tuple[RunSeen, ...]) -> None:
        now = {run.id: run for run in runs}
        latest = tuple(now.get(run.id, run) for run in self._runs)
        if latest != self._runs:
            self._runs = latest
            self._show()

    def action_other_curves(self) -> None:
        """Show the training losses in the place of the held-out ones, or the other way round."""
        self._held_out = not self._held_out
        self._show()

    def action_scroll(self, lines: int) -> None:
        """Scroll the table."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def _show(self) -> None:
        series = tuple(
            Series(
                short_id(run.id),
                run.view.evals if self._held_out else smoothed(run.view.losses),
                f"loss-chart--run-{number}",
                "line",
            )
            for number, run in enumerate(self._runs, start=1)
        )
        self.query_one(LossChart).show(series, (), max(run.view.steps for run in self._runs))
        now, other = _("held-out loss"), _("training loss, smoothed")
        if not self._held_out:
            now, other = other, now
        foot = _("curves: {now} · e: {other} · ↑↓ table · esc closes").format(now=now, other=other)
        self.query_one("#compare-foot", Static).update(content(foot, "$text-muted"))
        self.show_table()

    def show_table(self) -> None:
        """Show the figures, and where the profiles differ."""
        table = self.query_one(Table)
        width = table.size.width or self.app.size.width - 4
        table.update(Content("\n").join(self._lines(width)))

    def _lines(self, width: int) -> Iterator[Content]:
        label = min(_LABEL_CELLS, width // 3)
        cells = max(6, (width - label) // len(self._runs) - len(_GAP))
        styles = ("$text-primary", "$text-success", "$text-warning", "$text")

        def line(name: str, values: Sequence[str], style: str = "") -> Content:
            parts = [content(fit(name, label), style or "$text-muted")]
            for value in values:
                parts += [content(_GAP), content(fit(value, cells), style)]
            return Content("").join(parts)

        heads = [content(fit("", label))]
        for number, run in enumerate(self._runs, start=1):
            name = short_id(run.id)
            shown = f"{number} {name}" if cell_len(name) + 2 <= cells else f"{number} …{name[-(cells - 3) :]}"
            heads += [content(_GAP), content(fit(shown, cells), f"bold {styles[number - 1]}")]
        yield Content("").join(heads)
        told = [dict(figures(run.view, run.status or _("unreadable"))) for run in self._runs]
        for name in told[0]:
            yield line(name, [values[name] for values in told])
        yield content("")
        if self._differences is None:
            yield content(_("reading the profiles …"), "$text-muted")
            return
        title = _("Where their profiles differ") if self._differences else _("Their profiles are equal.")
        yield content(title, "bold $text-primary")
        for found in self._differences:
            yield line(found.key, [plain(value) or "?" for value in found.values])
        for problem in self._problems:
            yield content(problem, "$text-error")
