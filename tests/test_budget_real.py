"""What is said of a run beside what it takes: the peak of a real process, and the time of one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from core.advice.facts import Budget
from core.base_folder import resolve_base
from core.data.rows import read_rows
from core.model.load import load_tokenizer
from core.profile.document import load_profile
from core.profile.schema import Profile
from core.review.budget import budget_here
from core.review.probe import probe
from core.training.prepare import prepare

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system tells no peak of its own")

_RUN = """
import sys
from core.cli import main
code = main(sys.argv[1:])
print(open("/proc/self/status", encoding="utf-8").read())
sys.exit(code)
"""
_COMMON = (
    "train.eval_every=0",
    "train.sample_every=0",
    'model.device="cpu"',
    "data.eval_rows=8",
    'data.template="chatml"',
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Poems of eight long lines alone, as an override: a few steps then show the peak of a long run."""
    rows = [
        {"instruction": row.instruction, "input": row.input, "output": row.output}
        for row in read_rows("builtin:tang-sample").rows
        if row.output.count("。") == 3 and len(row.input) == 16
    ]
    assert len(rows) > 70
    path = tmp_path_factory.mktemp("data") / "poems.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return f'data.path="{path}"'


def run(folder: Path, overrides: Sequence[str]) -> tuple[int, float]:
    """(peak bytes, seconds of steps and evaluations) of `poemcore train` in a process of its own."""
    sets = [part for override in overrides for part in ("--set", override)]
    child = subprocess.run(
        [sys.executable, "-c", _RUN, "train", "tang-tiny-cpu", "--runs-dir", str(folder / "runs"), *sets],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert child.returncode == 0, child.stdout + child.stderr
    found = re.search(r"VmHWM:\s+(\d+) kB", child.stdout)
    assert found is not None
    (events,) = (folder / "runs").glob("*/events.jsonl")
    told = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    return 1024 * int(found[1]), sum(event.get("step_s", 0.0) + event.get("eval_s", 0.0) for event in told)


def rows_of(profile: Profile) -> tuple[list[int], list[int], int]:
    """Tokens and supervised tokens of the rows that train, and the number of those held out."""
    prepared = prepare(profile, load_tokenizer(resolve_base(profile.model.base)))
    items = prepared.examples(0)
    return (
        [len(item.ids) for item in items],
        [len(item.ids) - item.supervised_from for item in items],
        len(prepared.held_out),
    )


def expected(overrides: Sequence[str]) -> Budget:
    profile = load_profile("tang-tiny-cpu", overrides=list(overrides))
    lengths, supervised, held_out = rows_of(profile)
    return budget_here(profile, lengths, supervised, eval_rows=held_out)


def make_base(folder: Path, *, hidden: int, inner: int, layers: int, vocabulary: int) -> str:
    """A folder with random weights and the built-in base's tokenizer, as an override."""
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 128,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)  # type: ignore[arg-type]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(resolve_base("builtin:tang-tiny") / name, folder / name)
    return f'model.base="{folder}"'


def test_many_rows_of_a_small_model_with_a_large_rank(tmp_path: Path, data: str) -> None:
    overrides = (*_COMMON, data, "train.micro_batch_size=24", "train.batch_size=24", "train.max_steps=6", "lora.r=64")
    peak, _seconds = run(tmp_path, overrides)
    assert expected(overrides).bytes == pytest.approx(peak, rel=0.15)


@pytest.mark.slow
def test_few_rows_of_a_model_of_many_layers_in_micro_batches(tmp_path: Path, data: str) -> None:
    base = make_base(tmp_path / "base", hidden=768, inner=2048, layers=16, vocabulary=8192)
    overrides = (*_COMMON, data, base, "train.micro_batch_size=4", "train.batch_size=8", "train.max_steps=3")
    peak, _seconds = run(tmp_path, overrides)
    assert expected(overrides).bytes == pytest.approx(peak, rel=0.15)


def test_a_base_in_half_the_bytes_with_adapters_in_all_of_them(tmp_path: Path, data: str) -> None:
    base = make_base(tmp_path / "base", hidden=512, inner=1408, layers=8, vocabulary=32_768)
    dtype = 'model.dtype="bfloat16"'
    overrides = (*_COMMON, data, base, dtype, "train.micro_batch_size=8", "train.batch_size=8", "train.max_steps=3")
    peak, _seconds = run(tmp_path, overrides)
    assert expected(overrides).bytes == pytest.approx(peak, rel=0.15)


def test_a_vocabulary_that_is_most_of_the_model(tmp_path: Path, data: str) -> None:
    base = make_base(tmp_path / "base", hidden=256, inner=768, layers=2, vocabulary=151_936)
    overrides = (*_COMMON, data, base, "train.micro_batch_size=8", "train.batch_size=8", "train.max_steps=6")
    peak, _seconds = run(tmp_path, overrides)
    found = expected(overrides)
    assert found.parts["logits"] > 0.3 * found.bytes
    assert found.bytes == pytest.approx(peak, rel=0.15)


@pytest.mark.slow
def test_a_probe_tells_the_time_of_a_run(tmp_path: Path) -> None:
    overrides = (*_COMMON, "train.micro_batch_size=8", "train.batch_size=16", "train.max_steps=30")
    profile = load_profile("tang-tiny-cpu", overrides=list(overrides))
    lengths, supervised, held_out = rows_of(profile)
    # One before and one after the run, as a machine's pace changes with what else it does.
    before = probe(profile, lengths, supervised, eval_rows=held_out)
    peak, seconds = run(tmp_path, overrides)
    after = probe(profile, lengths, supervised, eval_rows=held_out)
    assert before.probed and before.seconds is not None and after.seconds is not None
    assert (before.seconds + after.seconds) / 2 == pytest.approx(seconds, rel=0.3)
    assert max(before.bytes, after.bytes) == pytest.approx(peak, rel=0.15)
