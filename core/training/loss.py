"""The loss: summed over supervised tokens, so that the mean can be taken over a whole optimiser batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from core.encoding.encode import Encoded
from core.training.batch import Batch, collate, split_micro


def supervised_nats(model: Any, batch: Batch) -> torch.Tensor:
    """The sum of −log p over the batch's supervised tokens, a float32 scalar in nats.

    Logits are made only for the positions where some row is supervised.
    """
    columns = (batch.targets >= 0).any(dim=0).nonzero().squeeze(1)  # (K,)
    logits = model(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=columns, use_cache=False
    ).logits  # (B, K, V)
    targets = batch.targets[:, columns]
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="sum"
    )


def count_supervised(items: Sequence[Encoded]) -> int:
    """Supervised tokens in examples."""
    return sum(len(item.ids) - item.supervised_from for item in items)


def held_out_nats(model: Any, items: Sequence[Encoded], *, batch_size: int, device: torch.device) -> float:
    """The sum of −log p over the supervised tokens of examples, dropout off, in nats. Restores the model's mode."""
    total = 0.0
    for nats in held_out_batches(model, items, batch_size=batch_size, device=device):
        total += nats
    return total


@torch.no_grad()
def held_out_batches(model: Any, items: Sequence[Encoded], *, batch_size: int, device: torch.device) -> Iterator[float]:
    """The same, batch by batch. Between two of them the model is in evaluation mode."""
    was_training = model.training
    model.eval()
    try:
        for micro in split_micro(items, micro_batch_size=batch_size):
            yield float(supervised_nats(model, collate(micro, device=device)))
    finally:
        model.train(was_training)
