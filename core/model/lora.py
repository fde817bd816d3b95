"""LoRA adapters by peft: put on a base, written, and read back after a check that nothing in them can run code."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open

from core.base_folder import read_json
from core.errors import PoemError
from core.i18n import _
from core.model.load import Base
from core.plain import plain

# peft's own call of a transformers name that is being renamed; nothing that a person here could mend.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

# The end of a module's name, never a regular expression: one of those can take for ever, or mean more than it shows.
_MODULE = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_LARGEST_RANK = 4096
_LARGEST_ALPHA = 1e6


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _are_modules(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) and _MODULE.fullmatch(v) for v in value)


def _is_mapping(value: Any) -> bool:
    """What peft writes where no task is named. AutoPeftModel imports the library; nothing here does."""
    library = value.get("parent_library") if isinstance(value, dict) else None
    return value is None or (isinstance(library, str) and library.startswith("transformers.models."))


# Every key of an adapter's configuration that reaches peft, with the values it may have. The keys left out make peft
# import modules, match regular expressions, replace the base's modules or weights, or copy its layers.
_PLAIN_LORA: Mapping[str, Callable[[Any], bool]] = {
    "r": lambda value: type(value) is int and 1 <= value <= _LARGEST_RANK,
    "lora_alpha": lambda value: _is_number(value) and 0 < value <= _LARGEST_ALPHA,
    "lora_dropout": lambda value: _is_number(value) and 0 <= value <= 1,
    "bias": lambda value: value in ("none", "all", "lora_only"),
    "target_modules": _are_modules,
    "task_type": lambda value: value in (None, TaskType.CAUSAL_LM.value),
    "auto_mapping": _is_mapping,
    "fan_in_fan_out": _is_flag,
    "use_rslora": _is_flag,
    "use_dora": _is_flag,
    "lora_bias": _is_flag,
    "inference_mode": _is_flag,
    "init_lora_weights": lambda value: _is_flag(value) or value == "gaussian",
    "base_model_name_or_path": _is_text,
    "revision": _is_text,
    "peft_version": _is_text,
}


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What an adapter folder says of itself."""

    base_name: str  # the base it was trained on, as its profile named it; "" where it doesn't say
    target_modules: tuple[str, ...]


def add_lora(
    base: Base, *, r: int, alpha: int, dropout: float, bias: str, target_modules: Sequence[str], seed: int
) -> PeftModel:
    """Put a fresh adapter on the base, its weights seeded; only adapter parameters will train (Hu et al. 2021).

    Raises:
        PoemError: the base has no linear layer of a name in `target_modules`.
    """
    _check_targets(base.model, target_modules)
    config = LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        bias=bias,  # type: ignore[arg-type]
        target_modules=list(target_modules),
        task_type=TaskType.CAUSAL_LM,
    )
    # peft writes down the model's name; the profile's own is what a person can find again, a folder elsewhere is not.
    base.model.name_or_path = base.name
    devices = [base.device.torch_device] if base.device.torch_device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        return get_peft_model(base.model, config)


def count_lora(model: torch.nn.Module, *, r: int, bias: str, target_modules: Sequence[str]) -> int:
    """How many numbers an adapter trains: A (r × in) and B (out × r) of each layer. The model may be on no device.

    Raises:
        PoemError: the model has no linear layer of a name in `target_modules`.
    """
    _check_targets(model, target_modules)
    count = 0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] in target_modules:
            count += r * (module.in_features + module.out_features)
            if bias == "lora_only" and module.bias is not None:
                count += module.bias.numel()
    if bias == "all":
        count += sum(parameter.numel() for name, parameter in model.named_parameters() if name.endswith("bias"))
    return count


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write the adapter as peft's own safetensors and JSON, and nothing else."""
    # Embeddings never train here; told so, peft doesn't look for the base's configuration on the hub.
    model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    # A model card with blanks to fill in tells nobody anything.
    (folder / "README.md").unlink(missing_ok=True)


def check_adapter(folder: Path) -> AdapterFacts:
    """Look at an adapter folder before any model is loaded.

    Raises:
        PoemError: it isn't one, holds pickled weights only, or asks for more than plain LoRA.
    """
    config = _read_config(folder)
    return AdapterFacts(config.get("base_model_name_or_path") or "", tuple(config["target_modules"]))


def _read_config(folder: Path) -> dict[str, Any]:
    """The keys of `_PLAIN_LORA` that an adapter's configuration holds; all its others are known to be at rest."""
    if not (folder / CONFIG_FILE).is_file():
        raise PoemError(
            _("this is no adapter folder: {name} is missing").format(name=CONFIG_FILE),
            hint=_("Give the folder that a run wrote, such as runs/ID/adapter."),
            where=str(folder),
        )
    config = read_json(folder / CONFIG_FILE)
    if not (folder / WEIGHTS_FILE).is_file():
        raise PoemError(
            _("the adapter holds no {name}").format(name=WEIGHTS_FILE),
            hint=_("Weights in pickle files (adapter_model.bin) are never loaded: they can run code."),
            where=str(folder),
        )
    if config.get("peft_type") != "LORA":
        raise PoemError(
            _("the adapter is not a plain LoRA adapter"),
            hint=_("Use an adapter whose {name} has peft_type LORA.").format(name=CONFIG_FILE),
            where=str(folder),
        )
    # A default of peft's, or nothing at all, leaves the adapter as it is; so does a key of another version left empty.
    at_rest = {**dataclasses.asdict(LoraConfig()), "peft_type": "LORA"}
    for key, value in {**config, "target_modules": config.get("target_modules")}.items():
        allowed = _PLAIN_LORA[key](value) if key in _PLAIN_LORA else not value or value == at_rest.get(key)
        if not allowed:
            raise PoemError(
                _("the adapter is not a plain LoRA adapter: {key} = {value}").format(
                    key=plain(key[:80]), value=plain(repr(value)[:80])
                ),
                hint=_("target_modules must be a list of module names, and nothing may be set beyond plain LoRA."),
                where=str(folder / CONFIG_FILE),
            )
    return {key: config[key] for key in _PLAIN_LORA if key in config}


def load_adapter(base: Base, folder: Path, *, trainable: bool = False) -> PeftModel:
    """Put a saved adapter on the base.

    Args:
        base: the model it was trained on.
        folder: of the adapter.
        trainable: whether it is to be trained further.

    Raises:
        PoemError: the adapter can't be read or belongs to another base.
    """
    facts = check_adapter(folder)
    # A folder may have moved, so only its own name counts.
    if facts.base_name and Path(facts.base_name).name != Path(base.name).name:
        raise _other_base(facts, base, folder, _("the bases have different names"))
    try:
        # What was checked is what peft is given; it doesn't read the file again.
        config = LoraConfig(**_read_config(folder))
        # Its warnings quote the file's tensor names as they are; the names are looked at below.
        with warnings.catch_warnings(action="ignore"):
            model: PeftModel = PeftModel.from_pretrained(
                base.model, str(folder), config=config, is_trainable=trainable, local_files_only=True
            )
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise _other_base(facts, base, folder, reason) from error
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
        present = set(file.keys())
    wanted = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    if missing := sorted(wanted - present):
        raise PoemError(
            _("the adapter lacks {count} tensors, such as {name}").format(count=len(missing), name=plain(missing[0])),
            hint=_("Copy it again."),
            where=str(folder),
        )
    if others := sorted(present - wanted):
        raise PoemError(
            _("the adapter holds {count} tensors that are not of it, such as {name}").format(
                count=len(others), name=plain(others[0][:200])
            ),
            hint=_("They could change the base in silence. Save the adapter again without them."),
            where=str(folder),
        )
    model.eval()
    return model


def _other_base(facts: AdapterFacts, base: Base, folder: Path, reason: str) -> PoemError:
    return PoemError(
        _("the adapter, made for {made_for}, doesn't fit the base {base}").format(
            made_for=plain(facts.base_name) or _("an unnamed base"), base=plain(base.name)
        ),
        hint=_("Load it on the base it was trained on. In detail: {reason}").format(reason=plain(reason)),
        where=str(folder),
    )


def _check_targets(model: torch.nn.Module, wanted: Sequence[str]) -> None:
    names = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name
    }
    for target in wanted:
        if target not in names:
            near = difflib.get_close_matches(target, names, n=3, cutoff=0.4) or sorted(names)
            raise PoemError(
                _("this model has no linear layer {target}").format(target=plain(target)),
                hint=_("It has: {names}.").format(names=", ".join(near)),
                where="lora.target_modules",
            )
