"""The event file: exact lines, forgiving reading, and a writer that mends what a killed one left."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs import event_log as events_module
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog, iter_events, offset_of_last, read_events
from core.runs.events import (
    CLASSES,
    BestChanged,
    CheckpointSaved,
    DeviceTaken,
    EvalDone,
    EvalStarted,
    Event,
    Note,
    RequestAnswered,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunQueued,
    RunStarted,
    RunStopped,
    SampleMade,
    SettingChanged,
    StepDone,
    kind_of,
    parse_line,
    to_line,
)

STEP = StepDone(
    step=7,
    epoch=0.5,
    loss=3.25,
    lr=2e-4,
    grad_norm=1.5,
    tokens=640,
    tokens_per_s=1280.0,
    step_s=0.5,
    memory_bytes=2**30,
)
EVERY: tuple[Event, ...] = (
    RunStarted("20261124-041530", 0, 400, 20, 50, 1, "builtin:tang-tiny", "cpu", "float32", 9000, 1234),
    RunQueued("cuda-GPU-6f", "20261124-041530-other"),
    DeviceTaken("cpu"),
    RunPaused(7, "disk", "There is no space left on the disk."),
    RunContinued(7),
    RequestAnswered("00000000000000000007-1", "eval-every", ""),
    SettingChanged(7, "train.sample_prompts", "[]", '["白日依山盡"]'),
    Note("模板\u2028\x1b[0m\ud800"),
    STEP,
    EvalStarted(0, 20),
    EvalDone(0, 4.5, 600, 1.25),
    SampleMade(7, "白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。"),
    CheckpointSaved(7, "checkpoints/step-000007"),
    BestChanged(7, 4.25),
    RunFinished(50, None, 4.0, "adapter"),
    RunStopped(7, "Ctrl-C"),
    RunFailed("m", "h", "w"),
)


def test_the_line_of_a_step_is_exact() -> None:
    assert to_line(STEP, 1795493821.7236) == (
        '{"v": 1, "kind": "step_done", "time_s": 1795493821.724, "step": 7, "epoch": 0.5, "loss": 3.25, '
        '"lr": 0.0002, "grad_norm": 1.5, "tokens": 640, "tokens_per_s": 1280.0, "step_s": 0.5, '
        '"memory_bytes": 1073741824}'
    )


def test_a_step_of_an_older_file_has_no_memory() -> None:
    line = to_line(replace(STEP, memory_bytes=0), 1.0).replace(', "memory_bytes": 0', "")
    assert "memory" not in line
    assert parse_line(line) == (replace(STEP, memory_bytes=0), 1.0)
    assert parse_line(line.replace('"step_s": 0.5', '"memory_bytes": 2')) == (None, 0.0)
    assert parse_line(line[:-1] + ', "memory_bytes": "much"}') == (None, 0.0)


def test_the_kinds() -> None:
    assert list(CLASSES) == [
        "run_started",
        "run_queued",
        "device_taken",
        "run_paused",
        "run_continued",
        "request_answered",
        "setting_changed",
        "note",
        "step_done",
        "eval_started",
        "eval_done",
        "sample_made",
        "checkpoint_saved",
        "best_changed",
        "run_finished",
        "run_stopped",
        "run_failed",
    ]
    assert [kind_of(type(event)) for event in EVERY] == list(CLASSES)


@pytest.mark.parametrize("event", EVERY, ids=lambda event: kind_of(type(event)))
def test_what_is_written_is_read(tmp_path: Path, event: Event) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.append(event, time_s=12.0)
    assert read_events(path) == ([(event, 12.0)], path.stat().st_size)
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite(loss: float) -> None:
    line = to_line(EvalDone(1, loss, 2, 3.0), 0.0)
    assert json.loads(line)["loss"] is None
    event, _time_s = parse_line(line)
    assert isinstance(event, EvalDone)
    assert math.isnan(event.loss)
    finished, _time_s = parse_line(to_line(RunFinished(1, loss, 2.0, "a"), 0.0))
    assert finished == RunFinished(1, None, 2.0, "a")


def test_unknown_fields_and_whole_numbers_for_floats_are_fine() -> None:
    line = '{"kind": "eval_done", "v": 1, "later": [1], "time_s": 5, "step": 1, "loss": 2, "tokens": 3, "eval_s": 1}'
    event, time_s = parse_line(line)
    assert event == EvalDone(1, 2.0, 3, 1.0)
    assert time_s == 5.0
    assert isinstance(time_s, float)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "7",
        '"note"',
        "{",
        "\0\0\0",
        '{"v": 1, "kind": "later", "time_s": 1}',
        '{"v": 1, "kind": ["note"], "time_s": 1, "message": "m"}',
        '{"v": 2, "kind": "note", "time_s": 1, "message": "m"}',
        '{"kind": "note", "time_s": 1, "message": "m"}',
        '{"v": 1, "kind": "note", "message": "m"}',
        '{"v": 1, "kind": "note", "time_s": null, "message": "m"}',
        '{"v": 1, "kind": "note", "time_s": 1e999, "message": "m"}',
        '{"v": 1, "kind": "note", "time_s": "1", "message": "m"}',
        '{"v": 1, "kind": "note", "time_s": 1}',
        '{"v": 1, "kind": "note", "time_s": 1, "message": null}',
        '{"v": 1, "kind": "run_stopped", "time_s": 1, "step": true, "reason": "r"}',
        '{"v": 1, "kind": "run_stopped", "time_s": 1, "step": 1.0, "reason": "r"}',
        '{"v": 1, "kind": "eval_done", "time_s": 1, "step": 1, "loss": 1' + "0" * 400 + ', "tokens": 1, "eval_s": 1}',
        '{"v": 1, "kind": "note", "time_s": 1' + "0" * 5000 + ', "message": "m"}',
        '{"v": 1, "kind": "note", "time_s": 1, "message": ' + "[" * 100_000,
    ],
    ids=lambda line: line[:60],
)
def test_lines_that_hold_no_event(line: str) -> None:
    assert parse_line(line) == (None, 0.0)


def test_bytes_that_are_not_utf8() -> None:
    assert parse_line('{"v": 1, "kind": "note", "time_s": 1, "message": "白日"}'.encode("gbk")) == (None, 0.0)


def test_reading_passes_over_garbage_and_leaves_the_unfinished_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first, second = to_line(Note("one"), 1.0), to_line(Note("two"), 2.0)
    path.write_bytes(f"{first}\n\nga\0rbage\n".encode() + b"\xff\xfe\n" + f"{second}\n{second[:20]}".encode())
    events, offset = read_events(path)
    assert events == [(Note("one"), 1.0), (Note("two"), 2.0)]
    assert offset == path.stat().st_size - 20
    assert read_events(path, offset) == ([], offset)
    with path.open("ab") as file:
        file.write(second[20:].encode() + b"\n")
    assert read_events(path, offset) == ([(Note("two"), 2.0)], path.stat().st_size)


def test_a_missing_file_has_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "none", 0) == ([], 0)


def test_a_file_that_was_cut_is_read_on_from_its_new_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(to_line(Note("one"), 1.0) + "\n", encoding="utf-8")
    size = path.stat().st_size
    assert read_events(path, size + 100) == ([], size)


def test_a_long_file_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    line = to_line(Note("x"), 1.0) + "\n"
    path.write_text(line * 5, encoding="utf-8")
    monkeypatch.setattr(events_module, "READ_BYTES", 2 * len(line) + 3)
    assert read_events(path) == ([(Note("x"), 1.0)] * 2, 2 * len(line))
    assert list(iter_events(path)) == [(Note("x"), 1.0)] * 5


def test_a_line_longer_than_a_piece_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(to_line(Note("x" * 500), 1.0) + "\n" + to_line(Note("y"), 2.0) + "\n", encoding="utf-8")
    monkeypatch.setattr(events_module, "READ_BYTES", 100)
    assert list(iter_events(path)) == [(Note("y"), 2.0)]


def test_the_log_ends_a_line_that_a_killed_writer_left(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"v": 1, "ki')
    with EventLog(path) as log:
        log.append(Note("a"), time_s=1.0)
        log.append(Note("b"), time_s=2.0, sync=True)
    assert path.read_bytes().split(b"\n")[0] == b'{"v": 1, "ki'
    assert list(iter_events(path)) == [(Note("a"), 1.0), (Note("b"), 2.0)]


def test_the_log_mends_its_own_half_line_after_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    write, calls = os.write, 0

    def write_ten_then_fail(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:10])

    with EventLog(path) as log:
        monkeypatch.setattr(os, "write", write_ten_then_fail)
        with pytest.raises(PoemError, match="no space left"):
            log.append(Note("lost"), time_s=1.0)
        monkeypatch.undo()
        log.append(Note("kept"), time_s=2.0)
    assert path.read_bytes().startswith(b'{"v": 1, "\n{"v"')
    assert list(iter_events(path)) == [(Note("kept"), 2.0)]


def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append(Note("whole"), time_s=1.0)
    assert list(iter_events(tmp_path / "events.jsonl")) == [(Note("whole"), 1.0)]


def test_one_write_a_line_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = os.write

    def spy(descriptor: int, data: bytes) -> int:
        written.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", spy)
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append(Note("a"), time_s=1.0)
        log.append(Note("b"), time_s=1.0)
    assert [data.count(b"\n") for data in written] == [1, 1]
    assert stat.S_IMODE((tmp_path / "events.jsonl").stat().st_mode) == 0o600


def test_sync_reaches_the_disk_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append(Note("a"))
        assert synced == []
        log.append(Note("b"), sync=True)
    assert len(synced) == 1


def test_an_events_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PoemError, match="symbolic link"):
        EventLog(tmp_path / "events.jsonl")
    with pytest.raises(PoemError, match="symbolic link"):
        read_events(tmp_path / "events.jsonl")
    assert not (tmp_path / "elsewhere").exists()


# The bytes at which the lines of "ab\ncd\n\nef\n" begin: 0, 3, 6 (an empty one), 7.
@pytest.mark.parametrize("block_bytes", [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 100])
@pytest.mark.parametrize(("lines", "offset"), [(0, 10), (1, 7), (2, 6), (3, 3), (4, 0), (5, 0), (10**9, 0)])
@pytest.mark.parametrize("tail", [b"", b"unfinished"])
def test_where_the_last_lines_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, lines: int, offset: int, tail: bytes
) -> None:
    monkeypatch.setattr(events_module, "_BLOCK_BYTES", block_bytes)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"ab\ncd\n\nef\n" + tail)
    assert offset_of_last(path, lines) == offset


@pytest.mark.parametrize(("content", "offset"), [(b"", 0), (b"\n", 0), (b"unfinished", 0), (b"\n\n\n", 2)])
def test_where_the_last_line_begins_when_there_is_hardly_one(tmp_path: Path, content: bytes, offset: int) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    assert offset_of_last(path, 1) == offset


def test_the_last_lines_of_no_file_and_of_a_link(tmp_path: Path) -> None:
    assert offset_of_last(tmp_path / "none", 1) == 0
    (tmp_path / "link").symlink_to(tmp_path / "none")
    with pytest.raises(PoemError, match="symbolic link"):
        offset_of_last(tmp_path / "link", 1)


def test_the_last_lines_of_a_long_file_are_found_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    with path.open("wb") as file:
        file.truncate(500 * 10**6)
        file.seek(0, os.SEEK_END)
        file.write(b"\none\ntwo\n")
    read: list[int] = []
    pread = os.pread

    def spy(descriptor: int, size: int, offset: int) -> bytes:
        read.append(size)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", spy)
    assert offset_of_last(path, 2) == 500 * 10**6 + 1
    assert read == [64 * 1024]


def test_every_event_and_field_and_file_is_documented() -> None:
    text = (Path(__file__).resolve().parent.parent / "docs" / "run-directory.md").read_text(encoding="utf-8")
    sections = {part.split("`")[1]: part for part in text.split("\n### ")[1:]}
    assert list(sections) == list(CLASSES)
    for kind, event_class in CLASSES.items():
        assert is_dataclass(event_class)
        rows = [line.split("`")[1] for line in sections[kind].split("\n## ")[0].splitlines() if line.startswith("| `")]
        assert rows == [field.name for field in fields(event_class)], kind
    properties = [name for name in vars(RunDirectory) if name.endswith("_path") and name != "checkpoint_path"]
    for name in properties:
        assert f"`{getattr(RunDirectory(Path('x')), name).name}" in text, name
