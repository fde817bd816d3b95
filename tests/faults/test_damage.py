"""Checkpoints and event files that are not what the run wrote."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest
from stage import Stage, events, sha256

from core.runs.events import RunStarted, StepDone

FILES = (
    "adapter/adapter_model.safetensors",
    "adapter/adapter_config.json",
    "optimiser.safetensors",
    "state.json",
    "checksums.json",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A file of the newest checkpoint, and what becomes of it."""

    file: str
    """Its name."""
    damage: str
    """missing, truncated, or flipped: one bit of it."""

    def __str__(self) -> str:
        """How the test is called."""
        return f"{self.file} {self.damage}"


BEGINS_KILLED = True
CASES = [Case(file, damage) for file in FILES for damage in ("missing", "truncated", "flipped")]
SHORT = {"optimiser.safetensors flipped", "state.json truncated", "checksums.json flipped"}


def _damage(path: Path, damage: str) -> None:
    data = path.read_bytes()
    middle = len(data) // 2
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(data[:middle])
    else:
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


def endure(case: Case, stage: Stage) -> tuple[str, list[int]]:
    """Resume as it is offered; the SHA-256 at the end and the steps lost."""
    run = stage.run()
    kept = sorted(int(path.name.removeprefix("step-")) for path in run.checkpoints_path.iterdir())
    _damage(run.checkpoint_path(kept[-1]) / case.file, case.damage)
    before = run.events_path.read_bytes()
    _out, err = stage.poemcore("resume", run.id, expect=2)
    # A sum that isn't what it was makes another file look as if it weren't.
    named = FILES if case == Case("checksums.json", "flipped") else (case.file,)
    assert any(file in err for file in named), err
    reason = {"missing": "is missing|can't be read", "truncated": "is not what was written|can't be read"}
    assert re.search(reason.get(case.damage, "is not what was written|can't be read"), err), err
    offer = re.search(rf"poemcore (resume {run.id} --from (\d+))", err)
    assert offer is not None, err
    assert int(offer[2]) == kept[-2], err
    assert run.events_path.read_bytes() == before
    stage.suffer(*offer[1].split(), expect=0)
    assert [event.resumed_from_step for event in events(run, RunStarted)] == [0, kept[-2]]
    return sha256(run), [10 - kept[-2]]


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=str(c), marks=[pytest.mark.short] * (str(c) in SHORT)) for c in CASES]
)
def test_a_damaged_checkpoint_is_named_and_the_older_one_works(
    case: Case,
    outcomes: dict[Case, Future[tuple[str, list[int]]]],
    undisturbed: str,
    strike: Callable[..., None],
) -> None:
    sha, lost = outcomes[case].result(timeout=900)
    assert sha == undisturbed
    strike(*lost)


def _cut_in_a_line(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-25])


def _cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def _put_in_the_middle(data: bytes) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        lines = path.read_bytes().splitlines(keepends=True)
        middle = len(lines) // 2
        path.write_bytes(b"".join([*lines[:middle], data, *lines[middle:]]))

    return put


GARBAGE = {
    "cut in a line": _cut_in_a_line,
    "cut to nothing": _cut_to_nothing,
    "garbage": _put_in_the_middle(b'}{ not JSON\n[1, 2\n"text"\n' + b"[" * 100_000 + b"\n"),
    "NULs": _put_in_the_middle(bytes(5000)),
    "invalid UTF-8": _put_in_the_middle(
        b'{"v": 1, "kind": "note", "time_s": 1.0, "message": "\xff\xfe\xed\xa0\x80"}\n'
    ),
    "a line of 5 MB": _put_in_the_middle(b'{"v": 1, "kind": "note", "message": "' + b"x" * 5_000_000 + b'"}\n'),
    "a kind from the future": _put_in_the_middle(b'{"v": 2, "kind": "step_done"}\n{"v": 1, "kind": "a"}\n'),
}


@pytest.mark.parametrize(
    "garbage", [pytest.param(name, marks=[pytest.mark.short] * (name == "cut to nothing")) for name in GARBAGE]
)
def test_damaged_events_stop_no_one(
    stage: Stage, killed: Stage, undisturbed: str, garbage: str, strike: Callable[..., None]
) -> None:
    shutil.copytree(killed.runs_dir, stage.runs_dir, symlinks=True)
    run = stage.run()
    GARBAGE[garbage](run.events_path)
    strike()
    assert stage.status() in ("died", "starting")
    out, err = stage.poemcore("follow", run.id, expect=1)
    assert "Traceback" not in out + err
    if "cut" not in garbage:
        assert "step 10/12" in out
    stage.suffer("resume", run.id, expect=0)
    assert stage.status() == "finished"
    assert sha256(run) == undisturbed
    assert [event.step for event in events(run, StepDone)][-3:] == [10, 11, 12]
    assert "finished after step 12" in stage.poemcore("follow", run.id)[0]
