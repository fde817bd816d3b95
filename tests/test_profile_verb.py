"""`poemcore profile`, as a person at a terminal meets it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from core import cli
from core.profile.document import load_profile, preset_text, profile_to_dict


def poemcore(*arguments: str) -> int:
    """The exit code of a command line that knows this verb."""
    with mock.patch.object(cli, "VERBS", ("profile",)):
        return cli.main(("profile", *arguments))


def read_json(capsys: pytest.CaptureFixture[str]) -> Any:
    """What stdout holds: one document; stderr must be empty."""
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.toml"
    path.write_text("[train]\nepochs = 0\n\nepoch = 3\n", encoding="utf-8")
    return path


def test_check_lists_every_problem(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("check", str(broken), "--set", "data.rows=0") == 2
    assert capsys.readouterr().out.splitlines() == [
        f"{broken}:2: train.epochs can't be 0",
        "    It may be: 1 to 10,000 epochs.",
        f"{broken}:4: there is no key train.epoch",
        "    Did you mean train.epochs?",
        "--set data.rows: data.rows can't be 0",
        '    It may be: 1 to 1,000,000,000 rows, or "all".',
    ]


def test_check_as_json(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("check", str(broken), "--json") == 2
    assert read_json(capsys) == {
        "ok": False,
        "problems": [
            {
                "key": "train.epochs",
                "line": 2,
                "message": "train.epochs can't be 0",
                "hint": "It may be: 1 to 10,000 epochs.",
            },
            {
                "key": "train.epoch",
                "line": 4,
                "message": "there is no key train.epoch",
                "hint": "Did you mean train.epochs?",
            },
        ],
        "derived": {},
    }


def test_check_of_a_good_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("check", "original-recipe") == 0
    assert capsys.readouterr().out.splitlines() == [
        "original-recipe: no problems",
        "# train.gradient_accumulation = 4",
        "# train.micro_batch_tokens = 512",
        "# train.steps_per_epoch = 65",
        "# train.steps = 65",
        "# train.warmup_steps = 0",
        "# lora.scaling = 2.0",
    ]
    assert poemcore("--json", "check", "tang-tiny-cpu", "--set", "data.rows=32") == 0
    document = read_json(capsys)
    assert (document["ok"], document["problems"]) == (True, [])
    assert set(document["derived"]) >= {"train.gradient_accumulation", "train.steps"}


def test_check_of_a_missing_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("check", "no/such.toml") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("poemcore: no/such.toml: there is no such profile\n")


def test_show_prints_toml_that_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("show", "original-recipe", "--set", "train.epochs=2") == 0
    out = capsys.readouterr().out
    expected = profile_to_dict(load_profile("original-recipe", overrides=["train.epochs=2"]))
    assert tomllib.loads(out) == expected
    assert "# train.steps = 130\n" in out
    assert poemcore("show", "original-recipe", "--set", "train.epochs=2", "--json") == 0
    document = read_json(capsys)
    assert document["profile"] == expected
    assert document["derived"]["train.steps"] == 130


def test_show_of_a_broken_one(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("show", str(broken), "--json") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "  line 2: train.epochs can't be 0\n" in captured.err


def test_new_copies_comments_and_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    assert poemcore("new", str(path), "--from", "tang-tiny-cpu") == 0
    assert path.read_text(encoding="utf-8") == preset_text("tang-tiny-cpu")
    assert capsys.readouterr().out == f"wrote {path}, a copy of tang-tiny-cpu\n"


def test_new_is_the_recommended_one_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    assert poemcore("new", str(path), "--json") == 0
    assert read_json(capsys) == {"path": str(path), "from": "tang-qwen2-1.5b"}
    assert path.read_text(encoding="utf-8") == preset_text("tang-qwen2-1.5b")


def test_new_never_overwrites_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# mine\n", encoding="utf-8")
    assert poemcore("new", str(path)) == 2
    assert path.read_text(encoding="utf-8") == "# mine\n"
    assert "the file is there already\nChoose another name, or add --force" in capsys.readouterr().err
    assert poemcore("new", str(path), "--force") == 0
    assert path.read_text(encoding="utf-8") == preset_text("tang-qwen2-1.5b")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("mine", (), "the name of a profile file ends in .toml"),
        ("none/mine.toml", (), "there is no folder "),
        ("none/mine.toml", ("--force",), "there is no folder "),
        ("folder.toml", ("--force",), "can't write the profile: "),
        ("mine.toml", ("--from", "tang-tiny"), "there is no preset tang-tiny\nDid you mean tang-tiny-cpu?"),
    ],
)
def test_new_refuses(
    name: str, arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.toml").mkdir()
    assert poemcore("new", str(tmp_path / name), *arguments) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.toml"]


def test_keys_explains_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("keys", "lora.r") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "lora.r = 8",
        "    1 to 1,024",
        "    The rank of the adapter's matrices: how much it can change.",
    ]


def test_keys_of_a_table_with_what_follows(capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("keys", "lora", "--json") == 0
    document = read_json(capsys)
    names = [key["name"] for key in document["keys"]]
    assert names == ["lora.r", "lora.alpha", "lora.dropout", "lora.bias", "lora.target_modules", "lora.task_type"]
    assert document["keys"][3]["choices"] == ["none", "all", "lora_only"]
    assert document["keys"][4]["default"][0] == "q_proj"
    assert [one["name"] for one in document["derived"]] == ["lora.scaling"]


def test_keys_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("keys", "--json") == 0
    document = read_json(capsys)
    assert (len(document["keys"]), len(document["derived"])) == (57, 6)
    assert set(document["keys"][0]) == {"name", "kind", "default", "unit", "range", "choices", "meaning", "advice"}


def test_keys_offers_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("keys", "learningrate") == 2
    assert capsys.readouterr().err == ("poemcore: there is no key learningrate\nDid you mean train.learning_rate?\n")


def test_markdown_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore("keys", "--markdown") == 0
    assert capsys.readouterr().out.startswith("# Profiles\n")
    assert poemcore("keys", "lora", "--markdown") == 2


@pytest.mark.parametrize("arguments", [(), ("chekc", "x"), ("check",), ("check", "tang-tiny-cpu", "--se", "a=1")])
def test_a_wrong_command_line_is_an_input_error(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore(*arguments) == 2
    assert capsys.readouterr().err.startswith("poemcore: ")


def test_the_room_is_light() -> None:
    """Reading a profile loads no model library, and declaring the verb not even the parsers."""
    script = (
        "import sys, argparse\n"
        "from core.verbs import profile as verb\n"
        "verb.add(argparse.ArgumentParser().add_subparsers())\n"
        "assert not {'tree_sitter', 'tomli_w', 'core.profile.document'} & set(sys.modules), 'declared'\n"
        "from core.profile.document import load_profile, dump_profile\n"
        "dump_profile(load_profile('tang-mixed-tasks'))\n"
        "heavy = {'torch', 'transformers', 'peft', 'datasets', 'pyarrow', 'numpy', 'tokenizers', 'textual', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    root = Path(cli.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
