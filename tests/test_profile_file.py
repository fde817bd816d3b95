"""The Profile pane and its file: opened, saved, reverted, compared, changed by another program, restored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from core.profile.presets import preset_names, preset_text
from tests.pilot import settle, until
from tests.profile_pane import HOSTILE, TEXT, PaneApp, drive, field, press, put_cursor, with_run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def changed_by_another(path: Path, text: str) -> None:
    """Another program replaces the file."""
    new = path.with_name("new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def question(app: PaneApp) -> str:
    """What the dialog in front says."""
    return " ".join(str(found.render()) for found in app.screen.query(Static))


def test_what_was_typed_is_saved_as_it_stands(file: Path) -> None:
    file.chmod(0o640)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "# 我的")
        await press(pilot, "x")
        assert app.profile_state.unsaved
        await press(pilot, "ctrl+s")
        assert file.read_text(encoding="utf-8") == TEXT.replace("# 我的", "# 我的x")
        assert file.stat().st_mode & 0o777 == 0o640
        assert not app.profile_state.unsaved and app.notes == [f"Saved: {file}"]
        await press(pilot, "y", "ctrl+s", "ctrl+z")
        assert app.profile_state.unsaved and "我的xy" in file.read_text(encoding="utf-8")

    drive(file, steps)


def test_a_preset_is_saved_to_a_file_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.toml").write_text("old", encoding="utf-8")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await press(pilot, "z", "ctrl+s")
        assert field(app).value == "tang-tiny-cpu.toml"
        for wrong in ("", "a.txt", "none/a.toml", "~nobody-at-all/a.toml", "x" * 5000 + "/a.toml"):
            field(app).value = wrong
            await press(pilot, "enter")
            assert len(app.screen_stack) == 2 and app.shown(".dialog--problem"), wrong
        field(app).value = "there.toml"
        await press(pilot, "enter")
        assert "there.toml is there already." in question(app)
        await press(pilot, "n")
        assert (tmp_path / "there.toml").read_text(encoding="utf-8") == "old" and app.profile_state.path is None
        await press(pilot, "ctrl+s")
        await press(pilot, "enter")
        assert (tmp_path / "tang-tiny-cpu.toml").read_text(encoding="utf-8") == "z" + preset_text("tang-tiny-cpu")
        assert app.profile_state.path == Path("tang-tiny-cpu.toml") and not app.profile_state.unsaved
        app.pane.focus()
        await press(pilot, "s")
        field(app).value = "there.toml"
        await press(pilot, "enter")
        await press(pilot, "y")
        assert (tmp_path / "there.toml").read_text(encoding="utf-8").startswith("z# ")
        assert app.profile_state.source == "there.toml"
        await app.pane.run_action("save_as")
        await settle(pilot)
        field(app).value = "x" * 300 + ".toml"
        await press(pilot, "enter")
        assert "can't write the profile" in app.notes[-1]

    drive("", steps)


def test_line_ends_and_links_stay(tmp_path: Path) -> None:
    target = tmp_path / "target.toml"
    target.write_bytes(b"[train]\r\nepochs = 3 # a\r\n")
    (tmp_path / "link.toml").symlink_to(target)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert not app.profile_state.unsaved and app.notes == []
        put_cursor(app, "epochs")
        await press(pilot, "f8", "end", "enter", "x", "ctrl+s")
        assert target.read_bytes() == b"[train]\r\nepochs = 4 # a\r\nx\r\n"
        assert (tmp_path / "link.toml").is_symlink()

    drive(tmp_path / "link.toml", steps)


def test_mixed_line_ends_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mixed.toml"
    path.write_bytes(b"[train]\r\nepochs = 3\n")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert app.notes == ["The lines of this file end in different ways; saving it makes them alike."]
        assert not app.profile_state.unsaved

    drive(path, steps)


def test_reverting_is_confirmed(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await press(pilot, "ctrl+r")
        assert len(app.screen_stack) == 1
        await press(pilot, "x", "ctrl+r", "enter")
        assert app.editor.text == "x" + TEXT
        await press(pilot, "ctrl+r", "y")
        assert app.editor.text == TEXT and not app.profile_state.unsaved
        await press(pilot, "x")
        file.unlink()
        await press(pilot, "ctrl+r", "y")
        assert app.editor.text == TEXT and "there is no such profile" in app.notes[0]

    drive(file, steps)


def test_another_profile_is_opened_after_a_question(file: Path, tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        names = list(preset_names())
        app.pane.focus()
        await press(pilot, "n")
        assert app.options == names
        await press(pilot, "home", "enter")
        assert app.profile_state.source == names[0]
        app.pane.focus()
        await press(pilot, "enter", "x", "ctrl+o")
        with_run(app, tmp_path / "r[b]un", "[train]\nepochs = 77\n")
        await press(pilot, "escape")
        await press(pilot, "ctrl+o")
        assert app.options == ["a file …", *(f"preset {name}" for name in names), "the profile of the run r[b]un"]
        await press(pilot, "end", "enter")
        assert f"{names[0]} has changes that aren't saved." in question(app)
        await press(pilot, "enter")
        assert app.profile_state.source == names[0] and app.editor.text.startswith("x")
        await press(pilot, "ctrl+o", "end", "enter", "y")
        assert app.editor.text == "[train]\nepochs = 77\n"
        await press(pilot, "ctrl+o", "home", "enter")
        field(app).value = str(file)
        await press(pilot, "enter")
        assert app.profile_state.path == file and app.editor.text == TEXT

    drive("", steps)


def test_an_empty_file_is_no_reason_to_lose_what_is_typed(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.touch()

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await press(pilot, "x")
        app.pane.open_profile("original-recipe")
        await settle(pilot)
        assert len(app.screen_stack) == 2 and app.editor.text == "x"

    drive(path, steps)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.toml", None, "there is no such profile"),
        ("latin.toml", "[train] # é".encode("latin-1"), "not UTF-8: byte 0xE9 on line 1"),
        ("big.toml", b"#" * 1_000_001, "a file of more than 1 MB is no profile"),
    ],
)
def test_what_can_not_be_read_is_said_and_the_rest_stays(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert said in app.notes[0]
        assert app.profile_state.source == "tang-tiny-cpu" and not app.profile_state.unsaved

    drive(tmp_path / name, steps)


def test_a_change_by_another_program_is_read_where_nothing_was_typed(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        put_cursor(app, "epochs")
        changed_by_another(file, TEXT.replace("epochs = 3", "epochs = 8"))
        app.pane._look_at_disk()
        await settle(pilot)
        assert "epochs = 8" in app.editor.text and app.editor.cursor_location == (5, 6)
        assert len(app.notes) == 1 and "was changed by another program" in app.notes[0]
        changed_by_another(file, "\xff")
        file.write_bytes(b"\xff")
        app.pane._look_at_disk()
        app.pane._look_at_disk()
        await settle(pilot)
        assert "epochs = 8" in app.editor.text and len(app.notes) == 2 and "not UTF-8" in app.notes[1]

    drive(file, steps)


def test_a_change_by_another_program_is_asked_about_once_where_something_was_typed(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await press(pilot, "x")
        changed_by_another(file, "# other\n")
        app.set_focus(None)
        app.pane._look_at_disk()
        await settle(pilot)
        assert len(app.screen_stack) == 1  # one is busy elsewhere
        app.editor.focus()
        await settle(pilot)
        for _turn in range(2):
            app.pane._look_at_disk()
            await settle(pilot)
            assert len(app.screen_stack) == 2
        await press(pilot, "enter")  # keep mine
        app.pane._look_at_disk()
        await settle(pilot)
        assert app.editor.text == "x" + TEXT and len(app.screen_stack) == 1
        await press(pilot, "ctrl+s")
        assert "Write over that?" in question(app)
        await press(pilot, "enter")
        assert file.read_text(encoding="utf-8") == "# other\n"
        await press(pilot, "ctrl+s", "y")
        assert file.read_text(encoding="utf-8") == "x" + TEXT and not app.profile_state.unsaved
        await press(pilot, "x")
        changed_by_another(file, "# again\n")
        app.pane._look_at_disk()
        await settle(pilot)
        await press(pilot, "y")
        assert app.editor.text == "# again\n" and not app.profile_state.unsaved

    drive(file, steps)


def test_differences_from_what_was_saved_a_preset_and_a_run(file: Path, tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        with_run(app, tmp_path / "run", TEXT.replace("epochs = 3", "epochs = 9") + f"# {HOSTILE}\n")
        put_cursor(app, "epochs")
        await press(pilot, "f8")
        app.pane.focus()
        await press(pilot, "d")
        assert app.options[0] == "what was saved" and app.options[-1] == "the profile of the run run"
        await press(pilot, "enter")
        assert "- epochs = 3   # 輪" in app.text and "+ epochs = 4   # 輪" in app.text
        await press(pilot, "escape", "d", "end", "enter")
        assert "- epochs = 9   # 輪" in app.text and "- # [/] 夜[bold]雨[@click=app.quit]寄北␛[2J" in app.text
        await press(pilot, "q", "d", "down", "enter")
        assert "Differences from preset original-recipe" in app.text
        await press(pilot, "escape")
        await app.pane.run_action("revert")
        await press(pilot, "y")
        app.pane.focus()
        await press(pilot, "d", "home", "enter")
        assert "They are the same." in app.text
        await press(pilot, "escape")
        (tmp_path / "run" / "profile.toml").unlink()
        await press(pilot, "d", "end", "enter")
        assert len(app.screen_stack) == 1 and "there is no such profile" in app.notes[-1]

    drive(file, steps)


def test_a_run_s_own_profile_is_read_but_never_written(tmp_path: Path) -> None:
    own = tmp_path / "20261124-101500-tang" / "profile.toml"
    own.parent.mkdir()
    own.write_text(TEXT, encoding="utf-8")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.runs_dir = tmp_path
        app.pane.open_profile(str(own))
        await settle(pilot)
        assert (app.profile_state.source, app.profile_state.path) == (str(own), None)
        assert "preset" not in app.shown("#profile-head")
        await press(pilot, "x", "ctrl+s")
        assert field(app).value == "profile.toml"
        await press(pilot, "escape")
        state = app.pane.state()
        own.unlink()
        app.pane.restore(state)
        await settle(pilot)
        assert app.editor.text.startswith("x") and app.profile_state.path is None

    drive("", steps, (200, 60))


def test_a_file_that_is_gone_is_written_again(file: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        file.unlink()
        await press(pilot, "x", "ctrl+s")
        assert len(app.screen_stack) == 1 and file.read_text(encoding="utf-8") == "x" + TEXT

    drive(file, steps)


def test_the_draft_is_there_again(file: Path) -> None:
    kept = []

    async def leave(app: PaneApp, pilot: Pilot[None]) -> None:
        assert dict(app.pane.state()) == {"source": str(file), "line": 0}
        put_cursor(app, "epochs")
        await press(pilot, "f8")
        kept.append(dict(app.pane.state()))

    async def come_back(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.restore(kept[0])
        await settle(pilot)
        assert "epochs = 4" in app.editor.text and app.profile_state.unsaved and app.profile_state.path == file
        assert dict(app.pane.state()) == kept[0]
        await press(pilot, "ctrl+s")
        assert "epochs = 4" in file.read_text(encoding="utf-8") and not app.profile_state.unsaved

    async def come_back_to_another_text(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.restore(kept[0])
        app.pane.focus_pane()
        await settle(pilot)
        assert "epochs = 4" in app.editor.text and app.profile_state.unsaved
        app.pane._look_at_disk()
        await settle(pilot)
        assert "was changed by another program" in question(app)
        await press(pilot, "enter", "ctrl+s")
        assert "Write over that?" in question(app)
        await press(pilot, "enter")
        assert file.read_text(encoding="utf-8") == "# other\n"

    async def come_back_to_nothing(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.restore(kept[0])
        await settle(pilot)
        assert "epochs = 4" in app.editor.text and app.profile_state.unsaved
        assert app.profile_state.path == file and "there is no such profile" in app.notes[0]
        await press(pilot, "ctrl+s")
        assert "epochs = 4" in file.read_text(encoding="utf-8")

    drive(file, leave)
    drive("", come_back)
    file.write_text("# other\n", encoding="utf-8")
    drive("", come_back_to_another_text)
    file.unlink()
    drive("", come_back_to_nothing)


def test_the_draft_of_a_preset_and_what_else_restore_bears() -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        for broken in (
            {}, {"source": 7}, {"source": ""}, {"source": "a\0b"}, {"source": "x" * 5000}, {"source": "~nobody/x.toml"},
            {"source": "tang-tiny-cpu", "line": "x", "draft": 7}, {"source": "tang-tiny-cpu", "line": -4},
            {"source": "tang-tiny-cpu", "line": 10**9, "draft": "x", "saved": None},
        ):  # fmt: skip
            app.pane.restore(broken)
            await settle(pilot)
            assert app.editor.text == preset_text("tang-tiny-cpu") and not app.pane.unsaved, broken
        app.pane.restore({"source": "original-recipe", "draft": "# mine\n", "saved": preset_text("original-recipe")})
        await settle(pilot)
        assert (app.profile_state.source, app.profile_state.unsaved, app.editor.text) == (
            "original-recipe", True, "# mine\n",
        )  # fmt: skip

    drive("", steps)


def test_the_disk_is_looked_at_by_the_clock(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.panes.profile_file._LOOK_AT_DISK_S", 0.1)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        changed_by_another(file, "# other\n")
        os.utime(file, ns=(1, 1))
        await until(pilot, lambda: app.editor.text == "# other\n")

    drive(file, steps)
