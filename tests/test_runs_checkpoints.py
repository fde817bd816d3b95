"""Checkpoints as files: which count, what damage is seen, what a resume goes on from, and what is removed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs.checkpoints import (
    STATE_FILE,
    Checkpoint,
    checkpoints,
    choose_checkpoint,
    read_state,
    remove_after,
    seal,
    tidy,
)
from core.runs.directory import RunDirectory, create_run, typed

FILES = ("adapter/adapter_config.json", "adapter/adapter_model.safetensors", "optimiser.safetensors", STATE_FILE)
SUMS = "checksums.json"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path, name="tang")


def write_checkpoint(run: RunDirectory, step: int, *, sealed: bool = True) -> Checkpoint:
    """A checkpoint of small files that differ from step to step."""
    path = run.checkpoint_path(step)
    (path / "adapter").mkdir(parents=True)
    for name in FILES:
        (path / name).write_bytes(f"{name} of {step}".encode())
    (path / STATE_FILE).write_text(json.dumps({"step": step, "micro_batch_size": 4}), encoding="utf-8")
    if sealed:
        seal(path)
    return Checkpoint(path, step)


def test_a_run_without_checkpoints(run: RunDirectory) -> None:
    assert checkpoints(run) == []
    assert choose_checkpoint(run) is None
    assert choose_checkpoint(run, 0) is None
    assert remove_after(run, 0) == []
    tidy(run)
    run.checkpoints_path.touch()
    assert checkpoints(run) == []
    with pytest.raises(PoemError, match=f"The run {run.id} has no checkpoint"):
        choose_checkpoint(run, 4)


def test_the_sums_are_those_of_every_file(run: RunDirectory) -> None:
    sealed = write_checkpoint(run, 4)
    document = json.loads((sealed.path / SUMS).read_text(encoding="utf-8"))
    assert document == {
        "sha256": {name: hashlib.sha256((sealed.path / name).read_bytes()).hexdigest() for name in FILES}
    }
    assert read_state(sealed) == {"step": 4, "micro_batch_size": 4}


def test_sealing_reaches_the_disk(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    unsealed = write_checkpoint(run, 4, sealed=False)
    synced: set[int] = set()
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    seal(unsealed.path)
    parts = (*FILES, SUMS, "adapter", ".")
    assert {(unsealed.path / name).stat().st_ino for name in parts} <= synced


def test_checkpoints_are_oldest_first_the_damaged_too(run: RunDirectory, tmp_path: Path) -> None:
    later, first = write_checkpoint(run, 1_000_000), write_checkpoint(run, 8)
    damaged = write_checkpoint(run, 12, sealed=False)
    for name in ("step-8", "step-0000012345678", ".step-000016.new", "step-000020-old", "notes"):
        first.path.with_name(name).mkdir()
        (first.path.with_name(name) / SUMS).write_text("{}", encoding="utf-8")
    first.path.with_name("step-000024").touch()
    first.path.with_name("step-000028").symlink_to(first.path, target_is_directory=True)
    assert checkpoints(run) == [first, damaged, later]


@pytest.mark.parametrize("name", [*FILES, SUMS])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "longer", "link", "directory"])
def test_every_damage_to_every_file_is_seen_and_named(
    run: RunDirectory, tmp_path: Path, name: str, damage: str
) -> None:
    checkpoint = write_checkpoint(run, 4)
    path = checkpoint.path / name
    content = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.touch()
        case "truncated":
            path.write_bytes(content[:-2])
        case "longer":
            path.write_bytes(content + b"}")
        case "link":
            path.symlink_to(tmp_path / "gone")
        case "directory":
            path.mkdir()
    absent = damage in ("missing", "link", "directory")
    readable = name != SUMS or damage in ("missing", "link")
    wrong = "can't be read" if not readable else "is missing" if absent else "is not what was written"
    with pytest.raises(PoemError) as caught:
        read_state(checkpoint)
    assert (caught.value.message, caught.value.where) == (f"{name} {wrong}", str(checkpoint.path))
    assert caught.value.hint == "Copy it again, or go on from an older checkpoint."


@pytest.mark.parametrize("name", FILES)
def test_a_link_to_the_right_content_is_not_the_file(run: RunDirectory, tmp_path: Path, name: str) -> None:
    checkpoint = write_checkpoint(run, 4)
    (checkpoint.path / name).rename(tmp_path / "same")
    (checkpoint.path / name).symlink_to(tmp_path / "same")
    with pytest.raises(PoemError, match=f"{name} is missing"):
        read_state(checkpoint)


@pytest.mark.parametrize("name", [*FILES, SUMS])
def test_every_flipped_bit_is_seen(run: RunDirectory, name: str) -> None:
    checkpoint = write_checkpoint(run, 4)
    content = (checkpoint.path / name).read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        (checkpoint.path / name).write_bytes(flipped)
        with pytest.raises(PoemError):
            read_state(checkpoint)
    (checkpoint.path / name).write_bytes(content)
    assert read_state(checkpoint)["step"] == 4


@pytest.mark.parametrize(
    "text", ["null", "[]", "{}", '{"sha256": null}', '{"sha256": []}', '{"sha256": 7}', "[" * 100_000, '{"sha256": "'],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_sums_that_are_none(run: RunDirectory, text: str) -> None:
    checkpoint = write_checkpoint(run, 4)
    (checkpoint.path / SUMS).write_text(text, encoding="utf-8")
    with pytest.raises(PoemError, match=r"checksums\.json can't be read"):
        read_state(checkpoint)


def test_a_sum_of_a_file_elsewhere_lets_nobody_look_there(run: RunDirectory, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(run, 4)
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    sums = {"../../../secret": hashlib.sha256(b"s").hexdigest()}
    (checkpoint.path / SUMS).write_text(json.dumps({"sha256": sums}), encoding="utf-8")
    with pytest.raises(PoemError, match=r"secret is missing"):
        read_state(checkpoint)


def test_a_name_that_a_terminal_would_obey(run: RunDirectory) -> None:
    checkpoint = write_checkpoint(run, 4)
    (checkpoint.path / SUMS).write_text(json.dumps({"sha256": {"\x1b[2J": ""}}), encoding="utf-8")
    with pytest.raises(PoemError) as caught:
        read_state(checkpoint)
    assert caught.value.message == "␛[2J is missing"


@pytest.mark.parametrize("text", ["null", "[]", "{}", '{"step": 3}', '{"step": "4"}', "[" * 100_000, "\ufeff{}"])
def test_a_state_that_is_none_though_its_sum_is_right(run: RunDirectory, text: str) -> None:
    checkpoint = write_checkpoint(run, 4, sealed=False)
    (checkpoint.path / STATE_FILE).write_text(text, encoding="utf-8")
    seal(checkpoint.path)
    with pytest.raises(PoemError, match=r"state\.json can't be read"):
        read_state(checkpoint)


def test_a_checkpoint_under_the_name_of_another_step(run: RunDirectory) -> None:
    write_checkpoint(run, 4).path.rename(run.checkpoint_path(8))
    with pytest.raises(PoemError, match=r"the checkpoint of step 8 can't be resumed: state\.json can't be read"):
        choose_checkpoint(run)


def test_the_newest_is_gone_on_from_or_the_one_that_is_named(run: RunDirectory) -> None:
    four, eight = write_checkpoint(run, 4), write_checkpoint(run, 8)
    assert choose_checkpoint(run) == eight
    assert choose_checkpoint(run, 4) == four
    assert choose_checkpoint(run, 0) is None
    for step in (6, -4, 12):
        with pytest.raises(PoemError, match=f"has no checkpoint of step {step}") as caught:
            choose_checkpoint(run, step)
        assert caught.value.hint == "It has: 4, 8."


def test_the_next_older_one_that_is_whole_is_offered(run: RunDirectory) -> None:
    _four, eight, twelve = (write_checkpoint(run, step) for step in (4, 8, 12))
    (eight.path / "optimiser.safetensors").unlink()
    assert choose_checkpoint(run) == twelve
    with pytest.raises(PoemError) as caught:
        choose_checkpoint(run, 8)
    assert caught.value.message == "the checkpoint of step 8 can't be resumed: optimiser.safetensors is missing"
    assert caught.value.hint == f"Go on from step 4: poemcore resume {typed(run)} --from 4"
    (twelve.path / STATE_FILE).write_bytes(b"")
    with pytest.raises(PoemError) as caught:
        choose_checkpoint(run)
    assert caught.value.message == ("the checkpoint of step 12 can't be resumed: state.json is not what was written")
    assert caught.value.hint == f"Go on from step 4: poemcore resume {typed(run)} --from 4"
    assert caught.value.where == str(twelve.path)


def test_where_none_is_whole_the_beginning_is_offered(run: RunDirectory) -> None:
    for step in (4, 8):
        (write_checkpoint(run, step).path / STATE_FILE).unlink()
    with pytest.raises(PoemError) as caught:
        choose_checkpoint(run)
    assert caught.value.hint == f"Go on from step 0: poemcore resume {typed(run)} --from 0"
    assert choose_checkpoint(run, 0) is None


def test_what_was_done_after_a_step_is_removed(run: RunDirectory, tmp_path: Path) -> None:
    four, _eight, twelve = (write_checkpoint(run, step) for step in (4, 8, 12))
    (twelve.path / STATE_FILE).unlink()  # a damaged one is no longer wanted either
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / SUMS).touch()
    link = run.checkpoint_path(16)
    link.symlink_to(tmp_path / "mine", target_is_directory=True)
    assert remove_after(run, 4) == [8, 12]
    assert sorted(os.listdir(run.checkpoints_path)) == [four.path.name, link.name]
    assert (tmp_path / "mine" / SUMS).exists()
    assert remove_after(run, 4) == []


def test_what_a_killed_worker_left_is_tidied_and_nothing_else(run: RunDirectory, tmp_path: Path) -> None:
    four = write_checkpoint(run, 4)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").touch()
    for folder in (run.checkpoints_path / ".step-000008.new" / "adapter", run.path / ".adapter.new"):
        folder.mkdir(parents=True)
        (folder / "half").touch()
    (run.checkpoints_path / ".step-000012.new").symlink_to(tmp_path / "mine", target_is_directory=True)
    (run.checkpoints_path / ".notes").mkdir()
    run.adapter_path.mkdir()
    tidy(run)
    assert sorted(os.listdir(run.path)) == ["adapter", "checkpoints"]
    assert {".notes", four.path.name} <= set(os.listdir(run.checkpoints_path))
    assert not (run.checkpoints_path / ".step-000008.new").exists()
    assert (tmp_path / "mine" / "a").exists()
    assert read_state(four)["step"] == 4
