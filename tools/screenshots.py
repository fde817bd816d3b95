"""Take the pictures of the documentation: the real app on the bundled poems and a real run, as SVG in docs/images.

A run of the built-in base is trained first (about a minute); its directory is a temporary one.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core import i18n
from core.runs.directory import list_runs
from core.runs.view import view_run

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
STEPS = 40


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture."""

    name: str
    """Of its file."""
    size: tuple[int, int]
    """Columns and lines."""
    theme: str
    """A theme of the app."""
    keys: tuple[str, ...]
    """What is pressed first; a number waits so many seconds."""
    language: str = "en"
    """One of the app's."""


POEM = tuple("白日依山盡，黃河入海流。")
SMALL, MIDDLE, WIDE = (80, 24), (120, 40), (200, 60)
SHOTS = (
    Shot("data", MIDDLE, "ink", ("1", "slash", "明", "月", "enter", "down", "x", "6")),
    Shot("data-80x24", SMALL, "paper", ("1", "down", "down")),
    Shot("review", MIDDLE, "ink", ("1", "v", "20", "minus", "6")),
    Shot("profile", MIDDLE, "ink", ("2", *["down"] * 21, "1")),
    Shot("profile-80x24", SMALL, "paper", ("2", *["down"] * 21, "1")),
    Shot("train", MIDDLE, "ink", ("3", "2")),
    Shot("train-80x24", SMALL, "paper", ("3", "2")),
    Shot("complete", MIDDLE, "ink", ("5", "a", *POEM, "enter", "20")),
    Shot("complete-80x24", SMALL, "paper", ("5", "a", *POEM, "enter", "20")),
    Shot("runs", MIDDLE, "ink", ("5", "1")),
    Shot("runs-80x24", SMALL, "paper", ("5", "1")),
    Shot("tiled", WIDE, "ink", ("3", "2")),
    Shot("tiled-zh", WIDE, "paper", ("5", "a", *POEM, "enter", "20"), "zh-Hans"),
)


def train(runs_dir: Path) -> None:
    """A real run with evaluations, checkpoints and samples."""
    sets = [f"train.max_steps={STEPS}", "train.eval_every=10", "train.checkpoint_every=20", "train.sample_every=10"]
    sets += ["data.rows=200", "data.eval_rows=20"]
    command = [sys.executable, "-m", "core", "train", "tang-tiny-cpu", "--name", "tang", "--runs-dir", str(runs_dir)]
    command += [part for item in sets for part in ("--set", item)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    subprocess.run([*command, "--set", "train.learning_rate=3e-4", "--set", "lora.r=4"], check=True)


async def take(shot: Shot, runs_dir: Path) -> str:
    """One picture."""
    from textual.widgets import Input

    from tui.app import PoemApp
    from tui.settings import Settings
    from tui.start import Start

    newest = list_runs(runs_dir)[-1]
    assert view_run(newest).status == "finished"
    settings = Settings(runs_dir / "none.toml", theme=shot.theme)
    app = PoemApp(Start(run=newest.id), runs_dir=runs_dir, settings=settings)
    async with app.run_test(size=shot.size) as pilot:
        while not app.query("#runs") or not app.runs:
            await pilot.pause(0.1)
        for key in shot.keys:
            if key.isdecimal() and (len(key) > 1 or int(key) > 5 or key == shot.keys[-1]):
                await asyncio.sleep(int(key))
            elif isinstance(app.focused, Input) and not key.isascii():
                app.focused.insert_text_at_cursor(key)  # as an input method does; no key is named so
            else:
                await pilot.press(key)
        await pilot.pause()
        return app.export_screenshot(title="poemtui")


def main(wanted: Callable[[str], bool]) -> None:
    """Take those pictures whose name is wanted."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["POEMTUI_STATE"] = str(Path(folder) / "state")
        runs_dir = Path(folder) / "runs"
        train(runs_dir)
        for shot in SHOTS:
            if wanted(shot.name):
                i18n.use(shot.language)
                (FOLDER / f"{shot.name}.svg").write_text(asyncio.run(take(shot, runs_dir)), encoding="utf-8")
                print(shot.name)


if __name__ == "__main__":
    main(lambda name: len(sys.argv) < 2 or name in sys.argv[1:])
