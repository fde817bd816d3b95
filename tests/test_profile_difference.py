"""How texts and values of profiles differ, and how a text gets to its file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from core.errors import PoemError
from core.profile.difference import DiffLine, difference, differing_keys
from core.profile.document import check_text
from core.profile.files import write_profile_text
from core.profile.presets import preset_text
from core.profile.schema import Profile


def profile(text: str) -> Profile:
    found, problems = check_text(text)
    assert found is not None, problems
    return found


def test_lines() -> None:
    before = "[train]\n# 一\nepochs = 1 # 輪\nseed = 2\nr = 1\ns = 1\nt = 1\nu = 1\nv = 1\nlast = 1"
    after = before.replace("epochs = 1", "epochs = 3").replace("last = 1", "last = 2\nnew = 1")
    assert difference(before, after, around=1) == (
        DiffLine("gap", ""),
        DiffLine("same", "# 一"),
        DiffLine("removed", "epochs = 1 # 輪"),
        DiffLine("added", "epochs = 3 # 輪"),
        DiffLine("same", "seed = 2"),
        DiffLine("gap", ""),
        DiffLine("same", "v = 1"),
        DiffLine("removed", "last = 1"),
        DiffLine("added", "last = 2"),
        DiffLine("added", "new = 1"),
    )
    assert difference(before, before) == difference("", "") == difference("a\n", "a\r\n") == ()
    assert difference("", "--- a\n+++ b") == (
        DiffLine("gap", ""), DiffLine("added", "--- a"), DiffLine("added", "+++ b"),
    )  # fmt: skip


def test_texts_that_would_take_minutes() -> None:
    text = "\n".join(f"a{number} = 1" for number in range(5_001))
    with pytest.raises(PoemError, match="more than 5000 lines"):
        difference("", text)


def test_values() -> None:
    tiny = preset_text("tang-tiny-cpu")
    first, second, third = (
        profile(tiny), profile(tiny.replace("epochs = 3 ", "epochs = 9 ")), profile(tiny.replace("r = 16", "r = 8")),
    )  # fmt: skip
    assert list(differing_keys([first, second, third])) == [("train.epochs", (3, 9, 3)), ("lora.r", (16, 16, 8))]
    assert list(differing_keys([first, first])) == list(differing_keys([first])) == list(differing_keys([])) == []


def test_a_text_is_written_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "詩.toml"
    before = os.umask(0o027)
    try:
        write_profile_text(path, "# 日\r\nepochs = 1\n\tx\r")
    finally:
        os.umask(before)
    assert path.read_bytes() == "# 日\r\nepochs = 1\n\tx\r".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [found.name for found in tmp_path.iterdir()] == ["詩.toml"]


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "a.toml"
    target.write_text("a", encoding="utf-8")
    target.chmod(0o604)
    link = tmp_path / "link.toml"
    link.symlink_to("there/a.toml")
    write_profile_text(link, "b")
    assert link.is_symlink() and target.read_text(encoding="utf-8") == "b"
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


@pytest.mark.parametrize("name", ["none/a.toml", "folder", "x" * 300 + ".toml", "a\0b.toml", "file/a.toml"])
def test_what_can_not_be_written_is_said_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old", encoding="utf-8")
    with pytest.raises(PoemError, match="can't write the profile"):
        write_profile_text(tmp_path / name, "x")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "folder"]


def test_half_of_a_surrogate_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(PoemError):
        write_profile_text(path, "new \ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["a.toml"]
    planted = tmp_path / f".a.toml.{os.getpid()}.new"
    planted.symlink_to(tmp_path / "victim")
    with pytest.raises(PoemError):
        write_profile_text(path, "new")
    assert not (tmp_path / "victim").exists()
