"""What stands under the cursor of a profile that is being typed, and what is offered to go on with."""

from __future__ import annotations

import pytest

from core.profile.cursor import key_at, suggestions_at
from core.profile.presets import preset_names, preset_text
from core.profile.reference import KEYS, TABLES


def offered(text: str) -> list[str]:
    """The text after each suggestion at the `|`."""
    before, _bar, after = text.partition("|")
    line, column = before.count("\n"), len(before.rpartition("\n")[2])
    lines = (before + after).split("\n")
    results = []
    for one in suggestions_at(before + after, line, column):
        assert 0 <= one.start <= column <= one.end <= len(lines[line])
        results.append(lines[line][: one.start] + one.text + lines[line][one.end :])
    return results


@pytest.mark.parametrize("preset", preset_names())
def test_every_line_of_every_preset(preset: str) -> None:
    text = preset_text(preset)
    table = ""
    for number, line in enumerate(text.split("\n")):
        if line.startswith("["):
            table = line.split("#")[0].strip().strip("[]")
        expected = f"{table}.{line.partition('=')[0].strip()}" if line[:1].isalpha() else None
        assert key_at(text, number) == expected
        assert expected is None or expected in KEYS


BROKEN = """\
train.epochs = 3
[train
seed =
epochs

[[data.tasks]]  # 任務
name = "a" # x = 1
instruction = \"\"\"
[lora]
r = 8 \"\"\"
weight
[lora]
target_modules = [
  "q_proj", # 甲

  "k_proj",
]
r
nonsense
x = 1
"""


def test_half_typed_and_long_values() -> None:
    expected = [
        "train.epochs", None, "train.seed", "train.epochs", None, None, "data.tasks.name",
        *["data.tasks.instruction"] * 3, "data.tasks.weight", None, *["lora.target_modules"] * 2, None,
        *["lora.target_modules"] * 2, "lora.r", None, None, None,
    ]  # fmt: skip
    assert [key_at(BROKEN, line) for line in range(21)] == expected
    assert key_at(BROKEN.replace("\n", "\r\n"), 6) == "data.tasks.name"
    assert key_at(BROKEN, 99) is None and key_at("", 0) is None


def test_headers() -> None:
    every = ["[data.columns]", "[[data.tasks]]", *(f"[{table}]" for table in TABLES)]
    assert offered("  [|") == [f"  {one}" for one in every]
    assert offered("[|") == every
    assert offered("[tr|") == offered("[tr|]") == offered("[tr|ain]") == ["[train]"]
    assert offered("[[da|]]") == ["[data.columns]", "[[data.tasks]]", "[data]"]


def test_keys_that_the_table_lacks() -> None:
    assert offered("[train]\nepo|") == ["epochs = 5"]
    assert offered("[train]\nepochs = 3\nepo|\n[lora]\n") == []
    assert offered("[train]\nepo|chs = 3") == offered("[train]\nepo| = 3") == ["epochs = 3"]
    assert offered("[lora]\nepochs = 3\n[train]\nepo|") == ["epochs = 5"]
    assert offered("[model]\n|") == ['base = "builtin:tang-tiny"', 'dtype = "auto"', 'device = "auto"']
    assert offered("train.ep|") == ["train.epochs = 5"]
    assert offered("[data.columns]\n|") == ['instruction = ""', 'input = ""', 'output = ""']
    assert offered("[train]\n# epo|") == []
    assert offered('[data]\nsystem_prompt = """\n[model]\n"""\ncut|') == ["cutoff_len = 256"]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_found_by_its_beginning(key: str) -> None:
    table, _dot, field = key.rpartition(".")
    assert any(one.partition(" = ")[0] == field for one in offered(f"[{table}]\n{field[:2]}|"))


def test_values() -> None:
    every = ['schedule = "linear"', 'schedule = "cosine"', 'schedule = "constant"']
    for begun in ("schedule = |", 'schedule = "|', 'schedule = "|"', 'schedule = "linear"|', 'schedule = |"linear"'):
        assert offered(f"[train]\n{begun}") == every, begun
    for begun in ('schedule = "co|', "schedule = co|", 'schedule = "co|sine"', 'schedule = "co|"'):
        assert offered(f"[train]\n{begun}") == every[1:], begun
    assert offered('[train]\nschedule = "x|') == []
    assert offered('[train]\nschedule = "linear" |') == offered('[train]\nschedule = "linear" # c|') == []
    assert offered('[train]\nschedule = "co|" # 日') == [f"{one} # 日" for one in every[1:]]
    assert offered("[model]\ndevice = |") == [f'device = "{one}"' for one in ("auto", "cpu", "mps", "cuda")]
    assert offered("[train]\nepochs = |") == ["epochs = 5"]
    assert offered("[train]\nepochs = 3|") == []
    assert offered("[train]\nnonsense = |") == []


def test_elements_of_lists() -> None:
    assert offered("[train]\ntrackers = [|]") == [
        f'trackers = ["{one}"]' for one in ("tensorboard", "trackio", "wandb")
    ]
    assert offered('[train]\ntrackers = ["t|"]') == ['trackers = ["tensorboard"]', 'trackers = ["trackio"]']
    assert offered('[train]\ntrackers = ["wandb", "tr|') == ['trackers = ["wandb", "trackio"']
    assert offered('[lora]\ntarget_modules = ["q_proj", |]')[0] == 'target_modules = ["q_proj", "k_proj"]'
    assert offered('[lora]\ntarget_modules = [\n  "q_proj",\n  "ga|"\n]') == ['  "gate_proj"']
    assert offered('[data]\nexclude = [3, "od|"]') == ['exclude = [3, "odd-lines"]']
    assert offered("[data]\nexclude = odd|") == ['exclude = ["odd-lines"]']
    assert offered("[train]\ntrackers = t|") == ['trackers = ["tensorboard"]', 'trackers = ["trackio"]']
    assert offered("[lora]\ntarget_modules = |")[0].startswith('target_modules = ["q_proj", "k_proj", ')
    assert offered('[data]\nhold_out = ["#|') == offered('[data]\nhold_out = ["a"] # "|') == []


def test_any_position_in_any_text_is_borne() -> None:
    text = BROKEN + '\x1b[2J\u202e = "\n"""\n\'\'\'\n[[[\n= = =\n[a.b]\n]\n"\\'
    for number, line in enumerate(text.split("\n")):
        for column in range(len(line) + 2):
            suggestions_at(text, number, column)
    assert suggestions_at("", 7, 3) != ()
