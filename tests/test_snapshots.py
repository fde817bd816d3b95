"""A few whole screens, character by character: what moves on them moves on purpose.

`POEMTUI_SNAPSHOTS=write pytest tests/test_snapshots.py` writes them anew; read them before you commit them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core import i18n
from tests.frame_stage import make_app, play
from tests.pilot import lines_of, settle

HERE = Path(__file__).parent / "snapshots"
_MACHINE = re.compile(r"  RAM [\d.]+/[\d.]+ GB")


@pytest.mark.parametrize(
    ("name", "language", "size", "keys"),
    [
        ("data", "en", (80, 24), ["down", "down"]),
        ("profile", "zh-Hans", (80, 24), ["2", *["down"] * 5]),
        ("complete", "zh-Hant", (120, 40), ["4"]),
    ],
)
def test_a_screen(tmp_path: Path, name: str, language: str, size: tuple[int, int], keys: list[str]) -> None:
    i18n.use(language)
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(*keys)
        await settle(pilot)
        seen = "\n".join(_MACHINE.sub("", line).rstrip() for line in lines_of(app)) + "\n"
        file = HERE / f"{name}.txt"
        if os.environ.get("POEMTUI_SNAPSHOTS") == "write":
            file.write_text(seen, encoding="utf-8")
        assert seen == file.read_text(encoding="utf-8")

    play(app, steps, size)
