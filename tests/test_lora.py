"""Adapters: put on, trained alone, saved, read back by plain peft, and refused where they don't belong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from core.errors import PoemError
from core.model.device import choose_device, choose_precision
from core.model.load import Base, load_base, resolve_base
from core.model.lora import add_lora, check_adapter, load_adapter, save_adapter

IDS = torch.tensor([[5, 9, 2, 7, 1, 3]])


def tiny_model(hidden_size: int = 32) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Qwen2Config(
            vocab_size=40,
            hidden_size=hidden_size,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            initializer_range=0.3,
            bos_token_id=None,
            eos_token_id=None,
        )
        return Qwen2ForCausalLM(config).eval()


def tiny_base(name: str = "tiny", hidden_size: int = 32) -> Base:
    device = choose_device("cpu")
    precision = choose_precision("float32", device.torch_device)
    tokenizer: Any = None
    return Base(tiny_model(hidden_size), tokenizer, name, Path(name), device, precision)


def adapted(base: Base, *, seed: int = 3, r: int = 4, targets: tuple[str, ...] = ("q_proj", "down_proj")) -> Any:
    return add_lora(base, r=r, alpha=8, dropout=0.0, bias="none", target_modules=targets, seed=seed)


def moved(model: Any) -> Any:
    """The same model, its adapter no longer without effect."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    return model


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = model.eval()(IDS).logits
    return result


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """An adapter folder, and the logits of the model that wrote it."""
    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    model = moved(adapted(tiny_base()))
    save_adapter(model, folder)
    return folder, logits(model)


def test_a_fresh_adapter_changes_nothing() -> None:
    assert torch.equal(logits(adapted(tiny_base())), logits(tiny_model()))


def test_only_the_adapter_trains() -> None:
    model = adapted(tiny_base())
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    # 2 layers, 2 modules, A and B of each: 32·4 + 4·32 for q_proj, 48·4 + 4·32 for down_proj.
    assert len(names) == 8
    assert all("lora_" in name for name in names)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 2 * (256 + 320)


def test_the_seed_decides_the_weights_and_the_global_state_is_left_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    first, second, third = (adapted(tiny_base(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    names = [name for name, _parameter in first.named_parameters() if "lora_A" in name]
    for name in names:
        assert torch.equal(first.get_parameter(name), second.get_parameter(name))
        assert not torch.equal(first.get_parameter(name), third.get_parameter(name))


def test_plain_peft_reads_the_adapter(saved: tuple[Path, torch.Tensor]) -> None:
    folder, expected = saved
    model = PeftModel.from_pretrained(tiny_model(), str(folder))
    assert not torch.equal(expected, logits(tiny_model()))
    assert torch.equal(logits(model), expected)


def test_saved_and_loaded(saved: tuple[Path, torch.Tensor]) -> None:
    folder, expected = saved
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    facts = check_adapter(folder)
    assert facts.base_name == "tiny"
    assert sorted(facts.target_modules) == ["down_proj", "q_proj"]
    frozen, trainable = load_adapter(tiny_base(), folder), load_adapter(tiny_base(), folder, trainable=True)
    assert torch.equal(logits(frozen), expected)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert sum(parameter.requires_grad for parameter in trainable.parameters()) == 8


def test_an_adapter_of_another_base_names_both(saved: tuple[Path, torch.Tensor]) -> None:
    with pytest.raises(PoemError, match="made for tiny, doesn't fit the base other") as caught:
        load_adapter(tiny_base("other", 64), saved[0])
    assert caught.value.where == str(saved[0])


def test_an_adapter_for_modules_that_are_not_there_names_both(tmp_path: Path, saved: tuple[Path, torch.Tensor]) -> None:
    config = json.loads((saved[0] / "adapter_config.json").read_text(encoding="utf-8"))
    config["target_modules"] = ["c_attn"]
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "adapter_model.safetensors").write_bytes((saved[0] / "adapter_model.safetensors").read_bytes())
    with pytest.raises(PoemError, match="made for tiny, doesn't fit the base other"):
        load_adapter(tiny_base("other"), tmp_path)


def test_damaged_weights(tmp_path: Path, saved: tuple[Path, torch.Tensor]) -> None:
    (tmp_path / "adapter_config.json").write_bytes((saved[0] / "adapter_config.json").read_bytes())
    whole = (saved[0] / "adapter_model.safetensors").read_bytes()
    (tmp_path / "adapter_model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PoemError):
        load_adapter(tiny_base(), tmp_path)


def test_pickled_weights_are_never_loaded(tmp_path: Path, saved: tuple[Path, torch.Tensor]) -> None:
    (tmp_path / "adapter_config.json").write_bytes((saved[0] / "adapter_config.json").read_bytes())
    torch.save({"weight": torch.zeros(1)}, tmp_path / "adapter_model.bin")
    for attempt in (check_adapter, lambda folder: load_adapter(tiny_base(), folder)):
        with pytest.raises(PoemError, match=r"holds no adapter_model\.safetensors") as caught:
            attempt(tmp_path)
        assert "adapter_model.bin" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (None, "adapter_config.json is missing"),
        ("[1]", "no JSON object"),
        ("{", "can't be read"),
        ("[" * 100_000, "can't be read"),
        ('{"peft_type": "IA3"}', "not a plain LoRA adapter"),
        ('{"peft_type": "LORA", "auto_mapping": {"parent_library": "os"}}', "auto_mapping"),
        ('{"peft_type": "LORA"}', "target_modules = None"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, config: str | None, problem: str) -> None:
    (tmp_path / "adapter_model.safetensors").touch()
    if config is not None:
        (tmp_path / "adapter_config.json").write_text(config, encoding="utf-8")
    with pytest.raises(PoemError, match=problem):
        check_adapter(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True, "lora_dropout": 0.05},
        {"use_dora": True, "r": 2},
        {"bias": "all"},
        {"bias": "lora_only", "lora_bias": True},
        {"init_lora_weights": "gaussian", "lora_alpha": 16.5},
        {"target_modules": "all-linear", "task_type": None},
        {"target_modules": ["self_attn.q_proj"]},
    ],
)
def test_ordinary_adapters_of_peft_itself_are_read(tmp_path: Path, settings: dict[str, Any]) -> None:
    config = LoraConfig(**{"r": 4, "target_modules": ["q_proj", "up_proj"], "task_type": "CAUSAL_LM", **settings})
    model = moved(get_peft_model(tiny_model(), config))
    model.save_pretrained(str(tmp_path), save_embedding_layers=False)
    assert torch.equal(logits(load_adapter(tiny_base(), tmp_path)), logits(model))
    assert not torch.equal(logits(model), logits(tiny_model()))


def changed(folder: Path, saved: Path, **changes: Any) -> Path:
    config = json.loads((saved / "adapter_config.json").read_text(encoding="utf-8"))
    (folder / "adapter_config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")
    (folder / "adapter_model.safetensors").symlink_to(saved / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("megatron_config", {"tensor_model_parallel_size": 1}),
        ("megatron_core", "os"),
        ("auto_mapping", {"base_model_class": "x", "parent_library": "os"}),
        ("auto_mapping", {"base_model_class": "x"}),
        ("target_modules", "(a+)+$"),
        ("target_modules", "all-linear"),
        ("target_modules", []),
        ("target_modules", ["q_proj", "(a+)+"]),
        ("target_modules", [1]),
        ("exclude_modules", "(a+)+$"),
        ("rank_pattern", {"(a+)+": 4}),
        ("alpha_pattern", {"(a+)+": 4}),
        ("layers_pattern", "(a+)+"),
        ("layers_to_transform", [0]),
        ("layer_replication", [[0, 2], [0, 2]]),
        ("modules_to_save", ["lm_head"]),
        ("trainable_token_indices", [1]),
        ("target_parameters", ["weight"]),
        ("loftq_config", {"loftq_bits": 4}),
        ("eva_config", {"rho": 2.0}),
        ("corda_config", {"cache_file": "/etc/passwd"}),
        ("arrow_config", {"top_k": 1}),
        ("runtime_config", {"ephemeral_gpu_offload": True}),
        ("init_lora_weights", "pissa"),
        ("use_qalora", True),
        ("qalora_group_size", 32),
        ("task_type", "SEQ_CLS"),
        ("bias", "some"),
        ("r", 0),
        ("r", 4097),
        ("r", True),
        ("r", 4.0),
        ("lora_alpha", -1),
        ("lora_alpha", float("inf")),
        ("lora_alpha", "8"),
        ("lora_dropout", 1.5),
        ("lora_dropout", float("nan")),
        ("use_dora", "yes"),
        ("base_model_name_or_path", ["a"]),
        ("a_key_of_a_later_peft", "anything"),
        ("__class__", "x"),
    ],
)
def test_more_than_plain_lora_is_refused_by_name(
    tmp_path: Path, saved: tuple[Path, torch.Tensor], key: str, value: Any
) -> None:
    changed(tmp_path, saved[0], **{key: value})
    with pytest.raises(PoemError, match=f"not a plain LoRA adapter: {key} = ") as caught:
        check_adapter(tmp_path)
    assert caught.value.where == str(tmp_path / "adapter_config.json")


@pytest.mark.parametrize("empty", [None, False, {}, []])
def test_an_empty_key_of_another_peft_is_passed_over(
    tmp_path: Path, saved: tuple[Path, torch.Tensor], empty: Any
) -> None:
    folder = changed(tmp_path, saved[0], a_key_of_a_later_peft=empty, revision="main")
    assert torch.equal(logits(load_adapter(tiny_base(), folder)), saved[1])


def test_weights_are_a_regular_file(tmp_path: Path, saved: tuple[Path, torch.Tensor]) -> None:
    weights = changed(tmp_path, saved[0]) / "adapter_model.safetensors"
    assert check_adapter(tmp_path).base_name == "tiny"  # a link to one is fine
    (tmp_path / "adapter_model.bin").touch()
    for put in (lambda: weights.symlink_to(tmp_path / "gone"), lambda: os.mkfifo(weights), weights.mkdir):
        weights.unlink()
        put()
        with pytest.raises(PoemError, match="holds no adapter_model.safetensors"):
            check_adapter(tmp_path)


def test_a_missing_target_is_answered_with_the_nearest() -> None:
    with pytest.raises(PoemError, match="no linear layer q_porj") as caught:
        adapted(tiny_base(), targets=("v_proj", "q_porj"))
    assert caught.value.where == "lora.target_modules"
    assert "q_proj" in caught.value.hint
    with pytest.raises(PoemError) as caught:
        adapted(tiny_base(), targets=("xyz",))
    assert caught.value.hint == "It has: down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj."


def test_missing_model_folders(tmp_path: Path) -> None:
    with pytest.raises(PoemError, match="the model folder .* is not there") as caught:
        load_base(str(tmp_path / "none"))
    assert caught.value.where == "model.base"
    with pytest.raises(PoemError, match=r"no model folder: config\.json, tokenizer\.json is missing"):
        load_base(str(tmp_path))
    with pytest.raises(PoemError, match="no built-in model builtin:none") as caught:
        load_base("builtin:none")
    assert caught.value.hint == "Built in: builtin:tang-tiny."
    with pytest.raises(PoemError, match="no built-in model"):
        resolve_base("builtin:")


def test_a_model_folder_with_pickled_weights_only(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(PoemError, match="no safetensors weights"):
        load_base(str(tmp_path))
