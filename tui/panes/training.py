"""The Train pane: how a run goes, its losses in a chart, and its poems, figures, events or console below or beside it.

What is read and how is in `training_reading`, what is asked of a run in `training_acting`, what starts one in
`training_starting`; the words are in `training_words`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.events import Resize
from textual.timer import Timer
from textual.widgets import Static

from core.i18n import N_, _
from core.runs.health import Finding
from tui.panes import training_words as words
from tui.panes.training_starting import StartingPane
from tui.plain import content
from tui.run_track import RunTrack
from tui.widgets.chart_scale import short_value
from tui.widgets.loss_chart import LossChart
from tui.widgets.small_chart import SmallChart

PANELS = {"samples": N_("samples"), "figures": N_("figures"), "events": N_("events"), "console": N_("console")}
"""What can be below the chart, and what it is called."""
_WIDE_PANELS = ("events", "console")
_CHART_S = 1.0
_QUICK_STEP_S, _QUICK_CHART_S = 0.1, 4.0
"""A run with shorter steps than this changes most cells of its chart with every drawing, so it is drawn less often."""
_FINDINGS_S = 10.0
"""What stands out says so in figures that change; as long as the same rules hold, they are told anew this often."""


class TrainingPane(StartingPane):
    """One run at a time."""

    TITLE: ClassVar[str] = N_("Train")
    HELP: ClassVar[str] = N_(
        "How a run goes: its losses as a chart (faint: every step, line: smoothed, dots: held out, ▲ checkpoint, "
        "○ sample), and below or beside it its poems, figures, events with what stands out, and console; d changes "
        "that panel, the arrow keys up and down scroll it. s starts a run of the profile in the editor, after showing "
        "what would run. x saves and ends it, p pauses it, c saves a checkpoint, v writes samples, r resumes one that "
        "has ended. Comma and full stop go to older and newer runs, f lists them; y replays one that has ended, < and "
        "> change how fast. Runs go on when the app is closed."
    )
    FOCUS_FIRST: ClassVar[str] = "#train-chart"
    BINDINGS = [
        Binding("d", "next_panel", N_("Panel"), id="train.panel"),
        Binding("f", "choose_run", N_("Runs"), id="train.choose"),
        Binding("y", "replay", N_("Replay"), id="train.replay"),
        Binding("up", "scroll_panel(-1)", N_("Scroll the panel up"), id="train.up", show=False),
        Binding("down", "scroll_panel(1)", N_("Scroll the panel down"), id="train.down", show=False),
        Binding("pageup", "scroll_panel(-8)", N_("Scroll the panel a page up"), id="train.page_up", show=False),
        Binding("pagedown", "scroll_panel(8)", N_("Scroll the panel a page down"), id="train.page_down", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        """A pane that follows nothing yet."""
        super().__init__(id=id)
        self.panel = "samples"
        self._said: dict[str, object] = {}
        self._offered: object = None
        self._charted_s = self._findings_s = 0.0
        self._findings: tuple[Finding, ...] = ()
        self._chart_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Status, chart, panels; words where there is no run."""
        yield Static(id="train-empty")
        yield Static(id="train-status")
        yield Static(id="train-note")
        with Container(id="train-body"):
            yield LossChart(id="train-chart")
            yield Static(id="train-tabs", classes="train-tabs")
            with Vertical(id="train-figures"):
                for figure in ("rate", "gradient", "speed", "memory"):
                    yield SmallChart(id=f"train-{figure}", label_cells=13)
            with Vertical(id="train-side"):
                yield Static(content(_("samples"), "$text-primary"), id="train-samples-head", classes="train-tabs")
                for panel in ("samples", *_WIDE_PANELS):
                    if panel == "events":
                        yield Static(id="train-tabs-side", classes="train-tabs")
                    with VerticalScroll(id=f"train-{panel}", can_focus=False):
                        yield Static(id=f"train-{panel}-text")

    def on_mount(self) -> None:
        """Show what there is."""
        self.watch(self.workbench, "profile_state", self._show_empty, init=False)
        self._take_panel()
        super().on_mount()

    def on_resize(self, event: Resize) -> None:
        """Other panels fit."""
        super().on_resize(event)
        self._take_panel()
        self.call_after_refresh(self._show_status)

    def state(self) -> Mapping[str, Any]:
        """The followed run and the panel."""
        return {"run": self.followed.id if self.followed is not None else "", "panel": self.panel}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take them up; a run at work comes before the one that was followed."""
        run, panel = state.get("run"), state.get("panel")
        if isinstance(run, str):
            self.prefer(run)
        if isinstance(panel, str) and panel in PANELS:
            self.panel = panel
            self._take_panel()

    # -- panels

    @property
    def shown_panel(self) -> str:
        """The panel that is seen; where the pane is wide, samples and figures always are."""
        if self.has_class("-wide") and self.panel not in _WIDE_PANELS:
            return _WIDE_PANELS[0]
        return self.panel

    def action_next_panel(self) -> None:
        """The next panel."""
        choices = _WIDE_PANELS if self.has_class("-wide") else tuple(PANELS)
        self.panel = choices[(choices.index(self.shown_panel) + 1) % len(choices)]
        self._take_panel()

    def action_scroll_panel(self, lines: int) -> None:
        """Scroll what is below the chart, or beside it the samples."""
        panel = "samples" if self.has_class("-wide") else self.shown_panel
        if panel != "figures":
            self.query_one(f"#train-{panel}", VerticalScroll).scroll_relative(y=lines, animate=False)

    def console_is_shown(self) -> bool:
        """Whether it is the panel."""
        return self.shown_panel == "console"

    def _take_panel(self) -> None:
        for panel in PANELS:
            self.set_class(panel == self.shown_panel, f"-{panel}")
        wide = self.has_class("-wide")
        offered = _WIDE_PANELS if wide else tuple(PANELS)
        tabs = [
            content(_(PANELS[panel]), "bold $text-primary" if panel == self.shown_panel else "") for panel in offered
        ]
        tabs.append(content(_("(d)"), "$text-muted"))
        try:
            tabs_line = self.query_one("#train-tabs-side" if wide else "#train-tabs", Static)
        except NoMatches:  # restored before it is composed
            return
        self._update(tabs_line, Content("  ").join(tabs))
        if self.console_is_shown():
            self._look_at_console()
        self._show_panels()

    # -- what is shown

    def _update(self, widget: Static, told: Content, *, layout: bool = False) -> None:
        """Show it, unless it is there already."""
        mark = told.plain, tuple(told.spans)
        if self._said.get(str(widget.id)) != mark:
            self._said[str(widget.id)] = mark
            widget.update(told, layout=layout)

    def track_changed(self) -> None:
        """Show the run as it is now."""
        self._show_empty()
        self._show_status()
        self._show_panels()
        self._show_charts_soon()
        track, live = self.track, self.live_view
        offered = (track is None, live.status if live is not None else "", self.replaying, self.may_replay())
        if offered != self._offered:
            self._offered = offered
            self.refresh_bindings()

    def _show_empty(self) -> None:
        empty = self.followed is None
        self.set_class(empty, "-empty")
        if empty:
            bench = self.workbench
            problem = bench.runs_problem
            told = words.empty_words(bench.profile_state, str(bench.runs_dir), self.wanted)
            self._update(self.query_one("#train-empty", Static), content(problem) if problem else told, layout=True)

    def _show_status(self) -> None:
        track, cells = self.track, self.size.width - 2
        if track is None or cells <= 0:
            self._update(self.query_one("#train-status", Static), Content(""))
            self._show_note((self.problem, "$text-error"))
            return
        pieces = words.status_pieces(track, place=self.place_words(), replayed=self.replay_words())
        most = 2 if self.has_class("-narrow") else 1
        lines = words.in_lines(pieces, cells, most=most)
        lines += words.in_lines(words.loss_pieces(track.view), cells, most=1)
        self._update(self.query_one("#train-status", Static), Content("\n").join(lines))
        self._show_note(("", "") if self.replaying else words.note_of(track.view))

    def _show_note(self, piece: words.Piece) -> None:
        note = self.query_one("#train-note", Static)
        note.set_class(bool(piece[0]), "-some")
        self._update(note, content(*piece), layout=True)

    def _show_panels(self) -> None:
        track, shown = self.track, self.shown_panel
        if track is None:
            return
        if shown == "samples" or self.has_class("-wide"):
            told = words.sample_content(track.view.samples)
            self._update(self.query_one("#train-samples-text", Static), told, layout=True)
        if shown == "events":
            told = words.health_content(track, self._steady_findings(track))
            self._update(self.query_one("#train-events-text", Static), told, layout=True)

    def _steady_findings(self, track: RunTrack) -> tuple[Finding, ...]:
        """What stands out, in figures that stand still for a while."""
        shown = self._findings
        same = [finding.rule for finding in track.findings] == [finding.rule for finding in shown]
        if not same or track.view.status != "running" or time.monotonic() - self._findings_s >= _FINDINGS_S:
            self._findings, self._findings_s = track.findings, time.monotonic()
        return self._findings

    def console_changed(self) -> None:
        """Show the end of the console."""
        told = words.console_content(self.console_lines)
        self._update(self.query_one("#train-console-text", Static), told, layout=True)
        self.query_one("#train-console", VerticalScroll).scroll_end(animate=False)

    def _show_charts_soon(self) -> None:
        """Draw the charts now, or when the last drawing is a while ago."""
        due_s = self._charted_s + self._chart_s() - time.monotonic()
        if due_s <= 0 or self.track is None or self.track.view.status != "running" or self.replaying:
            self._show_charts()
        elif self._chart_timer is None:
            self._chart_timer = self.set_timer(due_s, self._show_charts)

    def _chart_s(self) -> float:
        """How often the chart is drawn."""
        recent = self.track.view.recent if self.track is not None else ()
        quick = len(recent) > 1 and sum(step_s for _tokens, step_s in recent) / len(recent) < _QUICK_STEP_S
        return _QUICK_CHART_S if quick else _CHART_S

    def _show_charts(self) -> None:
        if self._chart_timer is not None:
            self._chart_timer.stop()
            self._chart_timer = None
        self._charted_s = time.monotonic()
        chart, track = self.query_one(LossChart), self.track
        if track is None:
            chart.show(())
            return
        chart.show(words.series_of(track), words.marks_of(track.view), track.view.steps)
        self._show_figures(track)

    def _show_figures(self, track: RunTrack) -> None:
        steps = track.view.steps
        for name, points, label, format_value in (
            ("rate", track.rates, _("learning rate"), short_value),
            ("gradient", track.grad_norms, _("gradient norm"), short_value),
            ("speed", track.speeds, _("tokens/s"), words.speed_words),
            ("memory", track.memory, _("memory"), words.gigabytes),
        ):
            self.query_one(f"#train-{name}", SmallChart).show(points, label, format_value, steps=steps)
