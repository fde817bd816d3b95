"""The Data pane while rows are still coming: a file that is read or indexed, a search that goes on."""

from __future__ import annotations

import asyncio
import json
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.data_pane import PaneApp, drive, field, poem_file, poem_rows, write_rows
from tests.pilot import running, settle, until
from tui.panes import dataset_reading


def test_a_large_file_is_looked_at_while_it_is_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.data import browse

    may_go_on = threading.Event()
    index = browse.IndexedRows.index
    monkeypatch.setattr(browse, "INDEXED_BYTES", 1)
    monkeypatch.setattr(browse, "_CHUNK_BYTES", 4096)
    monkeypatch.setattr(dataset_reading, "_TELL_S", 0.0)

    def slowly(self: browse.IndexedRows, go_on: object) -> None:
        assert may_go_on.wait(60)
        index(self, go_on)  # type: ignore[arg-type]

    monkeypatch.setattr(browse.IndexedRows, "index", slowly)
    file = write_rows(tmp_path / "large.jsonl", *(poem_rows() * 500))

    async def run() -> None:
        app = PaneApp(str(file))
        async with running(app) as pilot:
            app.pane.focus_pane()
            while app.rows.cursor is None:
                await pilot.pause(0.01)
            known = app.data_state.rows
            assert 0 < known < 2000 and not app.data_state.complete
            await pilot.press("down", "down")
            await pilot.pause()
            assert f"{known} rows so far" in app.flat and "望廬山瀑布" in app.flat
            app.pane.go_to_row(1999)  # not there yet
            may_go_on.set()
            await until(pilot, lambda: app.data_state.complete)
            await settle(pilot)
            assert (app.data_state.rows, app.pane.state()["row"]) == (2000, 1999)
            assert "2,000 rows" in app.flat
            await pilot.press("slash", "曉")
            await settle(pilot)
            assert "500 of 2,000 rows" in app.flat

    asyncio.run(run())


def test_an_array_is_shown_while_it_is_read_and_what_is_wrong_with_it_told_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.data import array_rows

    may_go_on = threading.Event()
    read = array_rows.ReadRows._read

    def slowly(self: array_rows.ReadRows) -> None:
        assert may_go_on.wait(60)
        read(self)

    monkeypatch.setattr(array_rows, "EARLY_BYTES", 0)
    monkeypatch.setattr(array_rows.ReadRows, "_read", slowly)
    whole, cut = tmp_path / "whole.json", tmp_path / "cut.json"
    whole.write_text(json.dumps(poem_rows() * 500), encoding="utf-8")
    cut.write_text(json.dumps(poem_rows() * 500)[:-3], encoding="utf-8")

    async def run() -> None:
        app = PaneApp(str(whole))
        async with running(app) as pilot:
            app.pane.focus_pane()
            await until_shown(pilot, app, "100 rows so far")
            await pilot.press("down", "down")
            may_go_on.set()
            await until(pilot, lambda: app.data_state.complete)
            await until(pilot, lambda: "2,000 rows" in app.flat)
            lines = app.text.splitlines()
            head = next(line for line in lines if "author" in line and "author:" not in line)
            row = next(line for line in lines if "李白" in line and "author:" not in line)
            assert app.rows.cursor == 2 and head.index("author") == row.index("李白")
            may_go_on.clear()
            app.pane.open_file(str(cut))
            await until_shown(pilot, app, "100 rows so far")
            may_go_on.set()
            await until(pilot, lambda: "the JSON ends early" in app.flat)
            assert app.pane.file is None and "so far" not in app.flat

    asyncio.run(run())


def test_an_array_that_is_replaced_by_a_shorter_one_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.data import array_rows

    may_go_on = threading.Event()
    read = array_rows.ReadRows._read

    def slowly(self: array_rows.ReadRows) -> None:
        assert may_go_on.wait(60)
        read(self)

    monkeypatch.setattr(array_rows, "EARLY_BYTES", 0)
    monkeypatch.setattr(array_rows.ReadRows, "_read", slowly)
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(poem_rows() * 500), encoding="utf-8")

    async def run() -> None:
        app = PaneApp(str(file))
        async with running(app) as pilot:
            app.pane.focus_pane()
            await until_shown(pilot, app, "100 rows so far")
            await pilot.press("end")
            file.write_text(json.dumps(poem_rows()[:3]), encoding="utf-8")
            may_go_on.set()
            await until(pilot, lambda: app.data_state.complete)
            await until(pilot, lambda: " 3 rows" in app.flat)
            assert (app.rows.cursor, app.pane.state()["row"]) == (2, 2)
            await pilot.press("up", "down")
            assert app.rows.cursor == 2

    asyncio.run(run())


async def until_shown(pilot: Pilot[None], app: PaneApp, text: str) -> None:
    """Let the app work until a text is on the screen, while its threads wait."""
    while text not in app.flat:
        await pilot.pause(0.01)


def test_rows_that_are_found_later_leave_the_cursor_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.data import search

    may_go_on = threading.Event()
    monkeypatch.setattr(dataset_reading, "_TELL_S", 0.0)

    def slowly(self: search.Finder, query: search.Query, go_on: object) -> Iterator[array[int]]:
        yield array("L", [0, 2])
        assert may_go_on.wait(60)
        yield array("L", [0, 2, 3])

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        monkeypatch.setattr(search.Finder, "is_quick", False)
        monkeypatch.setattr(search.Finder, "search", slowly)
        field(app).value = "月"
        while len(app.pane.order) != 2:
            await pilot.pause(0.01)
        await pilot.press("down")
        await pilot.pause()
        assert "2 of 4 rows …" in app.flat
        may_go_on.set()
        await until(pilot, lambda: app.pane.found_all)
        assert (list(app.pane.order), app.rows.cursor) == ([0, 2, 3], 1)
        assert "3 of 4 rows …" not in app.flat and "3 of 4 rows" in app.flat

    drive(poem_file(tmp_path), steps)
