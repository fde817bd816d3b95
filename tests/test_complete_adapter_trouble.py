"""What a person or the disk breaks off while the Complete pane is at work: the rest is kept, and the next one works."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.complete_stage import GIVEN, REST, Stage, complete, make_finished_run, play, settle, type_line
from tests.pilot import until
from tui.panes.completion_field import FirstLines


def test_several_candidates_stopped_midway_are_kept_as_stopped(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, "tang")

    async def steps(pilot: Pilot[None]) -> None:
        app.complete_pane.use_run(run.id)
        await type_line(pilot, GIVEN)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.fake.requests) == 1)
        app.fake.say("欲窮")
        await until(pilot, lambda: app.text.count("2 characters …") > 1)
        await pilot.press("escape")
        await until(pilot, lambda: app.fake.closed == 1)
        await settle(pilot)
        entry = app.complete_pane._entries[0]
        assert [(poem.text, poem.stop) for poem in entry.poems] == [("欲窮", "stopped")] * 6
        assert "stopped after 2 characters" in app.text and "writing" not in app.said("status")
        app.query_one(FirstLines).value = ""
        await complete(pilot)
        assert [poem.stop for poem in app.complete_pane._entries[0].poems] == ["end"] * 6
        assert app.complete_pane._entries[1] == entry and app.said("problem") == ""

    app = Stage(tmp_path)
    play(app, steps, (120, 40), "generation.count=3")


def test_escape_stops_what_the_model_has_not_been_asked_yet(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app.complete_pane.query_one(FirstLines).value = GIVEN
        app.complete_pane.action_write()
        assert app.complete_pane.check_action("cancel", ())
        app.complete_pane.action_cancel()  # before the worker has had a turn
        await settle(pilot)
        assert not app.complete_pane._writing and app.fake.requests == []
        assert "writing" not in app.said("status")
        app.query_one(FirstLines).value = ""
        await complete(pilot)
        assert REST in app.text

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "can't save the poem: No space left on device"),
        (errno.EROFS, "can't save the poem: Read-only file system"),
        (errno.EACCES, "can't save the poem: Permission denied"),
        (0, "This is no JSONL file: it is no ordinary file."),
    ],
)
def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, code: int, words: str) -> None:
    path = tmp_path / "poems.jsonl"
    if code:
        path.write_text('{"input": "上"}\n', encoding="utf-8")
    else:
        path.symlink_to("/dev/full")
    write, open_ = os.write, os.open

    def refuse_write(descriptor: int, data: bytes) -> int:
        if code == errno.ENOSPC and REST.encode() in data:
            write(descriptor, data[:10])  # a part of it gets there
            raise OSError(code, os.strerror(code))
        return write(descriptor, data)

    def refuse_open(name: Any, *arguments: Any, **options: Any) -> int:
        if code in (errno.EROFS, errno.EACCES) and name == path:
            raise OSError(code, os.strerror(code))
        return open_(name, *arguments, **options)

    async def steps(pilot: Pilot[None]) -> None:
        await complete(pilot)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "write", refuse_write)
            patch.setattr(os, "open", refuse_open)
            await pilot.press("ctrl+s")
            await settle(pilot)
            app.screen.query_one(Input).value = str(path)
            await pilot.press("enter")
            await until(pilot, lambda: bool(app.told))
        told = app.told[0]
        assert len(app.told) == 1 and str(path) in told and words in told and "Choose another file: S." in told
        if code:
            assert path.read_text(encoding="utf-8") == '{"input": "上"}\n'
        # It is asked for the file again, and another one does.
        await pilot.press("ctrl+s")
        await settle(pilot)
        app.screen.query_one(Input).value = str(tmp_path / "other.jsonl")
        await pilot.press("enter")
        await until(pilot, lambda: len(app.told) == 2)
        assert json.loads((tmp_path / "other.jsonl").read_text(encoding="utf-8"))["output"] == REST

    app = Stage(tmp_path / "runs")
    play(app, steps)
