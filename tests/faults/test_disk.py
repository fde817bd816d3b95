"""A disk that fills up: a tmpfs of a few megabytes as runs directory."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from stage import SETTINGS, Stage, await_event, ended, events, lost_steps, sha256, train, wait_for
from victim import Fault

from core.runs.events import CheckpointSaved, RunContinued, RunPaused, RunStopped, StepDone

# 0.24 MB a copy of the trainable numbers: with one checkpoint kept, 4.6 MB are asked for before the start.
FEW = "train.keep_checkpoints=1"
_MEGABYTE = 2**20


class Mount(Protocol):
    """Makes the runs directory a small disk of its own."""

    def __call__(self, size_bytes: int) -> Stage:
        """A stage whose runs directory has this size."""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """A tmpfs: mounted by root, or else in a user namespace."""
    with contextlib.ExitStack() as cleaning:

        def made(size_bytes: int) -> Stage:
            place = tmp_path / "small"
            place.mkdir()
            command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "tmpfs", str(place)]
            if os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0:
                cleaning.callback(subprocess.run, ["umount", "-l", str(place)], check=True)
                return Stage(tmp_path, place / "runs")
            inside = 'mount "$@" && echo mounted && exec sleep 600'
            keeper = subprocess.Popen(
                ["unshare", "-Urm", "sh", "-c", inside, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            cleaning.callback(keeper.wait)
            cleaning.callback(keeper.kill)
            assert keeper.stdout is not None
            if keeper.stdout.readline() != b"mounted\n":
                pytest.skip("a small disk can be mounted neither here nor in a namespace of our own")
            return Stage(tmp_path, Path(f"/proc/{keeper.pid}/root{place}/runs"))

        yield made


def _fill(path: Path, leave_bytes: int) -> Path:
    """Let another file take the room, but for so many bytes."""
    ballast = path / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while (free := _free_bytes(path)) > leave_bytes:
            file.write(bytes(min(free - leave_bytes, _MEGABYTE)))
    return ballast


def _free_bytes(path: Path) -> int:
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


@pytest.mark.short
def test_a_run_is_refused_where_there_is_too_little_room(mount: Mount, strike: Callable[..., None]) -> None:
    stage = mount(4 * _MEGABYTE)
    _out, err = stage.poemcore(*train("tried", FEW), expect=2)
    strike()
    needed, free = re.findall(r"([\d.]+) MB", err)
    assert float(needed) > float(free) > 0
    assert not stage.runs_dir.exists()
    stage.poemcore("runs")


@pytest.mark.short
def test_a_run_waits_for_room_and_goes_on_by_itself(
    mount: Mount, undisturbed: str, strike: Callable[..., None]
) -> None:
    stage = mount(8 * _MEGABYTE)
    gate = stage.gate()
    process = stage.victim(*train("tried", FEW), faults=[Fault("StepDone 5", gate=str(gate))])
    wait_for(gate.exists)
    run = stage.run()
    saved = [path.name for path in run.checkpoints_path.iterdir()]
    ballast = _fill(stage.runs_dir.parent, 32 * 1024)
    gate.unlink()
    paused = await_event(run, RunPaused, reason="disk")
    strike()
    assert len(re.findall(r"[\d.]+ MB", paused.message)) == 2
    assert stage.status() == "paused"
    assert "paused: disk" in stage.poemcore("runs")[0]
    assert [path.name for path in run.checkpoints_path.iterdir()] == saved
    ballast.unlink()
    assert ended(process) == 0, stage.said()
    assert len(events(run, RunContinued)) == 1
    assert [event.step for event in events(run, StepDone)] == [*range(1, 13)]
    assert sha256(run) == undisturbed


@pytest.mark.parametrize("by", ["stop", "SIGTERM"])
def test_a_run_that_waits_for_room_can_be_stopped(
    mount: Mount, undisturbed: str, by: str, strike: Callable[..., None]
) -> None:
    stage = mount(8 * _MEGABYTE)
    gate = stage.gate()
    process = stage.victim(*train("tried", FEW), faults=[Fault("StepDone 5", gate=str(gate))])
    wait_for(gate.exists)
    run = stage.run()
    ballast = _fill(stage.runs_dir.parent, 32 * 1024 if by == "stop" else 0)
    gate.unlink()
    await_event(run, RunPaused, reason="disk")
    if by == "stop":
        stage.poemcore("stop", run.id)
    else:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
    assert ended(process) == 130, stage.said()
    step = events(run, CheckpointSaved)[-1].step
    assert events(run, RunStopped) == [RunStopped(step=step, reason=by)]
    ballast.unlink()
    stage.suffer("resume", run.id, expect=0)
    assert lost_steps(run) == [6 - step]
    assert sha256(run) == undisturbed
    strike(6 - step)


def test_no_event_is_lost_where_the_last_byte_is_taken(mount: Mount, strike: Callable[..., None]) -> None:
    # More events than fit into what is left of a page, and nothing but events to write.
    steps = 60
    sets = ["train.max_steps=60", "train.epochs=9", "data.eval_rows=0", "train.checkpoint_every=0", FEW]
    sets += ["train.sample_every=0", "train.batch_size=1", "train.eval_every=0"]
    assert SETTINGS["data.rows"] * 9 >= steps
    stage = mount(8 * _MEGABYTE)
    gate, late = stage.gate(), stage.gate("late")
    stage.suffer(*train("whole", *sets), expect=0)
    faults = [Fault("StepDone 2", gate=str(gate)), Fault("adapter: written", gate=str(late))]
    process = stage.victim(*train("tried", *sets), faults=faults)
    wait_for(gate.exists)
    run = stage.run()
    reserve = run.path / ".reserve"
    assert reserve.exists()
    ballast = stage.runs_dir.parent / "ballast"
    with subprocess.Popen([sys.executable, "-c", _GREEDY, str(ballast)]) as greedy:
        wait_for(lambda: _free_bytes(stage.runs_dir) == 0)
        gate.unlink()
        wait_for(lambda: not reserve.exists() and _free_bytes(stage.runs_dir) == 0)
        strike()
        assert not late.exists()  # it waits; it doesn't train on with its tale untold
        greedy.kill()
    ballast.unlink()
    wait_for(late.exists)
    late.unlink()
    assert ended(process) == 0, stage.said()
    assert events(run, RunPaused)[0].reason == "disk"
    assert [event.step for event in events(run, StepDone)] == [*range(1, steps + 1)]
    assert sha256(run) == sha256(stage.run("whole"))


# Takes every byte that becomes free, until it is killed.
_GREEDY = """
import sys, time
with open(sys.argv[1], "wb", buffering=0) as file:
    while True:
        try:
            file.write(bytes(4096))
        except OSError:
            time.sleep(0.001)
"""
