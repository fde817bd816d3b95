"""The review in the Data pane, driven by keys, with a model process that is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.client import ModelGone, Superseded
from core.errors import PoemError
from core.report.document import RowLinks, Section
from tests.data_pane import HOSTILE, PaneApp, drive, lines_of, poem_file, shown, typed, with_profile
from tests.pilot import settle, until
from tests.review_stage import LOSSES, PROFILE, SECTIONS, WHOLE, Reviewer, facts, with_reviewer
from tui.widgets.report_view import ReportView

WIDE, NARROW = (120, 40), (80, 24)


async def opened(app: PaneApp, pilot: Pilot[None]) -> Reviewer:
    """The whole review, the focus in it."""
    reviewer = with_reviewer(app)
    await pilot.press("v")
    await settle(pilot)
    assert app.focused is app.query_one(ReportView)
    return reviewer


@pytest.mark.parametrize("size", [WIDE, NARROW, (80, 60)])
def test_it_stands_beside_the_rows_or_in_their_place(tmp_path: Path, size: tuple[int, int]) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        for text in ("Review of poems.jsonl", "2 rows have some problem", "▾ Structure", "• author: 3"):
            assert text in app.flat, text
        assert ("靜夜思" in app.text) == (size == WIDE)
        await pilot.press("escape")
        await settle(pilot)
        assert app.focused is app.rows
        assert "靜夜思" in app.text
        assert ("▾ Structure" in app.text) == (size == WIDE)
        await pilot.press("v", "v")
        await settle(pilot)
        assert app.focused is app.rows
        assert "▾ Structure" not in app.text

    drive(poem_file(tmp_path), steps, size)


def test_sections_come_as_they_are_ready_and_no_key_waits(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        reviewer = with_reviewer(app, free=False)
        await pilot.press("v")
        await pilot.pause()
        assert "reviewing …" in app.text and "▾ Structure" not in app.text
        for title, missing in (("▾ Structure", "▾ Quality"), ("▾ Quality", "▾ Value")):
            reviewer.gate.release()
            await until(pilot, lambda title=title: title in app.text)  # type: ignore[misc]
            assert missing not in app.text
            assert app.findings is None
        await pilot.press("escape", "down", "down")
        await pilot.pause()
        assert app.rows.cursor == 2
        for _piece in range(3):
            reviewer.gate.release()
        await until(pilot, lambda: app.findings is not None)
        assert app.findings is not None
        assert (app.findings.facts, app.findings.path) == (facts(), app.path)
        assert app.findings.profile == PROFILE.format(path=app.path)
        assert [(one.path, one.profile, one.loss) for one in reviewer.asked] == [
            (app.path, PROFILE.format(path=app.path), False)
        ]

    drive(poem_file(tmp_path), steps, WIDE)


def test_enter_on_a_finding_shows_its_rows_and_escape_all(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        view = app.query_one(ReportView)
        while view.links is None:
            await pilot.press("down")
        await pilot.press("enter")
        await settle(pilot)
        assert list(app.pane.order) == [1, 3]
        assert "2 of 4 rows" in app.text
        assert shown(app, "#data-among") == (
            "esc: every row · "
            "2 rows: Nearly the same poem again: a variant, an excerpt, other characters or another author"
        )
        await pilot.press("escape")
        await settle(pilot)
        assert list(app.pane.order) == [1, 3]
        await pilot.press("slash")
        await typed(pilot, "春")
        assert list(app.pane.order) == [1, 3]
        await typed(pilot, "眠")
        assert list(app.pane.order) == [3]
        await pilot.press("escape", "escape")
        await settle(pilot)
        assert list(app.pane.order) == [3] and not app.query_one("#data-among").has_class("-some")
        await pilot.press("escape")
        await settle(pilot)
        assert (list(app.pane.order), app.rows.cursor) == ([0, 1, 2, 3], 3)

    drive(poem_file(tmp_path), steps, WIDE)


def test_in_a_narrow_terminal_a_finding_leads_to_the_rows(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        view = app.query_one(ReportView)
        await pilot.press("end")
        while view.links is None:
            await pilot.press("up")
        assert await pilot.click(ReportView, offset=(4, view.cursor or 0))
        await settle(pilot)
        assert (list(app.pane.order), app.focused) == ([0, 2], app.rows)
        assert "2 rows: The most surprising rows" in app.text
        await pilot.press("v", "end")
        while view.links is None or view.links.kind != "form:五絕":
            await pilot.press("up")
        await pilot.press("enter")
        await settle(pilot)
        assert list(app.pane.order) == [0]  # of that form, and the most surprising
        assert "2 rows: The most surprising rows · 2 rows: 五絕" in app.text

    drive(poem_file(tmp_path), steps, (80, 40))


def test_from_one_row_with_a_problem_to_the_next_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("full_stop")
        await pilot.pause()
        assert "There is no review of this file yet" in app.notes[-1]
        await opened(app, pilot)
        for key, row in (("full_stop", 1), ("full_stop", 3), ("full_stop", 1), ("comma", 3), ("comma", 1)):
            await pilot.press(key)
            await settle(pilot)
            assert (app.pane.number_here(), app.focused) == (row, app.rows), key
            assert not app.pane.has_class("-reviewing")
        await pilot.press("comma")
        await settle(pilot)
        found = shown(app, "#row-findings").splitlines()
        assert found == [
            "Nearly the same poem again: a variant, an excerpt, other characters or another author  like row 0",
            "Verse whose lines differ in length  lines of 5 and 6",
        ]
        await pilot.press("up")
        await settle(pilot)
        assert not app.query_one("#row-findings").display

    drive(poem_file(tmp_path), steps)


def test_rows_are_chosen_by_problem_and_form_together(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await pilot.press("f")
        await settle(pilot)
        offered = [str(option.prompt) for option in app.screen.query_one("OptionList").options]  # type: ignore[attr-defined]
        assert [line.split(": ")[:2] for line in offered] == [
            ["every row"],
            ["2 rows", "any problem"],
            ["2 rows", "Nearly the same poem again"],
            ["1 row", "Verse whose lines differ in length"],
            ["2 rows", "五絕"],
            ["1 row", "五律"],
            ["1 row", "七絕"],
        ]
        await pilot.press("down", "enter")
        await settle(pilot)
        assert list(app.pane.order) == [1, 3]
        await pilot.press("f", "down", "down", "down", "enter")  # the cursor was on "any problem"
        await settle(pilot)
        assert list(app.pane.order) == [3]
        assert shown(app, "#data-among") == "esc: every row · 2 rows: any problem · 2 rows: 五絕"
        await pilot.press("f", "home", "enter")
        await settle(pilot)
        assert list(app.pane.order) == [0, 1, 2, 3]

    drive(poem_file(tmp_path), steps)


def test_the_loss_of_each_row_is_a_column_and_an_order(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        reviewer = await opened(app, pilot)
        await pilot.press("escape", "l")
        await settle(pilot)
        assert [one.loss for one in reviewer.asked] == [False, True]
        assert "loss text" in shown(app, "#data-head")
        assert "  20  2.50 牀前" in lines_of(app)[2]
        await pilot.press("end", "l")
        await settle(pilot)
        assert list(app.pane.order) == [1, 0, 2, 3] and app.pane.number_here() == 1
        assert "↓loss" in shown(app, "#data-head")
        await pilot.press("l")
        await settle(pilot)
        assert list(app.pane.order) == [3, 2, 0, 1]
        assert app.pane.state()["sort"] == "loss"
        # A review with another rate keeps them, one of another base doesn't.
        with_profile(app, PROFILE.format(path=app.path) + "[train]\nlearning_rate = 0.001\n")
        await pilot.press("V")
        await settle(pilot)
        assert app.pane.findings is not None and app.pane.findings.losses == LOSSES
        with_profile(app, PROFILE.format(path=app.path).replace('"b"', '"c"'))
        await pilot.press("V")
        await settle(pilot)
        assert app.pane.findings.losses == {} and "loss" not in shown(app, "#data-head")
        assert [one.loss for one in reviewer.asked] == [False, True, False, False]

    drive(poem_file(tmp_path), steps)


def test_scoring_is_stopped_by_the_same_key(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        reviewer = with_reviewer(app, free=False)
        await pilot.press("l")
        await pilot.pause()
        await pilot.press("l")
        await until(pilot, lambda: reviewer.ended == 1)
        assert app.notes[-1] == "The base scores no more rows."
        assert app.pane.findings is None

    drive(poem_file(tmp_path), steps)


def test_rows_and_kinds_are_left_out_and_taken_back(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("d")
        await pilot.pause()
        assert "doesn't train on this file" in app.notes[-1]
        await opened(app, pilot)
        view = app.query_one(ReportView)
        await pilot.press("d")
        await pilot.pause()
        assert "Put the cursor on a problem" in app.notes[-1] and app.keys_set == []
        while view.links is None:
            await pilot.press("down")
        await pilot.press("d", "escape", "down", "d")
        await settle(pilot)
        assert app.keys_set == [{"data.exclude": ["near-duplicate"]}, {"data.exclude": [1]}]
        text = PROFILE.format(path=app.path)
        for before, after in (
            ('["bracket", 3]', ["bracket", 1, 3]),
            ("[1, 2]", [2]),
            ('["2-3", 0]', ["2-3", 0, 1]),
        ):
            with_profile(app, f"{text}exclude = {before}\n")
            await pilot.press("d")
            await pilot.pause()
            assert app.keys_set[-1] == {"data.exclude": after}
        with_profile(app, f'{text}exclude = ["near-duplicate"]\n')
        await settle(pilot)
        assert shown(app, "#row-findings").startswith("left out of training: data.exclude has near-duplicate\n")
        with_profile(app, f'{text}exclude = ["0-1"]\n')
        await settle(pilot)
        assert shown(app, "#row-findings").startswith("left out of training: data.exclude has 0-1\nNearly")
        await pilot.press("d")
        await pilot.pause()
        assert len(app.keys_set) == 5
        assert app.notes[-1] == "data.exclude has it in 0-1: change that."

    drive(poem_file(tmp_path), steps)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PoemError("no data", hint="Mend it."), "no data"),
        (ModelGone("the model process was killed", hint="It starts again."), "the model process was killed"),
        (Superseded(), "a run has the device now"),
    ],
)
def test_what_goes_wrong_is_told_and_asked_again(tmp_path: Path, error: Exception, words: str) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        reviewer = with_reviewer(app)
        reviewer.error = error
        await pilot.press("v")
        await settle(pilot)
        assert words in app.flat and "V reviews it anew." in app.flat and "␊" not in app.text
        reviewer.error = None
        await pilot.press("V")
        await settle(pilot)
        assert words not in app.flat and "▾ Quality" in app.flat

    drive(poem_file(tmp_path), steps)


def test_another_profile_is_said_and_another_file_ends_it(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        with_profile(app, PROFILE.format(path=app.path) + "rows = 2\n")
        await settle(pilot)
        assert "The profile has changed since" in app.flat
        app.pane.open_file(app.path)
        await settle(pilot)
        assert app.pane.findings is None and "▾ Structure" not in app.text
        assert "This file isn't reviewed yet: V reviews it." in app.flat and "has changed since" not in app.flat
        assert app.findings is not None

    drive(poem_file(tmp_path), steps, WIDE)


def test_a_profile_with_problems_does_not_cost_the_report(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        reviewer = await opened(app, pilot)
        asked = len(reviewer.asked)
        app.profile_state = app.profile_state._replace(text="epochs = ", profile=None, problems=1)
        await pilot.press("V")
        await settle(pilot)
        assert app.notes[-1] == "The profile has problems."
        assert len(reviewer.asked) == asked and "▾ Structure" in app.text

    drive(poem_file(tmp_path), steps, WIDE)


def test_nothing_is_asked_without_a_profile(tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("v")
        await pilot.pause()
        assert app.notes == ["A review needs a profile: open one."]

    drive(poem_file(tmp_path), steps)


def test_hostile_text_stands_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = Section("x", HOSTILE, (RowLinks("x", HOSTILE, (0,), (HOSTILE, "山" * 100_000), HOSTILE),))
    monkeypatch.setattr("tests.review_stage.WHOLE", replace(WHOLE, sections=(*SECTIONS[:1], hostile)))

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        assert "\u202e" not in app.text
        assert app.text.count("[/] 夜[bold]雨") >= 3
        view = app.query_one(ReportView)
        while view.links is None:
            await pilot.press("down")
        await pilot.press("enter")
        await settle(pilot)
        assert list(app.pane.order) == [0]

    drive(poem_file(tmp_path), steps, WIDE)
