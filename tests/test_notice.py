"""The person's own program at the end of a run: what it is told, and what becomes of one that misbehaves."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from core.runs.directory import RunDirectory
from core.runs.events import RunFailed
from core.runs.view import RunView
from core.training.notice import give_notice

RUN_ID = "20260102-030405-tang"
WRITE_DOWN = """
import json, os, sys
told = {name: value for name, value in os.environ.items() if name.startswith("POEMTUI_")}
with open("told.json", "w", encoding="utf-8") as file:
    json.dump([sys.argv[1:], told, sys.stdin.read()], file)
print("out"); print("err", file=sys.stderr)
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    for name in [name for name in os.environ if name.startswith("POEMTUI_")]:
        monkeypatch.delenv(name)
    path = tmp_path / RUN_ID
    path.mkdir()
    return RunDirectory(path)


def python(program: str, *arguments: str) -> str:
    return shlex.join([sys.executable, "-c", program, *arguments])


def told(run: RunDirectory) -> tuple[list[str], dict[str, str], str]:
    """The arguments, the POEMTUI_ variables and the input that the program found."""
    arguments, variables, given = json.loads((run.path / "told.json").read_text(encoding="utf-8"))
    return arguments, variables, given


def test_a_finished_run_is_told_in_full(run: RunDirectory, capfd: pytest.CaptureFixture[str]) -> None:
    view = RunView(RUN_ID, status="finished", step=40, steps=40, eval_loss_base=3.14159, eval_loss=2.0, worked_s=61.6)
    assert give_notice(python(WRITE_DOWN), run, view) == ""
    assert told(run) == (
        [],
        {
            "POEMTUI_RUN": RUN_ID,
            "POEMTUI_RUN_PATH": str(run.path),
            "POEMTUI_STATUS": "finished",
            "POEMTUI_STEP": "40",
            "POEMTUI_STEPS": "40",
            "POEMTUI_EVAL_LOSS_BASE": "3.1416",
            "POEMTUI_EVAL_LOSS": "2.0000",
            "POEMTUI_SECONDS": "62",
            "POEMTUI_MESSAGE": "",
        },
        "",
    )
    assert capfd.readouterr() == ("", "")


def test_a_failure_is_told_in_the_environment_alone(run: RunDirectory) -> None:
    error = RunFailed(message="row 3: \0\x1b[31m $(touch a) 白日" + "x" * 200_000, hint="h", where="w")
    assert give_notice(python(WRITE_DOWN), run, RunView(RUN_ID, status="failed", error=error)) == ""
    arguments, variables, _given = told(run)
    assert arguments == []
    assert variables["POEMTUI_STATUS"] == "failed"
    assert variables["POEMTUI_MESSAGE"].startswith("row 3: ␀␛[31m $(touch a) 白日xxx")
    assert len(variables["POEMTUI_MESSAGE"]) == 4_000
    assert (variables["POEMTUI_EVAL_LOSS_BASE"], variables["POEMTUI_EVAL_LOSS"]) == ("", "")


def test_a_stopped_run_tells_who_asked(run: RunDirectory) -> None:
    assert give_notice(python(WRITE_DOWN), run, RunView(RUN_ID, status="stopped", stop_reason="SIGTERM")) == ""
    assert told(run)[1]["POEMTUI_MESSAGE"] == "SIGTERM"


def test_no_shell_reads_the_arguments(run: RunDirectory) -> None:
    odd = ["$HOME", "; touch made", "`touch made`", "*", "白 日", "> made"]
    assert give_notice(python(WRITE_DOWN, *odd), run, RunView(RUN_ID)) == ""
    assert told(run)[0] == odd
    assert not (run.path / "made").exists()


@pytest.mark.parametrize("command", ["", "  "])
def test_no_command_runs_nothing(run: RunDirectory, command: str) -> None:
    assert give_notice(command, run, RunView(RUN_ID)) == ""


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("/no/such\x1b program", "notify.command can't be run: /no/such␛: No such file or directory"),
        ("/", "notify.command can't be run: /: Permission denied"),
        ("mail 'me", "notify.command was not run: it ends inside quotation marks or after a backslash."),
        ("/bin/sh -c 'exit 3'", "notify.command failed with exit code 3: /bin/sh"),
        ("/bin/sh -c 'kill -9 $$'", "notify.command was ended by signal 9: /bin/sh"),
    ],
)
def test_what_goes_wrong_is_one_sentence(run: RunDirectory, command: str, problem: str) -> None:
    assert give_notice(command, run, RunView(RUN_ID)) == problem


def test_a_nul_in_the_command_is_a_problem_not_a_crash(run: RunDirectory) -> None:
    assert give_notice("a\0b", run, RunView(RUN_ID)).startswith("notify.command can't be run: a␀b: ")


def test_what_takes_too_long_is_killed_with_its_children(run: RunDirectory) -> None:
    pipe = run.path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    # Both the program and its child hold the pipe open for as long as they live.
    command = "/bin/sh -c 'exec 3>pipe; sleep 600 & echo begun >&3; wait'"
    problem = give_notice(command, run, RunView(RUN_ID), timeout_s=1)
    assert problem == "notify.command took longer than 1 s and was ended: /bin/sh"
    os.set_blocking(reader, True)
    with open(reader, encoding="utf-8") as file:
        assert file.read() == "begun\n"  # returns when nobody holds the pipe any more
