"""Every key of a profile and every value that follows from them: the one source of ranges, meanings and advice.

`document` checks with it; the editor's help, the review, `profile keys` and profiles/README.md are made from it. It
takes the defaults from the schema and never repeats them.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from core.data.recipe import DEFAULT_TASK
from core.i18n import N_
from core.profile.key import Derived, Key
from core.profile.keys_lora_generation import GENERATION, LORA
from core.profile.keys_model_data import DATA, MODEL
from core.profile.keys_notify import NOTIFY
from core.profile.keys_train import TRAIN
from core.profile.schema import Profile

TABLES = ("model", "data", "train", "lora", "generation", "notify")

KEYS: Mapping[str, Key] = MappingProxyType(
    {key.name: key for key in (*MODEL, *DATA, *TRAIN, *LORA, *GENERATION, *NOTIFY)}
)

DERIVED: Mapping[str, Derived] = MappingProxyType(
    {
        derived.name: derived
        for derived in (
            Derived(
                "train.gradient_accumulation",
                "train.batch_size / train.micro_batch_size",
                N_("Micro-batches whose gradients are added up for one step. A remainder is an error."),
            ),
            Derived(
                "train.micro_batch_tokens",
                "train.micro_batch_size × data.cutoff_len",
                N_("The most tokens that go through the model at once: what memory must bear."),
            ),
            Derived(
                "train.steps_per_epoch",
                "⌈training rows / train.batch_size⌉",
                N_(
                    "Optimiser steps in one pass over the rows. Known before the data is read unless "
                    'data.rows is "all".'
                ),
            ),
            Derived(
                "train.steps",
                "train.epochs × train.steps_per_epoch, at most train.max_steps where that is above 0",
                N_("Optimiser steps in all."),
            ),
            Derived(
                "train.warmup_steps",
                "⌈train.warmup_ratio × train.steps⌉",
                N_("Steps in which the learning rate rises; the last of them has the full rate."),
            ),
            Derived(
                "lora.scaling",
                "lora.alpha / lora.r",
                N_("What the adapter's output is multiplied by."),
            ),
        )
    }
)

# The first experiment's constants, for whoever comes from it; GRAD_ACC_STEPS is derived here.
CONSTANTS: Mapping[str, str] = MappingProxyType(
    {
        "NUM_TRAIN_DATA": "data.rows",
        "EPOCHS": "train.epochs",
        "LEARNING_RATE": "train.learning_rate",
        "CUTOFF_LEN": "data.cutoff_len",
        "MICRO_BATCH_SIZE": "train.micro_batch_size",
        "BATCH_SIZE": "train.batch_size",
        "GRAD_ACC_STEPS": "train.gradient_accumulation",
        "r": "lora.r",
        "lora_alpha": "lora.alpha",
        "lora_dropout": "lora.dropout",
        "bias": "lora.bias",
        "TARGET_MODULES": "lora.target_modules",
        "task_type": "lora.task_type",
        "MAX_LEN": "generation.max_new_tokens",
        "TEMPERATURE": "generation.temperature",
        "TOP_P": "generation.top_p",
        "NO_REPEAT_NGRAM_SIZE": "generation.no_repeat_ngram_size",
    }
)

_CONSTANTS_LOWER = {constant.lower(): name for constant, name in CONSTANTS.items()}
_LONGEST_NAME = 64


def default_of(key: Key) -> object:
    """The key's default; None where there is none (`data.tasks.name`) or it is the row's own field."""
    match key.name.split("."):
        case ["data", "tasks", "name"]:
            return None
        case ["data", "tasks", field]:
            value: object = getattr(DEFAULT_TASK, field)
        case ["data", "columns", _field]:
            return None
        case [table, field]:
            value = getattr(getattr(Profile(), table), field)
        case _:
            raise ValueError(key.name)
    return value


def fields_of(table: str) -> tuple[str, ...]:
    """The names of the keys that stand directly in `table`, in the schema's order; () for an unknown table."""
    return tuple(key.field for key in KEYS.values() if key.table == table)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `name` was most likely meant to be, or None where none is near."""
    wanted = name.lower().replace("-", "_")
    if len(wanted) > _LONGEST_NAME:
        return None
    by_lower = {candidate.lower().replace("-", "_"): candidate for candidate in known}
    matches = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def nearest_key(name: str) -> str | None:
    """The full name of the key that `name` was most likely meant to be: `train.epoch`, `epochs`, `data.epochs` and the
    first experiment's `EPOCHS` all give `train.epochs`. May be the name of a derived value; None where none is near.
    """
    table, dot, field = name.rpartition(".")
    if dot and table in (*TABLES, "data.tasks", "data.columns"):
        near = nearest(field, fields_of(table))
        if near is not None:
            return f"{table}.{near}"
    names = (*KEYS, *DERIVED)
    for known in names:
        if known.rpartition(".")[2] == field.lower():
            return known
    constant = _CONSTANTS_LOWER.get(field.lower())
    if constant is not None:
        return constant
    # By the field alone: two names in one table look alike for the table's sake.
    near_field = nearest(field, [known.rpartition(".")[2] for known in names])
    if near_field is None:
        return None
    return next(known for known in names if known.rpartition(".")[2] == near_field)


def derive(profile: Profile, train_rows: int | None = None) -> dict[str, int | float | None]:
    """The values of `DERIVED` for one profile.

    Args:
        profile: a checked one.
        train_rows: how many rows train, where that is known; else `data.rows` where it is a number.
    """
    rows = train_rows if train_rows is not None else profile.data.rows
    steps_per_epoch = None if rows == "all" else math.ceil(rows / profile.train.batch_size)
    steps = None
    if steps_per_epoch is not None:
        steps = profile.train.epochs * steps_per_epoch
        if profile.train.max_steps:
            steps = min(steps, profile.train.max_steps)
    return {
        "train.gradient_accumulation": profile.train.batch_size // profile.train.micro_batch_size,
        "train.micro_batch_tokens": profile.train.micro_batch_size * profile.data.cutoff_len,
        "train.steps_per_epoch": steps_per_epoch,
        "train.steps": steps,
        "train.warmup_steps": None if steps is None else math.ceil(profile.train.warmup_ratio * steps),
        "lora.scaling": profile.lora.alpha / profile.lora.r,
    }
