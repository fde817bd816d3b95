"""What is asked before a run: what stands against it is told, and whoever wants may start it all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.advice.facts import Budget, Facts
from core.advice.rule import Advice, Fix
from core.profile.schema import Profile
from core.runs.directory import RunDirectory
from core.runs.events import RunStopped
from tests.pilot import settle
from tests.review_facts import facts
from tests.train_stage import PLAN, TANG, Stage, in_question, make_run, play, started, until
from tui.workbench import Findings


def test_what_stands_against_a_start_is_told_and_does_not_prevent_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Facts | None] = []

    def rules(_profile: Profile, known: Facts | None) -> tuple[Advice, ...]:
        seen.append(known)
        return (
            Advice("g", "lora.r", "good", "8 is right.", 8),
            Advice("h", "train.seed", "hint", "Any will do.", 42),
            Advice("w", "train.epochs", "warning", "One is hardly a warm-up.[/]", 1, Fix("train.epochs", 5)),
        )

    begun: list[object] = []

    def start_detached(profile: object, _runs_dir: Path, _name: str | None) -> RunDirectory:
        begun.append(profile)
        return make_run(tmp_path, TANG, started(TANG), RunStopped(0, "stop"))

    monkeypatch.setattr("core.advice.advise.advise", rules)
    monkeypatch.setattr("core.runs.launch.start_detached", start_detached)
    parts = {"weights": 12 * 10**9, "logits": 8 * 10**9}
    tight = Budget("tight", 15 * 10**9, 16 * 10**9, 7_205.0, parts, "cpu", "float32")

    async def ask(pilot: Pilot[None], budget: Budget) -> str:
        await pilot.press("s")
        app.fake.answers.put_nowait(replace(PLAN, budget=budget))
        return await in_question(pilot)

    async def steps(pilot: Pilot[None]) -> None:
        app.set_profile()
        app.findings = Findings(facts(), "builtin:tang-sample", "")
        said = await ask(pilot, tight)
        for words in (
            "memory tight: 15.0 of 16.0 GB",
            "time about 2:00:05",
            "warning train.epochs 1 → 5 One is hardly a warm-up.[/]",
        ):
            assert words in said, words
        assert "Advice goes by the profile alone" not in said
        assert "8 is right" not in said and "Any will do" not in said
        assert seen[-1] == facts(model=None, budget=tight)
        assert "warnings: 1" in said and "show the rest" not in said
        assert str(app.focused.id) == "yes"  # type: ignore[union-attr]
        await pilot.press("n")
        await settle(pilot)
        none = replace(tight, verdict="will not fit", fits_with={"train.micro_batch_size": 1})
        said = await ask(pilot, none)
        assert "will not fit: 15.0 of 16.0 GB" in said and "It fits with train.micro_batch_size = 1." in said
        assert str(app.focused.id) == "no"  # type: ignore[union-attr]
        assert begun == []
        await pilot.press("y")
        await until(pilot, lambda: len(begun) == 1)

    app = Stage(tmp_path)
    play(app, steps)


def test_a_long_question_is_scrolled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advice = tuple(Advice(f"w{number}", "train.epochs", "warning", f"Reason {number:02d}.") for number in range(20))
    monkeypatch.setattr("core.advice.advise.advise", lambda _profile, _facts: advice)

    async def steps(pilot: Pilot[None]) -> None:
        app.set_profile()
        await pilot.press("s")
        app.fake.answers.put_nowait(PLAN)
        said = await in_question(pilot)
        assert "base builtin:tang-tiny" in said and "Reason 19." not in said
        assert "Start" in app.lines[-3] and "warnings: 20 · ↑ ↓ show the rest" in app.lines[-2]
        await pilot.press(*["pagedown"] * 6)
        assert "Reason 19." in app.text and "base  " not in app.text
        assert "Advice goes by the profile alone until the Data pane" in app.text
        await pilot.press(*["up"] * 4)
        assert "Reason 19." not in app.text
        await pilot.press(*["down"] * 4)
        assert "Reason 19." in app.text

    app = Stage(tmp_path)
    play(app, steps)
