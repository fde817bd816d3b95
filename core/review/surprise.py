"""How surprising a base finds each row: its loss before any training, and the rows at both ends."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.data.recipe import eligible_tasks, make_example
from core.data.row import Row
from core.encoding.encode import Encoded, make_encoder
from core.errors import PoemError
from core.i18n import _
from core.model.load import load_base
from core.profile.schema import Profile
from core.report.document import RowLinks, Section, Text
from core.training.batch import collate, split_micro

_BATCH_ROWS = 8
_LISTED = 20
_QUOTED = 5
_QUOTED_CHARACTERS = 60
_ROWS_BETWEEN_WORDS = 100


@dataclass(frozen=True, slots=True)
class RowLoss:
    """The loss of one row."""

    row: int
    """The row's number."""
    tokens: int
    """Its supervised tokens, the end token among them."""
    nats: float
    """The mean of −log p over these, in nats a token."""


@torch.no_grad()
def row_losses(
    model: Any, items: Sequence[Encoded], *, device: torch.device, batch_rows: int = _BATCH_ROWS
) -> Iterator[RowLoss]:
    """The loss of every row, dropout off, batch by batch, the shortest rows first. Restores the model's mode.

    Args:
        model: a causal language model.
        items: the rows, encoded.
        device: where the model is.
        batch_rows: rows that go through it at once.
    """
    was_training = model.training
    model.eval()
    try:
        for micro in split_micro(items, micro_batch_size=batch_rows):
            batch = collate(micro, device=device)
            columns = (batch.targets >= 0).any(dim=0).nonzero().squeeze(1)  # (K,)
            logits = model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=columns, use_cache=False
            ).logits  # (B, K, V)
            targets = batch.targets[:, columns]  # (B, K)
            nats = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="none"
            ).view_as(targets)
            for item, total in zip(micro, nats.sum(dim=1).tolist(), strict=True):
                tokens = len(item.ids) - item.supervised_from
                yield RowLoss(item.row, tokens, total / tokens)
    finally:
        model.train(was_training)


def score_rows(profile: Profile, rows: Sequence[Row], tell: Callable[[str], None]) -> Iterator[RowLoss]:
    """Load the base and score rows as epoch 0 of a run encodes them, but for those longer than `data.cutoff_len`.

    Args:
        profile: whose base and tasks are meant.
        rows: of a file.
        tell: is told how far it is.

    Raises:
        PoemError: the base isn't here, or no row can be scored.
    """
    data = profile.data
    base = load_base(profile.model.base, dtype=profile.model.dtype, device=profile.model.device)
    encoder = make_encoder(base.tokenizer, template=data.template, embeddings=base.embeddings)
    examples = [
        make_example(row, data.tasks, system_prompt=data.system_prompt, seed=profile.train.seed, epoch=0)
        for row in rows
        if any(task.weight > 0 for task in eligible_tasks(row, data.tasks))
    ]
    items = [item for item in encoder.encode(examples) if len(item.ids) <= data.cutoff_len]
    if not items:
        raise PoemError(
            _("no row fits into {cutoff} tokens").format(cutoff=data.cutoff_len),
            hint=_("Raise data.cutoff_len."),
            where="data.cutoff_len",
        )
    for done, loss in enumerate(row_losses(base.model, items, device=base.device.torch_device), 1):
        yield loss
        if done % _ROWS_BETWEEN_WORDS == 0:
            tell(_("scored {done} of {rows} rows").format(done=f"{done:,}", rows=f"{len(items):,}"))


def surprise_section(losses: Sequence[RowLoss], rows: Mapping[int, Row], base: str) -> Section:
    """The least and the most surprising rows.

    Args:
        losses: of at least one row.
        rows: number → row, of all of these.
        base: the model's name.
    """
    ordered = sorted(losses, key=lambda loss: (loss.nats, loss.row))
    total, tokens = sum(loss.nats * loss.tokens for loss in losses), sum(loss.tokens for loss in losses)
    summary = _(
        "{base}, before any training, finds the outputs of {rows} rows worth {mean:.2f} nats a token; "
        "half of the rows have less than {median:.2f}."
    ).format(
        base=base,
        rows=f"{len(losses):,}",
        mean=total / tokens,
        median=statistics.median(loss.nats for loss in losses),
    )
    least = RowLinks(
        kind="least-surprising",
        title=_("The least surprising rows"),
        rows=tuple(sorted(loss.row for loss in ordered[:_LISTED])),
        examples=tuple(_quote(loss, rows[loss.row]) for loss in ordered[:_QUOTED]),
        remedy=_("The base foresees these: it knows them by heart, or they repeat themselves. They teach it little."),
    )
    most = RowLinks(
        kind="most-surprising",
        title=_("The most surprising rows"),
        rows=tuple(sorted(loss.row for loss in ordered[-_LISTED:])),
        examples=tuple(_quote(loss, rows[loss.row]) for loss in reversed(ordered[-_QUOTED:])),
        remedy=_("Look at these first: damaged text, rare characters, or an output that doesn't belong to its input."),
    )
    return Section("surprise", _("What the base finds surprising"), (Text(summary), least, most))


def _quote(loss: RowLoss, row: Row) -> str:
    text = row.input + row.output
    shown = text if len(text) <= _QUOTED_CHARACTERS else text[: _QUOTED_CHARACTERS - 1] + "…"
    return _("{row}: {nats:.2f} nats a token: {text}").format(row=row.number, nats=loss.nats, text=shown)
