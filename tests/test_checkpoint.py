"""Checkpoints: a resumed run is the uninterrupted one bit for bit, and damage is named."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from transformers import Qwen2Config, Qwen2ForCausalLM

from core.encoding.encode import Encoded
from core.errors import PoemError
from core.model.device import choose_device, choose_precision
from core.model.load import Base
from core.model.lora import add_lora, load_adapter
from core.runs.checkpoints import checkpoints, remove_after, seal
from core.runs.directory import RunDirectory, create_run
from core.runs.events import StepDone
from core.runs.storage import DiskFull
from core.training import checkpoint
from core.training.checkpoint import State, link_best, load_optimiser, load_state, save_checkpoint, save_final
from core.training.loop import Plan, Pulse, make_optimiser, train

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
    return Base(model, tokenizer, "tiny", Path("tiny"), device, precision)


def fresh() -> Any:
    """An adapter with dropout, whose draws must come back too."""
    return add_lora(
        tiny_base(), r=4, alpha=8, dropout=0.2, bias="none", target_modules=("q_proj", "up_proj"), seed=PLAN.seed
    )


def state_of(step: int, micro_batch_size: int = 2, **evals: float) -> State:
    """A complete state; `_2=0.5` is the held-out loss of step 2."""
    losses = {int(name.removeprefix("_")): loss for name, loss in evals.items()}
    return State(step, micro_batch_size, True, losses)


def steps(
    model: Any, optimiser: torch.optim.Optimizer, *, done: int = 0, until: int = 6, plan: Plan = PLAN
) -> list[tuple[Any, ...]]:
    """Train up to step `until`; what each step reports, its times left out."""
    reports: list[tuple[Any, ...]] = []
    events = train(
        model,
        optimiser,
        examples=lambda _epoch: ITEMS,
        held_out=(),
        plan=plan,
        accelerator=Accelerator(cpu=True),
        done_steps=done,
    )
    for event in events:
        if isinstance(event, Pulse):
            continue
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


@pytest.mark.parametrize(("pause", "micro"), [(3, 2), (4, 2), (5, 2), (3, 1)])
def test_a_resumed_run_is_the_uninterrupted_one(run: RunDirectory, pause: int, micro: int) -> None:
    """Also where memory ran out before the checkpoint: from there on both have the smaller micro-batch."""
    plan = replace(PLAN, micro_batch_size=micro)
    whole = fresh()
    whole_optimiser = make_optimiser(whole, PLAN)
    expected = steps(whole, whole_optimiser, until=pause)
    expected += steps(whole, whole_optimiser, done=pause, plan=plan)
    assert [report[0] for report in expected] == [1, 2, 3, 4, 5, 6]

    first = fresh()
    optimiser = make_optimiser(first, PLAN)
    before = steps(first, optimiser, until=pause)
    saved = save_checkpoint(run, first, optimiser, state_of(pause, micro), keep=2)
    torch.manual_seed(12345)  # the global state is not what the run left

    state = load_state(saved)
    assert (state.step, state.micro_batch_size) == (pause, micro)
    second = load_adapter(tiny_base(), saved.path / "adapter", trainable=True)
    optimiser = make_optimiser(second, PLAN)
    load_optimiser(saved, optimiser)
    after = steps(second, optimiser, done=state.step, plan=replace(PLAN, micro_batch_size=state.micro_batch_size))
    assert before + after == expected
    resumed, uninterrupted = weights(second), weights(whole)
    assert resumed.keys() == uninterrupted.keys()
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in resumed)
    ours, theirs = optimiser.state_dict()["state"], whole_optimiser.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[index][key], theirs[index][key]) for index in ours for key in ours[index])


def test_the_uninterrupted_one_is_one_loop() -> None:
    """The run that the others are measured against is the same in one piece and in two."""
    whole, halves = fresh(), fresh()
    optimiser = make_optimiser(halves, PLAN)
    in_two = steps(halves, optimiser, until=3) + steps(halves, optimiser, done=3)
    assert steps(whole, make_optimiser(whole, PLAN)) == in_two
    assert all(torch.equal(tensor, weights(halves)[name]) for name, tensor in weights(whole).items())


@pytest.fixture
def trained() -> tuple[Any, torch.optim.Optimizer]:
    model = fresh()
    optimiser = make_optimiser(model, PLAN)
    steps(model, optimiser, until=1)
    return model, optimiser


def names(run: RunDirectory) -> list[str]:
    """What lies in the directory of checkpoints, hidden names included."""
    return sorted(path.name for path in run.checkpoints_path.iterdir())


def test_only_the_newest_are_kept(run: RunDirectory, trained: tuple[Any, Any]) -> None:
    for step in (1, 2, 9, 10, 11):
        saved = save_checkpoint(run, *trained, state_of(step), keep=3)
        assert (saved.path, saved.step) == (run.checkpoint_path(step), step)
    assert [(item.path, item.step) for item in checkpoints(run)] == [
        (run.checkpoint_path(step), step) for step in (9, 10, 11)
    ]
    assert names(run) == ["step-000009", "step-000010", "step-000011"]


def test_the_best_is_kept_too(run: RunDirectory, trained: tuple[Any, Any]) -> None:
    save_checkpoint(run, *trained, state_of(1, _0=0.1, _1=2.0), keep=1)
    save_checkpoint(run, *trained, state_of(2, _0=0.1, _1=2.0, _2=1.0), keep=1)
    assert names(run) == ["step-000002"]
    save_checkpoint(run, *trained, state_of(3, _0=0.1, _1=2.0, _2=1.0), keep=1)
    save_checkpoint(run, *trained, state_of(4, _0=0.1, _1=2.0, _2=1.0, _4=1.5), keep=1)
    assert names(run) == ["step-000002", "step-000004"]
    # Equally good: the earlier one stays the best.
    save_checkpoint(run, *trained, state_of(5, _0=0.1, _1=2.0, _2=1.0, _4=1.5, _5=1.0), keep=2)
    assert names(run) == ["step-000002", "step-000004", "step-000005"]
    save_checkpoint(run, *trained, state_of(6, _0=0.1, _1=2.0, _2=1.0, _4=1.5, _5=1.0, _6=0.5), keep=2)
    assert names(run) == ["step-000005", "step-000006"]


def test_the_best_step() -> None:
    assert state_of(0).best_step is None
    assert state_of(1, _0=0.5).best_step is None  # the base itself is no checkpoint
    assert state_of(9, _0=0.5, _3=0.8, _6=0.7, _9=0.7).best_step == 6


def test_the_link_to_the_best(run: RunDirectory, trained: tuple[Any, Any], tmp_path: Path) -> None:
    save_checkpoint(run, *trained, state_of(2), keep=2)
    save_checkpoint(run, *trained, state_of(3), keep=2)
    link_best(run, 2)
    assert os.readlink(run.best_path) == "../checkpoints/step-000002/adapter"
    link_best(run, 3)
    assert os.readlink(run.best_path) == "../checkpoints/step-000003/adapter"
    assert [path.name for path in run.adapter_path.iterdir()] == ["best"]
    save_final(run, trained[0])  # the final adapter beside it
    assert sorted(path.name for path in run.adapter_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "best",
    ]
    moved = run.path.rename(tmp_path / "elsewhere")
    assert (moved / "adapter" / "best" / "adapter_config.json").is_file()


def test_a_link_to_the_best_that_a_killed_worker_left(run: RunDirectory) -> None:
    run.adapter_path.mkdir()
    (run.adapter_path / ".best.new").symlink_to("../checkpoints/step-000001/adapter")
    link_best(run, 7)
    assert [path.name for path in run.adapter_path.iterdir()] == ["best"]
    assert os.readlink(run.best_path) == "../checkpoints/step-000007/adapter"


def test_what_a_checkpoint_holds(run: RunDirectory, trained: tuple[Any, Any]) -> None:
    state = State(7, 3, False, {0: 4.25, 3: 3.5, 6: 3.75})
    saved = save_checkpoint(run, *trained, state, keep=1)
    files = sorted(str(path.relative_to(saved.path)) for path in saved.path.rglob("*") if path.is_file())
    assert files == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "checksums.json",
        "optimiser.safetensors",
        "state.json",
    ]
    assert json.loads((saved.path / "state.json").read_text(encoding="utf-8")) == {
        "step": 7,
        "micro_batch_size": 3,
        "is_complete": False,
        "evals": {"0": 4.25, "3": 3.5, "6": 3.75},
    }
    assert load_state(saved) == state
    sums = json.loads((saved.path / "checksums.json").read_text(encoding="utf-8"))["sha256"]
    assert sums == {
        name: hashlib.sha256((saved.path / name).read_bytes()).hexdigest() for name in files if name != "checksums.json"
    }


@pytest.mark.parametrize("kind", ["ours", "safetensors'"])
def test_a_full_disk_leaves_the_earlier_checkpoint(
    run: RunDirectory, trained: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    save_checkpoint(run, *trained, state_of(1), keep=1)

    def full(*_args: object) -> None:
        if kind == "ours":
            raise OSError(28, "No space left on device")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(DiskFull) as caught:
        save_checkpoint(run, *trained, state_of(2), keep=1)
    assert caught.value.hint
    assert caught.value.where == str(run.checkpoint_path(2))
    assert names(run) == ["step-000001"]
    assert load_state(checkpoints(run)[-1]) == state_of(1)
    load_optimiser(checkpoints(run)[-1], make_optimiser(fresh(), PLAN))


def test_another_refusal_of_the_disk_is_not_a_full_one(
    run: RunDirectory, trained: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(checkpoint, "save_file", broken)
    with pytest.raises(PoemError, match="Input/output error") as caught:
        save_checkpoint(run, *trained, state_of(1), keep=1)
    assert not isinstance(caught.value, DiskFull)
    assert names(run) == []


def test_an_unfinished_folder_is_no_checkpoint(run: RunDirectory, trained: tuple[Any, Any]) -> None:
    assert checkpoints(run) == []
    saved = save_checkpoint(run, *trained, state_of(1), keep=1)
    (run.checkpoints_path / ".step-000008.new").mkdir()
    assert checkpoints(run) == [saved]
    run.checkpoint_path(7).mkdir()
    # Its name is free: the step is done again and saved.
    assert save_checkpoint(run, *trained, state_of(7), keep=2).step == 7
    assert [item.step for item in checkpoints(run)] == [1, 7]


def test_later_ones_are_removed(run: RunDirectory, trained: tuple[Any, Any]) -> None:
    for step in (2, 4, 6):
        save_checkpoint(run, *trained, state_of(step), keep=3)
    assert remove_after(run, 4) == [6]
    assert remove_after(run, 0) == [2, 4]
    assert names(run) == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("optimiser.safetensors", b"", "optimiser.safetensors is not what was written"),
        ("adapter/adapter_model.safetensors", None, "adapter/adapter_model.safetensors is missing"),
        ("state.json", b"{}", "state.json is not what was written"),
        ("checksums.json", b"{", "checksums.json can't be read"),
        ("checksums.json", b"{}", "checksums.json can't be read"),
    ],
)
def test_damage_is_named(
    run: RunDirectory, trained: tuple[Any, Any], name: str, content: bytes | None, problem: str
) -> None:
    saved = save_checkpoint(run, *trained, state_of(1), keep=1)
    if content is None:
        (saved.path / name).unlink()
    else:
        (saved.path / name).write_bytes(content)
    with pytest.raises(PoemError, match=problem) as caught:
        load_state(saved)
    assert caught.value.where == str(saved.path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "damaged"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", "the checkpoint is damaged: optimiser tensors are missing"),
    ],
)
def test_an_optimiser_that_is_none(run: RunDirectory, trained: tuple[Any, Any], content: bytes, problem: str) -> None:
    """Its sum may be right, and it can still be another run's."""
    saved = save_checkpoint(run, *trained, state_of(1), keep=1)
    (saved.path / "optimiser.safetensors").write_bytes(content)
    with pytest.raises(PoemError, match=problem) as caught:
        load_optimiser(saved, make_optimiser(fresh(), PLAN))
    assert caught.value.where == str(saved.path)


@pytest.mark.parametrize("document", [{"step": 1}, {"step": 1, "micro_batch_size": 2, "is_complete": True, "evals": 3}])
def test_a_state_that_is_none(run: RunDirectory, trained: tuple[Any, Any], document: dict[str, Any]) -> None:
    saved = save_checkpoint(run, *trained, state_of(1), keep=1)
    (saved.path / "state.json").write_text(json.dumps(document), encoding="utf-8")
    seal(saved.path)
    with pytest.raises(PoemError, match="the checkpoint is damaged") as caught:
        load_state(saved)
    assert caught.value.where == str(saved.path)
