"""Predicted memory and time beside those of real runs, each a child process, on this machine's processor.

    python -m bench.budget [--steps N] [--no-time]

Prints a line a setting: memory predicted from the shape alone, after a probe, and measured; the same of the time of all
steps and evaluations. The ratios are predicted to measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from core.base_folder import resolve_base
from core.model.load import load_tokenizer
from core.profile.document import load_profile
from core.profile.schema import Profile
from core.review.budget import budget_here
from core.review.probe import probe
from core.training.prepare import Prepared, prepare

# The peak is the process's own: not what its parent had resident when it was started.
_RUN = """
import sys
from core.cli import main
code = main(sys.argv[1:])
print(open("/proc/self/status").read())
sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """A Qwen2-shaped model with random weights."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int = 8192


@dataclass(frozen=True, slots=True)
class Setting:
    """One run to predict."""

    name: str
    sizes: Sizes | None
    """None: the built-in base."""
    overrides: tuple[str, ...]


SETTINGS = (
    Setting("7M, 64 rows, r 64", None, ("train.micro_batch_size=64", "train.batch_size=64", "lora.r=64")),
    Setting("7M, 16 rows", None, ("train.micro_batch_size=16", "train.batch_size=16")),
    Setting("82M, 8 of 16 rows", Sizes(768, 2048, 12, 12, 4), ("train.micro_batch_size=8", "train.batch_size=16")),
    Setting(
        "89M, wide vocabulary, 8 rows",
        Sizes(512, 1376, 4, 8, 2, vocabulary=151936),
        ("train.micro_batch_size=8", "train.batch_size=8"),
    ),
    Setting("324M, 2 of 4 rows", Sizes(1024, 2816, 28, 16, 4), ("train.micro_batch_size=2", "train.batch_size=4")),
    Setting(
        "324M, bfloat16, 4 rows",
        Sizes(1024, 2816, 28, 16, 4),
        ("train.micro_batch_size=4", "train.batch_size=4", 'model.dtype="bfloat16"'),
    ),
)


def make_base(sizes: Sizes, folder: Path) -> Path:
    """A model folder with random weights and the built-in base's tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        intermediate_size=sizes.inner,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)  # type: ignore[arg-type]
    builtin = resolve_base("builtin:tang-tiny")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(builtin / name, folder / name)
    return folder


def run(overrides: list[str], folder: Path) -> tuple[int, float]:
    """(peak bytes, seconds of all steps and evaluations) of a real run in a process of its own."""
    runs = Path(tempfile.mkdtemp(dir=folder))
    sets = [part for override in overrides for part in ("--set", override)]
    child = subprocess.run(
        [sys.executable, "-c", _RUN, "train", "tang-tiny-cpu", "--runs-dir", str(runs), *sets],
        capture_output=True,
        text=True,
        env={**os.environ, "POEMTUI_STATE": str(folder / "state")},
        check=False,
    )
    if child.returncode:
        raise RuntimeError(child.stdout[-2000:] + child.stderr[-2000:])
    found = re.search(r"VmHWM:\s+(\d+) kB", child.stdout)
    assert found is not None
    seconds = 0.0
    for path in runs.glob("*/events.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            seconds += event.get("step_s", 0.0) + event.get("eval_s", 0.0)
    return 1024 * int(found[1]), seconds


def lengths_of(profile: Profile) -> tuple[Prepared, list[int], list[int]]:
    """The rows of a run, and of those that train the tokens and the supervised ones."""
    prepared = prepare(profile, load_tokenizer(resolve_base(profile.model.base)))
    items = prepared.examples(0)
    return prepared, [len(item.ids) for item in items], [len(item.ids) - item.supervised_from for item in items]


def main() -> None:
    """Print a line a setting."""
    parser = argparse.ArgumentParser(prog="python -m bench.budget", description=__doc__)
    parser.add_argument("--steps", type=int, default=12, help="optimiser steps of each real run")
    parser.add_argument("--only", default="", help="settings whose name begins so")
    parser.add_argument("--no-time", action="store_true", help="leave the probes out")
    args = parser.parse_args()
    memory = f"{'GiB':>6} {'real':>6} {'ratio':>6} {'probe':>6} {'ratio':>6}"
    print(f"{'':30} {memory}   {'s':>7} {'probe':>7} {'real':>7} ratios")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for setting in SETTINGS:
            if not setting.name.startswith(args.only):
                continue
            overrides = [
                *setting.overrides,
                f"train.max_steps={args.steps}",
                "train.eval_every=0",
                "train.sample_every=0",
                'model.device="cpu"',
                "data.eval_rows=20",
            ]
            if setting.sizes is not None:
                base = make_base(setting.sizes, folder / re.sub(r"\W+", "-", setting.name))
                overrides.append(f'model.base="{base}"')
            profile = load_profile("tang-tiny-cpu", overrides=overrides)
            prepared, lengths, supervised = lengths_of(profile)
            held = len(prepared.held_out)
            guess = budget_here(profile, lengths, supervised, eval_rows=held)
            # Before and after, as what else the machine does changes from minute to minute.
            probes = [] if args.no_time else [probe(profile, lengths, supervised, eval_rows=held)]
            peak, seconds = run(overrides, folder)
            if not args.no_time:
                probes.append(probe(profile, lengths, supervised, eval_rows=held))
            probed_bytes = max((one.bytes for one in probes), default=0)
            probed_s = sum(one.seconds or 0.0 for one in probes) / max(1, len(probes))
            print(
                f"{setting.name:30} {guess.bytes / 2**30:6.2f} {peak / 2**30:6.2f} {guess.bytes / peak:6.2f} "
                f"{probed_bytes / 2**30:6.2f} {probed_bytes / peak:6.2f}   "
                f"{guess.seconds or 0:7.1f} {probed_s:7.1f} {seconds:7.1f} "
                f"{(guess.seconds or 0) / seconds:.2f} {probed_s / seconds:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    started_s = time.monotonic()
    main()
    print(f"{time.monotonic() - started_s:.0f} s")
