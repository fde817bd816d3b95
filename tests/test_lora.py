"""Adapters: put on, trained alone, saved, read back by plain peft, and refused where they don't belong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
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
    return Base(tiny_model(hidden_size), tokenizer, name, Path(name), device, precision, {})


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
        ('{"peft_type": "LORA", "auto_mapping": {"parent_library": "os"}}', "not a plain LoRA adapter"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, config: str | None, problem: str) -> None:
    (tmp_path / "adapter_model.safetensors").touch()
    if config is not None:
        (tmp_path / "adapter_config.json").write_text(config, encoding="utf-8")
    with pytest.raises(PoemError, match=problem):
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
