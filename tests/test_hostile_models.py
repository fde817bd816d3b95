"""Model and adapter folders made to run code or to reach the network, loaded in a process that watches for both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from core.model.load import load_base, resolve_base
from core.model.lora import add_lora, save_adapter

BUILTIN = resolve_base("builtin:tang-tiny")
EVIL = "evil_module"  # can be imported in the child, and says so
CONFIG, TOKENIZER, GENERATION = "config.json", "tokenizer_config.json", "generation_config.json"
AUTO_MAP = {
    "AutoConfig": "modeling_evil.Config",
    "AutoModelForCausalLM": "modeling_evil.Model",
    "AutoTokenizer": ["modeling_evil.Tokenizer", None],
}
LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{{ i }}{% endfor %}{% endfor %}"

# name: (file, keys that are added to it, the error; None: it loads, and nothing comes of it)
BASES: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "code of a known type": (CONFIG, {"auto_map": AUTO_MAP}, None),
    "code of an unknown type": (CONFIG, {"auto_map": AUTO_MAP, "model_type": "evil"}, "needs code of its own"),
    "code from the hub": (CONFIG, {"auto_map": {"AutoConfig": "a/b--evil.C"}, "model_type": "x"}, "code of its own"),
    "unknown type": (CONFIG, {"model_type": EVIL}, "can't be"),
    "not a causal model": (CONFIG, {"model_type": "clip"}, "can't be"),
    "hub names": (CONFIG, {"_name_or_path": "evil/hub", "name_or_path": "evil/hub", "_commit_hash": "0" * 40}, None),
    "hub kernel": (CONFIG, {"_attn_implementation": "kernels-community/flash-attn2"}, "_attn_implementation"),
    "quantised": (CONFIG, {"quantization_config": {"quant_method": EVIL}}, "quantization_config"),
    "odd number type": (CONFIG, {"torch_dtype": "load", "dtype": None}, "torch_dtype"),
    "weights elsewhere": (CONFIG, {"transformers_weights": "../model.safetensors"}, "transformers_weights"),
    "odd activation": (CONFIG, {"hidden_act": EVIL}, "can't be"),
    "odd positions": (CONFIG, {"rope_parameters": {"rope_type": "\x1b[2J", "rope_theta": 1.0}}, "can't be"),
    "odd architecture": (CONFIG, {"architectures": [f"{EVIL}.Model"]}, None),
    "wide": (CONFIG, {"hidden_size": 10**9}, "more than any model has"),
    "wider than its weights": (CONFIG, {"intermediate_size": 10**7}, "parameters, but the weights are"),
    "many words": (CONFIG, {"vocab_size": 2**24}, "parameters, but the weights are"),
    "deeper than its weights": (CONFIG, {"num_hidden_layers": 7, "layer_types": ["full_attention"] * 7}, "lack"),
    "another width": (CONFIG, {"intermediate_size": 512}, "can't be loaded"),
    "no width": (CONFIG, {"hidden_size": EVIL}, "can't be"),
    "no heads": (CONFIG, {"num_attention_heads": 0}, "can't be"),
    "tokenizer's code": (TOKENIZER, {"auto_map": AUTO_MAP}, None),
    "tokenizer's own class": (TOKENIZER, {"tokenizer_class": "EvilTokenizer"}, None),
    "tokenizer that imports": (TOKENIZER, {"tokenizer_class": "BertJapaneseTokenizer"}, "BertJapaneseTokenizer"),
    "tokenizer that is a model": (TOKENIZER, {"tokenizer_class": "AutoModel"}, "tokenizer_class"),
    "tokenizer's files": (TOKENIZER, {"vocab_file": "/etc/passwd", "name_or_path": "evil/hub", "backend": EVIL}, None),
    "tokenizer's odd tokens": (TOKENIZER, {"eos_token": {"content": 7}}, "tokenizer can't be read"),
    "template that loops": (TOKENIZER, {"chat_template": LOOP}, None),
    "generation code": (GENERATION, {"auto_map": AUTO_MAP, "custom_generate": "evil/hub"}, None),
    "generation's compiler": (GENERATION, {"compile_config": {"backend": EVIL}}, "compile_config"),
    "generation's cache": (GENERATION, {"cache_implementation": "evil/hub"}, "cache_implementation"),
}
# name: (keys of adapter_config.json, the error)
ADAPTERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "untouched": ({}, None),
    "hub names": ({"revision": "evil"}, None),
    "imports": ({"megatron_config": {"x": 1}, "megatron_core": EVIL}, "megatron_config"),
    "imports by mapping": ({"auto_mapping": {"parent_library": EVIL, "base_model_class": "x"}}, "auto_mapping"),
    "backtracks": ({"target_modules": "(.*)*(.*)*x"}, "target_modules"),
    "other kind": ({"peft_type": "ADALORA"}, "not a plain LoRA adapter"),
    "huge": ({"r": 10**9}, "r = 1000000000"),
    "another rank": ({"r": 8}, "doesn't fit the base"),
}

CHILD = """
import importlib, json, socket, sys
contacts = []
def watch(owner, name):
    original = getattr(owner, name)
    def watched(*args, **kwargs):
        contacts.append([name, repr(args[-1:])])
        return original(*args, **kwargs)
    setattr(owner, name, watched)
watch(socket.socket, "connect"), watch(socket.socket, "connect_ex"), watch(socket, "getaddrinfo")
from pathlib import Path
import peft, transformers  # as a stranger would: before the core forbids the network
from core.errors import PoemError
from core.model.load import load_base
from core.model.lora import load_adapter
def attempt(work):
    try:
        work()
    except PoemError as error:
        return str(error)
    except BaseException as error:
        return f"TRACEBACK {type(error).__name__}: {error}"
    return None
root = Path(sys.argv[1])
found = {f"base {path.name}": attempt(lambda: load_base(str(path))) for path in sorted((root / "bases").iterdir())}
for path in sorted((root / "adapters").iterdir()):
    found[f"adapter {path.name}"] = attempt(lambda: load_adapter(load_base("builtin:tang-tiny"), path))
import huggingface_hub
found["offline"] = huggingface_hub.is_offline_mode()
found["contacts"] = list(contacts)
found["evil"] = sorted(name for name in sys.modules if "evil" in name)
socket.getaddrinfo("127.0.0.1", 9)
importlib.import_module("evil_module")
found["watched"] = [contacts[len(found["contacts"]):] != [], "evil_module" in sys.modules]
print(json.dumps(found))
"""


def make_base(folder: Path, file: str, keys: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    for path in BUILTIN.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / file).unlink()
    document = json.loads((BUILTIN / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps({**document, **keys}), encoding="utf-8")
    (folder / "modeling_evil.py").write_text(f"import {EVIL}\n", encoding="utf-8")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of every folder, in one process that may use the network and could import the planted module."""
    root = tmp_path_factory.mktemp("hostile")
    planted = "from pathlib import Path\nPath(__file__).with_name('marker').open('a', encoding='utf-8').write('ran ')\n"
    (root / f"{EVIL}.py").write_text(planted, encoding="utf-8")
    for name, (file, keys, _problem) in BASES.items():
        make_base(root / "bases" / name, file, keys)
    model = add_lora(
        load_base("builtin:tang-tiny", device="cpu"),
        r=4,
        alpha=8,
        dropout=0.0,
        bias="none",
        target_modules=["q_proj"],
        seed=1,
    )
    for name, (changes, _problem) in ADAPTERS.items():
        folder = root / "adapters" / name
        save_adapter(model, folder)
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    weights = root / "adapters" / "changes the base" / "adapter_model.safetensors"
    save_adapter(model, weights.parent)
    embedding = load_file(BUILTIN / "model.safetensors")["model.embed_tokens.weight"]
    others = {"base_model.model.model.embed_tokens.weight": embedding, "\x1b[2J.lora_A.weight": embedding.clone()}
    save_file({**load_file(weights), **others}, weights)

    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    environment.update(HF_HUB_OFFLINE="0", HF_HOME=str(root / "hub"), PYTHONPATH=f"{root}{os.pathsep}{os.getcwd()}")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(root)],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "ran": (root / "marker").read_text(encoding="utf-8"), "stderr": done.stderr}


def test_nothing_is_fetched(found: dict[str, Any]) -> None:
    assert found["contacts"] == []
    assert found["offline"] is True


def test_nothing_is_imported(found: dict[str, Any]) -> None:
    assert found["evil"] == []


def test_nothing_reaches_the_terminal_as_it_is(found: dict[str, Any]) -> None:
    assert "\x1b" not in found["stderr"]
    assert "\x1b" not in "".join(str(message) for name, message in found.items() if name.startswith(("base", "adapt")))


def test_the_watch_would_have_seen_both(found: dict[str, Any]) -> None:
    assert found["watched"] == [True, True]
    assert found["ran"] == "ran "  # once: when the child itself imported it, at its end


@pytest.mark.parametrize("name", BASES)
def test_hostile_bases(found: dict[str, Any], name: str) -> None:
    problem, message = BASES[name][2], found[f"base {name}"]
    if problem is None:
        assert message is None
    else:
        assert problem in message
        assert "TRACEBACK" not in message
        assert "trust_remote_code" not in message


@pytest.mark.parametrize("name", [*ADAPTERS, "changes the base"])
def test_hostile_adapters(found: dict[str, Any], name: str) -> None:
    problem = ADAPTERS[name][1] if name in ADAPTERS else "tensors that are not of it"
    message = found[f"adapter {name}"]
    if problem is None:
        assert message is None
    else:
        assert problem in message
        assert "TRACEBACK" not in message
