"""How the files of a run reach the disk: whole or not at all, private, and what is said when they can't."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs.storage import DiskFull, check_private, free_bytes, open_private, storage_error, write_json, write_whole


def test_write_json_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_json(path, {"詩": "白日\ud800", "n": 1})
    assert path.read_text(encoding="utf-8") == '{\n  "詩": "白日\\ud800",\n  "n": 1\n}\n'
    write_json(path, {"n": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"n": 2}
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_write_json_refuses_what_json_has_no_word_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "state.json", {"loss": float("nan")})
    assert os.listdir(tmp_path) == []


def test_a_text_is_written_as_it_is_and_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.touch(mode=0o644)
    write_whole(path, "a\r\n詩\n")
    assert path.read_bytes() == "a\r\n詩\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


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
    with pytest.raises(DiskFull, match="no space left"):
        write_json(path, {"n": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"n": 1}
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spy_fsync(descriptor: int) -> None:
        done.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def spy_replace(path: Path, target: Path) -> Path:
        done.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    write_whole(tmp_path / "a", "a")
    assert done == ["file", "rename", "directory"]


def test_write_json_does_not_write_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine", encoding="utf-8")
    (tmp_path / "manifest.json").symlink_to(tmp_path / "secret")
    write_json(tmp_path / "manifest.json", {})
    assert (tmp_path / "secret").read_text(encoding="utf-8") == "mine"


def test_a_link_in_the_place_of_the_new_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine", encoding="utf-8")
    (tmp_path / f".a.{os.getpid()}.new").symlink_to(tmp_path / "secret")
    with pytest.raises(PoemError, match="symbolic link"):
        write_whole(tmp_path / "a", "theirs")
    assert (tmp_path / "secret").read_text(encoding="utf-8") == "mine"


def test_writing_where_there_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(PoemError, match="No such file or directory") as caught:
        write_whole(tmp_path / "gone" / "a", "a")
    assert caught.value.where == str(tmp_path / "gone" / "a")


def test_a_private_file_is_not_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic link"), open(tmp_path / "link", "ab", opener=open_private):
        pass
    assert not (tmp_path / "secret").exists()


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


@pytest.mark.parametrize(
    ("number", "message", "is_full"),
    [
        (errno.ENOSPC, "There is no space left on the disk.", True),
        (errno.EDQUOT, "There is no space left on the disk.", True),
        (errno.EROFS, "The file system is read-only.", False),
        (errno.EACCES, "You may not read or write here.", False),
        (errno.EPERM, "You may not read or write here.", False),
        (errno.ENOTDIR, "A file is in the way: a directory is needed here.", False),
        (errno.EEXIST, "A file is in the way: a directory is needed here.", False),
        (errno.ELOOP, "This is a symbolic link, and links are not followed here.", False),
        (errno.EIO, "The operating system refused: Input/output error.", False),
    ],
)
def test_every_refusal_has_its_words_and_a_way_out(number: int, message: str, is_full: bool) -> None:
    error = storage_error(OSError(number, os.strerror(number)), Path("runs"))
    assert (error.message, error.where, isinstance(error, DiskFull)) == (message, "runs", is_full)
    assert error.hint


def test_escapes_in_a_path_are_shown_not_sent() -> None:
    assert storage_error(OSError(errno.EACCES, ""), Path("a\x1b[2J")).where == "a␛[2J"


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o775])
def test_a_directory_that_others_may_not_write_in_is_private(tmp_path: Path, mode: int) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(mode)
    check_private(tmp_path / "run")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("world-writable", "Every user of this machine may write in this directory"),
        ("sticky", "Every user of this machine may write in this directory"),
        ("link", "This is a symbolic link"),
        ("dangling link", "This is a symbolic link"),
        ("file", "A file is in the way"),
        ("fifo", "A file is in the way"),
        ("missing", "No such file or directory"),
    ],
)
def test_what_is_not_private_is_refused(tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / "run"
    match kind:
        case "world-writable":
            path.mkdir()
            path.chmod(0o702)
        case "sticky":
            path.mkdir()
            path.chmod(0o1777)
        case "link" | "dangling link":
            path.symlink_to(tmp_path if kind == "link" else tmp_path / "gone", target_is_directory=True)
        case "file":
            path.touch()
        case "fifo":
            os.mkfifo(path)
    with pytest.raises(PoemError, match=message) as caught:
        check_private(path)
    assert caught.value.where == str(path)
    assert caught.value.hint
