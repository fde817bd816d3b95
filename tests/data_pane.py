"""What the tests of the Data pane share: the pane alone in an app, with a model process that is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.widgets import Footer, Input, Static

import tui
from core.client import EncodedRow, ModelClient
from core.data.rows import Row
from tests.pilot import running, settle
from tui import messages
from tui.keys import WorkScreen
from tui.panes.dataset import DatasetPane
from tui.widgets.row_list import RowList
from tui.workbench import ProfileState, Workbench

CSS = Path(tui.__file__).parent / "css"
HOSTILE = "[/] 夜[bold]雨[@click=app.quit]寄北\u202e"
POEMS = [
    ("李白", "靜夜思", "牀前看月光，疑是地上霜。", "舉頭望山月，低頭思故鄉。"),
    ("杜甫", "春望", "國破山河在，城春草木深。", "感時花濺淚，恨別鳥驚心。烽火連三月，家書抵萬金。"),
    ("李白", "望廬山瀑布", "日照香爐生紫煙，遙看瀑布挂前川。", "飛流直下三千尺，疑是銀河落九天。"),
    ("孟浩然", "春曉", "春眠不覺曉，處處聞啼鳥。", "夜來風雨聲，花落知多少。"),
]
"""Of 20, 30, 28 and 20 characters."""


class FakeModel:
    """Answers with what a test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.answer: Callable[[Row], EncodedRow] = lambda row: EncodedRow(
            ("<|im_start|>", "user", "\n", row.input[:2], row.output[:2], "<|im_end|>"),
            (1, 2, 3, 4, 5, 6),
            4,
            "row",
            "prompt",
            "chatml, as the base has its marks",
            0,
        )

    async def encode(self, profile: str, base_dir: str, row: Row, epoch: int) -> EncodedRow:
        self.asked.append((row.number, epoch))
        return self.answer(row)


class PaneApp(Workbench):
    """The pane as the frame has it in a narrow terminal."""

    CSS_PATH = [CSS / "app.tcss", CSS / "data.tcss"]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, path: str) -> None:
        super().__init__(Path("no runs"))
        self.path = path
        self.keys_set: list[dict[str, Any]] = []
        self.fake = FakeModel()
        self.notes: list[str] = []

    @property
    def model(self) -> ModelClient:
        return self.fake  # type: ignore[return-value]

    def get_default_screen(self) -> WorkScreen:
        return WorkScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield DatasetPane(self.path, id="data")
        yield Footer(compact=True)

    def notify(self, message: str, **kwargs: Any) -> None:
        self.notes.append(message)
        super().notify(message, **kwargs)

    @on(messages.SetKeys)
    def _set_keys(self, event: messages.SetKeys) -> None:
        self.keys_set.append(dict(event.values))

    @property
    def pane(self) -> DatasetPane:
        return self.query_one(DatasetPane)

    @property
    def rows(self) -> RowList:
        return self.query_one("#rows", RowList)

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(lines_of(self))

    @property
    def flat(self) -> str:
        """The same in one line, without frames."""
        return " ".join(self.text.replace("│", " ").split())


Steps = Callable[[PaneApp, Pilot[None]], Awaitable[None]]


def drive(path: str | Path, steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
    """Run steps once the file is open and the list has the focus."""

    async def run() -> None:
        app = PaneApp(str(path))
        async with running(app, size) as pilot:
            app.pane.focus_pane()
            await settle(pilot)
            await steps(app, pilot)

    asyncio.run(run())


async def typed(pilot: Pilot[None], text: str) -> None:
    """Type into the field that has the focus."""
    for character in text:
        await pilot.press({" ": "space", ":": "colon", "/": "slash", ".": "full_stop"}.get(character, character))
    await settle(pilot)


def lines_of(app: PaneApp) -> list[str]:
    """What is on the screen, line by line."""
    return ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]


def shown(app: PaneApp, selector: str) -> str:
    """What a static widget shows."""
    return str(app.screen.query_one(selector, Static).render())


def field(app: PaneApp) -> Input:
    """The field of the dialog in front, or the search."""
    return app.screen.query_one(Input)


def write_rows(path: Path, *rows: dict[str, Any] | str) -> Path:
    """A JSONL file; a text is a line as it stands."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def poem_rows() -> list[dict[str, str]]:
    """The poems as rows of the rich form."""
    return [
        {"instruction": "完成整首詩。", "input": first, "output": rest, "author": author, "title": title}
        for author, title, first, rest in POEMS
    ]


def poem_file(folder: Path) -> Path:
    """A file of the four poems."""
    return write_rows(folder / "poems.jsonl", *poem_rows())


def with_profile(app: PaneApp, text: str) -> None:
    """Put a profile in force."""
    from core.profile.document import check_text

    profile, problems = check_text(text)
    app.profile_state = ProfileState("test.toml", text=text, profile=profile, problems=len(problems))
