"""One value of a profile's text changed in place: one line differs, everything else stays, byte by byte."""

from __future__ import annotations

import tomllib

import pytest

from core.errors import PoemError
from core.profile.edit import changed_lines, set_value, step_value, value_in
from core.profile.presets import preset_names, preset_text
from core.profile.reference import KEYS


def changes(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that went and those that came, ends included."""
    start, end, new = changed_lines(before, after)
    return before.split("\n")[start:end], new


@pytest.mark.parametrize("preset", preset_names())
def test_in_every_preset_one_line_changes_and_its_comment_stays(preset: str) -> None:
    text = preset_text(preset)
    document = tomllib.loads(text)
    for table, fields in document.items():
        for field, value in fields.items():
            key = KEYS[f"{table}.{field}"]
            if key.kind in ("columns", "tasks"):
                continue
            lists = {"list of texts": ["x[]", '"#'], "list of rows": [3, "4-5", "duplicate"]}
            other = lists.get(key.kind, "a # b" if isinstance(value, str) else 7)
            changed = set_value(text, key.name, other)
            assert tomllib.loads(changed) == {**document, table: {**fields, field: other}}
            gone, come = changes(text, changed)
            assert len(come) == 1 and (len(gone) == 1 or isinstance(value, list)), key.name
            comment = gone[0].partition("  #")[2]
            assert come[0].startswith(f"{field} = ") and come[0].endswith(comment), key.name


@pytest.mark.parametrize("preset", preset_names())
def test_in_every_preset_a_missing_key_adds_one_line_to_its_table(preset: str) -> None:
    text = preset_text(preset)
    document = tomllib.loads(text)
    for name, key in KEYS.items():
        if (
            key.kind in ("columns", "tasks")
            or key.table.startswith("data.")
            or key.field in document.get(key.table, {})
        ):
            continue
        changed = set_value(text, name, 3)
        fields = document.get(key.table, {})
        assert tomllib.loads(changed) == {**document, key.table: {**fields, key.field: 3}}
        gone, come = changes(text, changed)
        assert gone == []
        assert [line for line in come if line] == [f"[{key.table}]"] * (not fields) + [f"{key.field} = 3"]


AWKWARD = [
    # the text, the key, its value, the text after it
    ("", "train.epochs", 3, "[train]\nepochs = 3\n"),
    ("# 詩\n", "train.epochs", 3, "# 詩\n\n[train]\nepochs = 3\n"),
    ("[train]", "train.epochs", 3, "[train]\nepochs = 3"),
    ("[train]\nepochs = 1", "train.epochs", 3, "[train]\nepochs = 3"),
    ("[train]\nepochs=1 # 一\n", "train.epochs", 3, "[train]\nepochs=3 # 一\n"),
    ("[train]\n# epochs = 1\n", "train.epochs", 3, "[train]\nepochs = 3\n# epochs = 1\n"),
    ("[train]\nseed = 1\n\n# last\n[lora]\nr = 8\n", "train.epochs", 3,
     "[train]\nseed = 1\nepochs = 3\n\n# last\n[lora]\nr = 8\n"),
    ("train.epochs = 1\n", "train.epochs", 3, "train.epochs = 3\n"),
    ("train.seed = 1\n", "train.epochs", 3, "train.seed = 1\ntrain.epochs = 3\n"),
    ("train = { epochs = 1, seed = 2 } # one\n", "train.epochs", 3, "train = { epochs = 3, seed = 2 } # one\n"),
    ("train = { seed = 2 }\n", "train.epochs", 3, "train = { seed = 2, epochs = 3}\n"),
    ("[train]\r\nepochs = 1 # 一\r\nseed = 2\r\n", "train.epochs", 3, "[train]\r\nepochs = 3 # 一\r\nseed = 2\r\n"),
    ("[train]\r\nseed = 2\r\n[lora]\r\n", "train.epochs", 3, "[train]\r\nseed = 2\r\nepochs = 3\r\n[lora]\r\n"),
    ("[lora]\r\nr = 8\r\n", "train.epochs", 3, "[lora]\r\nr = 8\r\n\r\n[train]\r\nepochs = 3\r\n"),
    ('[data]\nhold_out = [\n  "a", # 甲\n  "b",\n]\n\n[lora]\n', "data.rows", "all",
     '[data]\nhold_out = [\n  "a", # 甲\n  "b",\n]\nrows = "all"\n\n[lora]\n'),
    ('[data]\nsystem_prompt = """\n[train]\nepochs = 9\n"""\n', "train.epochs", 3,
     '[data]\nsystem_prompt = """\n[train]\nepochs = 9\n"""\n\n[train]\nepochs = 3\n'),
    ('[data.columns]\ninput = "a"\n\n[data]\nrows = 3\n', "data.rows", 4,
     '[data.columns]\ninput = "a"\n\n[data]\nrows = 4\n'),
    ('[data.columns]\ninput = "a"\n', "data.rows", 4, '[data.columns]\ninput = "a"\n\n[data]\nrows = 4\n'),
    ('[[data.tasks]]\nname = "a"\n', "data.rows", 4, '[[data.tasks]]\nname = "a"\n\n[data]\nrows = 4\n'),
    ('[data]\nrows = 4\n[[data.tasks]]\nname = "a"\n', "data.path", "詩.json",
     '[data]\nrows = 4\npath = "詩.json"\n[[data.tasks]]\nname = "a"\n'),
    ("[data]\nrows = 4 # 四\n", "data.columns", {"input": "首 聯", "output": "b"},
     '[data]\nrows = 4 # 四\ncolumns = {input = "首 聯", output = "b"}\n'),
    ('[data.columns] # 欄\ninput = "a"\n[lora]\nr = 8\n', "data.columns", {"input": "c", "output": "d"},
     '[data.columns] # 欄\ninput = "c"\noutput = "d"\n[lora]\nr = 8\n'),
    ('[data]\ncolumns = { input = "a" } # 欄\n', "data.columns", {"output": "d"},
     '[data]\ncolumns = {output = "d"} # 欄\n'),
    ('["train"]\n"epochs" = 1\n', "train.epochs", 3, '["train"]\n"epochs" = 3\n'),
    ("[train]\nepochs = 3\n", "train.epochs", 3, "[train]\nepochs = 3\n"),
    ("[train]\nlearning_rate = 1e-3\n", "train.learning_rate", 0.001, "[train]\nlearning_rate = 1e-3\n"),
    ('[model]\nbase = "a"\n', "model.base", 'b"\\\n\x1b\u202e', '[model]\nbase = "b\\"\\\\\\n\\u001b\u202e"\n'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "value", "after"), AWKWARD)
def test_awkward_texts(text: str, key: str, value: object, after: str) -> None:
    assert set_value(text, key, value) == after


def test_mixed_line_ends_stay_as_they_are() -> None:
    text = "[train]\r\nseed = 2 # a\n# b\r\n[lora]\nr = 8"
    assert set_value(text, "lora.r", 4) == "[train]\r\nseed = 2 # a\n# b\r\n[lora]\nr = 4"
    assert set_value(text, "train.epochs", 3) == "[train]\r\nseed = 2 # a\nepochs = 3\r\n# b\r\n[lora]\nr = 8"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[train]\nepochs = \n", "line 2"),
        ("\ufeff[train]\n", "byte order mark"),
        ("train = 7\n", "train is no table here"),
        ("train = []\n", "train is no table here"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("[train]\nepochs = 1\nepochs = 2\n", "line 3"),
    ],
)
def test_what_can_not_be_edited_is_said(text: str, said: str) -> None:
    with pytest.raises(PoemError) as caught:
        set_value(text, "train.epochs", 3)
    assert said in str(caught.value)


def test_a_long_profile_is_edited_in_no_time() -> None:
    text = "[train]\nseed = 1\n" + "# 山\n" * 100_000 + "[lora]\nr = 8\n"
    assert set_value(text, "train.epochs", 3) == text.replace("seed = 1\n", "seed = 1\nepochs = 3\n")


STEPS = [
    ("train.epochs", 3, 4, 2), ("train.epochs", 1, 2, 1), ("train.epochs", 9, 10, 8), ("train.epochs", 10, 20, 9),
    ("train.epochs", 30, 50, 20), ("train.epochs", 10_000, 10_000, 5_000),
    ("train.learning_rate", 2e-4, 5e-4, 1e-4), ("train.learning_rate", 3e-4, 5e-4, 2e-4),
    ("train.learning_rate", 1.0, 1.0, 0.5), ("train.adam_epsilon", 1e-8, 2e-8, 5e-9),
    ("train.warmup_ratio", 0.0, 0.05, 0.0), ("train.warmup_ratio", 0.95, 0.95, 0.9),
    ("train.weight_decay", 0.0, 0.001, 0.0), ("train.weight_decay", 0.001, 0.002, 0.0),
    ("train.weight_decay", 0.1, 0.2, 0.05),
    ("train.batch_size", 8, 16, 4), ("train.batch_size", 12, 16, 8), ("train.batch_size", 1, 2, 1),
    ("train.micro_batch_size", 4_096, 4_096, 2_048), ("lora.r", 16, 32, 8), ("lora.alpha", 4_096, 4_096, 2_048),
    ("data.cutoff_len", 256, 512, 128), ("data.cutoff_len", 8, 16, 8),
    ("data.rows", 520, 1_000, 500), ("data.rows", 1_000_000_000, 1_000_000_000, 500_000_000),
    ("data.rows", "all", "all", "all"), ("data.eval_rows", 0, 1, 0), ("data.eval_rows", 200, 500, 100),
    ("generation.temperature", 0.8, 0.85, 0.75), ("generation.temperature", 10.0, 10.0, 9.95),
    ("generation.top_p", 0.9, 0.95, 0.85), ("generation.top_p", 1.0, 1.0, 0.95),
    ("generation.top_p", 0.05, 0.1, 0.05), ("generation.top_p", 0.01, 0.05, 0.01),
    ("generation.seed", 42, 43, 41), ("generation.seed", 2**32 - 1, 2**32 - 1, 2**32 - 2),
    ("train.schedule", "linear", "cosine", "constant"), ("train.schedule", "constant", "linear", "cosine"),
    ("model.device", "auto", "cpu", "cuda"), ("model.device", "cuda:1", "auto", "cuda"),
    ("model.base", "x", "x", "x"), ("lora.target_modules", ("a",), ("a",), ("a",)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "more", "less"), STEPS)
def test_steps(name: str, value: object, more: object, less: object) -> None:
    stepped = step_value(KEYS[name], value, 1), step_value(KEYS[name], value, -1)
    assert stepped == (more, less)
    assert {type(one) for one in stepped} == {type(value)}


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_any_number_of_steps_stays_in_the_key_s_range_and_is_taken(key) -> None:  # type: ignore[no-untyped-def]
    from core.profile.document import check_text
    from core.profile.reference import default_of

    value = default_of(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or key.table.startswith("data."):
        return
    for direction in (1, -1):
        at = value
        for _turn in range(60):
            at = step_value(key, at, direction)
            problems = check_text(set_value("", key.name, at))[1]
            assert not [one for one in problems if one.key == key.name and "multiple" not in one.message], at


def test_the_value_in_a_text_that_no_profile_could_be() -> None:
    text = '[train]\nbatch_size = 12\nmicro_batch_size = 8\n[data]\ncolumns = { input = "a" }\n[[data.tasks]]\n'
    assert value_in(text, KEYS["train.batch_size"]) == 12
    assert value_in(text, KEYS["train.epochs"]) == value_in("", KEYS["train.epochs"]) == 5
    assert value_in(text, KEYS["data.columns.input"]) == "a"
    assert value_in(text, KEYS["data.tasks.weight"]) is None
    assert value_in("train = 7", KEYS["train.epochs"]) is None
    with pytest.raises(PoemError, match="not TOML"):
        value_in("train = ", KEYS["train.epochs"])
