"""The Train pane: which run it shows and how, at every size; what it reads, how often it paints, and hostile runs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from core import i18n
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog
from core.runs.events import Note, RunFailed, RunPaused, RunQueued, RunStopped, SampleMade
from core.runs.lock import lock_run
from core.runs.view import RunView
from tests.pilot import settle
from tests.train_stage import (
    GIVEN,
    LUNAR,
    REST,
    SONG,
    TANG,
    Stage,
    at_work,
    finished,
    look,
    make_run,
    play,
    started,
    step,
    until,
)
from tui.panes import training_words as words
from tui.panes.training_console import mark_of, read_tail
from tui.panes.training_reading import ReadingPane
from tui.run_track import RunTrack
from tui.widgets.loss_chart import LossChart
from tui.widgets.small_chart import SmallChart

SIZES = [(80, 24), (120, 40), (200, 60)]
HOSTILE = "[/] 夜[bold]雨[@click=app.quit]寄北\u202e\x1b[2J"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["en", "zh_Hans", "zh_Hant"])
def test_a_run_is_shown_at_every_size(tmp_path: Path, size: tuple[int, int], language: str) -> None:
    make_run(tmp_path, TANG, *finished(TANG))
    i18n.use(language)

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.train.track is not None)
        assert all(cell_len(line) <= size[0] for line in app.lines)
        assert REST in app.text
        status = app.said("status")
        assert "4/4" in status and "5.250 → 4.125" in status
        assert app.focused is app.query_one(LossChart)
        if language == "en":
            assert status.splitlines()[0].startswith("tang  finished  step 4/4 (100 %)  epoch 0.20/2  0:11 at work")
            assert "loss 4.000  smoothed 4.417" in status
            assert ("best 4.125 at step 4" in status) == (not app.train.has_class("-narrow"))

    app = Stage(tmp_path)
    play(app, steps, size)


def test_without_a_run_it_says_what_s_would_do(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        assert "Open a profile first (2)" in app.text
        app.set_profile("data.path='poems[/].json'", "model.base='my/base'")
        await settle(pilot)
        said = " ".join(app.said("empty").split())
        assert f"No run is kept in {tmp_path} yet." in said
        assert "with the profile tang.toml: it teaches my/base with poems[/].json." in said
        app.train.follow("nothing[/]")
        await settle(pilot)
        assert "There is no run nothing[/]." in app.said("empty")
        make_run(tmp_path, TANG, *finished(TANG))
        await look(pilot)
        assert not app.train.has_class("-empty")

    app = Stage(tmp_path)
    play(app, steps)


def test_the_newest_run_at_work_is_followed(tmp_path: Path) -> None:
    make_run(tmp_path, TANG, *finished(TANG))
    make_run(tmp_path, LUNAR, *finished(LUNAR))

    async def steps(pilot: Pilot[None]) -> None:
        followed = lambda: app.train.followed.id if app.train.followed else ""  # noqa: E731
        assert followed() == LUNAR
        await pilot.press("comma", "comma")
        await settle(pilot)
        assert followed() == TANG
        await pilot.press("comma")
        assert app.told[-1] == "There is no older run."
        assert "run 1 of 3" not in app.text and "run 1 of 2" in app.text
        await pilot.press("full_stop")
        assert followed() == LUNAR
        await pilot.press("full_stop")
        assert app.told[-1] == "There is no newer run."
        with at_work(tmp_path, SONG):
            app.train.wanted = ""
            await look(pilot)
            assert (followed(), app.status) == (SONG, "running")
        await until(pilot, lambda: app.status == "died")
        assert "It has no checkpoint: r starts it from its beginning." in app.said("note")
        for asked, found in ((TANG[:-2], TANG), ("last", LUNAR), ("2026", LUNAR), (TANG, TANG)):
            app.train.follow(asked)
            assert followed() == found, asked

    app = Stage(tmp_path)
    play(app, steps)


def test_runs_are_chosen_from_a_list(tmp_path: Path) -> None:
    make_run(tmp_path, TANG, *finished(TANG))
    make_run(tmp_path, LUNAR, started(LUNAR), RunStopped(0, "stop"))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("f")
        await settle(pilot)
        assert "lunar  stopped 0/40 0 %" in app.text and "tang  finished 4/4 100 %" in app.text
        await pilot.press("down", "enter")
        await settle(pilot)
        assert app.train.followed is not None and app.train.followed.id == TANG

    app = Stage(tmp_path)
    play(app, steps)


def test_panels_change_by_key(tmp_path: Path) -> None:
    run = make_run(tmp_path, TANG, *finished(TANG), Note("a note"))
    run.console_path.write_text("first\nold\rnew[/]\n", encoding="utf-8")

    async def steps(pilot: Pilot[None]) -> None:
        assert f"step 4\n{GIVEN}\n{REST}\n\nstep 2\n" in app.said("samples-text")
        assert not app.query_one("#train-figures").display
        await pilot.press("d")
        await settle(pilot)
        assert app.query_one("#train-figures").display
        assert "learning rate" in app.text and "1.50 GB" in app.text and "tokens/s" in app.text
        await pilot.press("d")
        await settle(pilot)
        lines = app.said("events-text").splitlines()
        assert lines[:2] == ["Nothing stands out.", "note: a note"]
        assert lines[2].startswith("finished after step 4")
        await pilot.press("d")
        await until(pilot, lambda: app.said("console-text") == "first\nnew[/]")
        assert app.train.state() == {"run": TANG, "panel": "console"}
        await pilot.press("d")
        assert app.train.panel == "samples"

    app = Stage(tmp_path)
    play(app, steps)


def test_a_wide_pane_shows_samples_and_figures_always(tmp_path: Path) -> None:
    make_run(tmp_path, TANG, *finished(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        for panel in ("events", "console", "events"):
            assert app.train.shown_panel == panel
            assert REST in app.text and "gradient norm" in app.text
            assert app.query_one(f"#train-{panel}").display
            await pilot.press("d")
            await settle(pilot)

    app = Stage(tmp_path)
    play(app, steps, (120, 40))


def test_what_was_followed_comes_back_unless_a_run_is_at_work(tmp_path: Path) -> None:
    make_run(tmp_path, TANG, *finished(TANG))
    make_run(tmp_path, LUNAR, *finished(LUNAR))

    async def steps(pilot: Pilot[None]) -> None:
        app.train.followed = None
        app.train.restore({"run": TANG, "panel": "events"})
        app.train._runs_changed()
        assert app.train.followed is not None and app.train.followed.id == TANG
        assert app.train.panel == "events"
        for odd in ({"run": 3, "panel": []}, {"run": "../x", "panel": "[/]"}, {}):
            app.train.restore(odd)
        assert app.train.panel == "events"
        with at_work(tmp_path, SONG):
            await look(pilot)
            assert app.train.followed.id == SONG

    app = Stage(tmp_path)
    play(app, steps)


def test_a_waiting_run_says_behind_whom(tmp_path: Path) -> None:
    make_run(tmp_path, TANG, RunQueued("cpu", HOSTILE))

    async def steps(pilot: Pilot[None]) -> None:
        assert app.status == "queued"
        assert "which [/] 夜[bold]雨" in " ".join(app.said("note").split())

    app = Stage(tmp_path)
    play(app, steps)


def test_why_it_waits_or_failed(tmp_path: Path) -> None:
    with at_work(tmp_path, TANG, started(TANG), step(1), RunPaused(1, "disk", "no room[/].")):

        async def paused(pilot: Pilot[None]) -> None:
            assert app.said("note") == "It waits: no room[/]. p lets it go on."
            assert "paused: disk" in app.said("status")

        app = Stage(tmp_path)
        play(app, paused)
    with EventLog(RunDirectory(tmp_path / TANG).events_path) as log:
        log.append(RunFailed("no memory[/]", "halve it", "step 2"))

    async def failed(pilot: Pilot[None]) -> None:
        assert app.said("note") == "step 2: no memory[/]\nhalve it"

    app = Stage(tmp_path)
    play(app, failed)


@pytest.mark.parametrize("size", SIZES)
def test_hostile_runs(tmp_path: Path, size: tuple[int, int]) -> None:
    run = make_run(
        tmp_path,
        TANG,
        started(TANG),
        Note(HOSTILE),
        SampleMade(1, HOSTILE, "x" * 100_000),
        SampleMade(1, GIVEN, "[red]夜雨[/red]\x1b]0;t\x07"),
        RunFailed(HOSTILE, HOSTILE, HOSTILE),
    )
    run.console_path.write_bytes(b"\xff\x1b[2J" + HOSTILE.encode() + b"\n" + b"y" * 100_000)

    async def steps(pilot: Pilot[None]) -> None:
        for _panel in range(4):
            await settle(pilot)
            assert "\x1b" not in app.text and "\u202e" not in app.text
            assert all(cell_len(line) <= size[0] for line in app.lines)
            await pilot.press("d")
        assert "[/] 夜[bold]雨" in app.said("note")

    app = Stage(tmp_path)
    play(app, steps, size)


def test_a_run_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path, TANG, *finished(TANG))
    run.path.chmod(0o777)

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(app.train.problem))
        assert app.said("note") == app.train.problem.strip()

    app = Stage(tmp_path)
    play(app, steps)
    run.path.chmod(0o700)


def test_the_console_is_read_without_following_links(tmp_path: Path) -> None:
    run = make_run(tmp_path, TANG)
    assert (mark_of(run), read_tail(run)) == ((-1, -1), ())
    secret = tmp_path / "secret"
    secret.write_text("secret\n", encoding="utf-8")
    run.console_path.symlink_to(secret)
    assert read_tail(run) == ()
    run.console_path.unlink()
    run.console_path.mkdir()
    assert read_tail(run) == ()
    run.console_path.rmdir()
    run.console_path.write_text("".join(f"line {number}\n" for number in range(10_000)) + "\n\n", encoding="utf-8")
    lines = read_tail(run)
    assert (len(lines), lines[-1], lines[0]) == (100, "line 9999", "line 9900")


def test_a_thousand_events_take_few_paintings(tmp_path: Path) -> None:
    painted: list[int] = []

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.status == "running")
        original = app.train.track_changed

        def counted() -> None:
            original()
            painted.append(app.train.track.view.step if app.train.track else 0)

        app.train.track_changed = counted  # type: ignore[method-assign]
        for number in range(2, 1002):
            played.log.append(step(number))
            if number % 50 == 0:
                await look(pilot)
        await until(pilot, lambda: bool(painted) and painted[-1] == 1001)
        assert len(painted) <= 10, painted

    with at_work(tmp_path, TANG, started(TANG, steps=2000), step(1)) as played:
        app = Stage(tmp_path)
        play(app, steps)


def test_a_later_reading_replaces_an_earlier_one() -> None:
    one, other = (ReadingPane.TrackRead(TANG, RunTrack(RunView(TANG)), "") for _number in range(2))
    assert other.can_replace(one)
    assert not other.can_replace(ReadingPane.ConsoleRead(TANG, (1, 1), ()))


def test_nothing_is_painted_when_nothing_changes(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.status == "running")
        await settle(pilot)
        app.train._show_charts()
        await settle(pilot)
        painted: list[object] = []
        for widget in app.train.walk_children():
            widget.refresh = lambda *regions, _of=widget, **_how: painted.append(_of)  # type: ignore[assignment,misc]
        for _time in range(3):
            app.train._read_s = -10.0
            app.train._read_soon()
            await look(pilot)
            app.train.track_changed()
            app.train._show_charts()
        assert painted == []

    with at_work(tmp_path, TANG):
        app = Stage(tmp_path)
        play(app, steps)


def test_a_long_run_is_shown_at_once(tmp_path: Path) -> None:
    run = make_run(tmp_path, TANG, started(TANG, steps=15_000))
    with EventLog(run.events_path) as log:
        for number in range(1, 15_001):
            log.append(step(number, 4 - number / 10_000))

    async def steps(pilot: Pilot[None]) -> None:
        began_s = time.perf_counter()
        await until(pilot, lambda: app.train.track is not None and app.train.track.view.step == 15_000)
        assert time.perf_counter() - began_s < 3.0
        assert "step 15000/15000" in app.text

    app = Stage(tmp_path)
    with lock_run(run):
        play(app, steps)


def test_a_pane_behind_others_reads_when_it_is_shown(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.status == "running")
        app.action_show("profile")
        await settle(pilot)
        played.log.append(step(2))
        await look(pilot)
        assert app.train.track is not None and app.train.track.view.step == 1
        app.action_show("train")
        await until(pilot, lambda: app.train.track is not None and app.train.track.view.step == 2)

    with at_work(tmp_path, TANG) as played:
        app = Stage(tmp_path)
        play(app, steps)


def test_small_charts_have_their_series(tmp_path: Path) -> None:
    make_run(tmp_path, TANG, *finished(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        await settle(pilot)
        found = {chart.id: chart._points for chart in app.query(SmallChart)}
        assert found["train-gradient"] == tuple((number, 0.5) for number in (1, 2, 3, 4))
        assert found["train-memory"] == tuple((number, 3.0 * 2**29) for number in (1, 2, 3, 4))
        chart = app.query_one(LossChart)
        assert [tuple(series.points) for series in chart._series][2] == ((0, 5.25), (4, 4.125))
        kinds = [(mark.step, mark.kind) for mark in chart._marks]
        assert kinds == [(2, "sample"), (4, "sample"), (2, "checkpoint"), (4, "best")]

    app = Stage(tmp_path)
    play(app, steps)


def test_words_and_figures() -> None:
    assert words.speed_words(1987.6) == "2,000"
    assert words.speed_words(43.21) == "43"
    assert words.gigabytes(3 * 2**29) == "1.50 GB"
    pieces = [("abc", ""), ("山水", ""), ("defgh", "")]
    assert [line.plain for line in words.in_lines(pieces, 9, most=2)] == ["abc  山水", "defgh"]
    assert [line.plain for line in words.in_lines(pieces, 9, most=1)] == ["abc  山水"]
    assert words.in_lines([], 9, most=1) == []
