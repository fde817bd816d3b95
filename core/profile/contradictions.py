"""Values that are each allowed but not together. It knows neither lines nor where a value came from."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from core.i18n import _
from core.profile.values import shown_value


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two or more values at odds."""

    keys: tuple[str, ...]
    """The keys concerned, the likeliest to be changed first."""
    message: str
    """As in `Problem`."""
    hint: str
    """As in `Problem`."""


def find_contradictions(values: Mapping[str, Any], wrong: Set[str]) -> list[Contradiction]:
    """Every contradiction between values that are right by themselves.

    Args:
        values: full name of a key → value, for every key.
        wrong: keys whose value here is not what was meant; rules about them are left out.
    """
    rules = (
        (_batch, ("train.batch_size", "train.micro_batch_size")),
        (_samples, ("train.sample_every", "train.sample_prompts")),
        (_trackers, ("train.trackers",)),
        (_targets, ("lora.target_modules",)),
        (_task_names, ("data.tasks",)),
        (_task_weights, ("data.tasks",)),
    )
    found = []
    for rule, keys in rules:
        if wrong.isdisjoint(keys):
            trouble = rule(values)
            if trouble is not None:
                found.append(Contradiction(keys, *trouble))
    return found


def _batch(values: Mapping[str, Any]) -> tuple[str, str] | None:
    batch, micro = values["train.batch_size"], values["train.micro_batch_size"]
    if batch % micro == 0:
        return None
    message = _("train.batch_size {batch} is not a multiple of train.micro_batch_size {micro}").format(
        batch=batch, micro=micro
    )
    larger = -(-batch // micro) * micro
    smaller = next(size for size in range(min(batch, micro), 0, -1) if batch % size == 0)
    hint = _("Take batch_size = {larger}, or micro_batch_size = {smaller}.").format(larger=larger, smaller=smaller)
    return message, hint


def _samples(values: Mapping[str, Any]) -> tuple[str, str] | None:
    if not values["train.sample_every"] or values["train.sample_prompts"]:
        return None
    message = _("train.sample_every is {steps} but train.sample_prompts is empty").format(
        steps=values["train.sample_every"]
    )
    return message, _("Name a first couplet in sample_prompts, or set sample_every = 0.")


def _trackers(values: Mapping[str, Any]) -> tuple[str, str] | None:
    repeated = _first_repeated(values["train.trackers"])
    if repeated is None:
        return None
    return _("train.trackers names {name} twice").format(name=shown_value(repeated)), _("Take one of them out.")


def _targets(values: Mapping[str, Any]) -> tuple[str, str] | None:
    targets = values["lora.target_modules"]
    if not targets:
        hint = _('At least: target_modules = ["q_proj", "v_proj"]')
        return _("lora.target_modules is empty: nothing would train"), hint
    repeated = _first_repeated(targets)
    if repeated is not None:
        message = _("lora.target_modules names {name} twice").format(name=shown_value(repeated))
        return message, _("Take one of them out.")
    return None


def _task_names(values: Mapping[str, Any]) -> tuple[str, str] | None:
    repeated = _first_repeated([task.name for task in values["data.tasks"]])
    if repeated is None:
        return None
    message = _("data.tasks has two tasks named {name}").format(name=shown_value(repeated))
    return message, _("Counts and messages tell tasks apart by name: give each its own.")


def _task_weights(values: Mapping[str, Any]) -> tuple[str, str] | None:
    tasks = values["data.tasks"]
    if not tasks or any(task.weight > 0 for task in tasks):
        return None
    message = _("every task of data.tasks has weight 0: none would ever be chosen")
    return message, _("Give at least one a weight above 0.")


def _first_repeated(names: list[str] | tuple[str, ...]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
