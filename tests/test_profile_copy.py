"""Profile ↔ dict ↔ the resolved copy: nothing is lost."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from core.data.recipe import Task
from core.errors import PoemError
from core.profile.document import (
    check_text,
    dump_profile,
    load_profile,
    preset_names,
    profile_from_dict,
    profile_to_dict,
)
from core.profile.schema import DataKeys, ModelKeys, NotifyKeys, Profile, TrainKeys

ODD = "\"'''\\ {author} \n\t # = [x] 白日依山盡 \U00020000 \u200b é"


def test_a_dict_holds_every_key_and_plain_values() -> None:
    tables = profile_to_dict(Profile(data=DataKeys(hold_out=("a",), tasks=(Task("t", None, "{x}", None, 0.5),))))
    assert list(tables) == ["model", "data", "train", "lora", "generation", "notify"]
    assert tables["data"] == {
        "path": "builtin:tang-sample",
        "rows": "all",
        "eval_rows": 200,
        "hold_out": ["a"],
        "exclude": [],
        "cutoff_len": 256,
        "template": "auto",
        "system_prompt": "",
        "overlong": "drop",
        "on_bad_row": "error",
        "columns": {},
        "tasks": [{"name": "t", "input": "{x}", "weight": 0.5}],
    }
    assert [len(tables[table]) for table in tables] == [3, 12, 19, 6, 8, 1]


@pytest.mark.parametrize(
    "profile",
    [
        Profile(),
        Profile(model=ModelKeys(base=ODD.replace("\n", "").replace("\t", ""), device="cuda:3")),
        Profile(data=DataKeys(system_prompt=ODD, hold_out=(ODD, "'"), columns={"input": '"', "output": "a.b"})),
        Profile(data=DataKeys(exclude=(7, "100-120", "near-duplicate", 0))),
        Profile(data=DataKeys(rows=1, tasks=(Task('"q"', ODD.replace("{author}", ""), "", "{{}}", 1e-300),))),
        Profile(data=DataKeys(tasks=tuple(Task(f"第{n}", None, None, None, float(n)) for n in range(20)))),
        Profile(train=TrainKeys(learning_rate=5e-324, weight_decay=0.1 + 0.2 - 0.3, adam_epsilon=1e-22, max_steps=7)),
        Profile(train=TrainKeys(trackers=("wandb", "trackio")), notify=NotifyKeys("mail '白 日' \\\"")),
    ],
)
def test_the_resolved_copy_reads_back_equal(profile: Profile) -> None:
    text = dump_profile(profile)
    assert profile_from_dict(tomllib.loads(text)) == profile
    assert check_text(text) == (profile, ())


def test_presets_read_back_equal() -> None:
    for name in preset_names():
        profile = load_profile(name)
        assert profile_from_dict(tomllib.loads(dump_profile(profile))) == profile


def test_a_dict_may_lack_keys() -> None:
    assert profile_from_dict({"train": {"epochs": 3}}) == Profile(train=replace(TrainKeys(), epochs=3))


def test_a_wrong_dict_names_the_key() -> None:
    with pytest.raises(PoemError) as caught:
        profile_from_dict({"train": {"epochs": 0}})
    assert (caught.value.where, caught.value.message) == ("train.epochs", "train.epochs can't be 0")
    with pytest.raises(PoemError) as caught:
        profile_from_dict({"train": {"epochs": 0}, "x": 1})
    assert caught.value.where == ""
    assert "--set" not in caught.value.message


def test_a_copy_from_before_a_key_was_there_has_its_default() -> None:
    text = dump_profile(Profile(data=DataKeys(eval_rows=7)))
    assert "exclude = []\n" in text
    assert check_text(text.replace("exclude = []\n", "")) == (Profile(data=DataKeys(eval_rows=7)), ())
