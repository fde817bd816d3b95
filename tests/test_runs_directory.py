"""Run directories: names, finding, locks, durable small files."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs.directory import (
    RunDirectory,
    create_run,
    find_run,
    free_bytes,
    is_locked,
    list_runs,
    lock_run,
    run_name,
    storage_error,
    write_json,
)

A, B, C = "20261124-041530-tang", "20261124-041530-tang-2", "20261125-090000-sung"


@pytest.fixture
def three_runs(tmp_path: Path) -> Path:
    for run_id in (C, B, A):
        (tmp_path / run_id).mkdir()
    return tmp_path


@pytest.fixture
def at_quarter_past_four(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.struct_time((2026, 11, 24, 4, 15, 30, 1, 328, 0))
    strftime = time.strftime
    monkeypatch.setattr("core.runs.directory.time.strftime", lambda form: strftime(form, moment))


@pytest.mark.usefixtures("at_quarter_past_four")
def test_create_run_names_by_second_and_never_overwrites(tmp_path: Path) -> None:
    runs_dir = tmp_path / "deep" / "runs"
    ids = [create_run(runs_dir, name="tang").id for _ in range(3)]
    assert ids == ["20261124-041530-tang", "20261124-041530-tang-2", "20261124-041530-tang-3"]
    assert create_run(runs_dir).id == "20261124-041530"
    assert create_run(runs_dir).id == "20261124-041530-2"


def test_only_the_user_may_look_into_a_run(tmp_path: Path) -> None:
    run = create_run(tmp_path / "runs")
    write_json(run.manifest_path, {})
    assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o700
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(run.manifest_path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name", ["", "..", "a..b", "a/b", "../a", "A", "唐詩", ".a", "-a", "a b", "a\n", "a" * 65, "a\0"]
)
def test_create_run_refuses_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(PoemError, match="can't be the name of a run"):
        create_run(tmp_path / "runs", name=name)
    assert not (tmp_path / "runs").exists()


def test_the_longest_name_makes_a_run_that_is_found_again(tmp_path: Path) -> None:
    runs = [create_run(tmp_path, name="a" * 64) for _ in range(2)]
    assert set(list_runs(tmp_path)) == set(runs)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tang-tiny-cpu", "tang-tiny-cpu"),
        ("My Profile", "my-profile"),
        ("../x..y/", "x.y"),
        ("唐詩 v2", "v2"),
        ("唐詩", None),
        ("", None),
        ("a" * 70, "a" * 64),
    ],
)
def test_run_name(text: str, name: str | None) -> None:
    assert run_name(text) == name


def test_the_parts_of_a_run() -> None:
    run = RunDirectory(Path("runs") / A)
    assert run.id == A
    parts = {
        "lock": run.lock_path,
        "events.jsonl": run.events_path,
        "profile.toml": run.profile_path,
        "manifest.json": run.manifest_path,
        "console.log": run.console_path,
        "process.json": run.process_path,
        "control": run.control_path,
        "checkpoints": run.checkpoints_path,
        "checkpoints/step-000200": run.checkpoint_path(200),
        "adapter": run.adapter_path,
    }
    assert {name: path.relative_to(run.path).as_posix() for name, path in parts.items()} == {n: n for n in parts}


@pytest.mark.parametrize("runs_dir", ["file", "file/below"])
def test_a_file_in_the_way(tmp_path: Path, runs_dir: str) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(PoemError, match="A file is in the way") as caught:
        create_run(tmp_path / runs_dir)
    assert caught.value.where == str(tmp_path / runs_dir)
    with pytest.raises(PoemError, match="A file is in the way"):
        list_runs(tmp_path / runs_dir)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may not read or write"),
        (errno.ELOOP, "symbolic link"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_the_system_refuses_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PoemError, match=message) as caught:
        create_run(tmp_path / "runs")
    assert caught.value.where == str(tmp_path / "runs")
    assert caught.value.hint


def test_escapes_in_a_path_are_shown_not_sent() -> None:
    assert storage_error(OSError(errno.EACCES, ""), Path("a\x1b[2J")).where == "a␛[2J"


def test_list_runs_is_oldest_first_and_takes_runs_only(three_runs: Path) -> None:
    (three_runs / "20261124-041530-tang-10").mkdir()
    (three_runs / "notes").mkdir()
    (three_runs / "20261124-041530-a..b").mkdir()
    (three_runs / "20261126-000000-file").touch()
    (three_runs / "20261126-000000-link").symlink_to(three_runs / A, target_is_directory=True)
    assert [run.id for run in list_runs(three_runs)] == [A, B, "20261124-041530-tang-10", C]


def test_no_runs_directory_means_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == ()
    with pytest.raises(PoemError, match="no runs here"):
        find_run(tmp_path / "none", "last")


@pytest.mark.parametrize(("wanted", "found"), [(A, A), (B, B), ("20261125", C), ("20261124-0415", None), ("last", C)])
def test_find_run(three_runs: Path, wanted: str, found: str | None) -> None:
    if found is None:
        with pytest.raises(PoemError, match="beginning of 2 runs") as caught:
            find_run(three_runs, wanted)
        assert f"{B}, {A}" in caught.value.hint
    else:
        assert find_run(three_runs, wanted) == RunDirectory(three_runs / found)


@pytest.mark.parametrize(
    "wanted", ["", "..", "../" + A, "/", "./" + A, "2027", "last ", "\x1b[2J", "a\0b", "x" * 10_000]
)
def test_find_run_never_leaves_the_runs_directory(three_runs: Path, wanted: str) -> None:
    with pytest.raises(PoemError, match="There is no run") as caught:
        find_run(three_runs, wanted)
    assert str(caught.value).isprintable() or "\x1b" not in str(caught.value)
    assert A in caught.value.hint


def test_find_run_offers_the_near_ones(three_runs: Path) -> None:
    with pytest.raises(PoemError) as caught:
        find_run(three_runs, "sung")
    assert caught.value.hint.endswith(f"There are: {C}")


def test_find_run_refuses_links(three_runs: Path) -> None:
    link = three_runs / "20261126-000000-link"
    link.symlink_to(three_runs / A, target_is_directory=True)
    with pytest.raises(PoemError, match="links are not followed"):
        find_run(three_runs, link.name)


def test_lock_is_seen_while_held_and_asking_makes_no_file(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    assert not is_locked(run)
    assert not run.lock_path.exists()
    with lock_run(run):
        assert is_locked(run)
        with pytest.raises(PoemError, match=f"The run {run.id} is at work"), lock_run(run):
            pass
        assert is_locked(run)
    assert not is_locked(run)
    with lock_run(run):
        pass


def test_a_killed_process_lets_go_of_the_lock(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    code = (
        "import sys; from pathlib import Path; from core.runs.directory import RunDirectory, lock_run\n"
        "with lock_run(RunDirectory(Path(sys.argv[1]))): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_repository()
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(run)
        holder.kill()
        holder.wait()
    assert not is_locked(run)


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    run.lock_path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PoemError, match="symbolic link"):
        is_locked(run)
    with pytest.raises(PoemError, match="symbolic link"), lock_run(run):
        pass


def test_write_json_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_json(path, {"詩": "白日\ud800", "n": 1})
    assert path.read_text(encoding="utf-8") == '{\n  "詩": "白日\\ud800",\n  "n": 1\n}\n'
    write_json(path, {"n": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"n": 2}
    assert os.listdir(tmp_path) == ["manifest.json"]


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_write_json_keeps_the_old_file_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "manifest.json"
    write_json(path, {"n": 1})
    if where == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(PoemError, match="no space left"):
        write_json(path, {"n": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"n": 1}
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_write_json_does_not_write_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine", encoding="utf-8")
    (tmp_path / "manifest.json").symlink_to(tmp_path / "secret")
    write_json(tmp_path / "manifest.json", {})
    assert (tmp_path / "secret").read_text(encoding="utf-8") == "mine"


def test_free_bytes_of_a_directory_yet_to_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs

    def spy(path: Path) -> os.statvfs_result:
        asked.append(path)
        values = list(statvfs(path))
        values[1], values[4] = 4096, 10  # f_frsize, f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", spy)
    assert free_bytes(tmp_path / "none" / "runs") == 40960
    assert asked == [tmp_path]


def _repository() -> Path:
    return Path(__file__).resolve().parent.parent
