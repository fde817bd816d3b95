"""A folder looked at as a base model, without loading it: what it is, how large, and what is missing."""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.base_folder import read_json, resolve_base, weights_bytes
from core.errors import PoemError
from core.i18n import _
from core.plain import plain

_MOST_FOLDERS = 200
_HEADER_BYTES = 64 * 2**20
_MOST_DIMENSIONS = 8
_LARGEST_COUNT = 2**50


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What a folder is."""

    architecture: str = ""
    """Its class, such as Qwen2ForCausalLM; empty: not said."""
    layers: int = 0
    """Transformer blocks; 0: not said."""
    hidden: int = 0
    """Width of the residual stream; 0: not said."""
    vocabulary: int = 0
    """Token ids; 0: not said."""
    parameters: int = 0
    """Numbers in its safetensors files, by their headers; 0: none could be read."""
    weights_bytes: int = 0
    """Size of those files."""
    problem: str = ""
    """What keeps it from being a base; empty: nothing."""


def look_at_folder(path: str) -> FolderFacts:
    """What a folder, a hub id in the cache or `builtin:NAME` is; it is read, never loaded."""
    if not path.strip():
        return FolderFacts(problem=_("Type the folder of a model."))
    # What is plainly a path isn't looked for in the hub's cache at every key typed.
    is_path = path.startswith(("/", ".", "~")) or path.count("/") > 1 or path.endswith("/")
    try:
        if is_path and not os.path.isdir(os.path.expanduser(path)):
            return FolderFacts(problem=_("There is no such folder."))
        folder = resolve_base(path)
        config = read_json(folder / "config.json")
        size = weights_bytes(folder)
    except PoemError as error:
        return FolderFacts(problem=str(error))
    except OSError as error:
        return FolderFacts(problem=_("The folder can't be read: {reason}").format(reason=plain(error.strerror or "")))
    names = config.get("architectures")
    return FolderFacts(
        architecture=plain(str(names[0])) if isinstance(names, list) and names else "",
        layers=_count(config, "num_hidden_layers"),
        hidden=_count(config, "hidden_size"),
        vocabulary=_count(config, "vocab_size"),
        parameters=sum(_parameters_in(file) for file in folder.glob("*.safetensors")),
        weights_bytes=size,
    )


def folders_in(path: str) -> tuple[tuple[str, bool], ...]:
    """Names of the folders in one, and whether each looks like a model; none where the disk refuses."""
    try:
        with os.scandir(os.path.expanduser(path) or ".") as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except (OSError, ValueError):
        return ()
    root = Path(os.path.expanduser(path) or ".")
    found = ((name, (root / name / "config.json").is_file()) for name in names[:_MOST_FOLDERS])
    return tuple(sorted(found, key=lambda pair: (not pair[1], pair[0])))


def _count(config: dict[str, Any], name: str) -> int:
    value = config.get(name)
    return value if type(value) is int and value > 0 else 0


def _parameters_in(file: Path) -> int:
    """Numbers in a safetensors file, by its header (8 bytes of length, then JSON); 0 where that isn't one."""
    try:
        if not file.is_file():  # opening a pipe would wait for ever
            return 0
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(length)) if length <= _HEADER_BYTES else {}
        count = 0
        for name, tensor in header.items():
            if name != "__metadata__":
                shape = tensor["shape"]
                if len(shape) > _MOST_DIMENSIONS or any(not 0 <= int(one) <= _LARGEST_COUNT for one in shape):
                    return 0
                count += math.prod(map(int, shape))
        return count if count <= _LARGEST_COUNT else 0
    except (OSError, ValueError, OverflowError, RecursionError, KeyError, TypeError, AttributeError, struct.error):
        return 0
