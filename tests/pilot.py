"""Driving the app in a test: it is waited for until nothing is left to do, not by the clock.

Textual's pilot waits after each key, and twice, until the process has used hardly any time for 20 ms. Here a wait
ends as soon as nothing can happen any more within these 20 ms: the event loop has nothing to do, no timer is about to
ring, no thread is at work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic, process_time
from typing import Any, ClassVar
from unittest.mock import patch

from textual.app import App, ComposeResult
from textual.containers import Container
from textual.pilot import Pilot
from textual.widgets import Footer, Static
from textual.worker import WorkerCancelled

import tui
from tui.app import PANES, PoemApp
from tui.pane import Pane
from tui.settings import Settings
from tui.start import Start
from tui.workbench import DataState

Steps = Callable[[Pilot[Any]], Awaitable[None]]

_SOON_S = 0.02
"""What happens later than this, a test waits for with `until`."""
_LONGEST_S = 1.0
_LOOK_S = 0.001
_PATIENCE_S = 60.0
_PAINT_S = 1.0
"""How long changes would be gathered before they are painted; a wait paints them at once."""


class _Threads(ThreadPoolExecutor):
    """The event loop's threads, and which of what they were given is not done."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="test")
        self.at_work: set[Future[Any]] = set()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        self.at_work.add(future)
        future.add_done_callback(self.at_work.discard)
        return future


async def _wait_for_nothing(loop: Any, until_s: float) -> None:
    """Until the event loop has nothing that it could do now."""
    empty = 0
    # Twice, for what has come to the selector is taken up only between two turns of the loop.
    while empty < 2 and monotonic() < until_s:
        await asyncio.sleep(0)
        empty = 0 if loop._ready else empty + 1


async def _wait_for_quiet(app: App[Any], threads: _Threads) -> None:
    """Until nothing can happen within the next moment, a second at the most.

    A thread that waits for something itself is given a moment, as the pilot does.
    """
    loop: Any = asyncio.get_running_loop()
    until_s, idle_s = monotonic() + _LONGEST_S, 0.0
    while monotonic() < until_s:
        await _wait_for_nothing(loop, until_s)
        for screen in app.screen_stack:
            screen._on_timer_update()
        await _wait_for_nothing(loop, until_s)
        soon = bool(loop._scheduled) and loop._scheduled[0].when() - loop.time() < _SOON_S
        if not soon and (not threads.at_work or idle_s >= _SOON_S):
            return
        used_s, before_s = process_time(), monotonic()
        await asyncio.sleep(_LOOK_S)
        idle_s = idle_s + monotonic() - before_s if process_time() - used_s < _LOOK_S / 2 else 0.0


@asynccontextmanager
async def running(app: App[Any], size: tuple[int, int] = (80, 24)) -> AsyncIterator[Pilot[Any]]:
    """The app with notes and no tooltips, without a terminal."""
    threads = _Threads()
    asyncio.get_running_loop().set_default_executor(threads)

    async def wait_for_quiet(min_sleep: float = 0, max_sleep: float = 0) -> None:
        await _wait_for_quiet(app, threads)

    with (
        patch("textual.app.wait_for_idle", wait_for_quiet),
        patch("textual.pilot.wait_for_idle", wait_for_quiet),
        patch("textual.screen.UPDATE_PERIOD", _PAINT_S),
    ):
        async with app.run_test(size=size, notifications=True) as pilot:
            yield pilot


async def settle(pilot: Pilot[Any]) -> None:
    """Until threads and what was posted are done."""
    for _turn in range(100):
        with suppress(WorkerCancelled):  # another one has taken its place
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        if all(worker.is_finished for worker in pilot.app.workers):
            return
    raise AssertionError("it never came to rest")


async def until(
    pilot: Pilot[Any], holds: Callable[[], bool], *, meanwhile: Callable[[Pilot[Any]], Awaitable[None]] | None = None
) -> None:
    """Let the app work until something holds; a busy machine takes longer than an idle one.

    Args:
        pilot: of the app.
        holds: whether it does.
        meanwhile: what is done while it does not.
    """
    until_s = monotonic() + _PATIENCE_S
    while monotonic() < until_s:
        if holds():
            return
        if meanwhile is not None:
            await meanwhile(pilot)
        await pilot.pause(0.005)
    raise AssertionError("it never held")


def whole_lines_of(app: App[Any]) -> list[str]:
    """What is on the screen, line by line, with the spaces at their ends."""
    return ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]


def lines_of(app: App[Any]) -> list[str]:
    """What is on the screen, line by line."""
    return [line.rstrip() for line in whole_lines_of(app)]


def text_of(app: App[Any]) -> str:
    """What is on the screen."""
    return "\n".join(lines_of(app))


def told_by(app: App[Any]) -> list[str]:
    """The notes that were shown."""
    return [note.message for note in app._notifications]


class OnePane(PoemApp):
    """The app's frame with one pane, and with what stands for those that it speaks to."""

    CSS_PATH: ClassVar = [Path(tui.__file__).parent / "css" / f"{name}.tcss" for name in ("app", *PANES)]

    def __init__(self, pane: str, runs_dir: Path, keys: Mapping[str, str] | None = None) -> None:
        """The pane that is in front, where runs are kept, and keys of a person's own."""
        settings = Settings(runs_dir / "config.toml", keys=keys or {})
        super().__init__(Start(pane=pane), runs_dir=runs_dir, settings=settings)
        self.data_state = DataState("poems.json", rows=1, complete=True)  # the frame waits for rows

    def panes(self) -> Iterable[Pane]:
        """The one and the others."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield Container(*self.panes(), id="panes")
        yield Static(id="too-small")
        yield Footer(show_command_palette=True, compact=True)

    async def _mount_panes(self) -> None:
        self._restore()
        self.arrange()
        self._look()

    @property
    def lines(self) -> list[str]:
        return lines_of(self)

    @property
    def text(self) -> str:
        return text_of(self)

    @property
    def told(self) -> list[str]:
        return told_by(self)
