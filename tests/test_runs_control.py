"""Requests in `control/`: written whole, read forgivingly whatever lies there, answered or not."""

from __future__ import annotations

import json
import os
import signal
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs import control
from core.runs.control import ACTIONS, Request, ask, await_answer, begin, pending, signal_stop, take_away
from core.runs.directory import RunDirectory, create_run
from core.runs.event_log import EventLog
from core.runs.events import Note, RequestAnswered
from core.runs.lock import lock_run

ID = "00000000000000000007-1"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path, name="tang")


@pytest.fixture
def control_file(run: RunDirectory) -> Path:
    """Where a request would be; the directory is there."""
    run.control_path.mkdir()
    return run.control_path / f"{ID}.json"


def test_what_is_asked_is_pending_until_it_is_taken_away(run: RunDirectory) -> None:
    with lock_run(run, patience_s=0):
        assert pending(run) == []
        asked = [ask(run, "pause"), ask(run, "eval-every", 50), ask(run, "stop")]
        assert [(request.action, request.value) for request in asked] == [("pause", 0), ("eval-every", 50), ("stop", 0)]
        assert pending(run) == asked
        path = run.control_path / f"{asked[1].id}.json"
        assert json.loads(path.read_text(encoding="utf-8")) == {"action": "eval-every", "value": 50}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(run.control_path.stat().st_mode) == 0o700
        take_away(run, asked[0])
        take_away(run, asked[0])  # another process may have been quicker
        assert pending(run) == asked[1:]


def test_requests_come_in_the_order_of_asking(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([9, 10, 2 * 10**18])
    monkeypatch.setattr("core.runs.control.time.monotonic_ns", lambda: next(moments))
    monkeypatch.setattr("core.runs.control.os.getpid", lambda: 4194304)
    with lock_run(run, patience_s=0):
        asked = [ask(run, action) for action in ("stop", "sample", "pause")]
    assert [request.id for request in asked] == [
        "00000000000000000009-4194304",
        "00000000000000000010-4194304",
        "02000000000000000000-4194304",
    ]
    assert pending(run) == asked


def test_nobody_is_asked_who_is_not_there(run: RunDirectory) -> None:
    with pytest.raises(PoemError, match=f"No process is at work on the run {run.id}") as caught:
        ask(run, "stop")
    assert caught.value.hint == "See how it stands with: poemcore runs"
    assert not run.control_path.exists()


def test_a_file_in_the_place_of_the_directory(run: RunDirectory) -> None:
    run.control_path.touch()
    with lock_run(run, patience_s=0), pytest.raises(PoemError, match="A file is in the way"):
        ask(run, "stop")
    with pytest.raises(PoemError, match="A file is in the way"):
        pending(run)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stop",
        "null",
        "7",
        '["stop"]',
        "{}",
        '{"action": null}',
        '{"action": ["stop"]}',
        '{"action": {"stop": 1}}',
        '{"action": "STOP"}',
        '{"action": "stop "}',
        '{"action": "rm -rf"}',
        '{"action": ""}',
        '{"action": "eval-every", "value": -1}',
        '{"action": "eval-every", "value": 1000000001}',
        '{"action": "eval-every", "value": 1e3}',
        '{"action": "eval-every", "value": true}',
        '{"action": "eval-every", "value": null}',
        '{"action": "eval-every", "value": "50"}',
        '{"action": "eval-every", "value": 1' + "0" * 4000 + "}",
        '{"action": "stop", "more": "' + "x" * 5000 + '"}',
        '{"action": "stop"',
        "[" * 4096,
        '{"action":' * 400,
        "\0" * 100,
    ],
    ids=lambda text: text[:40] or "empty",
)
def test_a_file_that_holds_no_request_is_seen_as_one_without_an_action(
    run: RunDirectory, control_file: Path, text: str
) -> None:
    control_file.write_text(text, encoding="utf-8")
    assert pending(run) == [Request(ID, "")]


def test_bytes_that_are_no_text(run: RunDirectory, control_file: Path) -> None:
    control_file.write_bytes(b'\xff\xfe{"action": "stop"}')
    assert pending(run) == [Request(ID, "")]


def test_of_a_huge_file_only_the_beginning_is_read(
    run: RunDirectory, control_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with control_file.open("wb") as file:
        file.truncate(2**40)
    read, sizes = os.read, []

    def spy(descriptor: int, size: int) -> bytes:
        sizes.append(size)
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", spy)
    assert pending(run) == [Request(ID, "")]
    assert sizes == [4096]


def test_a_link_is_not_followed(run: RunDirectory, control_file: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text('{"action": "stop"}', encoding="utf-8")
    control_file.symlink_to(tmp_path / "elsewhere.json")
    assert pending(run) == [Request(ID, "")]
    take_away(run, Request(ID, ""))
    assert pending(run) == []
    assert (tmp_path / "elsewhere.json").exists()


def test_a_fifo_hangs_nobody(run: RunDirectory, control_file: Path) -> None:
    os.mkfifo(control_file)
    assert pending(run) == [Request(ID, "")]
    with open(os.open(control_file, os.O_RDWR), "wb"):  # a writer that has nothing to say
        assert pending(run) == [Request(ID, "")]
    take_away(run, Request(ID, ""))
    assert pending(run) == []


def test_a_directory_does_not_bring_the_worker_down(run: RunDirectory, control_file: Path) -> None:
    control_file.mkdir()
    for request in pending(run):
        take_away(run, request)


@pytest.mark.parametrize(
    "name",
    [
        "stop.json",
        "7-1.json",
        "00000000000000000007.json",
        "00000000000000000007-1",
        "00000000000000000007-1.json.json",
        ".00000000000000000007-1.json.99.new",
        "00000000000000000007-12345678901.json",
        "00000000000000000007-1\n.json",
        "a00000000000000000007-1.json",
    ],
)
def test_files_whose_names_are_no_ids_are_left_alone(run: RunDirectory, control_file: Path, name: str) -> None:
    control_file.with_name(name).write_text('{"action": "stop"}', encoding="utf-8")
    assert pending(run) == []


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_read_as_it_was_asked(run: RunDirectory, control_file: Path, action: str) -> None:
    control_file.write_text(json.dumps({"action": action, "value": 10**9}), encoding="utf-8")
    assert pending(run) == [Request(ID, action, 10**9)]
    control_file.write_text(json.dumps({"action": action}), encoding="utf-8")
    assert pending(run) == [Request(ID, action, 0)]


def test_the_answer_is_awaited(run: RunDirectory) -> None:
    mine = Request(ID, "pause")
    answer = RequestAnswered(ID, "pause", "")
    with lock_run(run, patience_s=0), EventLog(run.events_path) as log:
        log.append(answer)  # before it was asked: another machine's clock may have made the same id
        offset = run.events_path.stat().st_size
        looks: list[float] = []

        def wait(seconds: float) -> None:
            looks.append(seconds)
            log.append(Note("n") if len(looks) == 1 else RequestAnswered(f"{len(looks)}", "stop", ""))
            if len(looks) == 3:
                log.append(RequestAnswered(ID, "pause", "no"))

        assert await_answer(run, mine, offset=offset, timeout_s=60.0, wait=wait) == RequestAnswered(ID, "pause", "no")
        assert looks == [0.05, 0.05, 0.05]


def test_no_answer_in_time(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 59.9, 60.0])
    monkeypatch.setattr("core.runs.control.time.monotonic", lambda: next(moments))
    monkeypatch.setattr(control, "is_locked", lambda _run: True)
    waits: list[float] = []
    assert await_answer(run, Request(ID, "stop"), offset=0, timeout_s=60.0, wait=waits.append) is None
    assert waits == [0.05]


@pytest.mark.parametrize("answers", [True, False])
def test_a_worker_that_leaves_is_not_waited_for(run: RunDirectory, answers: bool) -> None:
    answer = RequestAnswered(ID, "stop", "")
    with ExitStack() as worker, EventLog(run.events_path) as log:
        worker.enter_context(lock_run(run, patience_s=0))

        looks: list[float] = []

        def wait(seconds: float) -> None:
            looks.append(seconds)
            assert len(looks) == 1, "it went on waiting"
            if answers:
                log.append(answer)
            worker.close()

        got = await_answer(run, Request(ID, "stop"), offset=0, timeout_s=600.0, wait=wait)
    assert got == (answer if answers else None)


def test_what_an_earlier_process_was_asked_is_void(run: RunDirectory, control_file: Path) -> None:
    begin(run)
    control_file.write_text('{"action": "stop"}', encoding="utf-8")
    control_file.with_name("notes.txt").touch()
    begin(run)
    assert os.listdir(run.control_path) == ["notes.txt"]


@pytest.mark.parametrize(("now", "times"), [(False, 1), (True, 2)])
def test_a_stop_by_signal(run: RunDirectory, monkeypatch: pytest.MonkeyPatch, now: bool, times: int) -> None:
    run.process_path.write_text('{"pid": 4242}', encoding="utf-8")
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr("core.runs.control.os.kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr("core.runs.control.time.sleep", lambda _seconds: None)
    signal_stop(run, now=now)
    assert sent == [(4242, signal.SIGTERM)] * times


@pytest.mark.parametrize(
    "text",
    [None, "", "null", "[]", "{}", '{"pid": "42"}', '{"pid": true}', '{"pid": 1}', '{"pid": 0}', '{"pid": -1}']
    + ['{"pid": 1' + "0" * 30 + "}", "[" * 100_000],
    ids=lambda text: str(text)[:20],
)
def test_no_signal_goes_to_a_process_that_is_not_known(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text is not None:
        run.process_path.write_text(text, encoding="utf-8")
    kill, sent = os.kill, []

    def spy(pid: int, number: int) -> None:
        sent.append(pid)
        kill(pid, 0)

    monkeypatch.setattr("core.runs.control.os.kill", spy)
    with pytest.raises(PoemError, match=f"The process of the run {run.id} is not known"):
        signal_stop(run, now=False)
    assert set(sent) <= {10**30}
