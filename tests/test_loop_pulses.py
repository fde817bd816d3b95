"""The loop between its events: pulses in order, evaluations broken off and made up for, and memory that runs out."""

from __future__ import annotations

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
from core.training.loop import Plan, Pulse, make_optimiser, train
from core.training.loss import count_supervised, held_out_nats

CPU = torch.device("cpu")
PLAN = Plan(
    epochs=2,
    max_steps=0,
    learning_rate=0.02,
    schedule="linear",
    warmup_ratio=0.0,
    micro_batch_size=2,
    batch_size=4,
    weight_decay=0.0,
    adam_betas=(0.9, 0.999),
    adam_epsilon=1e-8,
    max_grad_norm=1.0,
    seed=3,
    eval_every=2,
)
# 4 to 11 tokens, the last two supervised.
ITEMS = [Encoded(n, "row", tuple((7 * n + 3 * k) % 40 for k in range(4 + n)), 2 + n) for n in range(8)]
HELD_OUT = [Encoded(n, "row", tuple((5 * n + k) % 40 for k in range(4 + n % 3)), 2) for n in range(5)]


@pytest.fixture
def make_model() -> Callable[[], Any]:
    """The same tiny random model each time, with dropout, so that its draws matter."""

    def make() -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            config = Qwen2Config(
                vocab_size=40,
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=1,
                initializer_range=0.2,
                bos_token_id=None,
                eos_token_id=None,
            )
            lora = LoraConfig(
                r=2, lora_alpha=4, lora_dropout=0.2, target_modules=["q_proj", "up_proj"], init_lora_weights=False
            )
            return get_peft_model(Qwen2ForCausalLM(config), lora)

    return make


@pytest.fixture
def model(make_model: Callable[[], Any]) -> Any:
    return make_model()


def loop(model: Any, plan: Plan = PLAN, *, held_out: Sequence[Encoded] = (), **options: Any) -> Any:
    return train(
        model,
        options.pop("optimiser", None) or make_optimiser(model, plan),
        examples=lambda _epoch: ITEMS,
        held_out=held_out,
        plan=plan,
        accelerator=Accelerator(cpu=True),
        **options,
    )


def told(item: Any) -> tuple[Any, ...]:
    """A pulse or an event in short."""
    match item:
        case Pulse():
            return ("at rest" if item.at_rest else "within", item.step, item.is_complete, item.micro_batch_size)
        case Note():
            return ("note", item.message)
        case _:
            return (type(item).__name__, item.step)


def evaluation(step: int) -> list[tuple[Any, ...]]:
    """Five rows, four at once: two batches."""
    return [("EvalStarted", step), ("at rest", step, False, 2), ("at rest", step, False, 2), ("EvalDone", step)]


def trained(step: int) -> list[tuple[Any, ...]]:
    """Four rows, two at once; until the optimiser has moved, the step is not done."""
    return [("within", step - 1, True, 2), ("within", step - 1, True, 2), ("StepDone", step)]


def test_pulses_in_order(model: Any) -> None:
    assert [told(item) for item in loop(model, held_out=HELD_OUT)] == [
        *evaluation(0),
        ("at rest", 0, True, 2),
        *trained(1),
        ("at rest", 1, True, 2),
        *trained(2),
        *evaluation(2),
        ("at rest", 2, True, 2),
        *trained(3),
        ("at rest", 3, True, 2),
        *trained(4),
        *evaluation(4),
        ("at rest", 4, True, 2),
    ]


def test_nothing_held_out(model: Any) -> None:
    items = [told(item) for item in loop(model, replace(PLAN, max_steps=1))]
    assert items == [("at rest", 0, True, 2), *trained(1), ("at rest", 1, True, 2)]


def test_at_rest_the_gradients_are_gone(model: Any) -> None:
    """Model and optimiser are what a checkpoint of that step holds, whenever a pulse says so."""
    optimiser = make_optimiser(model, PLAN)
    moved: dict[int, torch.Tensor] = {}
    parameter = next(parameter for parameter in model.parameters() if parameter.requires_grad)
    for item in loop(model, held_out=HELD_OUT, optimiser=optimiser):
        if not isinstance(item, Pulse):
            continue
        if not item.at_rest:
            assert parameter.grad is not None
            continue
        assert all(parameter.grad is None for parameter in model.parameters())
        states = optimiser.state_dict()["state"].values()
        assert {int(state["step"]) for state in states} == ({item.step} if item.step else set())
        assert torch.equal(moved.setdefault(item.step, parameter.detach().clone()), parameter)
    assert sorted(moved) == [0, 1, 2, 3, 4]
    assert not torch.equal(moved[0], moved[1])


@pytest.mark.parametrize("step", [0, 2])
def test_an_evaluation_broken_off_leaves_the_mode(model: Any, step: int) -> None:
    model.train()
    events = loop(model, held_out=HELD_OUT)
    for item in events:
        if isinstance(item, Pulse) and item.step == step and not item.is_complete:
            break
    assert not model.training
    events.close()
    assert model.training
    assert torch.is_grad_enabled()


def test_acting_at_a_pulse_of_an_evaluation_has_gradients_on(model: Any) -> None:
    """Who reads the loop is not inside its no_grad."""
    within = [torch.is_grad_enabled() for item in loop(model, held_out=HELD_OUT) if isinstance(item, Pulse)]
    assert all(within) and len(within) == 3 * 2 + 5 + 4 * 2


def test_a_resumed_loop_does_the_evaluation_that_is_due(model: Any) -> None:
    items = [told(item) for item in loop(model, held_out=HELD_OUT, done_steps=2, is_complete=False)]
    assert items[:6] == [*evaluation(2), ("at rest", 2, True, 2), ("within", 2, True, 2)]


def test_a_resumed_loop_does_no_evaluation_twice(model: Any) -> None:
    items = [told(item) for item in loop(model, held_out=HELD_OUT, done_steps=2, is_complete=True)]
    assert items[:4] == [("at rest", 2, True, 2), *trained(3)]
    # After step 1 none was due.
    items = [told(item) for item in loop(model, held_out=HELD_OUT, done_steps=1, is_complete=False)]
    assert items[:2] == [("at rest", 1, True, 2), ("within", 1, True, 2)]


def test_a_loop_resumed_at_its_end(model: Any) -> None:
    items = [told(item) for item in loop(model, held_out=HELD_OUT, done_steps=4, is_complete=False)]
    assert items == [*evaluation(4), ("at rest", 4, True, 2)]
    assert [told(item) for item in loop(model, held_out=HELD_OUT, done_steps=4, is_complete=True)] == items[-1:]


def test_the_evaluations_can_be_changed_on_the_way(model: Any) -> None:
    wanted = {"every": 0}
    evaluated = []
    for item in loop(model, replace(PLAN, epochs=5), held_out=HELD_OUT, eval_every=lambda: wanted["every"]):
        if isinstance(item, EvalStarted):
            evaluated.append(item.step)
        if isinstance(item, StepDone):
            wanted["every"] = {3: 4, 8: 0}.get(item.step, wanted["every"])
    # Ten steps: the first and the last whatever is wished; 3 is not asked before it is done.
    assert evaluated == [0, 4, 10]


def limit(model: Any, is_too_much: Callable[[torch.Tensor], bool]) -> None:
    """Let memory run out for some micro-batches."""
    forward = model.forward

    def limited(**inputs: Any) -> Any:
        if is_too_much(inputs["input_ids"]):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(**inputs)

    model.forward = limited


def results(items: list[Any]) -> list[tuple[Any, ...]]:
    """Everything that a step and an evaluation report, times left out."""
    return [
        (item.step, item.loss, item.lr, item.grad_norm, item.tokens)
        if isinstance(item, StepDone)
        else (item.step, item.loss, item.tokens)
        for item in items
        if isinstance(item, (StepDone, EvalDone))
    ]


def trainable(model: Any) -> list[torch.Tensor]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


@pytest.mark.parametrize(
    "is_too_much",
    [
        lambda ids: ids.shape[0] > 2,
        # The shorter half of a step's rows fits; what it has left in the gradients must go.
        lambda ids: ids.shape[0] > 2 and ids.shape[1] > 7,
    ],
)
def test_memory_that_runs_out_halves_the_micro_batch(
    make_model: Callable[[], Any], is_too_much: Callable[[torch.Tensor], bool]
) -> None:
    plan = replace(PLAN, batch_size=8, epochs=4)
    small, large = make_model(), make_model()
    expected = list(loop(small, plan))
    limit(large, is_too_much)
    got = list(loop(large, replace(plan, micro_batch_size=4)))
    notes = [told(item) for item in got if isinstance(item, Note)]
    assert notes == [
        ("note", "Memory ran out at step 1. Rows that go through the model at once from here on: 2"),
    ]
    assert results(got) == results(expected)
    assert len(results(got)) == 4
    assert all(torch.equal(a, b) for a, b in zip(trainable(large), trainable(small), strict=True))
    after = got[got.index(next(item for item in got if isinstance(item, Note))) :]
    assert {item.micro_batch_size for item in after if isinstance(item, Pulse)} == {2}


def test_it_is_halved_until_it_fits(model: Any) -> None:
    limit(model, lambda ids: ids.shape[0] > 1)
    items = list(loop(model, replace(PLAN, batch_size=8, micro_batch_size=8, max_steps=1)))
    notes = [item.message for item in items if isinstance(item, Note)]
    assert notes == [
        f"Memory ran out at step 1. Rows that go through the model at once from here on: {rows}" for rows in (4, 2, 1)
    ]
    assert told(items[-1]) == ("at rest", 1, True, 1)


def test_memory_that_runs_out_in_an_evaluation(make_model: Callable[[], Any]) -> None:
    model = make_model()
    expected = held_out_nats(make_model(), HELD_OUT, batch_size=4, device=CPU) / count_supervised(HELD_OUT)
    limit(model, lambda ids: ids.shape[0] > 4)
    model.train()
    items = list(loop(model, replace(PLAN, micro_batch_size=4, max_steps=1), held_out=HELD_OUT))
    assert [told(item) for item in items[:5]] == [
        ("EvalStarted", 0),
        ("note", "Memory ran out at step 0. Rows that go through the model at once from here on: 4"),
        ("at rest", 0, False, 4),
        ("at rest", 0, False, 4),
        ("EvalDone", 0),
    ]
    assert isinstance(items[4], EvalDone)
    assert items[4].loss == expected
    assert [told(item) for item in items[5:]] == [
        ("at rest", 0, True, 4),
        ("within", 0, True, 4),
        ("StepDone", 1),
        ("EvalStarted", 1),
        ("at rest", 1, False, 4),
        ("at rest", 1, False, 4),
        ("EvalDone", 1),
        ("at rest", 1, True, 4),
    ]


@pytest.mark.parametrize("held_out", [HELD_OUT, []])
def test_one_row_too_many(model: Any, held_out: list[Encoded]) -> None:
    limit(model, lambda _ids: True)
    before = [parameter.clone() for parameter in trainable(model)]
    step = 0 if held_out else 1
    with pytest.raises(PoemError) as caught:
        list(loop(model, held_out=held_out))
    assert caught.value.message == f"memory ran out at step {step}, with one row at a time"
    assert caught.value.where == f"step {step}"
    assert "data.cutoff_len" in caught.value.hint
    assert all(torch.equal(a, b) for a, b in zip(before, trainable(model), strict=True))
    assert all(parameter.grad is None for parameter in trainable(model))
