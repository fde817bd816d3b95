"""Which adapter of a run completes: chosen by key and from the palette, said, remembered, and gone one day."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from core import i18n
from core.runs.directory import RunDirectory, create_run
from core.runs.event_log import EventLog
from core.runs.events import BestChanged, CheckpointSaved, EvalDone, Event, RunFinished, RunStarted
from tests.complete_stage import GIVEN, REST, Stage, complete, make_finished_run, play, settle, type_line
from tests.pilot import until
from tui.panes import completion_rows
from tui.panes.completion_adapters import is_name, offers_of, short_words
from tui.panes.completion_field import EarlierList, FirstLines
from tui.panes.completion_history import Entry, Poem, from_state, to_state
from tui.panes.completion_wish import wish_of
from tui.widgets.dialogs import Choose

STEP_20, STEP_40 = "checkpoints/step-000020/adapter", "checkpoints/step-000040/adapter"
OFFERS = [
    ("", "final"),
    ("adapter/best", "best, of step 20: held-out loss 4.500"),
    (STEP_40, "checkpoint of step 40: held-out loss 4.750"),
    (STEP_20, "checkpoint of step 20: held-out loss 4.500"),
]


def make_run(
    runs_dir: Path, name: str = "tang", *, is_final: bool = True, kept: tuple[int, ...] = (20, 40)
) -> RunDirectory:
    """A run of 40 steps whose held-out loss was lowest after 20; of what it trained there are names only."""
    run = create_run(runs_dir, name=name)
    events: list[Event] = [
        RunStarted(run.id, 0, 380, 20, 40, 2, "builtin:tang-tiny", "cpu", "float32", 9000, 1234),
        EvalDone(20, 4.5, 600, 1.0),
        CheckpointSaved(20, "checkpoints/step-000020"),
        BestChanged(20, 4.5),
        EvalDone(40, 4.75, 600, 1.0),
        CheckpointSaved(40, "checkpoints/step-000040"),
    ]
    with EventLog(run.events_path) as log:
        for event in [*events, *([RunFinished(40, 5.25, 4.75, "adapter")] if is_final else [])]:
            log.append(event)
    run.adapter_path.mkdir()
    for folder in [run.checkpoint_path(step) / "adapter" for step in kept] + ([run.adapter_path] if is_final else []):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "adapter_config.json").touch()
    if 20 in kept:
        run.best_path.symlink_to("../" + STEP_20)
    return run


def say_from(app: Stage, adapter: str, text: str = REST, *, done: bool = True) -> None:
    """Let the model write all of it, and say which adapter does."""
    written = app.fake.say(text, done=done)
    waiting: list[Any] = []
    while not app.fake.answers.empty():
        waiting.append(app.fake.answers.get_nowait())
    for answer in waiting:
        app.fake.answers.put_nowait(replace(answer, adapter=adapter) if answer == written else answer)


async def choose_run(pilot: Pilot[None]) -> None:
    """The first run in the list, by keys; its adapters are offered then."""
    await pilot.press("ctrl+r", "home", "down", "enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, Choose) and "Which adapter" in pilot.app.screen._title)
    await settle(pilot)


def test_what_a_run_keeps_is_offered(tmp_path: Path) -> None:
    from core.runs.view import view_run

    def offered(run: RunDirectory) -> list[tuple[str, str]]:
        return [(offer.name, offer.words) for offer in offers_of(run.path, view_run(run))]

    run = make_run(tmp_path)
    assert offered(run) == OFFERS
    shutil.rmtree(run.checkpoint_path(20))
    # The checkpoint of the last step holds the same as the final adapter: that is no choice.
    assert offered(run) == []
    running = make_run(tmp_path, "open", is_final=False)
    assert offered(running) == [("", "the newest checkpoint, now of step 40"), *OFFERS[1:]]
    assert offered(make_run(tmp_path, "one", is_final=False, kept=(40,))) == []
    assert offered(make_run(tmp_path, "early", kept=(20,))) == [OFFERS[0], OFFERS[1], OFFERS[3]]
    assert offers_of(tmp_path / "nothing", view_run(run)) == ()


@pytest.mark.parametrize("how", ["ctrl+r", "r", "palette"])
def test_an_adapter_is_chosen_after_its_run(tmp_path: Path, how: str) -> None:
    run = make_run(tmp_path)

    async def ask(pilot: Pilot[None]) -> None:
        if how == "palette":
            await pilot.press("ctrl+p")
            await settle(pilot)
            app.screen.query_one(Input).value = "Complete: Writer"
            await until(pilot, lambda: "Complete: Writer" in app.text.split("\n", 5)[-1])
            await pilot.press("enter")
        else:
            await pilot.press(*(["escape", "r"] if how == "r" else [how]))
        await until(pilot, lambda: isinstance(app.screen, Choose))

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(app.runs) == 1)
        await ask(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "Which adapter of tang?" in app.text)
        # The run's own choice holds already, and is under the cursor.
        assert app.complete_pane.wish.run == run.id and app.complete_pane.wish.adapter == ""
        options = app.screen.query_one(OptionList)
        assert options.highlighted == 0
        assert [str(option.prompt) for option in options.options] == [words for _name, words in OFFERS]
        await pilot.press("down", "enter")
        await settle(pilot)
        assert app.said("head") == "tang writes (best, of step 20: held-out loss 4.500), the base beside it"
        assert app.focused is app.query_one(FirstLines)
        await complete(pilot)
        assert (app.fake.requests[0].run, app.fake.requests[0].adapter) == (str(run.path), "adapter/best")
        # The cursor stands on the choice in force, and who closes the question leaves it.
        await ask(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "Which adapter of tang?" in app.text)
        assert app.screen.query_one(OptionList).highlighted == 1
        await pilot.press("escape")
        await settle(pilot)
        assert app.complete_pane.wish.adapter == "adapter/best"
        await ask(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "Which adapter of tang?" in app.text)
        await pilot.press("end", "enter")
        await settle(pilot)
        assert app.said("head") == "tang writes (checkpoint of step 20), the base beside it"
        # Another pane's wish to complete with the run means its own choice.
        app.complete_pane.use_run(run.id)
        assert app.said("head") == "tang writes (final), the base beside it"

    app = Stage(tmp_path)
    play(app, steps)


def test_where_there_is_no_choice_nothing_is_asked(tmp_path: Path) -> None:
    make_run(tmp_path, "one", is_final=False, kept=(40,))
    make_finished_run(tmp_path, "two")

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(app.runs) == 2)
        for down in (1, 2):
            await pilot.press("ctrl+r", "home", *["down"] * down, "enter")
            await settle(pilot)
            assert app.complete_pane.wish.run == app.runs[down - 1].id
            assert app.focused is app.query_one(FirstLines)

    app = Stage(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_earlier_completions_say_which_adapter_wrote(tmp_path: Path, size: tuple[int, int]) -> None:
    run = make_run(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        for wanted, wrote in (("", "adapter"), (STEP_40, STEP_40), ("adapter/best", STEP_20)):
            app.complete_pane.use_run(run.id, wanted)
            app.query_one(FirstLines).value = ""
            asked = len(app.fake.requests)
            await type_line(pilot, GIVEN)
            await pilot.press("enter")
            await until(pilot, lambda asked=asked: len(app.fake.requests) > asked)
            say_from(app, wrote)
            await until(pilot, lambda: not app.complete_pane._writing)
        app.complete_pane.use_run("")
        app.query_one(FirstLines).value = ""
        await complete(pilot)
        await pilot.press("ctrl+l")
        await settle(pilot)
        assert app.focused is app.query_one(EarlierList)
        for words in ("builtin:tang", "best 20 · tang", "step 40 · tang", "final · tang"):
            assert any("白日依山盡，" in line and words in line for line in app.lines)
        saved: list[dict[str, Any]] = []
        append = completion_rows.append_row
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(completion_rows, "append_row", lambda path, row: saved.append(row) or append(path, row))
            app.complete_pane.save_path = str(tmp_path / "poems.jsonl")
            await pilot.press("down", "enter", "s")
            await until(pilot, lambda: bool(app.told))
        assert [(row["run"], row["adapter"]) for row in saved] == [(run.id, STEP_20)]

    app = Stage(tmp_path)
    play(app, steps, size)


def test_an_adapter_that_is_gone_is_told_once(tmp_path: Path) -> None:
    run = make_run(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(app.runs) == 1)
        await choose_run(pilot)
        await pilot.press("down", "down", "down", "enter")
        await settle(pilot)
        assert app.complete_pane.wish.adapter == STEP_20
        shutil.rmtree(run.checkpoint_path(20))
        await type_line(pilot, GIVEN)
        await pilot.press("enter")
        await until(pilot, lambda: not app.complete_pane._writing)
        problem = app.said("problem")
        assert problem.startswith(
            "checkpoint of step 20 isn't there any more: tang keeps its newest checkpoints and the best"
        )
        assert "Enter completes with the usual adapter; ^r chooses another." in problem
        assert app.fake.requests == [] and app.told == []
        assert app.said("head") == "tang writes (final), the base beside it"
        app.query_one(FirstLines).value = ""
        await complete(pilot)
        assert app.said("problem") == "" and app.fake.requests[0].adapter == ""
        # The same for the best, whose link leads nowhere now.
        app.complete_pane.use_run(run.id, "adapter/best")
        await pilot.press("enter")
        await until(pilot, lambda: "the best adapter isn't there any more" in app.said("problem"))
        assert len(app.fake.requests) == 1

    app = Stage(tmp_path)
    play(app, steps)


def test_the_choice_is_remembered_and_may_be_gone(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    kept: dict[str, object] = {}

    async def first(pilot: Pilot[None]) -> None:
        app.complete_pane.use_run(run.id, STEP_20)
        await complete(pilot)
        kept.update(json.loads(json.dumps(app.complete_pane.state())))

    async def second(pilot: Pilot[None]) -> None:
        app.complete_pane.restore(kept)
        await settle(pilot)
        assert app.said("head") == "tang writes (checkpoint of step 20), the base beside it"
        assert dict(app.complete_pane.state()) == kept
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.said("problem")) and not app.complete_pane._writing)
        assert REST in app.text  # what was written before is still shown
        app.complete_pane.restore({**kept, "run": "20260101-000000-gone"})
        await settle(pilot)
        assert app.said("head") == "gone writes, the base beside it"

    app = Stage(tmp_path)
    play(app, first)
    shutil.rmtree(run.checkpoint_path(20))
    app = Stage(tmp_path)
    play(app, second)


def test_what_is_remembered_may_be_anything() -> None:
    assert wish_of({"run": "r", "adapter": STEP_20}).adapter == STEP_20
    for broken in (7, None, "../../etc", "/etc", "adapter/best/..", "checkpoints/step-000020", f"{STEP_20}\n", "x" * 9):
        assert wish_of({"run": "r", "adapter": broken}).adapter == ""
    assert [is_name(name) for name in ("", "adapter/best", STEP_40, "checkpoints/step-20/adapter")] == [
        *[True] * 3,
        False,
    ]
    entry = Entry("上", "r", "b", (Poem("adapter", 1, "下", 9, "end"),), adapter=STEP_20, is_best=True)
    state = to_state([entry])
    assert list(from_state(state)) == [entry]
    for broken in (7, None, []):
        read = list(from_state([{**state[0], "adapter": broken, "is_best": broken}]))
        assert read == [replace(entry, adapter="", is_best=False)]
    old = [{key: value for key, value in state[0].items() if key not in ("adapter", "is_best")}]
    assert list(from_state(old)) == [replace(entry, adapter="", is_best=False)]
    assert [short_words(name, is_best=False) for name in ("", "adapter", STEP_40, "\x1b")] == [
        "",
        "final",
        "step 40",
        "",
    ]


@pytest.mark.parametrize("lang", ["zh-Hans", "zh-Hant"])
def test_the_choice_fits_in_chinese(tmp_path: Path, lang: str) -> None:
    make_run(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(app.runs) == 1)
        await pilot.press("ctrl+r", "home", "down", "enter")
        await settle(pilot)
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert len(app.screen.query_one(OptionList).options) == 4
        await pilot.press("down", "enter")
        await settle(pilot)
        assert app.complete_pane.wish.adapter == "adapter/best"
        assert {cell_len(line) <= 80 for line in app.text.split("\n")} == {True}

    i18n.use(lang)
    app = Stage(tmp_path)
    play(app, steps)
