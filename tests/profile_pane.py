"""What the tests of the Profile pane share: the pane alone in an app, and a file of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList, Static

import tui
from core.runs.view import RunView
from tests.pilot import running, settle, text_of
from tui.keys import WorkScreen
from tui.panes.profile import ProfilePane
from tui.panes.profile_editor import ProfileEditor
from tui.workbench import RunSeen, Workbench

CSS = Path(tui.__file__).parent / "css"
HOSTILE = "[/] 夜[bold]雨[@click=app.quit]寄北\x1b[2J\u202e"
TEXT = """\
# 我的
[model]
base = "builtin:tang-tiny"

[train]
epochs = 3   # 輪
learning_rate = 1e-3
schedule = "cosine"
batch_size = 16
micro_batch_size = 16

[lora]
r = 16
"""


class PaneApp(Workbench):
    """The pane alone, opened as the app opens it."""

    CSS_PATH = [CSS / "app.tcss", CSS / "profile.tcss"]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.notes: list[str] = []

    def get_default_screen(self) -> Screen[Any]:
        return WorkScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield ProfilePane(id="profile")
        yield Footer(compact=True)

    def notify(self, message: str, **kwargs: Any) -> None:
        assert kwargs.get("markup") is False
        self.notes.append(message)

    @property
    def pane(self) -> ProfilePane:
        return self.query_one(ProfilePane)

    @property
    def editor(self) -> ProfileEditor:
        return self.query_one(ProfileEditor)

    @property
    def text(self) -> str:
        """What is on the screen."""
        return text_of(self)

    @property
    def options(self) -> list[str]:
        """The list of the dialog in front."""
        listed = self.screen.query_one(OptionList)
        return [str(option.prompt) for option in listed.options]

    def shown(self, selector: str) -> str:
        """What a static widget shows."""
        return str(self.screen.query_one(selector, Static).render())


Steps = Callable[[PaneApp, Pilot[None]], Awaitable[None]]


def drive(source: str | Path, steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
    """Run steps once the profile is open and the editor has the focus."""

    async def run() -> None:
        app = PaneApp()
        async with running(app, size) as pilot:
            app.pane.focus_pane()
            if source:
                app.pane.open_profile(str(source))
            await settle(pilot)
            await steps(app, pilot)

    asyncio.run(run())


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and wait for what they do."""
    await pilot.press(*keys)
    await settle(pilot)


def put_cursor(app: PaneApp, words: str) -> None:
    """The cursor behind some words of the text."""
    before = app.editor.text.replace("\r\n", "\n").partition(words)[0] + words
    app.editor.move_cursor((before.count("\n"), len(before.rpartition("\n")[2])))


def field(app: PaneApp) -> Input:
    """The field of the dialog in front."""
    return app.screen.query_one(Input)


def with_run(app: PaneApp, folder: Path, text: str) -> None:
    """A run with a profile of its own."""
    folder.mkdir()
    (folder / "profile.toml").write_text(text, encoding="utf-8")
    app.runs = (RunSeen(RunView(id=folder.name), folder),)
