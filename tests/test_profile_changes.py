"""What differs between two profiles, as TOML, and what of it a run that goes on may take."""

from __future__ import annotations

import tomllib

import pytest

from core.errors import PoemError
from core.profile.changes import CHANGEABLE, Change, changes_between, refuse_fixed
from core.profile.document import check_text
from core.profile.reference import KEYS
from core.profile.schema import Profile


def profile(*overrides: str, text: str = "") -> Profile:
    """The profile, which must have no problem."""
    made, problems = check_text(text, overrides=overrides)
    assert problems == ()
    assert made is not None
    return made


def test_nothing_differs() -> None:
    assert changes_between(profile(), profile()) == ()
    refuse_fixed((), where="run")


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("train.epochs=2", "train.epochs=3", Change("train.epochs", "2", "3")),
        ("train.learning_rate=1e-3", "train.learning_rate=5e-4", Change("train.learning_rate", "0.001", "0.0005")),
        ("data.path=a", 'data.path=詩 "b"', Change("data.path", '"a"', r'"詩 \"b\""')),
        ("notify.command=", "notify.command=/bin/true", Change("notify.command", '""', '"/bin/true"')),
    ],
)
def test_a_change_is_told_as_toml(before: str, after: str, change: Change) -> None:
    assert changes_between(profile(before), profile(after)) == (change,)


def test_a_list_is_told_as_toml_too() -> None:
    prompts = '["白日依山盡，黃河入海流。", "a\\nb"]'
    (change,) = changes_between(
        profile("train.sample_every=0"), profile("train.sample_every=0", f"train.sample_prompts={prompts}")
    )
    assert change.key == "train.sample_prompts"
    assert tomllib.loads(f"v = {change.after}") == {"v": ["白日依山盡，黃河入海流。", "a\nb"]}
    assert tomllib.loads(f"v = {change.before}") == {"v": list(profile().train.sample_prompts)}


def test_a_key_that_is_not_there_is_a_dash() -> None:
    task = '[[data.tasks]]\nname = "style"\ninstruction = "續寫"\nweight = 1\n'
    changes = changes_between(profile(), profile(text=task))
    assert [change.key for change in changes] == ["data.tasks"]
    assert changes[0].before in ("-", "[]")
    assert 'name = "style"' in changes[0].after


def test_every_key_that_may_change_is_a_key() -> None:
    assert set(CHANGEABLE) <= set(KEYS)
    changes = tuple(Change(key, "1", "2") for key in CHANGEABLE)
    refuse_fixed(changes, where="run")


def test_what_a_run_began_with_stays() -> None:
    changes = changes_between(
        profile("train.epochs=1"), profile("train.epochs=2", "lora.r=4", "lora.alpha=8", "train.seed=7")
    )
    with pytest.raises(PoemError) as caught:
        refuse_fixed(changes, where="20261124-041530-tang")
    assert caught.value.message.startswith("a run keeps what it began with: ")
    told = caught.value.message.partition(": ")[2].split(", ")
    assert sorted(part.partition(" ")[0] for part in told) == ["lora.alpha", "lora.r", "train.seed"]
    assert all(part.endswith(("→ 4", "→ 8", "→ 7")) for part in told)
    assert caught.value.where == "20261124-041530-tang"
    assert caught.value.hint == f"What may change: {', '.join(CHANGEABLE)}. For anything else start a new run."


def test_a_hostile_value_is_shown_not_sent() -> None:
    with pytest.raises(PoemError) as caught:
        refuse_fixed(changes_between(profile("data.path=a"), profile("data.path=b\u202e\u2028")), where="run")
    assert caught.value.message.isprintable()
