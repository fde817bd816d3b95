"""The trash of a runs directory: whole runs go there and come back, and nothing else is ever touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs import queue
from core.runs.directory import RunDirectory, create_run, list_runs
from core.runs.lock import lock_run
from core.runs.trash import disk_bytes, in_trash, move_to_trash, remove_for_good, restore


def make_run(runs_dir: Path, run_id: str, text: str = "12345") -> RunDirectory:
    run = RunDirectory(runs_dir / run_id)
    run.adapter_path.mkdir(parents=True)
    (run.adapter_path / "adapter_config.json").write_text(text, encoding="utf-8")
    return run


def test_a_run_goes_and_comes_back_whole(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, "20261124-101500-tang"), make_run(tmp_path, "20261124-101501")
    assert [move_to_trash(run).number for run in (first, second)] == [1, 2]
    assert list_runs(tmp_path) == ()
    assert [item.id for item in in_trash(tmp_path)] == [second.id, first.id]
    assert (tmp_path / ".trash").stat().st_mode & 0o777 == 0o700
    assert restore(in_trash(tmp_path)[0]) == second
    assert (second.adapter_path / "adapter_config.json").read_text(encoding="utf-8") == "12345"
    assert list_runs(tmp_path) == (second,)
    assert [item.id for item in in_trash(tmp_path)] == [first.id]


def test_two_of_one_id_stay_two_and_the_later_does_not_take_the_place_of_a_new_run(tmp_path: Path) -> None:
    for text in ("old", "new"):
        move_to_trash(make_run(tmp_path, "20261124-101500-tang", text))
    found = in_trash(tmp_path)
    assert [item.path.name for item in found] == ["000002-20261124-101500-tang", "000001-20261124-101500-tang"]
    run = restore(found[0])
    assert (run.adapter_path / "adapter_config.json").read_text(encoding="utf-8") == "new"
    with pytest.raises(PoemError, match="can't come back"):
        restore(found[1])
    assert found[1].path.is_dir()


def test_a_run_at_work_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path, "20261124-101500-tang")
    with lock_run(run), pytest.raises(PoemError, match="at work in another process"):
        move_to_trash(run)
    assert list_runs(tmp_path) == (run,)
    assert in_trash(tmp_path) == ()


def test_it_is_held_while_it_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, "20261124-101500-tang")
    rename, refused = os.rename, []

    def watched(source: Path, target: Path) -> None:
        with pytest.raises(PoemError) as error:
            lock_run(run, patience_s=0)
        refused.append(error.value.message)
        rename(source, target)

    monkeypatch.setattr(os, "rename", watched)
    move_to_trash(run)
    assert refused == [f"The run {run.id} is at work in another process."]


def test_a_link_is_neither_followed_nor_moved(tmp_path: Path) -> None:
    elsewhere = make_run(tmp_path / "elsewhere", "20261124-101500-tang")
    (tmp_path / "runs").mkdir()
    link = tmp_path / "runs" / elsewhere.id
    link.symlink_to(elsewhere.path)
    with pytest.raises(PoemError, match="symbolic link"):
        move_to_trash(RunDirectory(link))
    assert link.is_symlink() and elsewhere.path.is_dir()
    run = make_run(tmp_path / "runs", "20261124-101501")
    (tmp_path / "runs" / ".trash").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PoemError, match="symbolic link"):
        move_to_trash(run)
    assert run.path.is_dir() and sorted(os.listdir(tmp_path / "elsewhere")) == [elsewhere.id]


def test_what_is_not_moved_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, "20261124-101500-tang")

    def refuse(_source: Path, _target: Path) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(PoemError, match="may not read or write"):
        move_to_trash(run)
    assert os.listdir(tmp_path / ".trash") == [] and run.path.is_dir()


def test_a_waiting_run_leaves_the_queue(tmp_path: Path) -> None:
    run = make_run(tmp_path, "20261124-101500-tang")
    queue.join(run, "cpu")
    move_to_trash(run)
    assert queue.waiting() == ()


def test_removing_for_good_takes_links_and_not_what_they_lead_to(tmp_path: Path) -> None:
    poem = tmp_path / "poem.txt"
    poem.write_text("更上一層樓", encoding="utf-8")
    run = make_run(tmp_path / "runs", "20261124-101500-tang")
    (run.path / "link").symlink_to(poem)
    (run.path / "folder").symlink_to(tmp_path)
    assert disk_bytes(run.path) == 5 + (run.path / "link").lstat().st_size
    move_to_trash(run)
    (tmp_path / "runs" / ".trash" / "notes").mkdir()
    (item,) = in_trash(tmp_path / "runs")
    remove_for_good(item)
    assert os.listdir(tmp_path / "runs" / ".trash") == ["notes"]
    assert poem.read_text(encoding="utf-8") == "更上一層樓"


def test_a_trash_open_to_all_is_not_emptied(tmp_path: Path) -> None:
    move_to_trash(create_run(tmp_path, name="tang"))
    (item,) = in_trash(tmp_path)
    (tmp_path / ".trash").chmod(0o777)
    with pytest.raises(PoemError, match="Every user"):
        remove_for_good(item)
    with pytest.raises(PoemError, match="Every user"):
        in_trash(tmp_path)
    assert item.path.is_dir()
