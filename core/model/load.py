"""The base model: found locally, checked before anything is loaded, never fetched, never unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from core.errors import PoemError
from core.i18n import _
from core.model.device import Device, Precision, choose_device, choose_precision
from core.plain import plain

BUILTIN = "builtin:"
_BUILTIN_FOLDER = Path(__file__).parent / "builtin"
_NEEDED_FILES = ("config.json", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Base:
    """A base model in memory, with everything that belongs to it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str  # as the profile names it
    folder: Path
    device: Device
    precision: Precision
    identity: Mapping[str, str]  # SHA-256 of the configuration and tokenizer, size of the weights

    @property
    def embeddings(self) -> torch.Tensor:
        """The input embeddings, (V, D)."""
        weight: torch.Tensor = self.model.get_input_embeddings().weight.detach()  # type: ignore[operator]
        return weight


def resolve_base(base: str) -> Path:
    """The folder of a base model.

    Args:
        base: `builtin:NAME`, a local folder, or a hub id whose files are in the local cache.

    Raises:
        PoemError: it isn't there, or holds no model that is safe to load.
    """
    if base.startswith(BUILTIN):
        folder = _BUILTIN_FOLDER / base.removeprefix(BUILTIN)
        names = sorted(path.name for path in _BUILTIN_FOLDER.glob("*") if (path / "config.json").is_file())
        if base.removeprefix(BUILTIN) not in names:
            raise PoemError(
                _("there is no built-in model {base}").format(base=plain(base)),
                hint=_("Built in: {names}.").format(names=", ".join(BUILTIN + name for name in names)),
                where="model.base",
            )
        return folder
    folder = Path(base).expanduser()
    if not folder.is_dir():
        cached = _cached_snapshot(base)
        if cached is None:
            raise PoemError(
                _("the model folder {base} is not there").format(base=plain(base)),
                hint=_(
                    "Give the folder of a model in Hugging Face format (config.json, tokenizer.json, *.safetensors), "
                    "or builtin:tang-tiny. Nothing is downloaded: fetch a hub model beforehand."
                ),
                where="model.base",
            )
        folder = cached
    _check_folder(folder)
    return folder


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder; no code of the folder's is run.

    Raises:
        PoemError: it can't be read.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        # Tokenizer files are untrusted input, and the libraries that read them raise whatever they like.
        raise PoemError(
            _("the tokenizer can't be read: {reason}").format(reason=plain(str(error)[:300])),
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
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=precision.dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except Exception as error:
        raise PoemError(
            _("the model can't be loaded: {reason}").format(reason=plain(str(error)[:300])),
            hint=_("Check that the folder is complete and holds a causal language model."),
            where=str(folder),
        ) from error
    model.to(chosen.torch_device)  # type: ignore[arg-type]
    model.eval()  # type: ignore[no-untyped-call]
    return Base(model, tokenizer, base, folder, chosen, precision, identity_of(folder))


def identity_of(folder: Path) -> dict[str, str]:
    """What tells one base from another without reading gigabytes: two hashes and the size of the weights."""
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _NEEDED_FILES}
    weights_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return {**hashes, "weights_bytes": str(weights_bytes)}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from an untrusted file.

    Raises:
        PoemError: it can't be read or is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PoemError(
            _("the file can't be read: {reason}").format(reason=plain(str(error)[:200])),
            hint=_("Copy it again."),
            where=str(path),
        ) from error
    if not isinstance(document, dict):
        raise PoemError(_("the file holds no JSON object"), hint=_("Copy it again."), where=str(path))
    return document


def _check_folder(folder: Path) -> None:
    missing = [name for name in _NEEDED_FILES if not (folder / name).is_file()]
    if missing:
        raise PoemError(
            _("this is no model folder: {missing} is missing").format(missing=", ".join(missing)),
            hint=_("Give the folder of a model in Hugging Face format (config.json, tokenizer.json, *.safetensors)."),
            where=str(folder),
        )
    read_json(folder / "config.json")
    if not any(folder.glob("*.safetensors")):
        raise PoemError(
            _("the folder holds no safetensors weights"),
            hint=_("Weights in pickle files (*.bin, *.pt) are never loaded: they can run code. Convert them first."),
            where=str(folder),
        )


def _cached_snapshot(hub_id: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        return None
