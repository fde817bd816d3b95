"""The whole app for the tests of its frame: started, driven by keys, looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from core.data.rows import SAMPLE
from tui.app import PANES, PoemApp
from tui.pane import Pane
from tui.settings import Settings
from tui.start import Start

_SAMPLE = Start(data=SAMPLE)
Steps = Callable[[Pilot[None]], Awaitable[None]]


def make_app(
    tmp_path: Path, start: Start = _SAMPLE, *, keys: Mapping[str, str] | None = None, **settings: Any
) -> PoemApp:
    """The app with an empty runs directory and a memory of its own."""
    known = Settings(tmp_path / "config.toml", keys=keys or {}, **settings)
    return PoemApp(start, runs_dir=tmp_path / "runs", settings=known, state_dir=tmp_path)


def play(app: PoemApp, steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
    """Start it, do the steps once every pane is there, and let it end."""

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: len(app.query(Pane)) == len(PANES) and bool(app.profile_state.source))
            await pilot.pause()
            await steps(pilot)

    asyncio.run(run())


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    """Let the app work until something holds; a busy machine needs more turns than an idle one."""
    for _turn in range(1000):
        if holds():
            return
        await pilot.pause(0.01)
    raise AssertionError("it never held")


def lines_of(app: PoemApp) -> list[str]:
    """What is on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def text_of(app: PoemApp) -> str:
    return "\n".join(lines_of(app))


def seen_panes(app: PoemApp) -> list[str]:
    """The panes that are on the screen."""
    return [str(pane.id) for pane in app.query(Pane) if pane.display and pane.size]


def told_by(app: PoemApp) -> list[str]:
    return [note.message for note in app._notifications]
