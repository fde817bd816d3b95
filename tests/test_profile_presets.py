"""The shipped profiles: what they promise, and where they are found."""

from __future__ import annotations

from pathlib import Path

import pytest

import core
from core.data.recipe import Task
from core.errors import PoemError
from core.profile.document import load_profile, preset_names, preset_text
from core.profile.reference import derive
from core.profile.schema import DataKeys, GenerationKeys, LoraKeys, ModelKeys, Profile, TrainKeys

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def test_names() -> None:
    assert preset_names() == ("original-recipe", "tang-mixed-tasks", "tang-qwen2-1.5b", "tang-tiny-cpu")


def test_the_recommended_one() -> None:
    assert load_profile("tang-qwen2-1.5b") == Profile(
        model=ModelKeys(base="models/Qwen2-1.5B"),
        data=DataKeys(path="Tang_training_data.json", hold_out=("白日依山盡",)),
    )


def test_the_first_experiment() -> None:
    profile = load_profile("original-recipe")
    assert profile == Profile(
        model=ModelKeys(base="models/Qwen2-1.5B"),
        data=DataKeys(path="Tang_training_data.json", rows=520, hold_out=("白日依山盡",), cutoff_len=256),
        train=TrainKeys(
            epochs=1,
            learning_rate=3e-4,
            schedule="linear",
            warmup_ratio=0.0,
            micro_batch_size=2,
            batch_size=8,
            eval_every=0,
            checkpoint_every=0,
            sample_every=0,
        ),
        lora=LoraKeys(r=8, alpha=16, dropout=0.05, bias="none", target_modules=PROJECTIONS, task_type="CAUSAL_LM"),
        generation=GenerationKeys(max_new_tokens=128, temperature=0.1, top_p=0.3, no_repeat_ngram_size=3),
    )
    assert derive(profile) == {
        "train.gradient_accumulation": 4,
        "train.micro_batch_tokens": 512,
        "train.steps_per_epoch": 65,
        "train.steps": 65,
        "train.warmup_steps": 0,
        "lora.scaling": 2.0,
    }


def test_mixed_tasks() -> None:
    profile, recommended = load_profile("tang-mixed-tasks"), load_profile("tang-qwen2-1.5b")
    assert (profile.model, profile.train, profile.lora, profile.generation) == (
        recommended.model,
        recommended.train,
        recommended.lora,
        recommended.generation,
    )
    assert profile.data.system_prompt == "你是一位精通唐詩的詩人。請依照指示，用繁體中文作答。"
    assert profile.data.tasks == (
        Task("row", None, None, None, 0.4),
        Task("continue", "請繼續補全這首詩", None, None, 0.1),
        Task("rest", "請寫出這首唐詩的後續內容", None, None, 0.1),
        Task("old-verse", "請續寫這首古詩", None, None, 0.1),
        Task("style", "模仿{author}的風格，續寫下面的詩句。", None, None, 0.2),
        Task("explain", "請解釋這首詩的意思。", "{input}{output}", "{explanation}", 0.1),
    )


def test_the_tiny_one_needs_nothing_from_outside() -> None:
    profile = load_profile("tang-tiny-cpu")
    assert profile.model.base == "builtin:tang-tiny"
    assert profile.data.path == "builtin:tang-sample"
    assert (profile.data.rows, profile.data.eval_rows, profile.data.hold_out) == ("all", 40, ("白日依山盡",))


def test_every_preset_says_why() -> None:
    for name in preset_names():
        lines = preset_text(name).splitlines()
        assert lines[0].startswith("# ")
        assert lines[0].endswith(".")
        assert sum("#" in line for line in lines) > 20, name


def test_an_installed_copy_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "core"
    (package / "presets").mkdir(parents=True)
    (package / "presets" / "mine.toml").write_text("[train]\nepochs = 9\n", encoding="utf-8")
    (package / "presets" / "README.md").touch()
    monkeypatch.setattr(core, "__file__", str(package / "__init__.py"))
    assert preset_names() == ("mine",)
    assert load_profile("mine").train.epochs == 9


def test_an_unknown_preset() -> None:
    with pytest.raises(PoemError) as caught:
        preset_text("orginal-recipe")
    assert caught.value.message == "there is no preset orginal-recipe"
    assert caught.value.hint.startswith("Did you mean original-recipe? The presets are: ")


@pytest.mark.parametrize("name", ["../README", "", "/etc/passwd"])
def test_a_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(PoemError):
        preset_text(name)
