"""Batch layout: from encoded examples to tensors. The one seam behind which a faster layout can stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from core.data.recipe import epoch_order
from core.encoding.encode import Encoded

# Batches are made of rows of like length within a window of this many batches, so that little is padding while the
# order stays well mixed.
_WINDOW_BATCHES = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch, padded on the right."""

    input_ids: torch.Tensor  # (B, T) int64
    attention_mask: torch.Tensor  # (B, T) int64, 0 on padding
    targets: torch.Tensor  # (B, T) int64: the next id where it is supervised, else -100
    rows: tuple[int, ...]  # (B) row numbers


def plan_epoch(lengths: Sequence[int], *, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Which examples make each optimiser batch of an epoch: indices into `lengths`, every one once.

    Only lengths, seed and epoch decide, so any micro-batch size, and a resumed run, see the same batches.
    """
    order = epoch_order(range(len(lengths)), seed=seed, epoch=epoch)
    window = _WINDOW_BATCHES * batch_size
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        near = sorted(order[start : start + window], key=lambda index: lengths[index])
        batches += [near[at : at + batch_size] for at in range(0, len(near), batch_size)]
    # The short batch must not always come at the same place, nor short poems before long ones.
    shuffled = epoch_order(range(len(batches)), seed=seed, epoch=epoch)
    return [batches[index] for index in shuffled]


def split_micro(items: Sequence[Encoded], *, micro_batch_size: int) -> list[list[Encoded]]:
    """An optimiser batch in micro-batches of like length."""
    ordered = sorted(items, key=lambda item: len(item.ids))
    return [list(ordered[at : at + micro_batch_size]) for at in range(0, len(ordered), micro_batch_size)]


def collate(items: Sequence[Encoded], *, device: torch.device) -> Batch:
    """Lay examples out as one padded micro-batch.

    The padding id is 0: it is masked, and never supervised.
    """
    width = max(len(item.ids) for item in items)
    input_ids = torch.zeros(len(items), width, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    targets = torch.full_like(input_ids, -100)
    for row, item in enumerate(items):
        ids = torch.tensor(item.ids)
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
        targets[row, item.supervised_from - 1 : len(ids) - 1] = ids[item.supervised_from :]
    return Batch(input_ids.to(device), attention_mask.to(device), targets.to(device), tuple(item.row for item in items))
