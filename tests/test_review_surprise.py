"""The loss of each row: what training would say of it alone, whatever stands beside it in a batch."""

from __future__ import annotations

from itertools import islice

import pytest

from core import i18n
from core.data.recipe import DEFAULT_TASK, make_example
from core.data.rows import read_rows
from core.encoding.encode import make_encoder
from core.model.load import load_base
from core.report.document import RowLinks, Text
from core.review.surprise import RowLoss, row_losses, surprise_section
from core.training.loss import held_out_nats


def test_the_loss_of_a_row_is_its_own() -> None:
    base = load_base("builtin:tang-tiny", device="cpu")
    rows = list(islice(read_rows("builtin:tang-sample").rows, 60, 72))  # of several forms
    encoder = make_encoder(base.tokenizer, template="auto", embeddings=base.embeddings)
    examples = [make_example(row, (DEFAULT_TASK,), system_prompt="", seed=0, epoch=0) for row in rows]
    items = encoder.encode(examples)
    assert len({len(item.ids) for item in items}) > 2
    base.model.train()
    losses = list(row_losses(base.model, items, device=base.device.torch_device, batch_rows=5))
    assert base.model.training
    lengths = {item.row: len(item.ids) for item in items}
    assert [lengths[loss.row] for loss in losses] == sorted(lengths.values())
    assert {loss.row: loss.tokens for loss in losses} == {i.row: len(i.ids) - i.supervised_from for i in items}
    alone = {
        item.row: held_out_nats(base.model, [item], batch_size=1, device=base.device.torch_device) for item in items
    }
    assert {loss.row: loss.nats * loss.tokens for loss in losses} == pytest.approx(alone, rel=1e-4)


def test_the_rows_at_both_ends() -> None:
    i18n.use("en")
    rows = {row.number: row for row in read_rows("builtin:tang-sample").rows}
    # The more, the more surprising; with one row that has twice as many tokens as the others.
    losses = [RowLoss(number, 2 if number == 7 else 1, float(number)) for number in range(41)]
    section = surprise_section(losses, rows, "a base")
    text, least, most = section.blocks
    assert isinstance(text, Text) and isinstance(least, RowLinks) and isinstance(most, RowLinks)
    assert "41 rows worth 19.69 nats a token" in text.text and "less than 20.00" in text.text  # (820 + 7) / 42
    assert (least.kind, least.rows) == ("least-surprising", tuple(range(20)))
    assert (most.kind, most.rows) == ("most-surprising", tuple(range(21, 41)))
    assert [example.partition(":")[0] for example in least.examples] == ["0", "1", "2", "3", "4"]
    assert [example.partition(":")[0] for example in most.examples] == ["40", "39", "38", "37", "36"]
    assert most.examples[0].startswith("40: 40.00 nats a token: " + rows[40].input)
