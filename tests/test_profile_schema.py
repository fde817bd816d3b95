"""The defaults are the recommended preset's values, on the built-in base and data."""

from __future__ import annotations

import dataclasses

import pytest

from core.profile.document import load_profile
from core.profile.schema import DataKeys, GenerationKeys, LoraKeys, ModelKeys, NotifyKeys, Profile, TrainKeys

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def test_every_default() -> None:
    assert Profile() == Profile(
        model=ModelKeys(base="builtin:tang-tiny", dtype="auto", device="auto"),
        data=DataKeys(
            path="builtin:tang-sample",
            rows="all",
            eval_rows=200,
            hold_out=(),
            cutoff_len=256,
            template="auto",
            system_prompt="",
            overlong="drop",
            on_bad_row="error",
            columns={},
            tasks=(),
        ),
        train=TrainKeys(
            epochs=5,
            max_steps=0,
            learning_rate=2e-4,
            schedule="cosine",
            warmup_ratio=0.03,
            micro_batch_size=4,
            batch_size=8,
            weight_decay=0.0,
            adam_beta1=0.9,
            adam_beta2=0.999,
            adam_epsilon=1e-8,
            max_grad_norm=1.0,
            seed=42,
            eval_every=500,
            checkpoint_every=500,
            keep_checkpoints=3,
            sample_every=500,
            sample_prompts=("白日依山盡，黃河入海流。",),
            trackers=(),
        ),
        lora=LoraKeys(r=8, alpha=16, dropout=0.05, bias="none", target_modules=PROJECTIONS, task_type="CAUSAL_LM"),
        generation=GenerationKeys(
            max_new_tokens=128,
            temperature=0.8,
            top_p=0.9,
            top_k=0,
            repetition_penalty=1.0,
            no_repeat_ngram_size=3,
            seed=42,
            count=1,
        ),
        notify=NotifyKeys(command=""),
    )


def test_the_recommended_preset_is_the_defaults() -> None:
    recommended, default = load_profile("tang-qwen2-1.5b"), Profile()
    assert recommended.train == default.train
    assert recommended.lora == default.lora
    assert recommended.generation == default.generation
    assert recommended.notify == default.notify


def test_a_profile_never_changes() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Profile().train.epochs = 3  # type: ignore[misc]
