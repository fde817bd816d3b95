"""The likelihood of held-out poems: by the training template, and as plain text, per character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.data.rows import Row
from core.encoding.encode import Encoded, Encoder
from core.training.loss import count_supervised, held_out_nats


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a model finds the outputs of some rows. The end token counts as a token and not as a character."""

    nats: float
    tokens: int
    characters: int

    @property
    def per_token(self) -> float:
        """Nats per supervised token, the end token included."""
        return self.nats / self.tokens

    @property
    def per_character(self) -> float:
        """Nats per character of output."""
        return self.nats / self.characters


def output_likelihood(
    model: Any, items: Sequence[Encoded], rows: Sequence[Row], *, device: Any, with_end: bool
) -> Likelihood:
    """Score the outputs of rows behind their prompts.

    Args:
        model: a causal language model.
        items: the rows, encoded.
        rows: the same rows.
        device: where the model is.
        with_end: whether the end token is scored.
    """
    kept = items if with_end else [Encoded(i.row, i.task, i.ids[:-1], i.supervised_from) for i in items]
    nats = held_out_nats(model, kept, batch_size=16, device=device)
    return Likelihood(nats, count_supervised(kept), sum(len(row.output) for row in rows))


def plain_continuations(encoder: Encoder, rows: Sequence[Row]) -> list[Encoded]:
    """Rows as plain text without any template or instruction: the input given, the output to be scored."""
    return encoder.encode_plain([(row.number, row.input, row.output) for row in rows])
