"""`--set KEY=VALUE`: how values are read, and how problems with them are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.data.recipe import Task
from core.errors import PoemError
from core.profile.document import check_text, load_profile
from core.profile.schema import DataKeys, Profile, TrainKeys


def override(*overrides: str, text: str = "") -> Profile:
    """The profile, which must have no problem."""
    profile, found = check_text(text, overrides=overrides)
    assert found == ()
    assert profile is not None
    return profile


def problems(*overrides: str, text: str = "") -> list[tuple[str, str, str, str]]:
    """(where, key, message, hint) of every problem."""
    profile, found = check_text(text, overrides=overrides)
    assert profile is None
    return [(problem.where, problem.key, problem.message, problem.hint) for problem in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data.path=../shared/data/tang_25007.json", DataKeys(path="../shared/data/tang_25007.json")),
        ('data.path="a b"', DataKeys(path="a b")),
        ("data.path=a b#c", DataKeys(path="a b#c")),
        ("data.path=123", DataKeys(path="123")),
        ("data.path=2024-01-01", DataKeys(path="2024-01-01")),
        ("data.path=a=b", DataKeys(path="a=b")),
        ("data.rows=all", DataKeys(rows="all")),
        ("data.rows = 2000", DataKeys(rows=2000)),
        ("data.system_prompt=true", DataKeys(system_prompt="true")),
        ("data.system_prompt=", DataKeys(system_prompt="")),
        ("data.system_prompt=你是詩人", DataKeys(system_prompt="你是詩人")),
        ("data.system_prompt=1\nrows = 3", DataKeys(system_prompt="1\nrows = 3")),
        ('data.hold_out=["白日", "黃河"]', DataKeys(hold_out=("白日", "黃河"))),
        ("data.columns={input='a', output='b'}", DataKeys(columns={"input": "a", "output": "b"})),
        ("data.columns.output=唐詩", DataKeys(columns={"output": "唐詩"})),
        ("data.tasks=[{name='s', weight=2}]", DataKeys(tasks=(Task("s", None, None, None, 2.0),))),
        ("data.tasks=[]", DataKeys()),
    ],
)
def test_values(text: str, expected: DataKeys) -> None:
    assert override(text).data == expected


def test_overrides_win_over_the_text_and_the_last_wins() -> None:
    text = "[train]\nepochs = 9\nlearning_rate = 1e-3\n"
    profile = override("train.epochs=1", "train.learning_rate=1", "train.epochs=2", text=text)
    assert profile.train == replace(TrainKeys(), epochs=2, learning_rate=1.0)


def test_one_column_is_replaced_the_others_stay() -> None:
    profile = override("data.columns.input=c", text='[data.columns]\ninput = "a"\noutput = "b"\n')
    assert profile.data.columns == {"input": "c", "output": "b"}


def test_an_override_mends_the_text() -> None:
    assert override("train.epochs=3", text="[train]\nepochs = 0\n").train.epochs == 3


@pytest.mark.parametrize(
    ("text", "key", "message", "hint"),
    [
        ("train.epoch=3", "train.epoch", "there is no key train.epoch", "Did you mean train.epochs?"),
        ("epochs=3", "epochs", "there is no key epochs", "Did you mean train.epochs?"),
        ("xyzzy=3", "xyzzy", "there is no key xyzzy", "See: poemcore profile keys"),
        (
            "train.epochs",
            "train.epochs",
            "an override is KEY=VALUE, not train.epochs",
            "For example: --set train.epochs=3",
        ),
        ("train={epochs=3}", "train", "train is a table", "Name a key in it: train.KEY=VALUE"),
        (
            "data.tasks.0.weight=1",
            "data.tasks.0.weight",
            "the tasks can be replaced only together",
            'For example: --set \'data.tasks=[{name = "row"}, {name = "style", instruction = "…"}]\'',
        ),
        ("data.rows=0", "data.rows", "data.rows can't be 0", 'It may be: 1 to 1,000,000,000 rows, or "all".'),
        (
            "train.epochs=three",
            "train.epochs",
            "train.epochs must be a whole number, not text",
            "It may be: 1 to 10,000 epochs.",
        ),
        (
            "train.epochs=3\nseed = 5",
            "train.epochs",
            "train.epochs must be a whole number, not text",
            "It may be: 1 to 10,000 epochs.",
        ),
        (
            "data.hold_out=白日",
            "data.hold_out",
            "data.hold_out must be a list of texts, not text",
            'Write hold_out = ["白日"].',
        ),
        (
            "data.columns.inptu=a",
            "data.columns.inptu",
            "there is no key data.columns.inptu",
            "Did you mean data.columns.input?",
        ),
        (
            "data.system_prompt=\udcff",
            "data.system_prompt",
            "data.system_prompt holds the control character U+DCFF",
            "Take it out.",
        ),
        (
            "train.batch_size=6",
            "train.batch_size",
            "train.batch_size 6 is not a multiple of train.micro_batch_size 4",
            "Take batch_size = 8, or micro_batch_size = 3.",
        ),
    ],
)
def test_problems(text: str, key: str, message: str, hint: str) -> None:
    assert problems(text) == [(f"--set {key}", key, message, hint)]


def test_an_override_has_no_line_though_the_text_holds_its_key() -> None:
    text = "[train]\nmicro_batch_size = 4\nbatch_size = 8\n"
    assert problems("train.batch_size=0", text=text)[0][0] == "--set train.batch_size"
    # The one that --set brought is to blame for a contradiction, whichever it is.
    assert problems("train.micro_batch_size=5", text=text)[0][0] == "--set train.micro_batch_size"


def test_elements_of_an_override_have_no_line() -> None:
    (problem,) = check_text('data.hold_out = [\n"a",\n"b"]\n', overrides=['data.hold_out=["a", 3]'])[1]
    assert (problem.key, problem.line) == ("data.hold_out[1]", None)


def test_problems_of_the_text_come_first() -> None:
    found = problems("data.rows=0", "x", text="[train]\nseed = -1\n")
    assert [where for where, *_rest in found] == ["line 2", "--set x", "--set data.rows"]


def test_a_broken_text_hides_no_broken_override() -> None:
    assert [where for where, *_rest in problems("data.rows=0", text="[train\n")] == ["line 1", "--set data.rows"]


def test_a_misspelt_override_makes_no_contradiction() -> None:
    found = problems("train.micro_batch_sze=2", "train.batch_size=2")
    assert [key for _where, key, *_rest in found] == ["train.micro_batch_sze"]


def test_deep_nesting_in_an_override() -> None:
    assert problems("data.hold_out=" + "[" * 100_000)[0][2] == "data.hold_out must be a list of texts, not text"


def test_load_profile_says_where() -> None:
    with pytest.raises(PoemError) as caught:
        load_profile("tang-tiny-cpu", overrides=["train.epochs=0"])
    assert (caught.value.where, caught.value.message) == ("--set train.epochs", "train.epochs can't be 0")
