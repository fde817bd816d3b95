"""The base model in memory: loaded from a checked folder, never fetched, never unpickled, none of its code run."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name
from transformers.utils import logging as transformers_logging

from core.base_folder import go_offline, read_json, resolve_base, weights_bytes
from core.errors import PoemError
from core.i18n import _
from core.model.device import Device, Precision, choose_device, choose_precision
from core.plain import plain

# For all that this process will load; also where another import of the hub's client came before this one.
go_offline()
# The library's reports quote the files as they are, escape sequences and all; what counts comes as an error.
transformers_logging.set_verbosity(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Base:
    """A base model in memory, with everything that belongs to it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str  # as the profile names it
    folder: Path
    device: Device
    precision: Precision

    @property
    def embeddings(self) -> torch.Tensor:
        """The input embeddings, (V, D)."""
        weight: torch.Tensor = self.model.get_input_embeddings().weight.detach()  # type: ignore[operator]
        return weight


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder; no code of the folder's is run.

    Raises:
        PoemError: it can't be read.
    """
    try:
        _check_tokenizer_class(folder)
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        # Tokenizer files are untrusted input, and the libraries that read them raise whatever they like.
        raise PoemError(
            _("the tokenizer can't be read: {reason}").format(reason=plain(_reason(error))),
            hint=_("Check tokenizer.json and tokenizer_config.json, or copy the folder again."),
            where=str(folder),
        ) from error
    return tokenizer


def load_base(base: str, *, dtype: str = "auto", device: str = "auto") -> Base:
    """Load a base model onto its device, in evaluation mode.

    Args:
        base: as for `resolve_base`.
        dtype: `auto`, `float32` or `bfloat16`.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.

    Raises:
        PoemError: the folder, the device or the precision is not to be had.
    """
    folder = resolve_base(base)
    chosen = choose_device(device)
    precision = choose_precision(dtype, chosen.torch_device)
    tokenizer = load_tokenizer(folder)
    # Progress bars of weights would stand between a command and its output.
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings(action="ignore"):
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                str(folder),
                config=_read_config(folder),
                dtype=precision.dtype,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        model: PreTrainedModel = loaded[0]
        missing = sorted(loaded[1]["missing_keys"])
        if missing:
            # They would be random numbers.
            raise ValueError(_("the weights lack {name}").format(name=missing[0]))
    except PoemError:
        raise
    except Exception as error:
        raise PoemError(
            _("the model can't be loaded: {reason}").format(reason=plain(_reason(error))),
            hint=_("Check that the folder is complete and holds a causal language model."),
            where=str(folder),
        ) from error
    model.to(chosen.torch_device)  # type: ignore[arg-type]
    model.eval()  # type: ignore[no-untyped-call]
    return Base(model, tokenizer, base, folder, chosen, precision)


def make_empty(folder: Path) -> PreTrainedModel:
    """The model of a folder on no device at all: its modules and their shapes, nothing allocated, however large."""
    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    return model


def read_embeddings(folder: Path) -> torch.Tensor | None:
    """The input embeddings alone, (V, D); None where they have another name than usual."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                if name.endswith("embed_tokens.weight"):
                    embeddings: torch.Tensor = file.get_tensor(name)
                    return embeddings
    return None


def _read_config(folder: Path) -> PreTrainedConfig:
    """The model's configuration, once the weights are known to be enough for it.

    Raises:
        PoemError: the model needs code of its own, or would have more parameters than the weights have bytes.
    """
    model = make_empty(folder)
    config: PreTrainedConfig = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if parameters > weights_bytes(folder):
        raise PoemError(
            _("the configuration describes {parameters} parameters, but the weights are {bytes} bytes").format(
                parameters=parameters, bytes=weights_bytes(folder)
            ),
            hint=_("Copy the folder again: config.json and the weights don't belong together."),
            where=str(folder),
        )
    return config


def _check_tokenizer_class(folder: Path) -> None:
    """Only classes that read tokenizer.json: others import packages and read files of their own."""
    for path in (folder / "tokenizer_config.json", folder / "config.json"):
        name = read_json(path).get("tokenizer_class") if path.is_file() else None
        kind = tokenizer_class_from_name(name) if isinstance(name, str) else None
        if kind is not None and not issubclass(kind, PreTrainedTokenizerFast):
            raise ValueError(_("{name} does not read tokenizer.json").format(name=name))


def _reason(error: Exception) -> str:
    """What a library says, in a line, without its advice to trust the folder's code."""
    text = str(error)
    if "trust_remote_code" in text:
        return _("it needs code of its own, which is never run")
    return text[:300] or type(error).__name__
