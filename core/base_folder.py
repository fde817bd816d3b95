"""A base model's folder: found locally and checked before anything in it is loaded, without any model library.

It reads JSON and file names, never weights, and knows nothing of torch or transformers. What it refuses is what would
make transformers import a package, fetch a file, read one outside the folder, or ask for absurd amounts of memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain

BUILTIN = "builtin:"
_BUILTIN_FOLDER = Path(__file__).parent / "model" / "builtin"
_NEEDED_FILES = ("config.json", "tokenizer.json")
_INDEX_FILE = "model.safetensors.index.json"
_JSON_BYTES = 64 * 2**20

# Whatever else the keys named *_implementation hold is a package to import or a kernel on the hub to fetch.
_IMPLEMENTATIONS = (None, "eager", "sdpa", "flex_attention", "grouped_mm", "batched_mm")
_NUMBER_TYPES = (None, "auto", "float64", "float32", "bfloat16", "float16")
# These choose other files, packages or classes than the ones that were looked at.
_CONFIG_KEYS = {
    "configuration_files",
    "distributed_config",
    "fusion_config",
    "kernel_config",
    "compression_config",
    "quantization_config",
    "transformers_weights",
    "use_kernels",
    "use_pretrained_backbone",
    "use_timm_backbone",
}
_TOKENIZER_KEYS = {"fast_tokenizer_files", "gguf_file", "init_inputs", "tokenizer_object"}
_TOKENIZER_CLASS = re.compile(r"(?!Auto|Rag)[A-Za-z0-9]+Tokenizer(Fast)?|TokenizersBackend")
_SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")
# Above every model there is: 16.7 million for a width, a vocabulary or a context, 1024 for what is built one by one.
_LARGEST_NUMBER = 2**24
_LARGEST_COUNT = 1024
_COUNTED = ("layer", "layers", "labels", "experts", "blocks", "depth")
_UNBOUNDED = ("theta", "base", "factor")


def go_offline() -> None:
    """Forbid the hub's client the network and its telemetry, for this process and its children, whatever was set."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # It reads the variables once, when it is imported, and these two names at every call.
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        vars(constants).update(HF_HUB_OFFLINE=True, HF_HUB_DISABLE_TELEMETRY=True)


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
    folder = path_of(base)
    if not os.path.isdir(folder):  # which answers no, where Path.is_dir raises: names too long or with a null
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


def identity_of(folder: Path) -> dict[str, str]:
    """What tells one base from another: the SHA-256 of configuration, tokenizer and weights. Reads all of them."""
    names = (*_NEEDED_FILES, *sorted(path.name for path in folder.glob("*.safetensors")))
    hashes = {}
    for name in names:
        with (folder / name).open("rb") as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def weights_bytes(folder: Path) -> int:
    """The size of all safetensors files of a folder."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from an untrusted file.

    Raises:
        PoemError: it can't be read, is longer than 64 MiB, or is none.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(_("it is no ordinary file"))  # a pipe would keep its reader waiting for ever
        if found.st_size > _JSON_BYTES:
            raise ValueError(_("it is longer than 64 MiB"))
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
    _check_config(folder / "config.json")
    for name in ("tokenizer_config.json", "generation_config.json"):
        if (folder / name).exists():
            _check_keys(folder / name, _TOKENIZER_KEYS)
    if (folder / "adapter_config.json").exists():
        raise PoemError(
            _("the folder holds an adapter beside the model"),
            hint=_("Take adapter_config.json and its weights out of it; an adapter is named by itself."),
            where=str(folder),
        )
    _check_weights(folder)


def _check_config(path: Path) -> None:
    for key, value in _check_keys(path, _CONFIG_KEYS):
        if key in ("dtype", "torch_dtype") and value not in _NUMBER_TYPES:
            raise _refused(path, key, value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or any(part in key for part in _UNBOUNDED):
            continue
        largest = _LARGEST_COUNT if key.rpartition("_")[2] in _COUNTED else _LARGEST_NUMBER
        if not value <= largest:  # NaN too
            raise PoemError(
                _("{key} = {value} is more than any model has").format(key=plain(key[:80]), value=str(value)[:30]),
                hint=_("The largest value that is taken is {largest}.").format(largest=largest),
                where=str(path),
            )


def _check_keys(path: Path, refused: set[str]) -> list[tuple[str, Any]]:
    """All (key, value) of a file at any depth, once none of them asks for code, kernels or other files."""
    found = list(_pairs(read_json(path)))
    for key, value in found:
        if key in refused and value:
            raise _refused(path, key, value)
        if key.endswith(("_implementation", "_implementation_internal")) and key != "cache_implementation":
            for choice in value.values() if isinstance(value, dict) else (value,):
                if choice not in _IMPLEMENTATIONS:
                    raise _refused(path, key, choice)
        if (
            key == "tokenizer_class"
            and value is not None
            and not (isinstance(value, str) and _TOKENIZER_CLASS.fullmatch(value))
        ):
            raise _refused(path, key, value)
    return found


def _pairs(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    left: list[Any] = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield from value.items()
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def _refused(path: Path, key: str, value: Any) -> PoemError:
    return PoemError(
        _("{key} = {value} is not taken from a model's files").format(
            key=plain(key[:80]), value=plain(repr(value)[:80])
        ),
        hint=_(
            "It could load code, a package or another file. Use a plain, unquantised model, "
            "or remove the key if you know that the model does without."
        ),
        where=str(path),
    )


def _check_weights(folder: Path) -> None:
    index = folder / _INDEX_FILE
    if not any(path.is_file() for path in folder.glob("*.safetensors")) and not index.exists():
        raise PoemError(
            _("the folder holds no safetensors weights"),
            hint=_("Weights in pickle files (*.bin, *.pt) are never loaded: they can run code. Convert them first."),
            where=str(folder),
        )
    if any(folder.glob("shard-*.safetensors")):
        raise PoemError(
            _("the folder holds a distributed checkpoint"),
            hint=_("Save the model as model.safetensors first."),
            where=str(folder),
        )
    if not index.exists():
        return
    weight_map = read_json(index).get("weight_map")
    names = set(map(str, weight_map.values())) if isinstance(weight_map, dict) else {""}
    for name in sorted(names):
        if not _SHARD.fullmatch(name) or not (folder / name).is_file():
            raise PoemError(
                _(
                    "the index names the weights file “{name}”, which is not one of this folder's safetensors files"
                ).format(name=plain(name[:80])),
                hint=_("Copy the folder again, whole."),
                where=str(index),
            )


def _cached_snapshot(hub_id: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        return None
