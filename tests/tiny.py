"""Runs that take a tenth of a second: a random model of one layer learns from a few poems, with dropout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from core.base_folder import resolve_base
from core.data.rows import read_rows
from core.profile.document import load_profile
from core.profile.schema import Profile
from core.runs.directory import RunDirectory, find_run
from core.runs.event_log import iter_events
from core.runs.events import Event

SETTINGS = (
    'data.rows="all"',
    "data.eval_rows=5",
    "data.hold_out=[]",
    'data.template="chatml"',
    "train.max_steps=6",
    "train.batch_size=4",
    "train.micro_batch_size=2",
    "train.learning_rate=0.01",
    "train.eval_every=0",
    "train.checkpoint_every=0",
    "train.sample_every=0",
    "generation.max_new_tokens=3",
    "lora.r=2",
    "lora.alpha=4",
    "lora.dropout=0.1",
    'lora.target_modules=["q_proj", "up_proj"]',
    'model.device="cpu"',
)
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class Tiny:
    """What the runs of a test module are made from."""

    base: Path
    data: Path

    def profile(self, *overrides: str) -> Profile:
        """18 rows of which 5 are held out: 4 steps an epoch of two micro-batches each, 6 steps in all."""
        return load_profile("tang-tiny-cpu", overrides=self.settings(*overrides))

    def settings(self, *overrides: str) -> list[str]:
        return [*SETTINGS, f'model.base="{self.base}"', f'data.path="{self.data}"', *overrides]


def make_tiny(folder: Path) -> Tiny:
    """The model, with the built-in base's tokenizer, and the poems."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    builtin, base = resolve_base("builtin:tang-tiny"), folder / "base"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Qwen2Config(
            vocab_size=json.loads((builtin / "config.json").read_text(encoding="utf-8"))["vocab_size"],
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=256,
            initializer_range=0.2,
        )
        Qwen2ForCausalLM(config).save_pretrained(base)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(builtin / name, base / name)
    rows = [
        {"instruction": row.instruction, "input": row.input, "output": row.output}
        for row in islice(read_rows("builtin:tang-sample").rows, 18)
    ]
    data = folder / "poems.json"
    data.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return Tiny(base, data)


def events_of(run: RunDirectory) -> list[Event]:
    return [event for event, _time_s in iter_events(run.events_path)]


def names_of(events: Sequence[Event]) -> list[str]:
    """What happened, notes left out, with its step."""
    return [
        type(event).__name__ + (f" {event.step}" if hasattr(event, "step") else "")
        for event in events
        if type(event).__name__ != "Note"
    ]


def notes_of(run: RunDirectory) -> list[str]:
    return [event.message for event in events_of(run) if type(event).__name__ == "Note"]


def adapter_bytes(run: RunDirectory) -> bytes:
    return (run.adapter_path / WEIGHTS).read_bytes()


def at(runs_dir: Path, deeds: dict[str, Callable[[RunDirectory], Any]]) -> Callable[[Event], None]:
    """A listener that does something to the newest run when an event first comes, named as by `names_of`."""
    open_deeds = dict(deeds)

    def listen(event: Event) -> None:
        for name in names_of([event]):
            deed = open_deeds.pop(name, None)
            if deed is not None:
                deed(find_run(runs_dir, "last"))

    return listen


def ignore(_event: Event) -> None:
    """A listener that doesn't."""
