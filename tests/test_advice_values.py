"""Every rule that goes by one key's value, on both sides of its threshold, in a run of 24,800 rows and 15,500 steps."""

from __future__ import annotations

from typing import Any

import pytest

from core.advice.amounts import hours, share
from tests.advice_case import SEVEN, find, measured

# id, key, severity, fix, a value that triggers it, one that nearly does; "" is the recommended profile's own.
RULES: list[tuple[str, str, str, Any, str, str]] = [
    ("dtype", "model.dtype", "good", None, "", "bfloat16"),
    ("eval-rows-none", "data.eval_rows", "warning", 200, "0", "1"),
    # 0.37 of 88.21 tokens are 32.64 a row: 30 rows have 979, 31 have 1,012.
    ("eval-rows-few", "data.eval_rows", "hint", 200, "30", "31"),
    ("eval-rows", "data.eval_rows", "good", None, "31", "30"),
    ("rows-too-many", "data.rows", "error", "all", "24801", "24800"),
    ("rows-few", "data.rows", "warning", "all", "19839", "19840"),
    ("rows-most", "data.rows", "good", None, "19840", "19839"),
    ("rows-all", "data.rows", "good", None, "", "24800"),
    ("samples-held-out", "data.hold_out", "good", None, "", "[]"),
    ("exclude", "data.exclude", "good", None, "[3]", ""),
    ("exclude-none", "data.exclude", "good", None, "", "[3]"),
    ("bad-row-error", "data.on_bad_row", "good", None, "", "skip"),
    ("bad-row-skip", "data.on_bad_row", "good", None, "skip", ""),
    ("template-alpaca", "data.template", "hint", "auto", "alpaca", "chatml"),
    ("template", "data.template", "good", None, "", "alpaca"),
    ("system-prompt", "data.system_prompt", "good", None, "詩", ""),
    ("epochs-few", "train.epochs", "warning", 5, "2", "3"),
    ("epochs-many", "train.epochs", "warning", 10, "11", "10"),
    ("epochs", "train.epochs", "good", None, "10", "11"),
    ("batch-large", "train.batch_size", "hint", 32, "132", "128"),
    ("batch-size", "train.batch_size", "good", None, "128", "132"),
    # 24,800 rows in batches of 8 are 3,100 steps a pass.
    ("max-steps-trial", "train.max_steps", "warning", 0, "3099", "3100"),
    ("max-steps-cuts", "train.max_steps", "hint", None, "15499", "15500"),
    ("max-steps-idle", "train.max_steps", "good", None, "15500", "15499"),
    ("max-steps-none", "train.max_steps", "good", None, "", "15500"),
    ("learning-rate-high", "train.learning_rate", "hint", 2e-4, "2.6e-4", "2.5e-4"),
    ("learning-rate-wild", "train.learning_rate", "warning", 2e-4, "1.1e-3", "1e-3"),
    ("learning-rate-low", "train.learning_rate", "hint", 2e-4, "4.9e-5", "5e-5"),
    ("learning-rate-tiny", "train.learning_rate", "warning", 2e-4, "1.2e-5", "1.25e-5"),
    ("learning-rate", "train.learning_rate", "good", None, "2.5e-4", "2.6e-4"),
    ("schedule-constant", "train.schedule", "hint", "cosine", "constant", "linear"),
    ("schedule", "train.schedule", "good", None, "", "constant"),
    ("weight-decay-high", "train.weight_decay", "hint", 0.0, "0.11", "0.1"),
    ("weight-decay", "train.weight_decay", "good", None, "0.1", "0.11"),
    ("beta1-odd", "train.adam_beta1", "hint", 0.9, "0.79", "0.8"),
    ("beta1", "train.adam_beta1", "good", None, "0.95", "0.96"),
    ("beta2-odd", "train.adam_beta2", "hint", 0.999, "0.94", "0.95"),
    ("beta2", "train.adam_beta2", "good", None, "0.9999", "0.99991"),
    ("epsilon-odd", "train.adam_epsilon", "hint", 1e-8, "1.1e-6", "1e-6"),
    ("epsilon", "train.adam_epsilon", "good", None, "1e-10", "9e-11"),
    ("clipping-odd", "train.max_grad_norm", "hint", 1.0, "10.1", "10"),
    ("clipping", "train.max_grad_norm", "good", None, "0.1", "0.09"),
    ("rank-large", "lora.r", "hint", 8, "65", "64"),
    ("rank-small", "lora.r", "hint", 8, "3", "4"),
    ("rank", "lora.r", "good", None, "64", "65"),
    ("alpha-odd", "lora.alpha", "hint", 16, "17", "16"),
    ("alpha-far", "lora.alpha", "warning", 16, "33", "32"),
    ("alpha", "lora.alpha", "good", None, "8", "7"),
    ("dropout-high", "lora.dropout", "warning", 0.05, "0.31", "0.3"),
    ("dropout-much", "lora.dropout", "hint", 0.05, "0.16", "0.15"),
    ("dropout-none", "lora.dropout", "hint", 0.05, "0", "0.01"),
    ("dropout", "lora.dropout", "good", None, "0.15", "0.16"),
    ("bias-trained", "lora.bias", "hint", "none", "all", ""),
    ("bias-none", "lora.bias", "good", None, "", "lora_only"),
    ("targets-missing", "lora.target_modules", "error", SEVEN, '["q_proj", "c_attn"]', '["q_proj", "v_proj"]'),
    ("targets-all", "lora.target_modules", "good", None, "", '["q_proj"]'),
    ("warmup-long", "train.warmup_ratio", "warning", 0.03, "0.21", "0.2"),
    ("warmup", "train.warmup_ratio", "good", None, "0.2", "0.21"),
    ("eval-every-never", "train.eval_every", "warning", 500, "0", "1"),
    ("eval-every-beyond", "train.eval_every", "warning", 500, "15501", "15500"),
    # Half of 200 rows on top of 8 rows a step: a quarter more from 50 steps down.
    ("eval-every-often", "train.eval_every", "hint", 500, "49", "50"),
    ("eval-every", "train.eval_every", "good", None, "50", "49"),
    ("checkpoint-never", "train.checkpoint_every", "warning", 500, "0", "1000"),
    ("checkpoint-beyond", "train.checkpoint_every", "warning", 500, "15501", "15500"),
    # 15,500 / 30 are 516 checkpoints, / 31 are 500.
    ("checkpoint-often", "train.checkpoint_every", "hint", 500, "30", "31"),
    ("checkpoint-every", "train.checkpoint_every", "good", None, "31", "30"),
    ("keep-one", "train.keep_checkpoints", "hint", 3, "1", "2"),
    # 9,232,384 × 12 bytes are 110.8 MB: 180 of them take 19.94 GB, 181 take 20.05.
    ("keep-many", "train.keep_checkpoints", "hint", 3, "181", "180"),
    ("keep", "train.keep_checkpoints", "good", None, "2", "1"),
    ("samples-beyond", "train.sample_every", "hint", 500, "15501", "15500"),
    ("samples-often", "train.sample_every", "hint", 500, "9", "10"),
    ("samples", "train.sample_every", "good", None, "10", "9"),
    ("trackers", "train.trackers", "good", None, '["wandb"]', ""),
    ("trackers-none", "train.trackers", "good", None, "", '["wandb"]'),
    ("notify-idle", "notify.command", "good", None, "", "say"),
    ("notify", "notify.command", "good", None, "say", ""),
    # The longest output has 60 tokens and an end, 99 % have 54 and an end; twice that or more is room.
    ("max-new-tokens-cuts", "generation.max_new_tokens", "warning", 128, "54", "55"),
    ("max-new-tokens-short", "generation.max_new_tokens", "hint", 128, "60", "61"),
    ("max-new-tokens-far", "generation.max_new_tokens", "hint", 128, "489", "488"),
    ("max-new-tokens", "generation.max_new_tokens", "good", None, "61", "60"),
    ("temperature-low", "generation.temperature", "warning", 0.8, "0.49", "0.5"),
    ("temperature-cool", "generation.temperature", "hint", 0.7, "0.69", "0.7"),
    ("temperature-warm", "generation.temperature", "hint", 1.0, "1.01", "1.0"),
    ("temperature-high", "generation.temperature", "warning", 0.8, "1.21", "1.2"),
    ("temperature", "generation.temperature", "good", None, "1", "1.01"),
    ("top-k-small", "generation.top_k", "hint", 0, "9", "10"),
    ("top-k", "generation.top_k", "good", None, "10", "9"),
    ("top-p-narrow", "generation.top_p", "warning", 0.9, "0.49", "0.5"),
    ("top-p-small", "generation.top_p", "hint", 0.9, "0.79", "0.8"),
    ("top-p", "generation.top_p", "good", None, "0.98", "0.99"),
    ("penalty-high", "generation.repetition_penalty", "warning", 1.0, "1.11", "1.1"),
    ("penalty-below", "generation.repetition_penalty", "warning", 1.0, "0.99", "1"),
    ("penalty", "generation.repetition_penalty", "good", None, "1.1", "1.11"),
    ("ngram-short", "generation.no_repeat_ngram_size", "warning", 3, "2", "3"),
    ("ngram", "generation.no_repeat_ngram_size", "good", None, "", "0"),
    ("ngram-off", "generation.no_repeat_ngram_size", "good", None, "0", ""),
    ("count-many", "generation.count", "hint", 32, "33", "32"),
    ("count", "generation.count", "good", None, "32", "33"),
]


@pytest.mark.parametrize(("id", "key", "severity", "fix", "value", "near"), RULES, ids=[rule[0] for rule in RULES])
def test_both_sides(id: str, key: str, severity: str, fix: Any, value: str, near: str) -> None:
    known = measured()
    advice = find(id, (f"{key}={value}",) if value else (), known)
    assert advice is not None
    assert (advice.key, advice.severity) == (key, severity)
    assert (advice.fix and (advice.fix.key, advice.fix.value)) == (None if fix is None else (key, fix))
    assert type(advice.fix and advice.fix.value) is type(fix)
    assert find(id, (f"{key}={near}",) if near else (), known) is None


@pytest.mark.parametrize("id", ["batch-arithmetic", "seed", "task-type", "generation-seed"])
def test_always_said(id: str) -> None:
    advice = find(id, (), None)
    assert advice is not None and advice.severity == "good"


@pytest.mark.parametrize(
    ("part", "shown"),
    [(0, "0.0 %"), (0.00001, "0.01 %"), (0.0004, "0.04 %"), (0.0005, "0.1 %"), (0.9996, "99.96 %"), (1, "100.0 %")],
)
def test_a_share_says_none_and_all_of_these_alone(part: float, shown: str) -> None:
    assert share(part) == shown


@pytest.mark.parametrize(
    ("time_s", "shown"),
    [(0.01, "0.1 seconds"), (9.94, "9.9 seconds"), (119, "119 seconds"), (120, "2 minutes"), (3_600, "1.0 hours")],
)
def test_short_times_are_told_in_seconds(time_s: float, shown: str) -> None:
    assert hours(time_s) == shown
