"""What a run needs, from shapes and lengths alone: figures worked out by hand, limits, and what fits instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2Config

from core.base_folder import resolve_base
from core.profile.document import load_profile
from core.profile.schema import Profile
from core.review import budget as budget_module
from core.review import probe as probe_module
from core.review.budget import Target, budget_of, judge, target_here
from core.review.budget_batches import Micro, batches_of
from core.review.budget_speed import Speed, speed_of
from core.review.budget_step import Work, cost_of
from core.review.probe import Measured, probe
from core.review.shapes import Shape, make_model, model_facts, shape_of

MIB = 2**20
# 2 heads of 8; embeddings and output layer apart: 2 × 5000 × 16 numbers. A layer: q 256 + 16, k and v 128 + 8 each,
# o 256, gate, up and down 384 each, two norms of 16: 1984. A norm at the end: 16.
VOCABULARY, LAYER, PARAMETERS = 5000, 1984, 160_000 + 3 * 1984 + 16
# At r = 2: q 2 × 32, up 2 × (16 + 24), in each of three layers.
TRAINABLE = 3 * (64 + 80)
LENGTHS, SUPERVISED = [10, 12, 12, 10, 12, 12, 12, 10], [4, 6, 6, 4, 6, 6, 6, 4]


def small_shape(layers: int = 3, **changes: Any) -> Shape:
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=False,
    )
    return replace(Shape("small", config, "folder", is_uniform=True), **changes)


def small_profile(*overrides: str) -> Profile:
    own = (
        "train.micro_batch_size=4",
        "train.batch_size=8",
        "train.epochs=3",
        "train.eval_every=0",
        "data.eval_rows=0",
        "lora.r=2",
        "lora.dropout=0.0",
        'lora.target_modules=["q_proj", "up_proj"]',
    )
    return load_profile("tang-tiny-cpu", overrides=[*own, *overrides])


def need(
    *overrides: str, shape: Shape | None = None, device: str = "cpu", dtype: str = "float32", memory: int = 0
) -> Any:
    target = Target(device, dtype, memory)
    return budget_of(small_profile(*overrides), LENGTHS, SUPERVISED, shape=shape or small_shape(), target=target)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen2-0.5B", 494_032_768),
        ("Qwen2-1.5B", 1_543_714_304),
        ("Qwen2-7B", 7_615_616_512),
        ("Qwen2.5-0.5B", 494_032_768),
        ("Qwen2.5-1.5B", 1_543_714_304),
        ("Qwen2.5-3B", 3_085_938_688),
        ("Qwen2.5-7B", 7_615_616_512),
        ("Qwen2.5-14B", 14_770_033_664),
        ("Qwen3-0.6B", 596_049_920),
        ("Qwen3-1.7B", 1_720_574_976),
        ("Qwen3-4B", 4_022_468_096),
        ("Qwen3-8B", 8_190_735_360),
    ],
)
def test_published_shapes_have_the_parameters_of_their_model_cards(name: str, parameters: int) -> None:
    shape = shape_of(f"models/{name}")
    assert shape is not None and shape.source == "published" and shape.is_uniform
    assert sum(parameter.numel() for parameter in make_model(shape).parameters()) == parameters


def test_a_published_base_is_known_by_the_last_part_of_its_name() -> None:
    for name in ("Qwen/Qwen2-1.5B-Instruct", "qwen2-1.5b", "C:\\models\\Qwen2-1.5B", "x/Qwen2-1.5B-base/"):
        shape = shape_of(name)
        assert shape is not None and (shape.name, shape.layers, shape.config.hidden_size) == (name, 28, 1536)
    for name in ("Qwen2-1.5B-GPTQ", "Qwen2", "Qwen2-1.5B/of-mine", ""):
        assert shape_of(name) is None


def test_a_folder_on_this_machine_goes_before_what_is_published(tmp_path: Path) -> None:
    folder = tmp_path / "Qwen2-7B"
    builtin = resolve_base("builtin:tang-tiny")
    folder.mkdir()
    for path in builtin.iterdir():
        if path.is_file():
            (folder / path.name).symlink_to(path)
    shape = shape_of(str(folder))
    assert shape is not None and (shape.source, shape.layers) == ("folder", 6)
    (folder / "config.json").unlink()
    (folder / "config.json").write_text('{"model_type": "qwen2", "num_hidden_layers": "many"}', encoding="utf-8")
    assert shape_of(str(folder)) is None


def test_what_the_rules_are_told_of_a_base() -> None:
    profile = small_profile('model.base="Qwen2-1.5B"', "lora.r=8", 'lora.target_modules=["q_proj", "c_attn"]')
    model = model_facts(profile)
    assert model is not None
    assert (model.name, model.parameters, model.source) == ("Qwen2-1.5B", 1_543_714_304, "published")
    kinds = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert dict(model.modules) == dict.fromkeys(kinds, 28)  # no lm_head
    assert model.trainable == 28 * 8 * (1536 + 1536)  # of the target that is there
    nowhere = model_facts(small_profile('model.base="Qwen2-1.5B"', 'lora.target_modules=["c_attn"]'))
    assert nowhere is not None and nowhere.trainable == 0
    assert model_facts(small_profile('model.base="nobody/knows"')) is None


def test_parts_that_stay_are_counted_by_hand() -> None:
    found = need()
    assert found.parts["weights"] == 4 * PARAMETERS
    assert found.parts["adapters"] == found.parts["gradients"] == 4 * TRAINABLE
    assert found.parts["optimiser"] == 2 * 4 * TRAINABLE
    assert found.parts["process"] == 400 * MIB + 160 * sum(LENGTHS)
    assert sum(found.parts.values()) == found.bytes
    half = need(dtype="bfloat16")
    assert half.parts["weights"] == 2 * PARAMETERS
    assert half.parts["adapters"] == 4 * TRAINABLE  # float32, whatever the base is in


def test_bias_vectors_train_in_place() -> None:
    biases = 3 * (16 + 8 + 8)  # of q, k and v in each layer
    found = need('lora.bias="all"')
    assert found.parts["adapters"] == 4 * TRAINABLE
    assert found.parts["gradients"] == 4 * (TRAINABLE + biases)
    own = need('lora.bias="lora_only"')
    assert own.parts["gradients"] == 4 * (TRAINABLE + 3 * 16)  # q has one, up has none


def test_logits_are_made_for_supervised_columns_and_held_three_times() -> None:
    # Four rows of 12 tokens, 6 of them supervised, or of 10 with 4: positions 5 to 10, six columns. At once there are
    # their log-probabilities, the gradients of these, and the gradients of the logits.
    assert need().parts["logits"] == 3 * 4 * (4 * 6 * VOCABULARY)
    # An evaluation has twice as many rows, and the logits beside the log-probabilities, no gradients. On a GPU, where
    # no heap is broken up, that is more than the step takes.
    scored = need("data.eval_rows=100", "train.micro_batch_size=2", device="cuda:0")
    assert scored.parts["logits"] == 2 * 4 * (4 * 6 * VOCABULARY)


def test_the_work_of_an_evaluation_is_counted_by_hand() -> None:
    work = cost_of(small_shape(), small_profile(), Micro(2, 5, 3), device="cpu", dtype=torch.float32, training=False)
    weights = 3 * (256 + 128 + 128 + 256 + 3 * 384)
    attention = 3 * 4 * 2 * 2 * 5 * 8 * 5  # rows, heads, width, width of a head, width
    logits = 2 * 2 * 3 * 16 * VOCABULARY
    assert work.micro_flop == 2 * 2 * 5 * (weights + TRAINABLE) + attention + logits
    assert work.update_operations == 0


def test_a_line_through_two_depths_is_what_the_whole_model_costs() -> None:
    micro = Micro(3, 11, 5)
    for training in (True, False):
        line, whole = (
            cost_of(
                small_shape(7, is_uniform=uniform),
                small_profile('lora.bias="all"'),
                micro,
                device="cpu",
                dtype=torch.bfloat16,
                training=training,
            )
            for uniform in (True, False)
        )
        assert line == whole


def test_attention_that_keeps_its_weights_needs_more() -> None:
    wide = Micro(2, 400, 2)
    costs = {
        device: cost_of(small_shape(), small_profile(), wide, device=device, dtype=torch.float32).transient
        for device in ("cpu", "cuda", "mps")
    }
    assert costs["cpu"] == costs["cuda"] < costs["mps"]
    assert costs["mps"] - costs["cpu"] > 3 * 4 * (2 * 2 * 400 * 400)  # rows × heads × width × width, in each layer


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (("train.micro_batch_size=2",), ("train.micro_batch_size=4",)),
        (("data.cutoff_len=11", 'data.overlong="truncate"'), ("data.cutoff_len=12",)),
        (("lora.r=2",), ("lora.r=3",)),
        (("lora.dropout=0.0",), ("lora.dropout=0.1",)),
        (('lora.target_modules=["q_proj"]',), ('lora.target_modules=["q_proj", "up_proj"]',)),
    ],
)
def test_more_needs_more(less: Sequence[str], more: Sequence[str]) -> None:
    assert need(*less).bytes < need(*more).bytes


def test_a_cutoff_above_the_longest_row_changes_nothing() -> None:
    assert need("data.cutoff_len=12") == need("data.cutoff_len=512")


@pytest.mark.parametrize(
    ("needed", "memory", "verdict"),
    [
        (900, 1000, "fits"),
        (901, 1000, "tight"),
        (1000, 1000, "tight"),
        (1001, 1000, "will not fit"),
        (1, 0, "unknown"),
    ],
)
def test_verdicts(needed: int, memory: int, verdict: str) -> None:
    assert judge(needed, memory) == verdict


def test_the_nearest_setting_that_fits_does_and_the_next_larger_does_not() -> None:
    sizes = {size: need(f"train.micro_batch_size={size}").bytes for size in (1, 2, 4, 8)}
    assert need("train.micro_batch_size=8", memory=sizes[8]).fits_with is None
    for memory, fits in ((sizes[8] - 1, 4), (sizes[4], 4), (sizes[4] - 1, 2), (sizes[1], 1)):
        found = need("train.micro_batch_size=8", memory=memory)
        assert found.verdict == "will not fit" and found.fits_with == {"train.micro_batch_size": fits}
        assert need(f"train.micro_batch_size={fits}", memory=memory).verdict == "tight"
        assert need(f"train.micro_batch_size={2 * fits}", memory=memory).verdict == "will not fit"


def test_where_one_row_is_too_much_the_number_type_is_tried() -> None:
    memory = need("train.micro_batch_size=1").bytes - 1
    largest = next(
        size for size in (8, 4, 2, 1) if need(f"train.micro_batch_size={size}", dtype="bfloat16").bytes <= memory
    )
    found = need("train.micro_batch_size=8", memory=memory)
    expected = {"model.dtype": "bfloat16"} | ({} if largest == 8 else {"train.micro_batch_size": largest})
    assert found.fits_with == expected
    least = need("train.micro_batch_size=1", dtype="bfloat16").bytes
    assert need(memory=least - 1).fits_with is None
    assert need(memory=least - 1, dtype="bfloat16").fits_with is None


def test_a_device_that_is_elsewhere_has_bytes_and_no_time() -> None:
    found = need(device="cuda:1", dtype="bfloat16", memory=24 * 2**30)
    assert (found.verdict, found.device, found.seconds, found.probed) == ("fits", "cuda:1", None, False)
    assert found.parts["process"] == 500 * MIB  # the rows are not in its memory
    target = target_here(small_profile('model.device="cuda:7"'))
    assert target == Target("cuda:7", "bfloat16", 0)
    profile = small_profile()
    assert budget_of(profile, LENGTHS, SUPERVISED, shape=small_shape(), target=target).verdict == "unknown"


def test_nothing_is_known_of_an_unknown_base_or_no_rows() -> None:
    profile, target = small_profile("data.cutoff_len=8"), Target("cpu", "float32", 2**30)
    for lengths, shape in ((LENGTHS, None), (LENGTHS, small_shape())):  # of the latter, no row fits
        found = budget_of(profile, lengths, SUPERVISED, shape=shape, target=target)
        assert (found.verdict, found.bytes, found.seconds, dict(found.parts)) == ("unknown", 0, None, {})


def test_time_is_that_of_all_micro_batches_steps_and_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    # A second for each operation, none for its size: seconds are then a count.
    monkeypatch.setattr(budget_module, "speed_of", lambda *_args: Speed(float("inf"), float("inf"), 1.0))
    profile, shape = small_profile("data.eval_rows=5", "train.eval_every=2"), small_shape()
    found = budget_of(profile, LENGTHS, SUPERVISED, shape=shape, target=Target("cpu", "float32", 0, is_here=True))
    mean = Micro(4, 12, 6)
    step = cost_of(shape, profile, mean, device="cpu", dtype=torch.float32)
    scoring = cost_of(shape, profile, mean, device="cpu", dtype=torch.float32, training=False)
    # Three steps of two micro-batches; scored before the first, after the second and after the last, 5 rows at once.
    expected = 6 * step.micro_operations + 3 * step.update_operations + 3 * scoring.micro_operations
    assert found.seconds == pytest.approx(expected)


def test_micro_batches_by_hand() -> None:
    profile = small_profile("train.micro_batch_size=2", "train.batch_size=4", "data.cutoff_len=20")
    found = batches_of(profile, [6, 8, 20, 21, 20], [2, 2, 5, 9, 4], eval_rows=7)
    assert found is not None
    # The row of 21 is dropped. By length, 6 and 8 go together, and 20 and 20: positions 3 to 6, and 14 to 18.
    assert (found.rows, found.tokens, found.steps, found.micros) == (4, 54, 3, 6.0)
    assert found.mean == Micro(2, 14, 4)
    assert found.largest == Micro(2, 20, 5)
    assert (found.eval_micros, found.eval_largest, found.evaluations) == (2, Micro(4, 20, 5), 2)
    assert sorted(found.planned[0]) == [0, 1, 2, 3]
    cut = batches_of(replace(profile, data=replace(profile.data, overlong="truncate")), [21, 25], [9, 5], eval_rows=0)
    assert cut is not None and (cut.rows, cut.largest, cut.evaluations) == (1, Micro(1, 20, 8), 0)


def test_evaluations_are_counted_as_the_loop_makes_them() -> None:
    counts = {
        every: batches.evaluations
        for every in (0, 1, 2, 3, 4)
        if (batches := batches_of(small_profile(f"train.eval_every={every}"), LENGTHS, SUPERVISED, eval_rows=1))
    }
    assert counts == {0: 2, 1: 4, 2: 3, 3: 2, 4: 2}  # of three steps


def test_work_and_speed() -> None:
    work = Work(100, 30, 2).times(2) + Work(0, 10, 1)
    assert work == Work(200, 70, 5)
    assert Speed(flop_per_s=50, bytes_per_s=7, operation_s=0.5).seconds(work) == 4 + 10 + 2.5
    found = speed_of(torch.device("cpu"), torch.float32, 8, 16, 24)
    assert found.flop_per_s > 0 and found.bytes_per_s > 0 and found.operation_s > 0


def test_a_probe_of_fewer_layers_is_drawn_out_to_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(request: dict[str, Any], *, layers: int) -> Measured:
        asked.append(layers)
        assert [len(step) for step in request["steps"]] == [8, 8] and len(request["held_out"]) == 5
        return Measured(peak_bytes=10 * MIB + layers * MIB, step_s=0.5 + layers, eval_s=0.25)

    asked: list[int] = []
    profile = small_profile('model.base="Qwen2-0.5B"', "data.eval_rows=5", 'model.device="cpu"')
    shape = shape_of("Qwen2-0.5B")
    assert shape is not None
    few = budget_of(profile, LENGTHS, SUPERVISED, shape=shape.with_layers(4), target=target_here(profile))
    monkeypatch.setattr(probe_module, "_run", run)
    monkeypatch.setattr(probe_module, "free_bytes", lambda _device: few.bytes / 0.85 + 1)
    found = probe(profile, LENGTHS, SUPERVISED)
    assert asked == [2, 4] and found.probed
    # 24 layers; six micro-batches of 4 × 12 tokens, and two evaluations of one of 5 rows, taken to be 12 wide.
    assert found.seconds == pytest.approx((0.5 + 24) * 6 * 48 + 0.25 * 2 * 60)
    assert found.parts["weights"] == 4 * 494_032_768
    asked.clear()
    monkeypatch.setattr(probe_module, "free_bytes", lambda _device: 2**50)
    whole = probe(profile, LENGTHS, SUPERVISED)
    assert asked == [0] and whole.seconds == pytest.approx(0.5 * 6 * 48 + 0.25 * 2 * 60)
