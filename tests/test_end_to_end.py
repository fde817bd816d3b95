"""The whole story in a real terminal of 80 × 24, by keyboard, as a person does it who has read the footer."""

from __future__ import annotations

import base64
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.runs.directory import RunDirectory, find_run, list_runs
from core.runs.lock import is_locked
from core.runs.view import view_run
from tests.terminal import Terminal

COUPLET = "白日依山盡，黃河入海流。"
Open = Callable[..., Terminal]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def poemtui(home: Path) -> Open:
    """Starts the app at home."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("SSH_", "TEXTUAL", "NO_COLOR"))}
    own |= {"POEMTUI_STATE": str(home / "state"), "POEMTUI_RUNS": str(home / "runs"), "TERM": "xterm-256color"}
    own |= {"POEMTUI_CONFIG": str(home / "config.toml"), "LC_ALL": "C.UTF-8", "PYTHONPATH": os.getcwd()}

    def start(*arguments: str, columns: int = 80, rows: int = 24, **environment: str) -> Terminal:
        command = [sys.executable, "-P", "-m", "tui", *arguments]
        return Terminal(command, environment=own | environment, columns=columns, rows=rows, cwd=str(home))

    return start


def run_of(home: Path) -> RunDirectory:
    return find_run(home / "runs", "last")


def test_the_whole_story(home: Path, poemtui: Open) -> None:
    with poemtui() as terminal:
        terminal.see("Welcome to poemtui").press("enter")
        terminal.miss("Welcome").see("400 rows", "新妝面面下朱樓")
        terminal.press("down").see("歸山深淺去，須盡丘壑美。")
        terminal.press("2").see("dtype")
        terminal.press(*["down"] * 20).see("train.epochs", "now: 3")
        terminal.press("f7").see("epochs = 2").press("f7").see("epochs = 1", "not saved", "now: 1")
        terminal.press("ctrl+s").see("Save as").press("enter")
        terminal.see("Saved: tang-tiny-cpu.toml")
        assert "epochs = 1 " in (home / "tang-tiny-cpu.toml").read_text(encoding="utf-8")
        terminal.press("escape", "3").see("Start")
        terminal.press("s").see("parameters", "Start", timeout_s=90)
        terminal.see("23 an epoch").press("enter")
        terminal.see("running", timeout_s=90)
        terminal.until(lambda: bool(re.search(r"step [3-9]/23", terminal.text)), what="step 3", timeout_s=120)
        terminal.press("v").until(lambda: len(view_run(run_of(home)).samples) > 0, what="a sample", timeout_s=60)
        terminal.see("白日依山盡，黃河入海流。")
        run = run_of(home)
        assert is_locked(run)
        began_s = time.monotonic()
        terminal.press("ctrl+q")
        assert terminal.wait(timeout_s=20) == 0
        assert time.monotonic() - began_s < 5
        assert is_locked(run)  # the run goes on
        assert [found.id for found in list_runs(home / "runs")] == [run.id]
    with poemtui() as terminal:
        terminal.see(run.id[16:], "/23")
        terminal.see("finished", "step 23/23", timeout_s=180)
        view = view_run(run)
        assert view.eval_loss is not None
        assert view.eval_loss_base is not None
        assert view.eval_loss < view.eval_loss_base  # it has learnt something
        terminal.see(f"{view.eval_loss_base:.3f} → {view.eval_loss:.3f}")
        terminal.press("5").see("finished", "Complete").press("a")
        terminal.see("writes (final").press(*COUPLET).see(COUPLET).press("enter")
        terminal.see("ended by itself", timeout_s=90)
        terminal.press("ctrl+y").until(lambda: b"\x1b]52;c;" in terminal.raw, what="the clipboard")
        copied = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)", terminal.raw)[-1]
        assert base64.b64decode(copied).decode("utf-8").startswith("白日依山盡，黃河入海流。")
        terminal.press("ctrl+q")
        assert terminal.wait(timeout_s=20) == 0


def test_hanging_up_ends_the_app_and_keeps_what_was_typed(home: Path, poemtui: Open) -> None:
    with poemtui() as terminal:
        terminal.see("Welcome").press("enter").miss("Welcome").press("2").see("dtype")
        terminal.press("#", " ", "夜").see("# 夜")
        terminal.hang_up()
        terminal.wait_silently()
    with poemtui() as terminal:
        terminal.see("# 夜", "not saved")


@pytest.mark.parametrize("name", ["xterm", "linux", "screen-256color"])
def test_terminals_of_few_colours(poemtui: Open, name: str) -> None:
    with poemtui("builtin:tang-sample", TERM=name, NO_COLOR="1") as terminal:
        terminal.see("400 rows", "劉禹錫").press("ctrl+q")
        assert terminal.wait(timeout_s=20) == 0
        for red, green, blue in re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", terminal.raw):
            assert red == green == blue  # shades of grey are no colours


def test_a_locale_without_utf_8(poemtui: Open) -> None:
    with poemtui("builtin:tang-sample", LC_ALL="C", LANG="C") as terminal:
        terminal.see("400 rows", "劉禹錫")


def test_sizes_change_while_it_works(poemtui: Open) -> None:
    with poemtui("builtin:tang-sample") as terminal:
        terminal.see("400 rows")
        for columns, rows in [(200, 60), (40, 10), (160, 45), (81, 25), (120, 40)] * 4:
            terminal.resize(columns, rows)
            terminal.read(0.05)
        terminal.see("劉禹錫", "Quit")
        terminal.resize(60, 20)
        terminal.see("at least 80 × 24")
        terminal.resize(80, 24)
        terminal.see("劉禹錫")


def test_arguments_that_are_wrong_are_told(poemtui: Open, home: Path) -> None:
    for arguments, said in [
        (("nowhere.json",), "there is no such file"),
        (("nowhere.toml",), "there is no such profile"),
        (("--run", "nowhere"), "no runs here"),
        (("a.toml", "b.toml"), "one data file and one profile"),
    ]:
        with poemtui(*arguments) as terminal:
            assert terminal.wait(timeout_s=20) == 2
            assert said in terminal.text.replace("\n", "")
    (home / "config.toml").write_text("theme = 3\n", encoding="utf-8")
    with poemtui() as terminal:
        assert terminal.wait(timeout_s=20) == 2
        assert "theme can't be 3" in terminal.text.replace("\n", "")


def test_a_profile_as_the_argument(poemtui: Open, home: Path) -> None:
    (home / "mine.toml").write_text("[train]\nepochs = 7\n", encoding="utf-8")
    with poemtui("mine.toml") as terminal:
        terminal.see("epochs = 7", "mine.toml")
