"""What a profile holds, as frozen dataclasses whose field names are the TOML keys and whose defaults are the advice.

It knows no files, no TOML and no ranges: `document` reads and writes, `reference` says what each key means and may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.data.recipe import Task


@dataclass(frozen=True, slots=True)
class ModelKeys:
    """`[model]`: the base model and where it computes."""

    base: str = "builtin:tang-tiny"
    """A local folder, a hub id, or `builtin:NAME`."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the base's weights; `auto`: bfloat16 where the device does it well, else float32."""
    device: str = "auto"
    """`auto`, `cpu`, `mps`, `cuda` or `cuda:N`."""


@dataclass(frozen=True, slots=True)
class DataKeys:
    """`[data]`: the rows and what is made of them."""

    path: str = "builtin:tang-sample"
    """The data file, relative to the current directory; or `builtin:tang-sample`."""
    rows: int | Literal["all"] = "all"
    """How many rows train (a seeded sample, at least 1); `all`: every row that isn't held out."""
    eval_rows: int = 200
    """Rows held out of training and scored; 0: none."""
    hold_out: tuple[str, ...] = ()
    """Every row whose poem contains one of these strings is held out too, before any other."""
    exclude: tuple[int | str, ...] = ()
    """Rows that neither train nor are evaluated: numbers, ranges "100-120", kinds of problems."""
    cutoff_len: int = 256
    """Tokens: the longest encoded row, prompt and end token counted."""
    template: Literal["auto", "chatml", "alpaca", "model"] = "auto"
    """How instruction, input and output become one text; `auto` chooses by the base and says which."""
    system_prompt: str = ""
    """Put before every example; empty: none."""
    overlong: Literal["drop", "truncate", "error"] = "drop"
    """What happens to a row of more than `cutoff_len` tokens."""
    on_bad_row: Literal["error", "skip"] = "error"
    """What happens to a row that can't be read; `skip` counts and lists it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column is the instruction, the input and the output; empty: by the file's own column names."""
    tasks: tuple[Task, ...] = ()
    """Weighted templates over a row's columns; empty: every row as it stands."""


@dataclass(frozen=True, slots=True)
class TrainKeys:
    """`[train]`: the optimiser and the rhythm of a run. A step is an optimiser step."""

    epochs: int = 5
    """Passes over the training rows, at least 1."""
    max_steps: int = 0
    """Steps after which training ends, whatever the epochs; 0: no limit."""
    learning_rate: float = 2e-4
    """AdamW's step size at its peak."""
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    """How the learning rate falls after the warm-up: to 0, or not at all (`constant`)."""
    warmup_ratio: float = 0.03
    """Share of all steps in which the learning rate rises from 0; 0: none."""
    micro_batch_size: int = 4
    """Rows that go through the model at once."""
    batch_size: int = 8
    """Rows in one step: a multiple of `micro_batch_size`."""
    weight_decay: float = 0.0
    """AdamW's decay a step, times the learning rate; 0: none."""
    adam_beta1: float = 0.9
    """Memory of the mean of gradients, below 1."""
    adam_beta2: float = 0.999
    """Memory of the mean of squared gradients, below 1."""
    adam_epsilon: float = 1e-8
    """Added to the divisor; above 0."""
    max_grad_norm: float = 1.0
    """A longer gradient is scaled down to this norm; 0: no clipping."""
    seed: int = 42
    """Seeds the sample of rows, the split, the order, the choice of tasks and dropout."""
    eval_every: int = 500
    """Steps between evaluations; 0: only before the first step and after the last."""
    checkpoint_every: int = 500
    """Steps between checkpoints; 0: only at the end."""
    keep_checkpoints: int = 3
    """The newest checkpoints that stay on disk, at least 1."""
    sample_every: int = 500
    """Steps between sample poems; 0: never."""
    sample_prompts: tuple[str, ...] = ("白日依山盡，黃河入海流。",)
    """The inputs that sample poems continue."""
    trackers: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()
    """Where a run's figures are mirrored, each once; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class LoraKeys:
    """`[lora]`: the adapter."""

    r: int = 8
    """Rank of each adapter matrix."""
    alpha: int = 16
    """The adapter's output is scaled by alpha / r."""
    dropout: float = 0.05
    """Share of the adapter's inputs dropped in training, below 1; 0: none."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which bias vectors train too."""
    target_modules: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )
    """The base's linear layers that get an adapter, by the last part of their names."""
    task_type: Literal["CAUSAL_LM"] = "CAUSAL_LM"
    """What peft records of the adapter's purpose."""


@dataclass(frozen=True, slots=True)
class GenerationKeys:
    """`[generation]`: how a poem is completed."""

    max_new_tokens: int = 128
    """Tokens after which a completion is cut off."""
    temperature: float = 0.8
    """Flattens (above 1) or sharpens (below 1) the odds; 0: always the likeliest token."""
    top_p: float = 0.9
    """Only the likeliest tokens that together reach this share are drawn from; 1: off."""
    top_k: int = 0
    """Only this many of the likeliest tokens are drawn from; 0: off."""
    repetition_penalty: float = 1.0
    """Divides the odds of tokens that were used already; 1: off."""
    no_repeat_ngram_size: int = 3
    """No run of this many tokens comes twice; 0: off."""
    seed: int = 42
    """Seed of the first completion; the next ones count up."""
    count: int = 1
    """Completions made of one prompt."""


@dataclass(frozen=True, slots=True)
class NotifyKeys:
    """`[notify]`: who is told that a run has ended."""

    command: str = ""
    """A program and its arguments, split as a shell would split words; empty: nothing is run."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything that decides a run. Two equal profiles on equal data and software make equal runs."""

    model: ModelKeys = field(default_factory=ModelKeys)
    data: DataKeys = field(default_factory=DataKeys)
    train: TrainKeys = field(default_factory=TrainKeys)
    lora: LoraKeys = field(default_factory=LoraKeys)
    generation: GenerationKeys = field(default_factory=GenerationKeys)
    notify: NotifyKeys = field(default_factory=NotifyKeys)
