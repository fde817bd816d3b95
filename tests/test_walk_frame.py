"""Small things over the panes: messages out of the way, a palette that does a thing once, fields to type in."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from textual.command import Command, CommandList
from textual.pilot import Pilot
from textual.widgets import Input
from textual.widgets._toast import Toast

from tests.frame_stage import make_app, play
from tests.pilot import lines_of, settle, until
from tests.profile_pane import TEXT, PaneApp, drive, field, press
from tests.runs_stage import TANG, Stage, started, write_run
from tests.runs_stage import play as play_runs
from tui.panes import profile_file
from tui.widgets.dialogs import Ask

_LONG = "/home/somebody/poems/profiles/tang.toml: there is no such file\nName one that is there."


def test_messages_are_small_and_at_the_lower_right(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("escape")
        app.notify("Copied.", markup=False, timeout=60)
        app.notify(_LONG, markup=False, severity="error", timeout=60)
        await until(pilot, lambda: len(app.screen.query(Toast)) == 2)
        await until(pilot, lambda: all(toast.region.width for toast in app.screen.query(Toast)))
        short, long = (toast.region for toast in app.screen.query(Toast))
        assert (short.width, short.height) == (len("Copied.") + 3, 1)
        assert long.width <= 44 and long.height == 3
        assert long.bottom == 23 and short.bottom == long.y  # the footer's line is free
        assert long.right >= 78 and short.right == long.right
        for number in range(20):
            app.notify(f"{number}", markup=False, timeout=60)
        await until(pilot, lambda: len(app.screen.query(Toast)) == 22)
        await pilot.pause()
        assert [number for number, line in enumerate(lines_of(app)) if "▌" in line] == [*range(13, 23)]

    play(app, steps)


def test_the_enter_key_pressed_twice_does_a_thing_once(tmp_path: Path) -> None:
    write_run(tmp_path, TANG, started(TANG))
    app = Stage(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p", *"copy the path of its")
        palette = app.screen

        def found() -> list[str]:
            options = palette.query_one(CommandList).options
            return [str(option.hit.text) for option in options if isinstance(option, Command)]

        await until(pilot, lambda: [text[:19] for text in found()] == ["Runs: Copy the path"])
        line = palette.query_one(Input)
        await line.action_submit()
        await line.action_submit()
        await line.action_submit()
        await until(pilot, lambda: app.screen is not palette and bool(app.copied))
        await pilot.pause()
        assert app.copied == [str(tmp_path / TANG)]

    play_runs(app, steps)


def test_what_is_typed_takes_the_place_of_what_is_offered(tmp_path: Path) -> None:
    file = tmp_path / "old.toml"
    file.write_text(TEXT, encoding="utf-8")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await press(pilot, "escape")
        app.pane.action_save_as()
        await settle(pilot)
        assert field(app).value == str(file) and field(app).selected_text == str(file)
        await press(pilot, "n", "e", "w")
        assert field(app).value == "new"
        await press(pilot, "escape")
        app.push_screen(Ask("Save as a row", value="poems.jsonl"))
        await press(pilot, "x")
        assert field(app).value == "x"

    drive(file, steps)


def test_a_disk_that_does_not_answer_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.toml"
    file.write_text(TEXT, encoding="utf-8")
    answers, asked = threading.Event(), []

    def slow(path: Path | None) -> tuple[int, int, int]:
        asked.append(threading.current_thread())
        answers.wait(2)
        return 1, 2, 3

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await settle(pilot)
        monkeypatch.setattr(profile_file, "_stamp_of", slow)
        begun_s = time.monotonic()
        app.pane._look_at_disk()
        app.pane._look_at_disk()
        assert time.monotonic() - begun_s < 1
        for _turn in range(100):
            await pilot.pause(0.01)
            if asked:
                break
        app.pane._look_at_disk()
        await pilot.press("x")
        assert app.editor.text.startswith("x")
        assert len(asked) == 1 and asked[0] is not threading.main_thread()
        monkeypatch.undo()
        answers.set()
        await until(pilot, lambda: len(app.screen_stack) == 2)  # it was changed, and here too
        assert not app.pane._looking

    drive(file, steps)


def test_what_was_seen_of_the_disk_before_a_save_is_no_change(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(TEXT, encoding="utf-8")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await press(pilot, "x")
        known = app.pane._stamp
        await press(pilot, "ctrl+s")
        assert app.pane._stamp != known
        app.pane.post_message(profile_file.FiledPane.DiskSeen(file, known, known))
        await settle(pilot)
        assert not any("another program" in note for note in app.notes)

    drive(file, steps)
