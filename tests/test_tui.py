"""The app, driven by keys at the smallest and at a large size: search, poems, runs, errors and hostile text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static, TabbedContent

from core.data.rows import SAMPLE
from core.runs.directory import create_run
from core.runs.event_log import EventLog
from core.runs.events import EvalDone, RunFinished, RunPaused, RunQueued, RunStarted, SampleMade, StepDone
from core.runs.lock import lock_run
from tui.app import PoemApp
from tui.panes.runs import RunsPane
from tui.plain import fit
from tui.widgets.row_list import RowList

HOSTILE = "[/] 夜[bold]雨[@click=app.quit]寄北\u202e"
SIZES = [(80, 24), (200, 60)]


def drive(app: PoemApp, steps: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            await steps(pilot)

    asyncio.run(run())


async def settle(pilot: Pilot[None]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Let the app work until something holds; a busy machine needs more turns than an idle one."""
    for _turn in range(1000):
        if holds():
            return
        await settle(pilot)
        await pilot.pause(0.02)  # the panes look at the disk by the clock
    raise AssertionError("it never held")


def lines_of(app: PoemApp) -> list[str]:
    """What is on the screen, line by line."""
    return ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]


def write_rows(path: Path, *rows: dict[str, str]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("size", SIZES)
def test_hostile_rows_and_runs(tmp_path: Path, size: tuple[int, int]) -> None:
    row = {
        "instruction": HOSTILE,
        "input": HOSTILE,
        "output": HOSTILE + "長" * 100_000,
        HOSTILE: HOSTILE,
        "title": HOSTILE,
    }
    file = write_rows(tmp_path / "rows.jsonl", row)
    old, new = create_run(tmp_path / "runs", name="a"), create_run(tmp_path / "runs", name="b")
    with EventLog(new.events_path) as log:
        log.append(RunStarted(new.id, 0, 380, 20, 40, 2, HOSTILE, "cpu", "float32", 9000, 1234))
        log.append(StepDone(1, 0.5, 5.5, 1e-3, 1.0, 100, 200.0, 0.5))
        log.append(EvalDone(40, 4.5, 100, 1.0))
        log.append(SampleMade(40, HOSTILE, "更上\x1b[2J一[/]層樓。"))
        log.append(RunFinished(40, 5.25, 4.5, "adapter"))

    async def steps(pilot: Pilot[None]) -> None:
        assert any("夜[bold]雨[@click=app.quit]寄北\\u{202E}" in line for line in lines_of(app))
        await pilot.press("2")
        await settle(pilot)
        text = "\n".join(lines_of(app))
        assert app.query_one(TabbedContent).active == "runs"
        assert text.index(f"› {new.id}") < text.index(f"  {old.id}")
        assert "finished     40/40       5.250 → 4.500" in text
        assert "更上␛[2J一[/]層樓。" in text
        assert "\x1b" not in text
        with EventLog(old.events_path) as log:
            log.append(RunStarted(old.id, 0, 380, 20, 7, 2, "base", "cpu", "float32", 9000, 1234))
        app.query_one(RunsPane)._look()
        await settle(pilot)
        await until(pilot, lambda: app.focused is app.query_one("#runs-list", RowList))
        await pilot.press("down")
        await until(pilot, lambda: f"› {old.id}" in "\n".join(lines_of(app)))
        text = "\n".join(lines_of(app))
        await until(pilot, lambda: "died         0/7         - → -" in "\n".join(lines_of(app)))
        assert {cell_len(line) for line in lines_of(app)} == {size[0]}
        with lock_run(old, patience_s=0):  # resumed: not dead after all
            app.query_one(RunsPane)._look()
            await until(pilot, lambda: "running      0/7         - → -" in "\n".join(lines_of(app)))

    app = PoemApp(file, runs_dir=tmp_path / "runs")
    drive(app, steps, size)


@pytest.mark.parametrize("size", SIZES)
def test_runs_that_wait_are_told_as_on_the_command_line(tmp_path: Path, size: tuple[int, int]) -> None:
    paused, queued, open_to_all = (create_run(tmp_path / "runs", name=name) for name in ("a", "b", "c"))
    with EventLog(paused.events_path) as log:
        log.append(RunStarted(paused.id, 0, 380, 20, 40, 2, "base", "cpu", "float32", 9000, 1234))
        log.append(StepDone(3, 0.5, 5.5, 1e-3, 1.0, 100, 200.0, 0.5))
        log.append(RunPaused(3, "disk", "no room[/]\x1b[2J"))
    with EventLog(queued.events_path) as log:
        log.append(RunQueued("cpu", paused.id))
    open_to_all.path.chmod(0o777)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await settle(pilot)
        await until(pilot, lambda: app.focused is app.query_one("#runs-list"))  # it comes after the first painting
        await until(pilot, lambda: f"› {open_to_all.id:32} unreadable " in "\n".join(lines_of(app)))
        assert "Every user of this machine may write in this directory" in str(app.query_one("#run", Static).render())
        await pilot.press("down")
        await until(pilot, lambda: f"› {queued.id:32} queued       -           - → -" in "\n".join(lines_of(app)))
        assert f"queued: waits for cpu, which {paused.id} has" in "\n".join(lines_of(app))
        await pilot.press("down")
        await until(pilot, lambda: f"› {paused.id:32} paused: disk 3/40        - → -" in "\n".join(lines_of(app)))
        text = "\n".join(lines_of(app))
        newest_first = ["step 3: paused: no room[/]␛[2J", "step 3/40  loss 5.5000  lr 1.00e-03", f"started {paused.id}"]
        places = [text.index(sentence) for sentence in newest_first]
        assert places == sorted(places)
        assert {cell_len(line) for line in lines_of(app)} == {size[0]}

    app = PoemApp(SAMPLE, runs_dir=tmp_path / "runs")
    with lock_run(paused, patience_s=0):
        drive(app, steps, size)


@pytest.mark.parametrize("name", ["missing.jsonl", "bad.jsonl"])
def test_a_file_that_cannot_be_read_is_named_and_the_app_lives(tmp_path: Path, name: str) -> None:
    (tmp_path / "bad.jsonl").write_text('{"input": "[/]", "output": 7}\n', encoding="utf-8")
    (tmp_path / "file").touch()

    async def steps(pilot: Pilot[None]) -> None:
        assert name in str(app.query_one("#data-head", Static).render())
        assert name in "".join(line.strip() for line in lines_of(app))
        await pilot.press("2")
        await settle(pilot)
        assert "A file is in the way: a directory is needed here." in " ".join(" ".join(lines_of(app)).split())
        await pilot.resize_terminal(79, 24)
        await pilot.pause()
        assert "poemtui needs a terminal of at least 80 × 24" in "\n".join(lines_of(app))

    app = PoemApp(str(tmp_path / name), runs_dir=tmp_path / "file")
    drive(app, steps)


def test_fitting() -> None:
    assert [fit("夜雨寄北", cells) for cells in (9, 8, 7, 6)] == ["夜雨寄北 ", "夜雨寄北", "夜雨寄…", "夜雨… "]
    assert fit("𠀀\n", 4) == "𠀀␊ "
