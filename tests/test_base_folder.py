"""A base's folder, looked at without any model library: what is taken, what is refused, and by which sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from core.base_folder import go_offline, identity_of, read_json, resolve_base, weights_bytes
from core.errors import PoemError

CONFIG = {"model_type": "qwen2", "hidden_size": 8, "dtype": "bfloat16", "rope_theta": 10**9, "pad_token_id": -1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The least that is taken for a model folder."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"1234")
    return tmp_path


def write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")


def test_a_plain_folder_is_taken_and_identified(folder: Path) -> None:
    write(folder / "tokenizer_config.json", {"tokenizer_class": "Qwen2Tokenizer", "model_max_length": 10**30})
    write(folder / "generation_config.json", {"cache_implementation": "static"})
    assert resolve_base(str(folder)) == folder
    (folder / "model-2.safetensors").write_bytes(b"56")
    assert weights_bytes(folder) == 6
    identity = identity_of(folder)
    assert set(identity) == {"config.json", "tokenizer.json", "model.safetensors", "model-2.safetensors"}
    # printf '{}' | sha256sum; printf 56 | sha256sum
    assert identity["tokenizer.json"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert identity["model-2.safetensors"] == "7688b6ef52555962d008fff894223582c484517cea7da49ee67800adc7fc8866"


def test_the_built_in_base_needs_no_model_library() -> None:
    code = "import sys; from core.base_folder import *; resolve_base('builtin:tang-tiny'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, encoding="utf-8")
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "core" in loaded
    assert not loaded & {"torch", "transformers", "peft", "numpy", "huggingface_hub", "safetensors"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attn_implementation", "kernels-community/flash-attn2"),
        ("_attn_implementation", "flash_attention_2"),
        ("_attn_implementation_internal", "a/b"),
        ("experts_implementation", {"": "sdpa", "text_config": "a/b"}),
        ("attn_implementation", {"": ["sdpa"]}),
        ("text_config", {"deep": [{"_attn_implementation": "a/b@main:layer"}]}),
        ("quantization_config", {"quant_method": "bitsandbytes"}),
        ("text_config", {"quantization_config": {"quant_method": "gptq"}}),
        ("transformers_weights", "adapter_model.bin"),
        ("configuration_files", ["config.5.0.0.json"]),
        ("use_kernels", True),
        ("fusion_config", {"x": True}),
        ("torch_dtype", "load"),
        ("dtype", ["float32"]),
        ("tokenizer_class", "AutoTokenizer"),
        ("tokenizer_class", "AutoModelForCausalLM"),
        ("tokenizer_class", ["Qwen2Tokenizer"]),
    ],
)
def test_a_configuration_can_choose_no_code_and_no_other_file(folder: Path, key: str, value: Any) -> None:
    write(folder / "config.json", {**CONFIG, key: value})
    named = {"text_config": r"(_implementation|quantization_config)"}.get(key, key)
    with pytest.raises(PoemError, match=rf"(^|: )\w*{named} = .* is not taken from a model's files") as caught:
        resolve_base(str(folder))
    assert caught.value.where == str(folder / "config.json")


@pytest.mark.parametrize(
    ("key", "value", "largest"),
    [
        ("hidden_size", 10**9, 2**24),
        ("hidden_size", 1e300, 2**24),
        ("vocab_size", 2**24 + 1, 2**24),
        ("num_hidden_layers", 1025, 1024),
        ("n_layer", 10**9, 1024),
        ("num_labels", 10**9, 1024),
        ("text_config", {"num_experts": 2000}, 1024),
        ("max_position_embeddings", float("nan"), 2**24),
    ],
)
def test_absurd_sizes_are_one_clear_error(folder: Path, key: str, value: Any, largest: int) -> None:
    write(folder / "config.json", {**CONFIG, key: value})
    with pytest.raises(PoemError, match="is more than any model has") as caught:
        resolve_base(str(folder))
    assert caught.value.hint == f"The largest value that is taken is {largest}."


@pytest.mark.parametrize(("key", "value"), [("num_hidden_layers", 1024), ("vocab_size", 2**24), ("eos_token_id", [1])])
def test_the_largest_sizes_are_taken(folder: Path, key: str, value: Any) -> None:
    write(folder / "config.json", {**CONFIG, key: value, "quantization_config": None, "attn_implementation": "sdpa"})
    assert resolve_base(str(folder)) == folder


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer_class": "evil_module.Tokenizer"},
        {"tokenizer_class": "RagTokenizer"},
        {"tokenizer_class": "pipeline"},
        {"gguf_file": "x.gguf"},
        {"fast_tokenizer_files": ["tokenizer.5.json"]},
        {"init_inputs": ["/etc/passwd"]},
    ],
)
def test_a_tokenizer_configuration_can_choose_no_other_class_or_file(folder: Path, change: dict[str, Any]) -> None:
    write(folder / "tokenizer_config.json", change)
    with pytest.raises(PoemError, match=f"^.*{next(iter(change))} = ") as caught:
        resolve_base(str(folder))
    assert caught.value.where == str(folder / "tokenizer_config.json")


def test_text_from_a_configuration_can_not_move_the_cursor(folder: Path) -> None:
    write(folder / "config.json", {**CONFIG, "\x1b[2J_implementation": "\x1b[2J"})
    with pytest.raises(PoemError) as caught:
        resolve_base(str(folder))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "../x.safetensors", "pytorch_model.bin", "gone.safetensors", ".safetensors", 7],
)
def test_an_index_names_safetensors_files_of_its_own_folder_only(folder: Path, name: Any) -> None:
    (folder / "pytorch_model.bin").touch()
    index = folder / "model.safetensors.index.json"
    write(index, {"metadata": {}, "weight_map": {"a": "model.safetensors"}})
    assert resolve_base(str(folder)) == folder
    write(index, {"metadata": {}, "weight_map": {"a": "model.safetensors", "b": name}})
    with pytest.raises(PoemError, match="the index names the weights file") as caught:
        resolve_base(str(folder))
    assert caught.value.where == str(index)


@pytest.mark.parametrize("index", [{}, {"weight_map": []}, {"weight_map": {"a": {}}}])
def test_an_index_without_names(folder: Path, index: Any) -> None:
    write(folder / "model.safetensors.index.json", index)
    with pytest.raises(PoemError, match="the index names the weights file"):
        resolve_base(str(folder))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("adapter_config.json", "holds an adapter beside the model"),
        ("shard-00001-model-00001-of-00001.safetensors", "holds a distributed checkpoint"),
    ],
)
def test_other_things_in_the_folder(folder: Path, name: str, problem: str) -> None:
    (folder / name).write_text("{}", encoding="utf-8")
    with pytest.raises(PoemError, match=problem):
        resolve_base(str(folder))


def test_weights_that_are_no_regular_file(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.rename(folder / "blob")
    weights.symlink_to(folder / "blob")  # as in the hub's cache
    assert resolve_base(str(folder)) == folder
    weights.unlink()
    os.mkfifo(weights)
    with pytest.raises(PoemError, match="no safetensors weights"):
        resolve_base(str(folder))


@pytest.mark.parametrize("base", ["", "\0", "x" * 5000, "~nobody-of-this-name/model", "no/such/hub/id", "\x1b[2J"])
def test_names_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PoemError) as caught:
        resolve_base(base)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(("text", "problem"), [("[]", "no JSON object"), ("9" * 5000, "can't be read"), ("", "can't")])
def test_json_that_is_none(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PoemError, match=problem):
        read_json(path)


def test_json_without_end(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)  # a hole: no byte of it is written
    with pytest.raises(PoemError, match="longer than 64 MiB"):
        read_json(path)


def test_offline_whatever_was_set_and_imported_before(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = types.ModuleType("huggingface_hub.constants")
    vars(constants).update(HF_HUB_OFFLINE=False, HF_HUB_DISABLE_TELEMETRY=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", constants)
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "0")
    go_offline()
    assert (constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY) == (True, True)
    assert (os.environ["HF_HUB_OFFLINE"], os.environ["HF_HUB_DISABLE_TELEMETRY"]) == ("1", "1")
