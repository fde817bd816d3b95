"""A folder looked at as a base model, nothing of it loaded: what it is, and why it is none."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.model_folders import FolderFacts, folders_in, look_at_folder

CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "vocab_size": 100,
}


def weights(path: Path, *shapes: Any, header: bytes | None = None) -> None:
    """A safetensors file of a header alone."""
    tensors = {f"t{number}": {"dtype": "F32", "shape": shape} for number, shape in enumerate(shapes)}
    text = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode() if header is None else header
    path.write_bytes(struct.pack("<Q", len(text)) + text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "模型"
    found.mkdir()
    (found / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (found / "tokenizer.json").write_text("{}", encoding="utf-8")
    weights(found / "model.safetensors", [100, 8], [8], [])
    return found


def test_what_a_model_is(folder: Path) -> None:
    weights(folder / "more.safetensors", [2, 3, 4])
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    # 100 · 8 + 8 + 1 (a scalar) + 2 · 3 · 4
    assert look_at_folder(str(folder)) == FolderFacts("Qwen2ForCausalLM", 2, 8, 100, 833, size, "")


def test_the_built_in_base() -> None:
    facts = look_at_folder("builtin:tang-tiny")
    assert (facts.architecture, facts.layers, facts.hidden, facts.vocabulary, facts.parameters, facts.problem) == (
        "Qwen2ForCausalLM", 6, 256, 8192, 6_822_144, "",
    )  # fmt: skip


def test_home_and_relative_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.chdir(folder.parent)
    for path in ("~/模型", "./模型/", "模型"):
        assert look_at_folder(path).layers == 2, path
    assert folders_in("~") == folders_in("") == folders_in(".") == (("模型", True),)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda at: (at / "config.json").unlink(), "config.json is missing"),
        (lambda at: (at / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (lambda at: (at / "model.safetensors").unlink(), "holds no safetensors weights"),
        (lambda at: (at / "config.json").write_text("[" * 10_000), "can't be read"),
        (lambda at: (at / "config.json").write_text('{"num_hidden_layers": 1' + "0" * 5000 + "}"), "can't be read"),
        (lambda at: (at / "config.json").write_text('{"hidden_size": 1e300}'), "more than any model has"),
        (lambda at: (at / "config.json").write_bytes(b"\xff"), "can't be read"),
        (lambda at: (at / "config.json").write_text("7"), "no JSON object"),
        (lambda at: (at / "adapter_config.json").touch(), "an adapter beside the model"),
        (lambda at: (at / "model.safetensors.index.json").write_text('{"weight_map": {"a": "gone.safetensors"}}'),
         "gone.safetensors"),
        (lambda at: (at / "more.safetensors").symlink_to("nowhere"), "No such file"),
    ],
)  # fmt: skip
def test_why_a_folder_is_no_model(folder: Path, broken: Any, said: str) -> None:
    broken(folder)
    facts = look_at_folder(str(folder))
    assert said in facts.problem and facts.layers == 0
    assert "\x1b" not in facts.problem


@pytest.mark.parametrize("path", ["", " ", "/nowhere/at/all", "~/none", "a/b/", "x" * 5000, "/a\0b", "builtin:none"])
def test_paths_that_lead_nowhere(path: str) -> None:
    assert look_at_folder(path).problem
    assert folders_in(path) == () or not path.strip()


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"7",
        b"\xff",
        b"[" * 100_000,
        b'{"a": 7}',
        b'{"a": {"shape": 7}}',
        b'{"a": {"shape": ["x"]}}',
        b'{"a": {"shape": [null]}}',
        b'{"a": {"shape": [-1]}}',
        b'{"a": {"shape": [1e999]}}',
        b'{"a": {"shape": [' + b"9" * 4000 + b"]}}",
        b'{"a": {"shape": [' + b"9," * 100_000 + b"9]}}",
        b'{"a": {"shape": [1125899906842624, 2]}}',
    ],
)
def test_a_hostile_header_counts_nothing(folder: Path, header: bytes) -> None:
    weights(folder / "model.safetensors", header=header)
    facts = look_at_folder(str(folder))
    assert (facts.parameters, facts.problem, facts.layers) == (0, "", 2)


def test_a_header_that_is_not_there_and_a_pipe(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}")
    assert look_at_folder(str(folder)).parameters == 0
    (folder / "model.safetensors").write_bytes(b"123")
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "folder.safetensors").mkdir()
    assert look_at_folder(str(folder)).parameters == 0


def test_an_architecture_may_hold_anything(folder: Path) -> None:
    for value, shown in (("\x1b[2J\u202e", "␛[2J\\u{202E}"), (7, "7")):
        (folder / "config.json").write_text(json.dumps({**CONFIG, "architectures": [value]}), encoding="utf-8")
        assert look_at_folder(str(folder)).architecture == shown
    for other in ([], "x", None, {"a": 1}):
        (folder / "config.json").write_text(
            json.dumps({"architectures": other, "vocab_size": True, "hidden_size": -1}), encoding="utf-8"
        )
        facts = look_at_folder(str(folder))
        assert (facts.architecture, facts.vocabulary, facts.hidden, facts.layers) == ("", 0, 0, 0)


def test_folders_with_models_come_first(folder: Path) -> None:
    for name in (".hidden", "a", "b"):
        (folder.parent / name).mkdir()
    (folder.parent / "file").touch()
    (folder.parent / "link").symlink_to(folder)
    assert folders_in(str(folder.parent)) == (("link", True), ("模型", True), ("a", False), ("b", False))
    assert folders_in(str(folder / "config.json")) == ()


def test_no_model_library_is_loaded(folder: Path) -> None:
    code = f"import sys; from core.model_folders import *; look_at_folder({str(folder)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, encoding="utf-8")
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "core" in loaded
    assert not loaded & {"torch", "transformers", "numpy", "huggingface_hub", "safetensors", "tokenizers"}
