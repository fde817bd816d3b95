"""A run directory that every user may write in, or that is a link, is refused by every verb that takes RUN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core import cli
from core.runs import queue
from core.runs.directory import RunDirectory, create_run

# evaluate and complete load core.generation before they look for the run.
VERBS = [
    ["follow", "RUN"],
    ["follow", "RUN", "--json"],
    ["stop", "RUN"],
    ["control", "RUN", "pause"],
    ["queue", "cancel", "RUN"],
    ["queue", "move", "RUN", "1"],
    ["resume", "RUN"],
    ["resume", "RUN", "--detach"],
    ["evaluate", "--run", "RUN"],
    ["complete", "--run", "RUN", "白日依山盡，黃河入海流。"],
]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "runs", name="tang")


@pytest.fixture
def refusal(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], str]:
    """What a verb says that must be refused, and must leave the run as it is."""

    def ask(verb: list[str]) -> str:
        before = sorted(run.path.rglob("*"))
        arguments = [run.id if argument == "RUN" else argument for argument in verb]
        assert cli.main([*arguments, "--runs-dir", str(run.path.parent)]) == 2
        assert sorted(run.path.rglob("*")) == before
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err

    return ask


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_run_that_everybody_may_write_in(
    run: RunDirectory, refusal: Callable[[list[str]], str], verb: list[str]
) -> None:
    run.path.chmod(0o777)
    assert refusal(verb).startswith(f"poemcore: {run.path}: Every user of this machine may write in this directory")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb[0] in ("queue", "stop")], ids=" ".join)
def test_one_that_waits(run: RunDirectory, refusal: Callable[[list[str]], str], verb: list[str]) -> None:
    queue.join(run, "cpu")
    run.path.chmod(0o777)
    assert "Every user of this machine may write in this directory" in refusal(verb)
    assert [entry.run for entry in queue.waiting()] == [run]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_run_that_is_a_link(
    run: RunDirectory, tmp_path: Path, refusal: Callable[[list[str]], str], verb: list[str]
) -> None:
    run.path.rename(tmp_path / "elsewhere")
    run.path.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    create_run(run.path.parent, name="another")
    assert f"The run {run.id} is a link to somewhere else, and links are not followed." in refusal(verb)
