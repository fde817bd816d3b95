"""What the rules know of the data, the model and the machine: numbers alone, measured elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["fits", "tight", "will not fit", "unknown"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a count is spread over rows."""

    mean: float
    median: float
    p95: int
    """The least value that at least 95 % of the rows don't exceed (nearest rank)."""
    p99: int
    max: int
    sum: int

    @staticmethod
    def of(values: Sequence[int]) -> Distribution:
        """The distribution of at least one value."""
        ordered = sorted(values)
        count, half = len(ordered), len(ordered) // 2
        median = float(ordered[half]) if count % 2 else (ordered[half - 1] + ordered[half]) / 2

        def rank(share: float) -> int:
            return ordered[max(0, math.ceil(share * count) - 1)]

        total = sum(ordered)
        return Distribution(total / count, median, rank(0.95), rank(0.99), ordered[-1], total)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Lengths of rows as the model sees them, in tokens."""

    instruction: Distribution
    input: Distribution
    output: Distribution
    """Without the end token."""
    text: Distribution
    """Instruction, input and output together."""
    template: Distribution
    """What the template and the system prompt add, the end token among it."""
    total: Distribution
    """The whole encoded row."""
    supervised_share: float
    """Of all tokens, those that the loss is taken over: outputs and end tokens; 0 to 1."""
    shared_prefix_tokens: int
    """Tokens that all rows begin with."""
    characters: int
    """Characters of instructions, inputs and outputs."""
    over_cutoff: tuple[int, ...]
    """Numbers of the rows that are longer than `data.cutoff_len`."""
    nothing_supervised: tuple[int, ...]
    """Numbers of the rows whose prompt alone fills `data.cutoff_len`."""
    estimated: bool
    """Whether all this is estimated from characters, as no tokenizer was to be had."""
    tokenizer: str
    """Whose tokenizer: a base's name or a folder; empty where it is estimated."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run needs of a device."""

    verdict: Verdict
    """tight: it fits with less than a tenth of the memory to spare."""
    bytes: int
    """The most memory that it needs at once; 0: unknown."""
    memory_bytes: int
    """What the device has; 0: unknown."""
    seconds: float | None
    """How long it takes; None: unknown."""
    parts: Mapping[str, int]
    """What needs how much: "process", "weights", "adapters", "gradients", "optimiser", "activations", "logits"."""
    device: str
    """cpu, mps or cuda:N."""
    dtype: str
    """float32 or bfloat16: the number type of the base's weights."""
    probed: bool = False
    """Whether a few steps were really made, here, to measure it."""
    fits_with: Mapping[str, Any] | None = None
    """Keys and values nearest to the profile's with which it fits: {"train.micro_batch_size": 1}, or "model.dtype" and
    its name; None: it fits as it is, or with nothing."""


@dataclass(frozen=True, slots=True)
class Model:
    """The shape of a base."""

    name: str
    """As the profile names it."""
    parameters: int
    """How many numbers its weights are."""
    modules: Mapping[str, int]
    """The last part of a linear layer's name → how many of these there are: {"q_proj": 28, …}."""
    trainable: int
    """Numbers that the profile's adapter trains."""
    source: str
    """"folder": read from its config; "published": figures that come with poemtui."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the rules go by, beside the profile."""

    rows: int
    """Rows of the file that can be used."""
    free_rows: int
    """Rows that could train: neither held out nor kin of those."""
    eval_rows: int
    """Held-out rows."""
    instructions: int
    """Distinct instructions."""
    columns: tuple[str, ...]
    """Columns of text beside instruction, input and output."""
    poems: bool
    """Whether most rows are verse."""
    tokens: Tokens
    repeats: Mapping[int, float]
    """n → the share of rows whose own text, input and output, has some run of n characters twice, for n of 1 to 8."""
    padding_share: float
    """Of what goes through the model, the share that is padding, in the run's own batches."""
    model: Model | None
    """None: neither here nor among the published ones."""
    device: str
    """cpu, mps or cuda."""
    budget: Budget | None
    """None: not computed (yet)."""

    @property
    def supervised_tokens(self) -> int:
        """Tokens of all rows that the loss is taken over."""
        return round(self.tokens.total.sum * self.tokens.supervised_share)
