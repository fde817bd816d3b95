"""The Complete pane with the real model process: base and adapter, a stop, a killed process, a freed device."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from core.client import ModelClient
from core.profile.document import dump_profile
from core.runs.directory import RunDirectory
from tests.complete_stage import GIVEN, Stage, make_finished_run, play, type_line
from tests.pilot import until
from tests.tiny import make_tiny
from tui.panes.completion_history import Poem


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("complete-real")
    tiny = make_tiny(folder)
    run = make_finished_run(folder / "runs", "tang")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        adapted: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny.base), lora)
    adapted.save_pretrained(run.adapter_path)
    run.profile_path.write_text(dump_profile(tiny.profile()), encoding="utf-8")
    return run


def test_a_real_model_writes_stops_dies_and_writes_again(run: RunDirectory) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        def poems() -> tuple[Poem, ...]:
            entries = app.complete_pane._entries
            return entries[0].poems if entries and not app.complete_pane._writing else ()

        app.complete_pane.use_run(run.id)
        await type_line(pilot, GIVEN)
        await pilot.press("enter")
        await until(pilot, lambda: bool(poems()) or bool(app.said("problem")))
        assert app.said("problem") == ""
        first = poems()
        assert [(poem.side, poem.seed, poem.tokens, poem.stop) for poem in first] == [
            ("base", 42, 5, "length"),
            ("adapter", 42, 5, "length"),
            ("base", 43, 5, "length"),
            ("adapter", 43, 5, "length"),
        ]
        assert len({poem.text for poem in first}) > 1 and "cut off by max_new_tokens: 5" in app.text
        assert "ready: " in app.said("status")
        for setting in ("generation.max_new_tokens=200", "generation.max_new_tokens=5"):
            app.set_profile("generation.count=2", "generation.no_repeat_ngram_size=0", setting)
            await pilot.press("enter")
            if setting.endswith("200"):
                await until(
                    pilot,
                    lambda: len(app.complete_pane._entries) == 2 and app.complete_pane._entries[0].poems[1].text != "",
                )
                await pilot.press("escape")
            await until(pilot, lambda: bool(poems()))
        assert "stopped" in [poem.stop for poem in app.complete_pane._entries[1].poems]
        assert app.said("problem") == ""
        assert app.model_state is not None and app.model_state.pid
        os.kill(app.model_state.pid, signal.SIGKILL)
        await until(pilot, lambda: "was killed" in app.said("problem"))
        app.set_profile("generation.max_new_tokens=5", "generation.count=2")
        await pilot.press("enter")
        await until(pilot, lambda: poems() == first)
        assert app.said("problem") == ""
        await pilot.press("escape", "u")
        await until(pilot, lambda: "the device is free" in app.said("status"))

    app = Stage(run.path.parent)
    app._model = ModelClient(app._model_changed, runs_dir=run.path.parent)
    play(app, steps, (80, 24), "generation.max_new_tokens=5", "generation.count=2")


def test_without_a_run_the_profile_names_the_model(run: RunDirectory, tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        profile = app.profile_state.profile
        assert profile is not None
        base = str(run.path.parent.parent / "base")
        named = replace(profile, model=replace(profile.model, base=base, device="cpu"))
        app.profile_state = app.profile_state._replace(text=dump_profile(named), profile=named)
        await type_line(pilot, GIVEN)
        await pilot.press("enter")
        await until(pilot, lambda: "cut off by max_new_tokens: 4" in app.text or bool(app.said("problem")))
        assert app.said("problem") == ""
        broken = replace(named, model=replace(named.model, base=str(tmp_path / "nothing")))
        app.profile_state = app.profile_state._replace(text=dump_profile(broken), profile=broken)
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.said("problem")))
        assert "nothing" in app.said("problem")

    app = Stage(tmp_path)
    app._model = ModelClient(app._model_changed, runs_dir=tmp_path)
    play(app, steps, (80, 24), "generation.max_new_tokens=4")
