"""The shape of a base: from its folder's configuration, or from published figures where the folder isn't here.

Models made of a shape are on no device: they have modules and sizes, and no weights.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from core.advice.facts import Model
from core.base_folder import resolve_base
from core.errors import PoemError
from core.model.lora import count_lora
from core.profile.schema import LoraKeys, Profile

_PUBLISHED = Path(__file__).with_name("shapes.toml")
_VARIANT = re.compile(r"-(Instruct|Base)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a base is made of, without its weights."""

    name: str
    """As the profile names it."""
    config: PreTrainedConfig
    """Its configuration; not to be changed."""
    source: str
    """"folder" or "published"."""
    is_uniform: bool
    """Whether all its layers have the same parts of the same sizes."""

    @property
    def layers(self) -> int:
        """Transformer blocks."""
        return int(self.config.num_hidden_layers)

    def with_layers(self, count: int) -> Shape:
        """The same with its first layers only."""
        config = copy.deepcopy(self.config)
        config.num_hidden_layers = count
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:count]
        return replace(self, config=config)


def shape_of(base: str) -> Shape | None:
    """The shape of a base; None where it is neither here nor among the published ones.

    Args:
        base: as for `resolve_base`. A folder that isn't here is taken for the published base that the last part of its
            name is the name of.
    """
    try:
        folder = resolve_base(base)
    except PoemError:
        found = _published().get(_VARIANT.sub("", base.replace("\\", "/").rstrip("/").rpartition("/")[2]).lower())
        return None if found is None else _looked_at(base, found, "published")
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        return _looked_at(base, config, "folder")
    except Exception:
        # A folder's configuration is untrusted, and the libraries that read it raise whatever they like. What is
        # wrong with it is said by whoever loads the model.
        return None


def _looked_at(base: str, config: PreTrainedConfig, source: str) -> Shape:
    shape = Shape(base, config, source, is_uniform=False)
    kinds = set(getattr(config, "layer_types", None) or ())
    if shape.layers < 2 or len(kinds) > 1:
        make_model(shape)  # raises where it can't be made
        return shape
    one, two, all_of_them = (
        sum(parameter.numel() for parameter in make_model(shape.with_layers(count)).parameters())
        for count in (1, 2, shape.layers)
    )
    return replace(shape, is_uniform=all_of_them == two + (shape.layers - 2) * (two - one))


@cache
def _published() -> dict[str, PreTrainedConfig]:
    families: dict[str, Any] = tomllib.loads(_PUBLISHED.read_text(encoding="utf-8"))
    return {
        f"{name}-{size}".lower(): AutoConfig.for_model(family["model_type"], **values)
        for name, family in families.items()
        for size, values in family["sizes"].items()
    }


def make_model(shape: Shape, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The model of a shape on no device at all, however large, its weights of a number type."""
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(shape.config, dtype=dtype, trust_remote_code=False)  # type: ignore[no-untyped-call]
    return model


def linear_modules(model: torch.nn.Module) -> dict[str, int]:
    """The last part of a linear layer's name → how many of these there are; the output layer, which takes no adapter,
    is left out."""
    names = (name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear))
    return dict(Counter(name.rpartition(".")[2] for name in names if "lm_head" not in name))


def count_trainable(model: torch.nn.Module, lora: LoraKeys) -> int:
    """How many numbers an adapter trains on those of its target modules that the model has."""
    there = [name for name in lora.target_modules if name in linear_modules(model)]
    return count_lora(model, r=lora.r, bias=lora.bias, target_modules=there) if there else 0


def model_facts(profile: Profile) -> Model | None:
    """The base that a profile names, in figures; None where its shape is unknown."""
    shape = shape_of(profile.model.base)
    if shape is None:
        return None
    model = make_model(shape)
    return Model(
        name=shape.name,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        modules=linear_modules(model),
        trainable=count_trainable(model, profile.lora),
        source=shape.source,
    )
