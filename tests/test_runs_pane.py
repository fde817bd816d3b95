"""The Runs pane: which runs it shows and how, filter, order, details, comparison, and runs that anybody may write."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input, Static

from core import i18n
from core.runs import queue
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import (
    Note,
    RunFailed,
    RunPaused,
    RunQueued,
    RunStopped,
    SampleMade,
    StepDone,
    to_line,
)
from core.runs.facts import Origin
from core.runs.lock import lock_run
from core.runs.view import RunView
from tests.pilot import settle
from tests.runs_stage import LUNAR, SONG, TANG, Stage, finished, learnt, look, play, started, until, write_run
from tui.panes.runs_table import ORDERS, Listed, Wanted, fit_table, list_runs_wanted
from tui.widgets.row_list import lay_out
from tui.workbench import RunSeen

SIZES = [(80, 24), (120, 40), (200, 60)]
HOSTILE = "[/] 夜[bold]雨[@click=app.quit]寄北\u202e\x1b[2J"


def make_three(runs_dir: Path) -> tuple[RunDirectory, RunDirectory, RunDirectory]:
    """One that finished, one that failed, one that died; each with other losses."""
    return (
        write_run(runs_dir, TANG, *finished(TANG, 4.5)),
        write_run(runs_dir, SONG, started(SONG), *learnt(10, 6.0, 4.25), RunFailed("no memory", "halve it", "step 10")),
        write_run(runs_dir, LUNAR, started(LUNAR), StepDone(3, 0.5, 5.5, 1e-3, 1.0, 100, 200.0, 0.5)),
    )


@pytest.mark.parametrize("size", SIZES)
def test_the_table_tells_how_each_run_stands(tmp_path: Path, size: tuple[int, int]) -> None:
    make_three(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        text = [" ".join(line.strip("│").partition("│")[0].split()) for line in app.lines]
        head = next(line for line in text if line.startswith("run started▾ state"))
        assert head.startswith("run started▾ state steps training held-out time")
        at = text.index(head)
        assert text[at + 1].startswith("› lunar 11-24 10:15 died 3/40 5.500 - 0:01")
        assert text[at + 2].startswith("song 11-24 10:15 failed 10/40 6.000 - → 4.250 0:04")
        assert text[at + 3].startswith("tang 11-24 10:15 finished 40/40 5.000 5.250 → 4.500 0:05")
        columns = [line.index("11-24") for line in app.lines[at + 1 : at + 4]]
        assert columns == [app.lines[at].index("started▾")] * 3
        assert all(cell_len(line) <= size[0] for line in app.lines)
        assert app.focused is app.list

    app = Stage(tmp_path)
    play(app, steps, size)


def test_details_tell_why_it_ended_and_what_is_there(tmp_path: Path) -> None:
    tang, song, _lunar = make_three(tmp_path)
    (song.checkpoint_path(10) / "adapter").mkdir(parents=True)
    song.adapter_path.mkdir()
    song.best_path.symlink_to("../checkpoints/step-000010/adapter")
    (tang.adapter_path).mkdir()
    (tang.adapter_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    (tang.path / "console.log").write_bytes(bytes(2_000_000))
    with EventLog(tang.events_path) as log:
        log.append(Note("template: chatml"))
        log.append(SampleMade(40, "白日依山盡", "更上\x1b[2J一[/]層樓。"))

    async def steps(pilot: Pilot[None]) -> None:
        assert app.detail.startswith(f"{LUNAR}  died\nIts process is gone and left no last word. It has no checkpoint")
        await pilot.press("down")
        await settle(pilot)
        lines = app.detail.splitlines()
        assert lines[:3] == [f"{SONG}  failed", "step 10: no memory", "halve it"]
        assert "held-out loss  - before, 4.250 now" in lines
        assert "training loss  6.000 smoothed · 6.000 at the last step" in lines
        assert "data           builtin:tang-sample · 380 rows train · 20 held out" in lines
        assert "on disk        checkpoints 10★ · 0.0 MB" in lines
        assert str(song.path) in lines
        assert lines[lines.index("what it did last") + 1] == "failed: step 10: no memory"
        await pilot.press("end")
        await settle(pilot)
        lines = app.detail.splitlines()
        assert lines[0] == f"{TANG}  finished"
        assert "on disk        adapter · 2.0 MB" in lines
        assert lines[lines.index("samples") + 1 : lines.index("notes") + 2] == [
            "step 40: 白日依山盡",
            "更上␛[2J一[/]層樓。",
            "notes",
            "template: chatml",
        ]

    app = Stage(tmp_path)
    play(app, steps)


def test_runs_that_wait_say_what_for(tmp_path: Path) -> None:
    paused = write_run(tmp_path, TANG, started(TANG), RunPaused(3, "disk", "no room[/]"))
    ended = write_run(tmp_path, SONG, started(SONG), RunStopped(4, "SIGTERM"))
    waiting = write_run(tmp_path, LUNAR, RunQueued("cpu", TANG))
    queue.join(waiting, "cpu")

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "queued 1" in app.text)
        assert "It waits for its device, but its process is gone. r starts another one" in app.detail
        with lock_run(waiting, patience_s=0):
            app.runs_pane._look_at_queue()
            await until(pilot, lambda: f"It waits for its device, which {TANG} had when it came." in app.detail)
        await pilot.press("down")
        await settle(pilot)
        assert "It was asked to end (SIGTERM). It has no checkpoint: r starts it from its beginning." in app.detail
        await pilot.press("down")
        await settle(pilot)
        assert app.detail.splitlines()[:2] == [f"{TANG}  paused: disk", "no room[/]"]

    app = Stage(tmp_path)
    with lock_run(paused, patience_s=0):
        play(app, steps)
    assert ended.path.is_dir()


def test_the_cursor_stays_on_its_run_while_others_come_and_go(tmp_path: Path) -> None:
    tang, song, _lunar = make_three(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("end")
        assert app.under_cursor == TANG
        write_run(tmp_path, "20261124-101509-new", started("20261124-101509-new"))
        await look(pilot)
        assert (app.under_cursor, app.list.cursor, len(app.ids)) == (TANG, 3, 4)
        song.path.rename(tmp_path / "gone")
        await look(pilot)
        assert (app.under_cursor, app.list.cursor) == (TANG, 2)
        tang.path.rename(tmp_path / "gone too")
        await look(pilot)
        assert (app.under_cursor, app.list.cursor) == (LUNAR, 1)

    app = Stage(tmp_path)
    play(app, steps)


def test_filter(tmp_path: Path) -> None:
    make_three(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        assert not app.query_one("#runs-filter").display
        await pilot.press("slash", *"FAIL", "space", *"tiny")
        await settle(pilot)
        assert app.ids == [SONG]
        assert "1 of 3" in app.text
        await pilot.press("x")
        await settle(pilot)
        assert "No run holds that. Escape shows them all." in app.text
        await pilot.press("backspace", "enter")
        await settle(pilot)
        assert app.focused is app.list
        assert (app.ids, app.query_one("#runs-filter").display) == ([SONG], True)
        await pilot.press("escape")
        await settle(pilot)
        assert app.ids == [LUNAR, SONG, TANG]
        assert not app.query_one("#runs-filter").display
        await pilot.press("slash", *"tang", "escape")
        await settle(pilot)
        assert (app.focused, app.query_one(Input).value) == (app.list, "tang")
        assert len(app.ids) == 3  # the base is builtin:tang-tiny

    app = Stage(tmp_path)
    play(app, steps)


def listed(tmp_path: Path) -> tuple[RunSeen, ...]:
    def seen(run_id: str, **known: object) -> RunSeen:
        return RunSeen(RunView(run_id, **known), tmp_path / run_id, str(known["status"]))  # type: ignore[arg-type]

    return (
        seen("20261124-101503-a", status="finished", evals=((0, 1.0), (5, 3.0), (9, 4.0)), loss_sum=2.0, loss_weight=1),
        seen("20261124-101502-c", status="running", evals=((5, 2.0),), worked_s=9.0),
        seen("20261124-101501-b", status="queued", worked_s=20.0, loss_sum=1.0, loss_weight=1),
    )


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("newest", "acb"),
        ("name", "abc"),
        ("state", "cba"),
        ("loss", "cab"),
        ("train", "bac"),
        ("time", "bca"),
        ("base", "bac"),
        ("data", "cab"),
        ("no such order", "acb"),
    ],
)
def test_orders(tmp_path: Path, order: str, names: str) -> None:
    origins = {
        "20261124-101503-a": Origin("b/b", "z/b.json"),
        "20261124-101502-c": Origin("", "z/a.json"),
        "20261124-101501-b": Origin("c/a", ""),
    }
    found = list_runs_wanted(listed(tmp_path), Wanted(order=order), origins=origins, places={}, marked=())
    assert "".join(run.seen.id[-1] for run in found) == names


def test_the_order_is_chosen_from_a_list_and_shown(tmp_path: Path) -> None:
    make_three(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("s", *(["down"] * [order.name for order in ORDERS].index("loss")), "enter")
        await settle(pilot)
        assert app.ids == [SONG, TANG, LUNAR]
        assert "held-out▾" in app.text
        assert app.runs_pane.state() == {"query": "", "order": "loss", "run": LUNAR}

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("state", [{}, {"query": 3, "order": [], "run": {}}, {"order": "of old", "run": "gone"}])
def test_any_state_is_borne(tmp_path: Path, state: dict[str, object]) -> None:
    make_three(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        app.runs_pane.restore(state)
        await settle(pilot)
        assert app.ids == [LUNAR, SONG, TANG]
        app.runs_pane.restore({"query": "ang", "order": "name", "run": TANG})
        await settle(pilot)
        assert (app.query_one(Input).value, app.ids, app.under_cursor) == ("ang", [LUNAR, SONG, TANG], TANG)

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("width", [32, 50, 78, 100, 130])
def test_columns_fit_every_width(tmp_path: Path, width: int) -> None:
    runs = [Listed(seen, base="Qwen2-1.5B", data="唐詩訓練資料" * 9) for seen in listed(tmp_path)]
    long_named = replace(runs[0].seen.view, id="20261124-101503-" + "x" * 60)
    runs[0] = replace(runs[0], seen=runs[0].seen._replace(view=long_named))
    table = fit_table(runs, ORDERS[0], width)
    lines = [lay_out(table.head()), *(lay_out(table.line(run)) for run in runs)]
    assert len({cell_len(line) for line in lines}) == 1
    assert cell_len(lines[0]) < width
    names = [column.name for column, _cells in table.columns]
    assert names[:2] == ["mark", "run"] and "state" in names
    assert ("data" in names) == (width >= 130)


def test_nothing_is_painted_again_that_has_not_changed(tmp_path: Path) -> None:
    make_three(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        shown: list[int] = []
        show = app.list.show
        app.list.show = lambda *given, **named: (shown.append(1), show(*given, **named))  # type: ignore[assignment]
        for _turn in range(3):
            await look(pilot)
        assert shown == []
        with EventLog(tmp_path / LUNAR / "events.jsonl") as log:
            log.append(StepDone(4, 0.5, 5.5, 1e-3, 1.0, 100, 200.0, 0.5))
        await look(pilot)
        assert shown == [1]

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("lang", ["en", "zh-Hans"])
def test_an_empty_directory_says_how_to_begin(tmp_path: Path, lang: str) -> None:
    i18n.use(lang)

    async def steps(pilot: Pilot[None]) -> None:
        said = str(app.query_one("#runs-none", Static).render())
        assert str(tmp_path / "none") in said
        assert " s" in said or "s " in said
        assert app.query_one("#runs-none").display and not app.list.display
        for key in "arxpdyl":
            await pilot.press(key)
        assert app.told == []  # what is seen says it all

    app = Stage(tmp_path / "none")
    play(app, steps)


def test_a_runs_directory_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def steps(pilot: Pilot[None]) -> None:
        assert "A file is in the way: a directory is needed here." in " ".join(app.text.split())

    app = Stage(tmp_path / "file")
    play(app, steps)


@pytest.mark.parametrize("size", SIZES[:2])
def test_runs_that_anybody_wrote(tmp_path: Path, size: tuple[int, int]) -> None:
    tang = write_run(tmp_path, TANG, started(TANG, base=HOSTILE), SampleMade(1, HOSTILE, HOSTILE + "長" * 100_000))
    with EventLog(tang.events_path) as log:
        log.append(RunFailed(HOSTILE, HOSTILE, HOSTILE))
    tang.profile_path.write_text(f"[data]\npath = {'[/]夜'.encode().decode()!r}\n", encoding="utf-8")
    song = write_run(tmp_path, SONG, started(SONG), StepDone(1, 0.5, float("nan"), 1e-3, 1.0, 100, 200.0, 0.5))
    song.profile_path.unlink()
    os.mkfifo(song.profile_path)
    write_run(tmp_path, LUNAR).path.chmod(0o777)
    (tmp_path / "20261124-101509-link").symlink_to(tang.path)
    (tmp_path / "20261124-101508-file").touch()
    (tmp_path / "20261124-101507-foreign" / "checkpoints" / "x").mkdir(parents=True)
    (tmp_path / ".trash").mkdir()
    (tmp_path / "notes").mkdir()

    async def steps(pilot: Pilot[None]) -> None:
        assert app.ids == ["20261124-101507-foreign", LUNAR, SONG, TANG]
        await pilot.press("down")
        await settle(pilot)
        assert "unreadable" in app.text
        assert "Every user of this machine may write in this directory" in app.detail
        await pilot.press("enter", "r", "p")
        assert app.asked("train") == [] and all("Every user" in told for told in app.told)
        await pilot.press("end")
        await settle(pilot)
        assert "[/] 夜[bold]雨[@click=app.quit]寄北" in app.detail and "夜[bold]雨" in app.text
        assert "\x1b" not in app.text and "\u202e" not in app.text
        assert app.runs_pane.origins[TANG] == Origin("", "[/]夜")
        assert app.runs_pane.origins[SONG] == Origin()
        assert all(cell_len(line) <= size[0] for line in app.lines)

    app = Stage(tmp_path)
    play(app, steps, size)


def test_two_hundred_runs_and_a_long_one(tmp_path: Path) -> None:
    for number in range(199):
        write_run(tmp_path, f"20261124-{100000 + number}", started("x"))
    long = write_run(tmp_path, "20261125-000000-long", started("long", steps=9000))
    with long.events_path.open("a", encoding="utf-8") as file:
        for step in range(1, 9001):
            file.write(to_line(StepDone(step, 0.5, 4.0, 1e-3, 1.0, 100, 200.0, 0.5), 1000.0) + "\n")
        file.write("[" * 50_000 + "\n")

    async def steps(pilot: Pilot[None]) -> None:
        made: list[int] = []
        cells = app.runs_pane._cells
        await until(pilot, lambda: "9000/9000" in app.text and len(app.ids) == 200)
        app.list.show(200, lambda index: (made.append(index), cells(index))[1])
        await pilot.press("end")
        assert app.under_cursor == "20261124-100000"
        assert len(set(made)) < 60

    app = Stage(tmp_path)
    play(app, steps)


def test_a_held_out_loss_that_is_no_number_sorts_last(tmp_path: Path) -> None:
    nan = RunSeen(RunView(TANG, evals=((5, float("nan")),)), tmp_path, "died")
    good = RunSeen(RunView(SONG, evals=((5, 3.0),)), tmp_path, "died")
    found = list_runs_wanted((nan, good), Wanted(order="loss"), origins={}, places={}, marked=())
    assert [run.seen.id for run in found] == [SONG, TANG]
