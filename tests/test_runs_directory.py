"""Run directories: their names, their parts, and how they are found again."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs.directory import RunDirectory, create_run, find_run, list_runs, run_name
from core.runs.storage import write_json

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
        "adapter/best": run.best_path,
        "trackers": run.trackers_path,
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


@pytest.mark.parametrize("wanted", [C, "20261125", "last"])
def test_find_run_refuses_a_run_that_everybody_may_write_in(three_runs: Path, wanted: str) -> None:
    (three_runs / C).chmod(0o777)
    with pytest.raises(PoemError, match="Every user of this machine may write in this directory") as caught:
        find_run(three_runs, wanted)
    assert caught.value.where == str(three_runs / C)
    assert caught.value.hint == f"If it is yours and in order: chmod o-w {three_runs / C}"
    (three_runs / C).chmod(0o775)
    assert find_run(three_runs, wanted).id == C
