"""The loop on a tiny model: loss, gradients, rates and batches by hand, and twenty golden steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from core.encoding.encode import Encoded
from core.errors import PoemError
from core.runs.events import EvalDone, EvalStarted, Note, StepDone
from core.training.batch import collate, plan_epoch, split_micro
from core.training.loop import Plan, Pulse, learning_rate, make_optimiser, train
from core.training.loss import count_supervised, held_out_nats, supervised_nats

CPU = torch.device("cpu")
PLAN = Plan(
    epochs=3,
    max_steps=0,
    learning_rate=0.02,
    schedule="cosine",
    warmup_ratio=0.1,
    micro_batch_size=4,
    batch_size=8,
    weight_decay=0.01,
    adam_betas=(0.9, 0.999),
    adam_epsilon=1e-8,
    max_grad_norm=1.0,
    seed=5,
    eval_every=0,
)
# Unequal lengths: 4 to 14 tokens, of which 1 to 7 are supervised.
ITEMS = [
    Encoded(n, "row", tuple((7 * n + 3 * k) % 40 for k in range(size)), size - 1 - n % (size // 2))
    for n, size in enumerate(4 + 5 * n % 11 for n in range(60))
]


@pytest.fixture
def model() -> Any:
    """A tiny random model with an adapter that already has an effect."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Qwen2Config(
            vocab_size=40,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            initializer_range=0.2,
            bos_token_id=None,
            eos_token_id=None,
        )
        lora = LoraConfig(
            r=4, lora_alpha=8, lora_dropout=0.0, target_modules=["q_proj", "up_proj"], init_lora_weights=False
        )
        return get_peft_model(Qwen2ForCausalLM(config), lora)


class Recorder(torch.optim.SGD):
    """Keeps the gradients that it is given, and moves nothing."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.gradients: list[torch.Tensor] = []
        super().__init__([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.0)

    def step(self, closure: Any = None) -> None:
        self.gradients = [p.grad.clone() for group in self.param_groups for p in group["params"]]


def run(
    model: Any,
    plan: Plan,
    optimiser: torch.optim.Optimizer | None = None,
    items: Sequence[Encoded] = ITEMS,
    held_out: Sequence[Encoded] = (),
    examples: Callable[[int], Sequence[Encoded]] | None = None,
) -> list[StepDone | EvalStarted | EvalDone | Note]:
    """The events, without the pulses between them."""
    yielded = train(
        model,
        optimiser or make_optimiser(model, plan),
        examples=examples or (lambda _epoch: items),
        held_out=held_out,
        plan=plan,
        accelerator=Accelerator(cpu=True),
    )
    return [event for event in yielded if not isinstance(event, Pulse)]


def nats_by_hand(model: Any, item: Encoded) -> float:
    """−log p of the supervised tokens of one example, from the whole table of logits."""
    with torch.no_grad():
        odds = model(input_ids=torch.tensor([item.ids])).logits[0].double().log_softmax(-1)
    return -sum(float(odds[at - 1, item.ids[at]]) for at in range(item.supervised_from, len(item.ids)))


def test_the_items_are_of_many_lengths() -> None:
    assert {len(item.ids) for item in ITEMS} == set(range(4, 15))
    assert all(0 < item.supervised_from < len(item.ids) for item in ITEMS)


def test_a_batch_by_hand() -> None:
    batch = collate([Encoded(3, "row", (5, 6, 7, 8), 2), Encoded(9, "row", (1, 2), 1)], device=CPU)
    assert batch.input_ids.tolist() == [[5, 6, 7, 8], [1, 2, 0, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch.targets.tolist() == [[-100, 7, 8, -100], [2, -100, -100, -100]]
    assert batch.rows == (3, 9)


def test_micro_batches_are_of_like_length() -> None:
    items = [Encoded(n, "row", (0,) * length, 1) for n, length in enumerate((9, 2, 5, 3, 8))]
    assert [[len(i.ids) for i in micro] for micro in split_micro(items, micro_batch_size=2)] == [[2, 3], [5, 8], [9]]


@pytest.mark.parametrize("examples", [1, 7, 8, 9, 300])
def test_an_epoch_has_every_example_once(examples: int) -> None:
    lengths = [(31 * n) % 17 + 1 for n in range(examples)]
    batches = plan_epoch(lengths, batch_size=8, seed=1, epoch=0)
    assert sorted(index for batch in batches for index in batch) == list(range(examples))
    assert len(batches) == math.ceil(examples / 8)
    assert sorted(map(len, batches), reverse=True)[:-1] == [8] * (len(batches) - 1)
    assert batches == plan_epoch(lengths, batch_size=8, seed=1, epoch=0)
    if examples > 128:
        assert batches != plan_epoch(lengths, batch_size=8, seed=1, epoch=1)
        assert batches != plan_epoch(lengths, batch_size=8, seed=2, epoch=0)


def test_steps_in_all() -> None:
    assert PLAN.count_steps(17) == 3 * 3
    assert PLAN.count_steps(16) == 3 * 2
    assert replace(PLAN, max_steps=4).count_steps(17) == 4
    assert replace(PLAN, max_steps=40).count_steps(17) == 9


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        # Ten steps, warm-up of ceil(0.2 · 10) = 2, then 8 steps down.
        ("linear", [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        ("constant", [0.5] + [1] * 9),
        ("cosine", [0.5, 1, 1, 0.96194, 0.853553, 0.691342, 0.5, 0.308658, 0.146447, 0.03806]),
    ],
)
def test_learning_rates(schedule: str, rates: list[float]) -> None:
    plan = replace(PLAN, schedule=schedule, warmup_ratio=0.2, learning_rate=3.0)
    shares = [learning_rate(step, 10, plan) / 3.0 for step in range(1, 11)]
    assert shares == pytest.approx(rates, abs=1e-6)


def test_the_rate_without_warm_up_starts_whole() -> None:
    plan = replace(PLAN, schedule="linear", warmup_ratio=0.0, learning_rate=1.0)
    assert [learning_rate(step, 4, plan) for step in range(1, 5)] == [1.0, 0.75, 0.5, 0.25]
    assert learning_rate(1, 1, replace(plan, warmup_ratio=1.0)) == 1.0


def test_the_loss_is_that_of_the_whole_logits(model: Any) -> None:
    model.eval()
    items = ITEMS[:9]
    expected = sum(nats_by_hand(model, item) for item in items)
    assert supervised_nats(model, collate(items, device=CPU)).item() == pytest.approx(expected, rel=1e-5)
    model.train()
    assert held_out_nats(model, items, batch_size=4, device=CPU) == pytest.approx(expected, rel=1e-5)
    assert model.training


@pytest.mark.parametrize("micro", [8, 4, 2, 1, 3])
def test_gradients_don_t_depend_on_the_micro_batch(model: Any, micro: int) -> None:
    model.double()
    plan = replace(PLAN, max_steps=1, max_grad_norm=0.0, micro_batch_size=micro)
    optimiser = Recorder(model)
    batch = [ITEMS[index] for index in (0, 1, 2, 3, 4, 5, 6, 7)]
    assert len({len(item.ids) for item in batch}) == 8
    (event,) = run(model, plan, optimiser, items=batch)
    supervised = count_supervised(batch)
    # The mean over the supervised tokens of all eight rows, each row run alone.
    model.zero_grad()
    total = sum(supervised_nats(model, collate([item], device=CPU)) for item in batch) / supervised
    total.backward()
    expected = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    for got, wanted in zip(optimiser.gradients, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-6)
    assert any(float(gradient.abs().max()) > 1e-3 for gradient in expected)
    assert isinstance(event, StepDone)
    assert event.loss == pytest.approx(sum(nats_by_hand(model, item) for item in batch) / supervised, rel=1e-6)
    assert event.tokens == sum(len(item.ids) for item in batch)
    assert event.grad_norm == pytest.approx(math.sqrt(sum(float((g**2).sum()) for g in expected)), rel=1e-4)


def test_clipping_bounds_the_gradient_and_reports_it_unclipped(model: Any) -> None:
    free, bound = Recorder(model), Recorder(model)
    plan = replace(PLAN, max_steps=1, max_grad_norm=0.0)
    (before,) = run(model, plan, free)
    (after,) = run(model, replace(plan, max_grad_norm=0.01), bound)
    assert isinstance(before, StepDone) and isinstance(after, StepDone)
    assert before.grad_norm == after.grad_norm > 0.01
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in bound.gradients))
    assert norm == pytest.approx(0.01, rel=1e-3)


def test_only_the_adapter_changes(model: Any) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    run(model, replace(PLAN, max_steps=3))
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if "lora_" in name}


def test_events_in_order(model: Any) -> None:
    held_out = ITEMS[40:50]
    model.eval()
    base = sum(nats_by_hand(model, item) for item in held_out) / count_supervised(held_out)
    events = run(model, replace(PLAN, epochs=1, eval_every=2), items=ITEMS[:40], held_out=held_out)
    order = [(event.step, type(event).__name__) for event in events if not isinstance(event, Note)]
    assert order == [
        (0, "EvalStarted"),
        (0, "EvalDone"),
        (1, "StepDone"),
        (2, "StepDone"),
        (2, "EvalStarted"),
        (2, "EvalDone"),
        (3, "StepDone"),
        (4, "StepDone"),
        (4, "EvalStarted"),
        (4, "EvalDone"),
        (5, "StepDone"),
        (5, "EvalStarted"),
        (5, "EvalDone"),
    ]
    assert len(events) == len(order)
    assert events[0] == EvalStarted(step=0, rows=10)
    assert isinstance(events[1], EvalDone)
    assert events[1].loss == pytest.approx(base, rel=1e-5)
    assert events[1].tokens == count_supervised(held_out)
    assert [event.epoch for event in events if isinstance(event, StepDone)] == [0.2, 0.4, 0.6, 0.8, 1.0]


def test_each_epoch_asks_for_its_examples(model: Any) -> None:
    asked: list[int] = []

    def examples(epoch: int) -> Sequence[Encoded]:
        asked.append(epoch)
        return ITEMS[:16]

    events = run(model, PLAN, examples=examples)
    assert len(events) == 6
    assert asked == [0, 1, 2]


def test_a_loss_that_is_no_number_leaves_the_parameters(model: Any) -> None:
    with torch.no_grad():
        model.get_parameter("base_model.model.lm_head.weight")[3] = math.nan
    before = [parameter.clone() for parameter in model.parameters() if parameter.requires_grad]
    with pytest.raises(PoemError, match="step 1 is not a finite number; its rows: ") as caught:
        run(model, PLAN)
    assert "train.learning_rate" in caught.value.hint
    after = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(parameter.grad is None for parameter in after)


# Made by this loop on the CPU in float32; the loss and the gradients are checked by hand above.
GOLDEN = [
    4.160052, 3.992407, 4.376031, 3.869569, 4.409293, 3.889444, 3.808986, 3.410049, 3.597561, 2.897932,
    2.914810, 2.790760, 2.892301, 3.128700, 2.442977, 2.913683, 2.688376, 2.374912, 2.546187, 2.474954,
]  # fmt: skip


def test_twenty_golden_steps(model: Any) -> None:
    events = run(model, PLAN, items=ITEMS[:56])
    losses = [event.loss for event in events if isinstance(event, StepDone)]
    assert len(losses) == 21
    assert losses[:20] == pytest.approx(GOLDEN, abs=1e-4)
    assert sum(losses[-5:]) < sum(losses[:5])
