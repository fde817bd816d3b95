"""Profiles as files and names: what is found, what is refused, and how the problems of a file are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import PoemError
from core.profile.document import load_profile


def load_error(name: Path | str) -> PoemError:
    with pytest.raises(PoemError) as caught:
        load_profile(str(name))
    return caught.value


def test_one_problem_is_told_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("[train]\nepochs = 0\n", encoding="utf-8")
    error = load_error(path)
    assert (error.where, error.message) == (f"{path}:2", "train.epochs can't be 0")
    assert error.hint == "It may be: 1 to 10,000 epochs."


def test_several_problems_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("[train]\nepochs = 0\nepoch = 3\n", encoding="utf-8")
    error = load_error(path)
    assert error.where == str(path)
    assert error.message == (
        "2 problems in the profile:\n"
        "  line 2: train.epochs can't be 0\n"
        "      It may be: 1 to 10,000 epochs.\n"
        "  line 3: there is no key train.epoch\n"
        "      Did you mean train.epochs?"
    )


def test_a_flood_of_problems_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("\n".join(f"k{number} = 1" for number in range(50)), encoding="utf-8")
    message = load_error(path).message
    assert message.startswith("50 problems in the profile:\n")
    assert message.endswith("\n  … and 30 more")


def test_a_missing_file_near_a_preset(tmp_path: Path) -> None:
    error = load_error(tmp_path / "tang-tiny-cpy.toml")
    assert error.message == "there is no such profile"
    assert error.hint.startswith("Did you mean tang-tiny-cpu? The presets are: original-recipe, ")


def test_a_missing_file_near_another(tmp_path: Path) -> None:
    (tmp_path / "lushi.toml").write_text("", encoding="utf-8")
    assert load_error(tmp_path / "lusih.toml").hint.startswith(f"Did you mean {tmp_path / 'lushi.toml'}? ")


def test_a_missing_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = load_error("tang_tiny_cpu")
    assert (error.where, error.message) == ("tang_tiny_cpu", "there is no preset and no file of that name")
    assert error.hint.startswith("Did you mean tang-tiny-cpu?")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes("[train]\n# 唐詩\n".encode("gbk"))
    error = load_error(path)
    assert (error.where, error.message) == (f"{path}:2", "not UTF-8: byte 0xCC on line 2")


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("[train]\n", encoding="utf-8-sig")
    assert load_error(path).where == f"{path}:1"


def test_a_folder(tmp_path: Path) -> None:
    assert load_error(tmp_path).message == "this is a folder, not a profile"


def test_a_data_file_by_mistake(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    assert load_error(path).message == "a file of more than 1 MB is no profile"


def test_a_device_file_does_not_run_forever() -> None:
    assert load_error("/dev/zero").message == "a file of more than 1 MB is no profile"


def test_links_in_a_circle_and_impossible_names(tmp_path: Path) -> None:
    (tmp_path / "a.toml").symlink_to(tmp_path / "b.toml")
    (tmp_path / "b.toml").symlink_to(tmp_path / "a.toml")
    assert load_error(tmp_path / "a.toml").message.startswith("can't read the profile: ")
    assert load_error("a\0b.toml").where == "a␀b.toml"
    assert load_error("x" * 5000 + ".toml").message.startswith("can't read the profile: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.touch(mode=0o000)
    assert load_error(path).message.startswith("can't read the profile: ")


def test_a_name_that_is_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tang-tiny-cpu", "tang-tiny-cpu.toml", "mine"):
        Path(name).write_text("[train]\nepochs = 77\n", encoding="utf-8")
    assert load_profile("tang-tiny-cpu").train.epochs != 77
    assert load_profile("./tang-tiny-cpu").train.epochs == 77
    assert load_profile("tang-tiny-cpu.toml").train.epochs == 77
    assert load_profile("mine").train.epochs == 77
