"""What the app remembers, keys of a person's own, how it is left, and accidents that it lives through."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from core.runs.lock import lock_run
from tests.frame_stage import make_app, play, seen_panes
from tests.pilot import text_of, told_by, until
from tests.runs_stage import TANG, started, write_run
from tui.app import PANES
from tui.commands import all_classes
from tui.follow import Follower
from tui.keys import binding_ids
from tui.panes.profile import ProfilePane
from tui.panes.runs import RunsPane
from tui.start import Start
from tui.widgets.dialogs import Confirm, ErrorReport


def test_the_next_start_finds_what_the_last_one_left(tmp_path: Path) -> None:
    async def leave(pilot: Pilot[None]) -> None:
        first.query_one(RunsPane).restore({"query": "tang", "order": "loss"})
        await pilot.press("f6", "t")
        await until(pilot, lambda: first.pane == "runs")
        await pilot.press("f10")
        await until(pilot, lambda: first._exit)

    first = make_app(tmp_path)
    play(first, leave)
    assert (tmp_path / "app.json").stat().st_mode & 0o777 == 0o600

    async def look(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: second.pane == "runs" and seen_panes(second) == ["runs"])
        assert second.theme == first.theme
        state = second.query_one(RunsPane).state()
        assert (state["query"], state["order"]) == ("tang", "loss")
        assert "Welcome" not in text_of(second)

    second = make_app(tmp_path, Start())
    play(second, look)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "[" * 5000, '{"pane": 7, "theme": [], "panes": 3}', '{"pane": "gone", "panes": {"data": {"path": 7}}}'],
)
def test_a_damaged_memory_is_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / "app.json").write_text(text, encoding="utf-8")

    async def steps(pilot: Pilot[None]) -> None:
        assert (app.pane, seen_panes(app)) == ("data", ["data"])

    app = make_app(tmp_path)
    play(app, steps)


@pytest.fixture(scope="module")
def state_keys(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What the panes remember."""
    folder = tmp_path_factory.mktemp("state")

    async def steps(pilot: Pilot[None]) -> None:
        app.remember()

    app = make_app(folder)
    play(app, steps)
    remembered = json.loads((folder / "app.json").read_text(encoding="utf-8"))
    keys = {key for state in remembered["panes"].values() for key in state}
    assert {"query", "order"} <= keys
    return keys


@pytest.mark.parametrize(
    "value", [None, 7, "長" * 9, [[]], {"a": {}}], ids=["null", "number", "text", "list", "object"]
)
def test_any_state_of_every_pane_is_borne(tmp_path: Path, state_keys: set[str], value: object) -> None:
    panes = {pane: dict.fromkeys(state_keys, value) for pane in PANES}
    (tmp_path / "app.json").write_text(json.dumps({"panes": panes}), encoding="utf-8")

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("f6")
        await until(pilot, lambda: app.pane == "runs")
        assert not isinstance(app.screen, ErrorReport)

    app = make_app(tmp_path)
    play(app, steps)


def test_keys_of_ones_own(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", TANG, started(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        copied: list[str] = []
        app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        await pilot.press("f9")
        await until(pilot, lambda: app.pane == "runs" and bool(app.runs))
        await until(pilot, lambda: app.query_one(RunsPane).run_under_cursor() is not None)
        await pilot.press("y", "5", "v")
        await until(pilot, lambda: copied == [str(run.path)])

    app = make_app(tmp_path, keys={"pane.runs": "f9", "runs.path": "v"})
    play(app, steps)


def test_an_unknown_id_is_told_with_the_nearest(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        assert told_by(app) == [
            f"{tmp_path / 'config.toml'}: [keys] names runs.pth, which nothing is called. Did you mean runs.path?"
        ]

    app = make_app(tmp_path, keys={"runs.pth": "v"})
    play(app, steps)


def test_every_binding_has_an_id_and_no_id_is_two_things() -> None:
    ids: dict[str, str] = {}
    for cls in all_classes():
        for binding in cls.__dict__.get("BINDINGS", ()):
            assert binding.id, f"{cls.__name__}: {binding}"
            assert ids.setdefault(binding.id, binding.action) == binding.action, binding.id
    assert set(ids) == binding_ids(all_classes())


def test_leaving_asks_where_the_profile_is_not_saved(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app.profile_state = app.profile_state._replace(unsaved=True)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        said = str(app.screen.query_one(".dialog--text Static", Static).render())
        assert said.endswith("has changes that aren't saved. They will be here at the next start.")
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, Confirm))
        assert not app._exit
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: app._exit)

    app = make_app(tmp_path)
    play(app, steps)


def test_an_accident_while_it_looks_at_the_runs_is_reported_once_and_the_app_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    falls = [True]
    look = Follower.look

    def fall(follower: Follower, is_cancelled: object) -> object:
        if falls:
            falls.pop()
            raise RuntimeError("[/] fell over")
        return look(follower, is_cancelled)  # type: ignore[arg-type]

    monkeypatch.setattr(Follower, "look", fall)
    write_run(tmp_path / "runs", TANG, started(TANG))

    async def steps(pilot: Pilot[None]) -> None:
        copied: list[str] = []
        app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        await until(pilot, lambda: isinstance(app.screen, ErrorReport))
        assert "RuntimeError: [/] fell over" in text_of(app)
        await pilot.press("c", "escape")
        await until(pilot, lambda: not isinstance(app.screen, ErrorReport))
        assert "Traceback" in copied[0]
        await until(pilot, lambda: [run.id for run in app.runs] == [TANG])

    app = make_app(tmp_path)
    play(app, steps)


def test_a_hangup_ends_the_app_with_everything_remembered(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("f6")
        await until(pilot, lambda: app.pane == "runs")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(pilot, lambda: app._exit)

    app = make_app(tmp_path)
    play(app, steps)
    assert json.loads((tmp_path / "app.json").read_text(encoding="utf-8"))["pane"] == "runs"


def test_whoever_leaves_before_the_panes_are_there_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = {"source": "tang-tiny-cpu", "draft": "# mine", "saved": "", "line": 0}
    kept = json.dumps({"pane": "data", "panes": {"profile": draft}})
    (tmp_path / "app.json").write_text(kept, encoding="utf-8")
    compose = ProfilePane.compose
    left: list[str] = []

    def leave_first(self: ProfilePane) -> ComposeResult:
        left.append(app.remember())  # what leaving does beside ending the app
        assert (tmp_path / "app.json").read_text(encoding="utf-8") == kept
        return compose(self)

    monkeypatch.setattr(ProfilePane, "compose", leave_first)

    async def steps(pilot: Pilot[None]) -> None:
        assert left == [""] and app.query_one(ProfilePane).state()["draft"] == "# mine"

    app = make_app(tmp_path)
    play(app, steps)


def test_it_leaves_within_a_second_while_runs_are_followed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", TANG, started(TANG))
    asked_s: list[float] = []

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: [seen.view.status for seen in app.runs] == ["running"])
        await pilot.press("f6", "enter")
        await until(pilot, lambda: app.pane == "train")
        asked_s.append(time.monotonic())
        await pilot.press("f10")
        await until(pilot, lambda: app._exit)

    app = make_app(tmp_path)
    with lock_run(run, patience_s=0):
        play(app, steps)
    assert time.monotonic() - asked_s[0] < 1.0
