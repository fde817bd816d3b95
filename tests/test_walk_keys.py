"""Keys of one's own that are none: told at the start, and what they were for keeps its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.frame_stage import play
from tests.pilot import told_by, until
from tui.app import PoemApp
from tui.commands import nearest_keys, unknown_ids
from tui.settings import Settings, is_key, read_settings
from tui.start import Start


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("bogus", None),
        ("ctrl+enterr", "ctrl+enter"),
        ("F5", "f5"),
        ("ctrl-s", "ctrl+s"),
        ("ctrl+F", "ctrl+f"),
        ("ctrl+ctrl+a", None),
        ("page_up", "pageup"),
        ("<any>", None),
        ("", None),
    ],
)
def test_what_is_no_key(name: str, near: str | None) -> None:
    assert not is_key(name)
    assert nearest_keys(name) == near


@pytest.mark.parametrize(
    "name", ["?", "question_mark", "+", "a", "A", "春", "ctrl+s", " f5 ", "shift+tab", "space", "ctrl+underscore"]
)
def test_what_is_a_key(name: str) -> None:
    assert is_key(name)


def settings(tmp_path: Path, *lines: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text("\n".join(("[keys]", *lines)) + "\n", encoding="utf-8")
    return read_settings(path)


def test_one_message_tells_where_and_what_and_how_to_mend_it(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    found = settings(tmp_path, '"runs.path" = "v,bogus"', '"runs.sort" = "g"')
    assert (found.keys, found.wrong_keys) == ({"runs.path": "", "runs.sort": "g"}, {"runs.path": "v,bogus"})
    assert unknown_ids(found) == (
        f"{path}: [keys] gives runs.path the key v,bogus, which there isn't. It keeps its own. "
        "A key is a character or has a name, such as f5, ctrl+s, comma; commas separate several."
    )
    found = settings(tmp_path, '"runs.pth" = "v"', '"runs.sort" = "ctrl+enterr"')
    assert unknown_ids(found).splitlines() == [
        f"{path}: [keys] names runs.pth, which nothing is called. Did you mean runs.path?",
        f"{path}: [keys] gives runs.sort the key ctrl+enterr, which there isn't. It keeps its own. "
        "Did you mean ctrl+enter?",
    ]
    assert unknown_ids(settings(tmp_path, '"runs.path" = "v,?"')) == ""


def test_an_action_whose_key_is_none_keeps_its_own(tmp_path: Path) -> None:
    known = settings(tmp_path, '"pane.runs" = "bogus"', '"pane.train" = "v"')
    app = PoemApp(Start(), runs_dir=tmp_path / "runs", settings=known, state_dir=tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        assert "the key bogus, which there isn't" in told_by(app)[0]
        await pilot.press("escape", "5")
        await until(pilot, lambda: app.pane == "runs")
        await pilot.press("v")
        await until(pilot, lambda: app.pane == "train")

    play(app, steps)
