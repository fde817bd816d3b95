"""The app: header, panes in tabs or side by side, footer; what panes ask of each other passes through here.

What is in a pane is its own matter.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Container
from textual.events import DescendantFocus
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, Static

from core.data.row import SAMPLE
from core.errors import PoemError
from core.i18n import N_, _
from tui import messages
from tui.pane import Pane
from tui.pane_screen import PaneScreen
from tui.settings import LAYOUTS, Settings, read_state, write_state
from tui.start import Start
from tui.themes import OFFERED, THEMES
from tui.widgets.header import Header, TabLine
from tui.wording import header_facts
from tui.workbench import RunSeen, Workbench

PANES = {
    "data": N_("Data"),
    "profile": N_("Profile"),
    "train": N_("Train"),
    "complete": N_("Complete"),
    "runs": N_("Runs"),
}
"""The panes, and what they are called."""
_REMEMBER_S = 10.0
_PATIENCE_S = 1.0
_LEAST_CELLS, _LEAST_ROWS = 80, 24
_TILED_CELLS, _TILED_ROWS = 160, 45


class PoemApp(Workbench, inherit_bindings=False):
    """One screen with five panes."""

    TITLE = "poemtui"
    CSS_PATH: ClassVar = ["css/app.tcss", "css/data.tcss"]
    COMMAND_PALETTE_BINDING = "ctrl+p"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [
        *(
            Binding(f"{number}", f"show('{pane}')", title, id=f"pane.{pane}", show=False)
            for number, (pane, title) in enumerate(PANES.items(), start=1)
        ),
        *(
            Binding(f"f{number}", f"show('{pane}')", title, id=f"pane.{pane}.anywhere", show=False, priority=True)
            for number, (pane, title) in enumerate(PANES.items(), start=2)
        ),
        Binding("escape", "leave_field", N_("Leave the field"), id="app.leave", show=False),
        Binding("f11,z", "maximise", N_("One pane alone, or all"), id="app.maximise", show=False),
        Binding("f12,w", "layout", N_("Tabs or side by side"), id="app.layout", show=False),
        Binding("t", "next_theme", N_("Next colours"), id="app.theme", show=False),
        Binding("f1,question_mark", "help", N_("Help"), id="app.help", key_display="F1"),
        Binding("ctrl+q,f10", "quit", N_("Quit"), id="app.quit", key_display="^q", priority=True),
    ]
    pane = var("data")
    """The pane in front, or the one with the focus where they are side by side."""
    layout_wanted = var("auto")
    maximised = var(False)

    def __init__(self, start: Start, *, runs_dir: Path, settings: Settings, state_dir: Path | None = None) -> None:
        """The app with what it shall open; neither runs directory nor files need exist.

        Args:
            start: what was asked for on the command line.
            runs_dir: where runs are kept.
            settings: the person's own.
            state_dir: where the app remembers; None: nowhere.
        """
        super().__init__(runs_dir)
        self._patience: Timer | None = None
        self._is_restored = False  # whether all panes are there and have taken up what was remembered
        self.start, self.settings, self._state_dir = start, settings, state_dir
        self._remembered: dict[str, Any] = read_state(state_dir) if state_dir else {}
        for theme in THEMES:
            self.register_theme(theme)
        layout = self._remembered.get("layout") if settings.layout == LAYOUTS[0] else settings.layout
        self.set_reactive(PoemApp.layout_wanted, layout if layout in LAYOUTS else LAYOUTS[0])
        # Now, so that the style sheets are read once, in these colours.
        names = (settings.theme, str(self._remembered.get("theme")), THEMES[0].name)
        self.set_reactive(PoemApp.theme, next(name for name in names if name in self.available_themes))
        self.stylesheet.set_variables(self.get_css_variables())
        self._refresh_truecolor_filter(self.ansi_theme)
        self.set_class(self.current_theme.dark, "-dark-mode", update=False)
        self.set_class(not self.current_theme.dark, "-light-mode", update=False)

    # -- the frame

    def get_default_screen(self) -> Screen[Any]:
        """A screen whose keys are described in the language in use."""
        return PaneScreen(id="_default")

    def compose(self) -> ComposeResult:
        """The frame with the Data pane; the others follow once it is on the screen."""
        from tui.panes.dataset import DatasetPane

        yield Header()
        yield TabLine(tuple((pane, _(title)) for pane, title in PANES.items()))
        with Container(id="panes"):
            yield DatasetPane(self._data_path(), id="data")
        yield Static(_("poemtui needs a terminal of at least 80 × 24 characters."), id="too-small")
        yield Footer(show_command_palette=True, compact=True)

    def _data_path(self) -> str:
        panes = self._remembered.get("panes")
        known = panes.get("data") if isinstance(panes, dict) else None
        path = known.get("path") if isinstance(known, dict) else None
        return self.start.data or (path if isinstance(path, str) else "") or SAMPLE

    async def on_mount(self) -> None:
        """Take up colours, keys and panes."""
        self._take_keys()
        self.arrange()
        self.call_after_refresh(self._mount_when_rows_are_there)

    def _mount_when_rows_are_there(self) -> None:
        """The other panes, once the first rows are on the screen: mounting them takes as long as a large file."""
        gc.freeze()  # what is there stays; to look through it for garbage again and again would hold up keys
        gc.enable()  # `__main__` has put it off
        self._patience = self.set_timer(_PATIENCE_S, self._mount_panes)
        self._see_rows()

    def _see_rows(self) -> None:
        if self._patience is not None and (self.data_state.rows or self.data_state.problem):
            self._patience.stop()
            self._patience = None
            self.call_after_refresh(self._mount_panes)

    async def _mount_panes(self) -> None:
        from tui.panes.completion import CompletionPane
        from tui.panes.profile import ProfilePane
        from tui.panes.runs import RunsPane
        from tui.panes.training import TrainingPane

        for name in [*PANES][1:]:  # not at the start: reading style sheets takes its time
            path = Path(__file__).parent / "css" / f"{name}.tcss"
            self.stylesheet.add_source(path.read_text(encoding="utf-8"), read_from=(str(path), ""))
        panes = (
            ProfilePane(id="profile"),
            TrainingPane(id="train"),
            CompletionPane(id="complete"),
            RunsPane(id="runs"),
        )
        await self.query_one("#panes").mount(*panes)
        for number, (name, title) in enumerate(PANES.items(), start=1):
            self.query_one(f"#{name}").border_title = f"{number} {_(title)}"
        self._restore()
        self.arrange()
        self.begin_to_look()
        self.set_interval(_REMEMBER_S, self.remember)
        # The terminal went away: nothing can be drawn any more, but what was typed is kept. Runs don't notice.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.leave)

    def _take_keys(self) -> None:
        if self.settings.keys:
            from tui.commands import unknown_ids

            problem = unknown_ids(self.settings)
            if problem:
                self.notify(problem, severity="warning", markup=False, timeout=15)
            self.set_keymap(dict(self.settings.keys))

    def _restore(self) -> None:
        panes = self._remembered.get("panes")
        for pane in self.query(Pane):
            state = panes.get(pane.id) if isinstance(panes, dict) else None
            if isinstance(state, dict):
                pane.restore(state)
        self._is_restored = True
        if self.start.profile:
            self.post_message(messages.OpenProfile(self.start.profile))
        if self.start.run:
            self.post_message(messages.FollowRun(self.start.run))
        wanted = self.start.pane or self._remembered.get("pane")
        self.action_show(wanted if isinstance(wanted, str) and wanted in PANES else "data")
        if not self._remembered and self.start == Start():
            from tui.welcome import Welcome

            self.push_screen(Welcome(), lambda position: self._welcomed(Welcome.answer(position)))

    def _welcomed(self, choice: str) -> None:
        if choice == "data":
            self.action_show("data")
            self.call_later(self.query_one("#data", Pane).run_action, "open")
        elif choice == "model":
            self.action_show("profile")
            self.call_later(self.query_one("#profile", Pane).run_action, "pick_base")

    def remember(self) -> str:
        """Write down what the next start shall find again; returns why that can't be had, or nothing."""
        if not self._is_restored:
            return ""  # what was remembered stands as it is, and panes that are being mounted can't be asked yet
        panes = {str(pane.id): dict(pane.state()) for pane in self.query(Pane)}
        now = {"pane": self.pane, "theme": self.theme, "layout": self.layout_wanted, "panes": panes}
        if self._state_dir and now != self._remembered:
            try:
                write_state(self._state_dir, now)
            except PoemError as error:
                return error.message
            self._remembered = now
        return ""

    # -- layout

    def arrange(self) -> None:
        """Tabs or side by side, and which pane is in front."""
        screen = self.screen_stack[0]  # a dialog may be over it
        screen.set_class(self.size.width < _LEAST_CELLS or self.size.height < _LEAST_ROWS, "-too-small")
        wide = self.size.width >= _TILED_CELLS and self.size.height >= _TILED_ROWS
        tiled = wide and self.layout_wanted != "tabs" and not self.maximised
        screen.set_class(tiled, "-tiled")
        screen.set_class(self.maximised, "-maximised")
        for pane in self.query(Pane):
            pane.set_class(pane.id == self.pane, "-front")
        for line in self.query(TabLine):
            line.show(self.pane)

    def watch_pane(self) -> None:
        """Another pane is in front."""
        if self._is_mounted:
            self.arrange()

    def watch_maximised(self) -> None:
        """One pane alone, or not."""
        if self._is_mounted:
            self.arrange()

    def watch_layout_wanted(self) -> None:
        """Tabs or side by side."""
        if self._is_mounted:
            self.arrange()

    def action_show(self, pane: str) -> None:
        """Bring a pane to the front and give it the focus."""
        for found in self.query(f"#{pane}").results(Pane):
            self.pane = pane
            self.arrange()
            found.focus_pane()

    @on(TabLine.Chosen)
    def _tab_chosen(self, event: TabLine.Chosen) -> None:
        self.action_show(event.pane)

    @on(messages.ShowPane)
    def _show_pane(self, event: messages.ShowPane) -> None:
        self.action_show(event.pane)

    @on(DescendantFocus)
    def _focus_moved(self, event: DescendantFocus) -> None:
        for node in event.widget.ancestors_with_self:
            if isinstance(node, Pane) and node.id:
                self.pane = node.id

    def action_leave_field(self) -> None:
        """From a text field back to its pane, where letters are keys; a list or a chart keeps the focus."""
        from textual.widgets import Input, TextArea

        if isinstance(self.focused, Input | TextArea):
            self.query_one(f"#{self.pane}", Pane).focus()

    def action_maximise(self) -> None:
        """The pane alone on the whole screen, and back."""
        self.maximised = not self.maximised

    def action_layout(self) -> None:
        """Tabs, or side by side where there is room."""
        self.layout_wanted = "auto" if self.layout_wanted == "tabs" else "tabs"
        if not self.screen.has_class("-tiled") and self.layout_wanted != "tabs":
            self.notify(
                _("Side by side takes a terminal of {cells} × {rows} characters.").format(
                    cells=_TILED_CELLS, rows=_TILED_ROWS
                ),
                markup=False,
            )

    def action_next_theme(self) -> None:
        """Other colours."""
        at = OFFERED.index(self.theme) if self.theme in OFFERED else -1
        self.theme = OFFERED[(at + 1) % len(OFFERED)]

    def action_help(self) -> None:
        """What the pane does, and every key."""
        from tui.help import HelpScreen

        self.push_screen(HelpScreen(self.query_one(f"#{self.pane}", Pane), self.settings))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Nothing of Textual's own: `tui.commands` has all there is."""
        del screen
        return ()

    def action_command_palette(self) -> None:
        """Everything by name."""
        from tui.commands import Palette, PoemCommands

        if not Palette.is_open(cast(Any, self)):
            self.push_screen(Palette(providers=[PoemCommands], placeholder=_("an action, a run, a profile, a row …")))

    # -- what panes ask for

    @on(messages.OpenData)
    def _open_data(self, event: messages.OpenData) -> None:
        self._ask("data").open_file(event.path)

    @on(messages.OpenProfile)
    def _open_profile(self, event: messages.OpenProfile) -> None:
        self._ask("profile").open_profile(event.source)

    @on(messages.SetKeys)
    def _set_keys(self, event: messages.SetKeys) -> None:
        self._ask("profile").set_keys(event.values)

    @on(messages.TrainProfile)
    def _train_profile(self) -> None:
        self.action_show("train")
        self._ask("train").ask_to_start()

    @on(messages.FollowRun)
    def _follow_run(self, event: messages.FollowRun) -> None:
        self.action_show("train")
        self._ask("train").follow(event.run_id)

    @on(messages.CompleteWith)
    def _complete_with(self, event: messages.CompleteWith) -> None:
        self.action_show("complete")
        self._ask("complete").use_run(event.run_id)

    def _ask(self, pane: str) -> Any:
        return self.query_one(f"#{pane}")

    # -- the header

    def watch_memory(self) -> None:
        """The header shows it."""
        self._show_facts()

    def watch_runs(self, before: tuple[RunSeen, ...], now: tuple[RunSeen, ...]) -> None:
        """The header shows the one at work."""
        super().watch_runs(before, now)
        self._show_facts()

    def watch_data_state(self) -> None:
        """The header names the data."""
        self._show_facts()
        self._see_rows()

    def watch_profile_state(self) -> None:
        """The header names the profile and whether it is saved."""
        self._show_facts()

    def _show_facts(self) -> None:
        if self._is_mounted:
            for header in self.query(Header):
                header.show(tuple(header_facts(self)))

    # -- the end

    async def action_quit(self) -> None:
        """Leave; runs go on. A profile that isn't saved is kept for the next time, and a question is asked first."""
        if self.profile_state.unsaved:
            from tui.widgets.dialogs import Confirm

            problem = self.remember()
            text = _("The profile {name} has changes that aren't saved. They will be here at the next start.")
            if problem:
                text = _("The profile {name} has changes that aren't saved, and they can't be kept here: {problem}")
                text += " " + _("Save them to a file, or they are lost.")
            text = text.format(name=self.profile_state.source, problem=problem)
            question = Confirm(_("Quit"), text, yes=_("Quit"), no=_("Stay"), danger=bool(problem))
            self.push_screen(question, self._quit_answered)
        else:
            self.leave()

    def _quit_answered(self, answer: bool | None) -> None:
        if answer:
            self.leave()

    def leave(self) -> None:
        """Remember everything and end the app, at once."""
        self.remember()
        self.exit()
