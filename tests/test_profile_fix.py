"""`poemcore profile fix`: advice written into a profile's text, and nothing else."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from core import cli
from core.advice.facts import Facts
from core.errors import PoemError
from core.profile.changes import changes_between
from core.profile.document import check_text, load_profile, preset_text
from core.profile.schema import Profile
from tests.advice_case import measured

ALL = {
    "data.rows": '"all"',
    "train.epochs": "5",
    "train.learning_rate": "0.0002",
    "train.warmup_ratio": "0.03",
    "train.eval_every": "500",
    "train.checkpoint_every": "500",
    "train.sample_every": "500",
    "generation.temperature": "0.8",
    "generation.top_p": "0.9",
}
"""What is advised for the first experiment."""


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Profile, str, str]]:
    """What was measured: nothing is, the facts are those of 25,007 poems."""
    calls: list[tuple[Profile, str, str]] = []

    def facts_of(profile: Profile, path: str, *, tokenizer: str = "") -> Facts:
        if path == "missing.json":
            raise PoemError("there is no such file", where=path)
        calls.append((profile, path, tokenizer))
        return measured()

    module = ModuleType("core.review.review")
    module.__dict__["facts_of"] = facts_of
    monkeypatch.setitem(sys.modules, "core.review.review", module)
    return calls


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(preset_text("original-recipe"), encoding="utf-8")
    return path


def fix(*arguments: str) -> int:
    with mock.patch.object(cli, "VERBS", ("profile",)):
        return cli.main(("profile", "fix", *arguments))


def read_json(capsys: pytest.CaptureFixture[str]) -> Any:
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def comments(text: str) -> list[str]:
    return re.findall(r"#.*", text)


def test_the_first_experiment(capsys: pytest.CaptureFixture[str], asked: list[tuple[Profile, str, str]]) -> None:
    before = preset_text("original-recipe")
    assert fix("original-recipe", "--data", "poems.json") == 0
    text, told = capsys.readouterr()
    profile, problems = check_text(text)
    assert problems == () and profile is not None
    assert comments(text) == comments(before)
    assert len(text.splitlines()) == len(before.splitlines())
    assert {one.key: one.after for one in changes_between(load_profile("original-recipe"), profile)} == ALL
    assert asked == [(load_profile("original-recipe"), "poems.json", "")]
    assert preset_text("original-recipe") == before
    assert 'data.rows: 520 → "all"  [rows-few]\n    520 of the 24,800 rows that could train' in told
    assert told.endswith("Nothing was written.\n")


def test_a_file_is_changed_in_place(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fix(str(mine), "--data", "poems.json") == 0
    text, told = capsys.readouterr()
    assert mine.read_text(encoding="utf-8") == text
    assert told.endswith(f"wrote {mine}\n")
    assert [path.name for path in mine.parent.iterdir()] == ["mine.toml"]
    assert fix(str(mine), "--data", "poems.json") == 0  # there is nothing left to advise
    assert capsys.readouterr() == (text, "There is nothing to change.\nNothing was written.\n")


def test_some_alone(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fix(str(mine), "--apply", "epochs-few", "top-p-narrow", "--apply", "rows-few", "--json") == 0
    document = read_json(capsys)
    assert document == {
        "changes": [
            {"id": "rows-few", "key": "data.rows", "from": 520, "to": "all"},
            {"id": "epochs-few", "key": "train.epochs", "from": 1, "to": 5},
            {"id": "top-p-narrow", "key": "generation.top_p", "from": 0.3, "to": 0.9},
        ],
        "path": str(mine),
        "text": mine.read_text(encoding="utf-8"),
    }
    changed = changes_between(load_profile("original-recipe"), load_profile(str(mine)))
    assert [one.key for one in changed] == ["data.rows", "train.epochs", "generation.top_p"]


@pytest.mark.parametrize("id", ["epochs-many", "instruction-diversity", "\x1b[31m"])
def test_advice_that_changes_nothing(id: str, mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fix(str(mine), "--apply", id) == 2
    out, told = capsys.readouterr()
    assert out == ""
    assert "changes this profile\nThere are: rows-few, epochs-few, learning-rate-high, warmup-none, " in told
    assert "\x1b" not in told
    assert mine.read_text(encoding="utf-8") == preset_text("original-recipe")


def test_a_dry_run_writes_nothing(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = mine.with_name("other.toml")
    assert fix(str(mine), "--dry-run") == 0
    assert "temperature = 0.8 " in capsys.readouterr().out
    assert fix(str(mine), "--dry-run", "-o", str(other), "--json") == 0
    assert read_json(capsys)["path"] is None
    assert mine.read_text(encoding="utf-8") == preset_text("original-recipe")
    assert not other.exists()


def test_to_another_file(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = mine.with_name("other.toml")
    assert fix("original-recipe", "-o", str(other)) == 0
    out, told = capsys.readouterr()
    assert out == "" and told.endswith(f"wrote {other}\n")
    assert load_profile(str(other)).train.epochs == 5
    assert fix("tang-qwen2-1.5b", "-o", str(other)) == 2  # it is there
    assert capsys.readouterr().err.endswith("the file is there already\nChoose another name.\n")
    assert fix(str(mine), "-o", str(mine)) == 0  # it is itself
    assert mine.read_text(encoding="utf-8") == other.read_text(encoding="utf-8")
    capsys.readouterr()
    assert fix(str(mine), "-o", str(mine.with_name("mine.txt"))) == 2
    assert "ends in .toml" in capsys.readouterr().err


def test_a_copy_is_written_even_where_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert fix("tang-qwen2-1.5b", "-o", str(path)) == 0
    assert path.read_text(encoding="utf-8") == preset_text("tang-qwen2-1.5b")


def test_what_is_set_is_advised_for_and_written(
    mine: Path, capsys: pytest.CaptureFixture[str], asked: list[tuple[Profile, str, str]]
) -> None:
    overrides = ("train.epochs=4", "model.base=other", "data.columns.output=text")
    arguments = [argument for override in overrides for argument in ("--set", override)]
    assert fix(str(mine), *arguments, "--apply", "rows-few", "--tokenizer", "folder") == 0
    after = load_profile(str(mine))
    assert after == load_profile("original-recipe", overrides=(*overrides, "data.rows=all"))
    assert asked[0][1:] == ("Tang_training_data.json", "folder")
    assert comments(mine.read_text(encoding="utf-8")) == comments(preset_text("original-recipe"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no/such.toml",), "no/such.toml: there is no such profile"),
        (("original-recipe", "--data", "missing.json"), "missing.json: there is no such file"),
        (("original-recipe", "--set", "train.epochs=0"), "train.epochs can't be 0"),
        (("original-recipe", "--appy", "rows-few"), "unrecognized arguments: --appy"),
    ],
)
def test_a_mistake_is_told(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fix(*arguments) == 2
    out, told = capsys.readouterr()
    assert out == "" and message in told


def test_a_broken_profile_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[train]\nepochs = 0\n", encoding="utf-8")
    assert fix(str(path)) == 2
    assert f"{path}:2: train.epochs can't be 0" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "[train]\nepochs = 0\n"


def test_a_file_that_cannot_be_written(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")):
        assert fix(str(mine)) == 2
    assert "can't write the profile: No space left on device" in capsys.readouterr().err
    assert mine.read_text(encoding="utf-8") == preset_text("original-recipe")


def test_a_terminal_gets_nothing_that_it_would_obey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TOML allows U+009B in a comment, which some terminals take for the start of a command."""
    path = tmp_path / "mine.toml"
    path.write_text("# \u009b31m\n", encoding="utf-8")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    assert fix(str(path), "--dry-run") == 0
    assert sys.stdout.getvalue().startswith("# \\u{009B}31m\n")  # type: ignore[attr-defined]
