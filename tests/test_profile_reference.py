"""The reference covers every key, agrees with the schema, and is what profiles/README.md says."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from core.data.recipe import Task
from core.profile.document import check_text
from core.profile.key import describe_range, describe_values
from core.profile.page import markdown_page, shown_default
from core.profile.reference import CONSTANTS, DERIVED, KEYS, default_of, derive, fields_of, nearest_key
from core.profile.schema import Profile, TrainKeys

README = Path(__file__).parent.parent / "profiles" / "README.md"


def test_every_key_of_the_schema_and_no_other() -> None:
    profile = Profile()
    names = [
        f"{table.name}.{field.name}" for table in fields(profile) for field in fields(getattr(profile, table.name))
    ]
    inner = [f"data.tasks.{field.name}" for field in fields(Task)]
    inner += [f"data.columns.{field}" for field in ("instruction", "input", "output")]
    assert sorted(KEYS) == sorted(names + inner)


def test_keys_come_in_the_schemas_order() -> None:
    for table in ("model", "data", "train", "lora", "generation", "notify"):
        assert list(fields_of(table)) == [field.name for field in fields(getattr(Profile(), table))]


def test_every_key_is_explained() -> None:
    for key in KEYS.values():
        assert key.meaning.endswith((".", "none.")), key.name
        assert key.advice.endswith("."), key.name
        assert key.choices or key.kind not in ("integer", "number") or describe_range(key), key.name


def test_every_default_passes_its_own_range() -> None:
    for key in KEYS.values():
        if not key.name.startswith(("data.tasks.", "data.columns.")):
            assert check_text(f"{key.name} = {shown_default(key)}")[1] == (), key.name


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("train.learning_rate", 2e-4),
        ("data.rows", "all"),
        ("data.tasks", ()),
        ("data.tasks.name", None),
        ("data.tasks.input", None),
        ("data.tasks.weight", 1.0),
        ("data.columns.input", None),
    ],
)
def test_defaults(name: str, default: object) -> None:
    assert default_of(KEYS[name]) == default


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train.epochs", "1 to 10,000 epochs"),
        ("train.learning_rate", "above 0, up to 1"),
        ("lora.dropout", "at least 0, below 1"),
        ("data.rows", '1 to 1,000,000,000 rows, or "all"'),
        ("lora.bias", '"none", "all", "lora_only"'),
        ("data.path", ""),
        ("train.adam_epsilon", "above 0, up to 0.1"),
        ("train.trackers", '"tensorboard", "trackio", "wandb"'),
    ],
)
def test_ranges_in_words(name: str, words: str) -> None:
    assert describe_range(KEYS[name]) == words


def test_values_in_words() -> None:
    assert describe_values(KEYS["train.trackers"]) == 'a list of "tensorboard", "trackio", "wandb"'
    assert describe_values(KEYS["notify.command"]) == "text"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("train.epoch", "train.epochs"),
        ("epochs", "train.epochs"),
        ("EPOCHS", "train.epochs"),
        ("data.epochs", "train.epochs"),
        ("trian.epochs", "train.epochs"),
        ("train.lerning-rate", "train.learning_rate"),
        ("lora.lora_alpha", "lora.alpha"),
        ("NUM_TRAIN_DATA", "data.rows"),
        ("MAX_LEN", "generation.max_new_tokens"),
        ("GRAD_ACC_STEPS", "train.gradient_accumulation"),
        ("data.tasks.wieght", "data.tasks.weight"),
        ("notify.comand", "notify.command"),
        ("train.tracker", "train.trackers"),
        ("train.k0", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_nearest_key(name: str, near: str | None) -> None:
    assert nearest_key(name) == near


def test_every_constant_leads_to_a_key() -> None:
    assert len(CONSTANTS) == 17
    assert set(CONSTANTS.values()) <= set(KEYS) | set(DERIVED)


def test_derived_values() -> None:
    profile = Profile(train=TrainKeys(epochs=3, micro_batch_size=2, batch_size=8))
    assert derive(profile) == {
        "train.gradient_accumulation": 4,
        "train.micro_batch_tokens": 512,
        "train.steps_per_epoch": None,
        "train.steps": None,
        "train.warmup_steps": None,
        "lora.scaling": 2.0,
    }
    assert list(derive(profile)) == list(DERIVED)
    known = derive(profile, train_rows=17)  # ⌈17 / 8⌉ = 3
    assert (known["train.steps_per_epoch"], known["train.steps"]) == (3, 9)
    assert known["train.warmup_steps"] == 1  # ⌈0.03 × 9⌉
    capped = derive(replace(profile, train=replace(profile.train, max_steps=4)), train_rows=17)
    assert capped["train.steps"] == 4
    assert derive(replace(profile, data=replace(profile.data, rows=16)))["train.steps"] == 6


def test_the_committed_page_is_current() -> None:
    assert README.read_text(encoding="utf-8") == markdown_page(), (
        "run: poemcore profile keys --markdown > profiles/README.md"
    )


def test_tables_of_the_page_are_whole() -> None:
    """A stray bar or line break in a text would break its row."""
    columns = 0
    for line in markdown_page().splitlines():
        if line.startswith("| "):
            count = line.replace("\\|", "").count("|")
            assert columns in (0, count), line
            columns = count
        else:
            columns = 0
