"""Events that a full disk doesn't lose, and runs that wait for room."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import PoemError
from core.runs import event_log as events_module
from core.runs.checkpoints import checkpoints
from core.runs.control import ask
from core.runs.directory import RunDirectory, create_run
from core.runs.event_log import iter_events
from core.runs.events import Event, Note, RunContinued, RunPaused, RunStopped
from core.runs.storage import DiskFull
from core.runs.view import view_run
from core.training import conductor, worker
from core.training.journal import Journal
from tests.tiny import Tiny, adapter_bytes, at, events_of, ignore, make_tiny, names_of

EVERYTHING = ("train.eval_every=2", "train.checkpoint_every=5")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def whole(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run with all the room that it wants."""
    runs_dir = tmp_path_factory.mktemp("whole")
    return worker.start(tiny.profile(*EVERYTHING), runs_dir=runs_dir, name="whole", on_event=ignore).run


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "_POLL_S", 0.001)
    monkeypatch.setattr(conductor, "_RETRY_S", 1e9)  # never by the clock


class Disk:
    """A disk that fills up: of what is written into the events, so many bytes as `fits` says get through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.error = errno.ENOSPC
        self.fits: Callable[[bytes], int] = lambda _data: 0
        monkeypatch.setattr(events_module, "os", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, descriptor: int, data: bytes) -> int:
        if self.full:
            room = self.fits(data)
            if not room:
                raise OSError(self.error, os.strerror(self.error))
            return os.write(descriptor, data[:room])
        return os.write(descriptor, data)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "runs", name="full")


def messages(run: RunDirectory) -> list[str]:
    return [event.message for event in events_of(run) if isinstance(event, Note)]


def test_the_reserve_gives_way(run: RunDirectory, disk: Disk) -> None:
    """Until the disk is full to the last byte, what is told is also written."""
    reserve = run.path / ".reserve"
    with Journal(run, []) as journal:
        assert (reserve.stat().st_size, reserve.stat().st_mode & 0o777) == (65536, 0o600)
        disk.full, disk.fits = True, lambda data: 0 if reserve.exists() else len(data)
        assert not journal.is_short
        journal.record(Note("a"))
        assert messages(run) == ["a"]
        assert not reserve.exists()
        assert journal.is_short
        disk.full = False
        assert journal.catch_up()
        assert not journal.is_short
        assert reserve.stat().st_size == 65536
    assert not reserve.exists()


def test_events_wait_for_room_in_their_order(run: RunDirectory, disk: Disk) -> None:
    heard: list[Event] = []
    with Journal(run, [heard.append]) as journal:
        journal.record(Note("a"))
        disk.full = True
        journal.record(Note("b"))
        journal.record(Note("c"), sync=True)
        assert journal.is_short
        assert not journal.catch_up()
        assert messages(run) == ["a"]
        assert heard == [Note("a"), Note("b"), Note("c")]
        disk.full = False
        journal.record(Note("d"))
        assert messages(run) == ["a", "b", "c", "d"]
    times = [time_s for _event, time_s in iter_events(run.events_path)]
    assert times == sorted(times)


def test_what_waits_at_the_end_is_written_if_it_can_be(run: RunDirectory, disk: Disk) -> None:
    with Journal(run, []) as journal:
        disk.full = True
        journal.record(Note("a"))
        disk.full = False
    assert messages(run) == ["a"]


def test_half_a_line_is_no_event(run: RunDirectory, disk: Disk) -> None:
    with Journal(run, []) as journal:
        rooms = [30, 0]
        disk.full, disk.fits = True, lambda data: rooms.pop(0) if rooms else len(data)
        journal.record(Note("a"))  # 30 bytes of it, no more; then the reserve gives way
    lines = run.events_path.read_bytes().split(b"\n")
    assert (len(lines[0]), lines[2:]) == (30, [b""])
    assert lines[1].startswith(lines[0])
    assert messages(run) == ["a"]


def test_a_write_that_was_refused_leaves_no_trace(run: RunDirectory, disk: Disk) -> None:
    with Journal(run, []) as journal:
        journal.record(Note("a"))
        disk.full = True
        journal.record(Note("b"))
        disk.full = False
    lines = run.events_path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["a", "b"]


def test_another_refusal_is_an_error(run: RunDirectory, disk: Disk) -> None:
    journal = Journal(run, [])
    disk.full, disk.error = True, errno.EIO
    with pytest.raises(PoemError, match="Input/output error"):
        journal.record(Note("a"))
    disk.full = False
    journal.close()


def test_a_listener_whose_terminal_is_gone(run: RunDirectory) -> None:
    heard: list[Event] = []

    def gone(_event: Event) -> None:
        raise BrokenPipeError

    with Journal(run, [gone, heard.append]) as journal:
        later: list[Event] = []
        journal.record(Note("a"))
        journal.tell(later.append)
        journal.record(Note("b"))
    assert heard == [Note("a"), Note("b")]
    assert later == [Note("b")]
    assert messages(run) == ["a", "b"]


def without_waiting(run: RunDirectory) -> list[str]:
    left_out = ("RunPaused", "RunContinued", "RequestAnswered")
    return [name for name in names_of(events_of(run)) if not name.startswith(left_out)]


@pytest.mark.parametrize("reserve_helps", [True, False])
def test_a_full_disk_loses_no_event(
    tiny: Tiny, tmp_path: Path, whole: RunDirectory, disk: Disk, reserve_helps: bool
) -> None:
    """The events of an evaluation find no room; the run waits within it and goes on as if nothing had been."""
    seen: list[tuple[str, str]] = []

    def fill(run: RunDirectory) -> None:
        reserve = run.path / ".reserve"
        disk.full = True
        disk.fits = lambda data: len(data) if reserve_helps and not reserve.exists() else 0

    def empty(run: RunDirectory) -> None:
        view = view_run(run)
        seen.append((view.status, view.pause_reason))
        disk.full = False
        ask(run, "resume")  # tries at once, instead of in a few seconds

    listener = at(tmp_path, {"StepDone 2": fill, "RunPaused 2": empty})
    outcome = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="full", on_event=listener)
    assert outcome.status == "finished"
    # Whoever looks sees why nothing moves, as long as the reserve is enough for it.
    assert seen == [("paused", "disk") if reserve_helps else ("running", "")]
    assert without_waiting(outcome.run) == without_waiting(whole)
    names = names_of(events_of(outcome.run))
    first = names.index("EvalStarted 2")
    assert names[first : first + 5] == [
        "EvalStarted 2",
        "RunPaused 2",
        "RequestAnswered",
        "RunContinued 2",
        "EvalDone 2",
    ]
    times = [time_s for _event, time_s in iter_events(outcome.run.events_path)]
    assert times == sorted(times)
    assert adapter_bytes(outcome.run) == adapter_bytes(whole)
    assert not (outcome.run.path / ".reserve").exists()


def test_too_little_room_for_a_checkpoint(
    tiny: Tiny, tmp_path: Path, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = {"bytes": 10**9}
    kept: list[list[int]] = []

    def empty(run: RunDirectory) -> None:
        kept.append([item.step for item in checkpoints(run)])
        room["bytes"] = 10**9

    monkeypatch.setattr(conductor, "free_bytes", lambda _path: room["bytes"])
    listener = at(tmp_path, {"StepDone 4": lambda _run: room.update(bytes=300_000), "RunPaused 4": empty})
    outcome = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="full", on_event=listener)
    events = events_of(outcome.run)
    paused = next(event for event in events if isinstance(event, RunPaused))
    # 144 numbers of 4 bytes, three of each, and 1 MiB.
    assert paused == RunPaused(step=4, reason="disk", message="too little room on the disk: 1.1 MB needed, 0.3 MB free")
    names = names_of(events)
    assert names[names.index("RunPaused 4") :][:4] == [
        "RunPaused 4",
        "RunContinued 4",
        "CheckpointSaved 4",
        "BestChanged 4",
    ]
    assert kept == [[2]]
    assert adapter_bytes(outcome.run) == adapter_bytes(whole)


@pytest.mark.parametrize(
    ("what", "step", "next_event"),
    [
        ("save_checkpoint", 2, "CheckpointSaved 2"),
        ("link_best", 2, "BestChanged 2"),
        ("save_final", 6, "RunFinished 6"),
    ],
)
def test_a_write_that_fails_for_want_of_room(
    tiny: Tiny,
    tmp_path: Path,
    whole: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    step: int,
    next_event: str,
) -> None:
    """Room is looked for before; it can be gone by then."""
    write, tries = getattr(conductor, what), [1, 2]

    def full(*arguments: Any, **options: Any) -> Any:
        if tries:
            tries.pop()
            raise DiskFull("There is no space left on the disk.")
        return write(*arguments, **options)

    def again(run: RunDirectory) -> None:
        ask(run, "resume")  # too early: there still is no room
        ask(run, "checkpoint")  # is seen to later

    monkeypatch.setattr(conductor, what, full)
    monkeypatch.setattr(conductor, "_RETRY_S", 0.01)
    listener = at(tmp_path, {f"RunPaused {step}": again})
    outcome = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="full", on_event=listener)
    names = names_of(events_of(outcome.run))
    at_pause = names.index(f"RunPaused {step}")
    assert names[at_pause : at_pause + 5] == [
        f"RunPaused {step}",
        "RequestAnswered",
        "RequestAnswered",
        f"RunContinued {step}",
        next_event,
    ]
    assert [event for event in events_of(outcome.run) if isinstance(event, RunContinued)] == [RunContinued(step=step)]
    assert without_waiting(outcome.run) == without_waiting(whole)
    assert adapter_bytes(outcome.run) == adapter_bytes(whole)


@pytest.mark.parametrize("way", ["signal", "stop", "stop-now"])
def test_stop_while_the_disk_is_full(
    tiny: Tiny, tmp_path: Path, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    room = {"bytes": 10**9}
    monkeypatch.setattr(conductor, "free_bytes", lambda _path: room["bytes"])

    def stop(run: RunDirectory) -> None:
        if way == "signal":
            signal.raise_signal(signal.SIGTERM)
        else:
            ask(run, way)

    listener = at(tmp_path, {"StepDone 5": lambda _run: room.update(bytes=0), "RunPaused 5": stop})
    outcome = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="full", on_event=listener)
    assert (outcome.status, outcome.step) == ("stopped", 4)
    assert events_of(outcome.run)[-1] == RunStopped(step=4, reason="SIGTERM" if way == "signal" else way)
    assert [item.step for item in checkpoints(outcome.run)] == [2, 4]
    room["bytes"] = 10**9
    again = worker.resume(outcome.run, on_event=ignore)
    assert again.status == "finished"
    assert adapter_bytes(again.run) == adapter_bytes(whole)
