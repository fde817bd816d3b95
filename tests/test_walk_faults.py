"""What went wrong on a walk through the app by keyboard: odd names, files that go away, problems told in words."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terminal import Terminal

ROW = {"instruction": "寫", "input": "白日依山盡，", "output": "黃河入海流。"}
FAILING = """
import sys
from tui.__main__ import main

def fail(self):
    raise ZeroDivisionError("an accident")

import tui.app
tui.app.PoemApp.action_help = fail
sys.exit(main())
"""
Open = Callable[..., Terminal]


@pytest.fixture
def poemtui(tmp_path: Path) -> Open:
    (tmp_path / "state").mkdir(mode=0o700)
    own = {key: value for key, value in os.environ.items() if not key.startswith(("SSH_", "TEXTUAL", "NO_COLOR"))}
    own |= {"POEMTUI_STATE": str(tmp_path / "state"), "POEMTUI_RUNS": str(tmp_path / "runs"), "TERM": "xterm-256color"}
    own |= {"POEMTUI_CONFIG": str(tmp_path / "config.toml"), "LC_ALL": "C.UTF-8", "PYTHONPATH": os.getcwd()}

    def start(*arguments: str, code: str = "") -> Terminal:
        command = [sys.executable, "-P", *(("-c", code) if code else ("-m", "tui")), *arguments]
        return Terminal(command, environment=own, cwd=str(tmp_path))

    return start


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    texts = [json.dumps(ROW | {"input": f"第{number}首，"}, ensure_ascii=False) for number in "一二三"]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["~nobody-of-that-name/rows.jsonl", "x" * 300 + ".jsonl"])
def test_an_odd_name_for_an_export_is_told_in_words(poemtui: Open, rows: Path, name: str) -> None:
    with poemtui(rows.name) as terminal:
        terminal.see("第一首").press("e").see("Export 3 rows").press(name, "enter")
        terminal.read(1.0)
        assert "Traceback" not in terminal.text
        assert terminal.press("escape", "ctrl+q").wait(timeout_s=10) == 0


def test_the_columns_of_a_file_that_is_gone(poemtui: Open, rows: Path) -> None:
    with poemtui(rows.name) as terminal:
        terminal.see("第一首")
        rows.unlink()
        terminal.press("m").see("there is no such file", timeout_s=10)
        terminal.press("down").see("›   1", timeout_s=10)


def test_a_long_name_on_the_command_line(poemtui: Open) -> None:
    with poemtui("x" * 300 + ".jsonl") as terminal:
        assert terminal.wait(timeout_s=20) == 2
        assert "Traceback" not in terminal.text


def test_keys_after_a_file_that_could_not_be_read(poemtui: Open, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('[{"a": "x", "b": "y", "c": "z"}]', encoding="utf-8")
    with poemtui(rows.name) as terminal:
        terminal.see("第一首").press("o").see("Open a data file", "tab completes").press("other.json", "enter")
        terminal.see("Columns", "instruction").press("escape").see("o opens another file")
        terminal.press("o").see("Open a data file", "tab completes").press(rows.name, "enter")
        terminal.see("第一首").press("down").see("›   1", timeout_s=10)


def test_a_profile_that_cannot_be_run_is_told_in_words(poemtui: Open, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "profiles/tang-tiny-cpu.toml", tmp_path / "mine.toml")
    text = (tmp_path / "mine.toml").read_text(encoding="utf-8").replace("epochs = 3", "epochs = -3")
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    with poemtui("mine.toml") as terminal:
        terminal.see("problems: 1").press("f4").see("s starts").press("s").see("can't be run", "train.epochs")
        assert "Problem(" not in terminal.text


def test_what_cannot_be_kept_is_not_promised(poemtui: Open, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "profiles/tang-tiny-cpu.toml", tmp_path / "mine.toml")
    with poemtui("mine.toml") as terminal:
        terminal.see("train").press("f3").see("dtype").press("# more ").see("not saved")
        shutil.rmtree(tmp_path / "state")
        (tmp_path / "state").write_text("in the way", encoding="utf-8")
        terminal.press("ctrl+q").see("Quit", "Stay")
        said = " ".join(" ".join(line.split("│")[1] for line in terminal.lines if line.count("│") > 1).split())
        assert "aren't saved" in said
        assert "will be here at the next start" not in said


def test_an_accident_in_a_key_is_reported_as_often_as_it_happens(poemtui: Open, rows: Path) -> None:
    with poemtui(rows.name, code=FAILING) as terminal:
        terminal.see("第一首")
        for _turn in range(3):
            terminal.press("f1").see("an accident", timeout_s=10).press("escape")
            terminal.miss("an accident")
        terminal.press("down").see("›   1", timeout_s=10)
        assert terminal.press("ctrl+q").wait(timeout_s=10) == 0
