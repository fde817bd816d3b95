"""Checkpoints: a resumed run is the uninterrupted one bit for bit, and damage is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from transformers import Qwen2Config, Qwen2ForCausalLM

from core.encoding.encode import Encoded
from core.errors import PoemError
from core.model.device import choose_device, choose_precision
from core.model.load import Base
from core.model.lora import add_lora, load_adapter
from core.runs.directory import RunDirectory, create_run
from core.runs.events import StepDone
from core.training import checkpoint
from core.training.checkpoint import checkpoints, load_optimiser, save_checkpoint
from core.training.loop import Plan, make_optimiser, train

PLAN = Plan(
    epochs=4,
    max_steps=6,
    learning_rate=0.01,
    schedule="linear",
    warmup_ratio=0.2,
    micro_batch_size=2,
    batch_size=4,
    weight_decay=0.01,
    adam_betas=(0.9, 0.999),
    adam_epsilon=1e-8,
    max_grad_norm=1.0,
    seed=9,
    eval_every=0,
)
# Four steps an epoch, so that six steps cross into the second.
ITEMS = [Encoded(n, "row", tuple((5 * n + 3 * k) % 40 for k in range(5 + n % 7)), 3) for n in range(15)]


def tiny_base() -> Base:
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
        model = Qwen2ForCausalLM(config).eval()
    device = choose_device("cpu")
    tokenizer: Any = None
    precision = choose_precision("float32", device.torch_device)
    return Base(model, tokenizer, "tiny", Path("tiny"), device, precision, {})


def fresh() -> Any:
    """An adapter with dropout, whose draws must come back too."""
    return add_lora(
        tiny_base(), r=4, alpha=8, dropout=0.2, bias="none", target_modules=("q_proj", "up_proj"), seed=PLAN.seed
    )


def steps(model: Any, optimiser: torch.optim.Optimizer, *, done: int = 0, until: int = 6) -> list[tuple[Any, ...]]:
    """Train up to step `until`; what each step reports, its times left out."""
    reports: list[tuple[Any, ...]] = []
    events = train(
        model,
        optimiser,
        examples=lambda _epoch: ITEMS,
        held_out=(),
        plan=PLAN,
        accelerator=Accelerator(cpu=True),
        done_steps=done,
    )
    for event in events:
        assert isinstance(event, StepDone)
        reports.append((event.step, event.epoch, event.loss, event.lr, event.grad_norm, event.tokens))
        if event.step == until:
            break
    return reports


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "runs", name="tiny")


@pytest.mark.parametrize("pause", [3, 4, 5])
def test_a_resumed_run_is_the_uninterrupted_one(run: RunDirectory, pause: int) -> None:
    whole = fresh()
    whole_optimiser = make_optimiser(whole, PLAN)
    expected = steps(whole, whole_optimiser)
    assert [report[0] for report in expected] == [1, 2, 3, 4, 5, 6]

    first = fresh()
    optimiser = make_optimiser(first, PLAN)
    before = steps(first, optimiser, until=pause)
    place = save_checkpoint(run, first, optimiser, step=pause, keep=2)
    torch.manual_seed(12345)  # the global state is not what the run left

    second = load_adapter(tiny_base(), place / "adapter", trainable=True)
    optimiser = make_optimiser(second, PLAN)
    assert load_optimiser(place, optimiser) == pause
    after = steps(second, optimiser, done=pause)
    assert before + after == expected
    resumed, uninterrupted = weights(second), weights(whole)
    assert resumed.keys() == uninterrupted.keys()
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in resumed)
    ours, theirs = optimiser.state_dict()["state"], whole_optimiser.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[index][key], theirs[index][key]) for index in ours for key in ours[index])


@pytest.fixture
def trained() -> tuple[Any, torch.optim.Optimizer]:
    model = fresh()
    optimiser = make_optimiser(model, PLAN)
    steps(model, optimiser, until=1)
    return model, optimiser


def test_only_the_newest_are_kept(run: RunDirectory, trained: tuple[Any, Any]) -> None:
    for step in (1, 2, 9, 10, 11):
        save_checkpoint(run, *trained, step=step, keep=3)
    assert checkpoints(run) == [run.checkpoint_path(step) for step in (9, 10, 11)]
    assert sorted(path.name for path in run.checkpoints_path.iterdir()) == sorted(
        run.checkpoint_path(step).name for step in (9, 10, 11)
    )


def test_a_checkpoint_holds_no_pickle(run: RunDirectory, trained: tuple[Any, Any]) -> None:
    place = save_checkpoint(run, *trained, step=1, keep=1)
    files = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
    assert files == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "optimiser.safetensors",
        "state.json",
    ]


def test_a_full_disk_leaves_the_earlier_checkpoint(
    run: RunDirectory, trained: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(run, *trained, step=1, keep=1)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(PoemError) as caught:
        save_checkpoint(run, *trained, step=2, keep=1)
    assert caught.value.hint
    assert [path.name for path in run.checkpoints_path.iterdir()] == [run.checkpoint_path(1).name]
    assert load_optimiser(checkpoints(run)[-1], make_optimiser(fresh(), PLAN)) == 1


def test_an_unfinished_folder_is_no_checkpoint(run: RunDirectory, trained: tuple[Any, Any]) -> None:
    assert checkpoints(run) == []
    place = save_checkpoint(run, *trained, step=1, keep=1)
    run.checkpoint_path(7).mkdir()
    (run.checkpoints_path / ".step-000008.new").mkdir()
    assert checkpoints(run) == [place]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("optimiser.safetensors", b"", "damaged"),
        ("optimiser.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", "damaged"),
        ("state.json", b"{", "can't be read"),
        ("state.json", b"{}", "names no step"),
    ],
)
def test_damage_is_named(run: RunDirectory, trained: tuple[Any, Any], name: str, content: bytes, problem: str) -> None:
    place = save_checkpoint(run, *trained, step=1, keep=1)
    (place / name).write_bytes(content)
    with pytest.raises(PoemError, match=problem) as caught:
        load_optimiser(place, make_optimiser(fresh(), PLAN))
    assert str(place) in caught.value.where
