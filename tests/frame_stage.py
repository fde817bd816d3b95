"""The whole app for the tests of its frame: started, driven by keys, looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.data.rows import SAMPLE
from tests.pilot import Steps, running, told_by, until
from tui.app import PANES, PoemApp
from tui.pane import Pane
from tui.settings import Settings
from tui.start import Start

__all__ = ["told_by", "until"]

_SAMPLE = Start(data=SAMPLE)


def make_app(
    tmp_path: Path, start: Start = _SAMPLE, *, keys: Mapping[str, str] | None = None, **settings: Any
) -> PoemApp:
    """The app with an empty runs directory and a memory of its own."""
    known = Settings(tmp_path / "config.toml", keys=keys or {}, **settings)
    return PoemApp(start, runs_dir=tmp_path / "runs", settings=known, state_dir=tmp_path)


def play(app: PoemApp, steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
    """Start it, do the steps once every pane is there, and let it end."""

    async def run() -> None:
        async with running(app, size) as pilot:
            await until(pilot, lambda: len(app.query(Pane)) == len(PANES) and bool(app.profile_state.source))
            await pilot.pause()
            await steps(pilot)

    asyncio.run(run())


def seen_panes(app: PoemApp) -> list[str]:
    """The panes that are on the screen."""
    return [str(pane.id) for pane in app.query(Pane) if pane.display and pane.size]
