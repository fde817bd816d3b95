"""What a run of the profile in the editor would be: asked for when it is wanted, and shown as the text changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.advice.facts import Budget
from core.client import ModelState, Plan, Superseded
from core.errors import PoemError
from core.profile.document import load_profile
from tests.pilot import settle, until
from tests.profile_pane import HOSTILE, TEXT, PaneApp, drive, press, put_cursor
from tests.train_stage import PLAN
from tui.panes.profile_budget import planned_keys
from tui.widgets.dialogs import Confirm

GB, MB = 10**9, 10**6
BUDGET = Budget(
    verdict="fits",
    bytes=3 * GB // 2,
    memory_bytes=16 * GB,
    seconds=754.0,
    parts={"process": GB // 2, "weights": 99 * MB, "activations": 3 * GB // 4, "gradients": 0},
    device="cpu",
    dtype="float32",
)
SHORT = replace(BUDGET, verdict="will not fit", bytes=20 * GB, fits_with={"train.micro_batch_size": 1})


@dataclass
class Planning:
    """A model process that answers when a test has an answer."""

    asked: list[str] = field(default_factory=list)
    answers: asyncio.Queue[Plan | BaseException] = field(default_factory=asyncio.Queue)

    async def plan(self, profile: str, _base_dir: str) -> Plan:
        self.asked.append(profile)
        answer = await self.answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def close(self) -> None:
        pass


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def use(app: PaneApp, *answers: Plan | BaseException) -> Planning:
    """A model process that has these answers ready."""
    model = Planning()
    for answer in answers:
        model.answers.put_nowait(answer)
    app._model = model  # type: ignore[assignment]
    return model


async def asked(pilot: Pilot[None], model: Planning, times: int) -> None:
    """Wait for a question."""
    await until(pilot, lambda: len(model.asked) == times)


def is_about_to_ask(app: PaneApp) -> bool:
    """Whether a question comes once the text has been at rest for a while."""
    return app.pane._plan_timer is not None


def shown(app: PaneApp) -> str:
    return " ".join(app.shown("#profile-plan").split())


LINE = "fits: 1.5 of 16.0 GB · about 12:34 · 48 steps · 380 rows · 29,285 tokens/epoch"


def test_nothing_is_started_unasked_but_a_key_asks(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        model = use(app, replace(PLAN, budget=BUDGET))
        for state in (None, ModelState("off")):
            app.model_state = state
            app.pane.set_keys({"train.epochs": 4})
            await settle(pilot)
            assert model.asked == [] and not is_about_to_ask(app)
        assert shown(app) == "Rows, steps, memory and time of a run: esc, then b."
        app.pane.focus()
        await press(pilot, "b")
        await until(pilot, lambda: shown(app) == LINE)
        assert len(model.asked) == 1 and "epochs = 4" in model.asked[0]
        assert "fits: 1.5 of 16.0 GB" in app.text

    drive(file, steps)


def test_where_there_is_room_each_part_is_told(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        use(app, replace(PLAN, budget=SHORT), PLAN)
        app.pane.focus()
        assert "48 steps" not in app.shown("#profile-head")
        await press(pilot, "b")
        await until(pilot, lambda: "380" in shown(app))
        assert " · 48 steps · " in app.shown("#profile-head")
        for words in (
            "rows 380 train, 20 held out 3 left out",
            "steps 48, 24 an epoch; epochs: 2",
            "tokens 29,285 an epoch the loss over 10,951",
            "memory will not fit: 20.0 of 16.0 GB",
            "activations 0.8 GB process 0.5 GB",
            "weights 99.0 MB",
            "It fits with train.micro_batch_size = 1.",
            "time about 12:34",
        ):
            assert words in shown(app)
        assert "gradients" not in shown(app)
        await press(pilot, "b")
        await until(pilot, lambda: "memory" not in shown(app))

    drive(file, steps, (120, 40))


def test_while_the_process_is_on_the_figures_follow_the_text(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        model = use(app)
        app.model_state = ModelState("ready")
        await asked(pilot, model, 1)
        assert shown(app) == "working out a run …"
        model.answers.put_nowait(replace(PLAN, budget=BUDGET))
        await until(pilot, lambda: shown(app) == LINE)
        # What decides no run asks for nothing.
        app.pane.set_keys({"generation.temperature": 1.0, "notify.command": "say done"})
        app.editor.insert("# a comment\n", (0, 0))
        await until(pilot, lambda: bool(app.profile_state.profile and app.profile_state.profile.notify.command))
        assert len(model.asked) == 1 and not is_about_to_ask(app) and shown(app) == LINE
        # A broken text keeps the figures, as those of another text.
        app.editor.insert("x", (0, 0))
        await until(pilot, lambda: app.profile_state.profile is None)
        assert shown(app) == LINE and "$text-muted" in str(app.query_one("#profile-plan").render().spans)
        app.editor.delete((0, 0), (0, 1))
        # Several changes in a row are one question.
        put_cursor(app, "epochs")
        await pilot.press("f8", "f8")
        await asked(pilot, model, 2)
        assert "epochs = 5" in model.asked[1] and shown(app) == f"{LINE} …"
        # A later one takes the place of one at work, and its answer alone is shown.
        await pilot.press("f8")
        await asked(pilot, model, 3)
        model.answers.put_nowait(replace(PLAN, steps=60))
        await until(pilot, lambda: shown(app) == "60 steps · 380 rows · 29,285 tokens/epoch")
        assert "epochs = 6" in model.asked[2]

    drive(file, steps)


def test_a_change_back_while_it_is_worked_out_is_asked_about_again(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        model = use(app, replace(PLAN, steps=3))
        app.model_state = ModelState("ready")
        await until(pilot, lambda: shown(app).startswith("3 steps"))
        app.pane.set_keys({"train.epochs": 4})
        await asked(pilot, model, 2)
        app.pane.set_keys({"train.epochs": 3})
        await settle_checked(app, pilot, 3)
        model.answers.put_nowait(replace(PLAN, steps=4))
        await asked(pilot, model, 3)
        model.answers.put_nowait(replace(PLAN, steps=3))
        await until(pilot, lambda: shown(app) == "3 steps · 380 rows · 29,285 tokens/epoch")

    drive(file, steps)


async def settle_checked(app: PaneApp, pilot: Pilot[None], epochs: int) -> None:
    await until(pilot, lambda: app.profile_state.profile is not None)
    await until(pilot, lambda: bool(app.profile_state.profile and app.profile_state.profile.train.epochs == epochs))


def test_a_plan_that_cannot_be_made_says_why_once(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        model = use(app, PoemError(f"no such base {HOSTILE}", hint="Look."))
        app.model_state = ModelState("ready")
        await until(pilot, lambda: "no such base" in shown(app))
        assert "no such base [/] 夜[bold]雨" in app.text and "\x1b" not in app.text
        app.model_state = ModelState("busy")
        await settle(pilot)
        assert len(model.asked) == 1 and not is_about_to_ask(app)
        model.answers.put_nowait(PLAN)
        app.pane.focus()
        await press(pilot, "b")
        await until(pilot, lambda: shown(app).startswith("48 steps"))

    drive(file, steps)


def test_whoever_asks_elsewhere_comes_first(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        model = use(app, Superseded(), replace(PLAN, budget=BUDGET))
        app.model_state = ModelState("ready")
        await asked(pilot, model, 1)
        await app.push_screen(Confirm("Start a run", "?", yes="Start"))
        await until(pilot, lambda: is_about_to_ask(app))
        app.pane._ask_again()
        assert len(model.asked) == 1 and is_about_to_ask(app)
        await press(pilot, "escape")
        await until(pilot, lambda: shown(app) == LINE)
        assert len(model.asked) == 2

    drive(file, steps)


def test_nobody_is_asked_while_nobody_looks(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        model = use(app, PLAN)
        app.pane.display = False
        await pilot.pause()
        app.model_state = ModelState("ready")
        await until(pilot, lambda: is_about_to_ask(app))
        app.pane._ask_again()
        assert model.asked == []
        app.pane.display = True
        await until(pilot, lambda: shown(app).startswith("48 steps"))

    drive(file, steps)


def test_a_text_with_problems_has_no_plan(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        model = use(app)
        app.editor.insert("x", (0, 0))
        await until(pilot, lambda: bool(app.profile_state.problems))
        app.pane.focus()
        await press(pilot, "b")
        assert model.asked == [] and app.notes == ["The profile has problems."]

    drive(file, steps)


def test_what_a_plan_depends_on() -> None:
    def keys(*overrides: str) -> tuple[object, ...]:
        return planned_keys(load_profile("tang-tiny-cpu", overrides=overrides))

    assert keys() == keys("generation.temperature=1.5", "notify.command='say'")
    assert len({repr(keys(one)) for one in ("train.epochs=9", "lora.r=1", "data.rows=9", "model.device='cpu'")}) == 4
