"""The frame of the app: its panes by key and mouse, side by side, alone; help, palette, colours, small terminals."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from core import i18n
from core.data.rows import SAMPLE
from core.i18n import _
from tests.frame_stage import make_app, play, seen_panes
from tests.pilot import lines_of, text_of, told_by, until
from tui.app import PANES, PoemApp
from tui.commands import PoemCommands
from tui.help import HelpScreen
from tui.keys import keys_of
from tui.pane import Pane
from tui.plain import fit
from tui.start import Start
from tui.themes import OFFERED
from tui.widgets.header import TabLine
from tui.workbench import DataState, ProfileState

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
def test_panes_by_number_and_by_function_key(tmp_path: Path, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        tiled = size == (200, 60)
        for number, pane in enumerate(PANES, start=1):
            app.query_one("#data", Pane).focus()
            await pilot.press(str(number))
            await until(pilot, lambda wanted=pane: app.pane == wanted and app.focused is not None)  # type: ignore[misc]
            assert seen_panes(app) == (list(PANES) if tiled else [pane])
            assert app.query_one(f"#{pane}", Pane) in app.focused.ancestors_with_self  # type: ignore[union-attr]
            assert all(cell_len(line) <= size[0] for line in lines_of(app))
        for number, pane in enumerate(PANES, start=2):
            await pilot.press(f"f{number}")
            await until(pilot, lambda wanted=pane: app.pane == wanted)  # type: ignore[misc]

    app = make_app(tmp_path)
    play(app, steps, size)


def test_panes_by_function_key_from_a_text_field(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("1", "slash", "2")
        await until(pilot, lambda: app.query_one("#search", Input).value == "2")
        assert app.pane == "data"
        await pilot.press("f6")
        await until(pilot, lambda: app.pane == "runs")

    app = make_app(tmp_path)
    play(app, steps)


def test_a_tab_is_clicked(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        line = next(line for line in lines_of(app) if "5 Runs" in line)
        await pilot.click(TabLine, offset=(line.index("5 Runs"), 0))
        await until(pilot, lambda: app.pane == "runs" and seen_panes(app) == ["runs"])

    app = make_app(tmp_path)
    play(app, steps)


def test_side_by_side_only_where_there_is_room_and_as_one_likes(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        assert seen_panes(app) == list(PANES)
        assert not app.query_one(TabLine).display
        await pilot.press("f12")
        await until(pilot, lambda: seen_panes(app) == ["data"])
        assert app.query_one(TabLine).display
        await pilot.press("f12")
        await until(pilot, lambda: seen_panes(app) == list(PANES))
        await pilot.resize_terminal(159, 60)
        await until(pilot, lambda: seen_panes(app) == ["data"])
        await pilot.press("w", "w")
        assert told_by(app) == ["Side by side takes a terminal of 160 × 45 characters."]
        await pilot.resize_terminal(160, 45)
        await until(pilot, lambda: seen_panes(app) == list(PANES))

    app = make_app(tmp_path)
    play(app, steps, (200, 60))


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_a_pane_alone_and_back(tmp_path: Path, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        before = seen_panes(app)
        await pilot.press("5", "f11")
        await until(pilot, lambda: seen_panes(app) == ["runs"])
        assert app.query_one("#runs", Pane).size.height == size[1] - 1
        await pilot.press("z")
        await until(pilot, lambda: seen_panes(app) == (["runs"] if len(before) == 1 else before))

    app = make_app(tmp_path)
    play(app, steps, size)


@pytest.mark.parametrize("lang", i18n.LANGUAGES)
def test_too_small_a_terminal_is_told_until_it_is_larger(tmp_path: Path, lang: str) -> None:
    i18n.use(lang)

    async def steps(pilot: Pilot[None]) -> None:
        for size in ((79, 24), (80, 23), (20, 5)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: seen_panes(app) == [])
            assert "80 × 24" in " ".join(text_of(app).split()), size
            await pilot.resize_terminal(80, 24)
            await until(pilot, lambda: seen_panes(app) == ["data"])
            assert "80 × 24" not in text_of(app)

    app = make_app(tmp_path)
    play(app, steps, (79, 24))


def test_resizing_in_a_storm_ends_well(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        for width in (200, 79, 160, 81, 300, 80):
            await pilot.resize_terminal(width, width // 3 + 20)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: seen_panes(app) == ["data"] and len(lines_of(app)) == 24)
        assert all(cell_len(line) <= 80 for line in lines_of(app))

    app = make_app(tmp_path)
    play(app, steps)


def test_an_action_that_makes_no_sense_now_says_so(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await PoemCommands(app.screen)._act("train", "end")
        await until(pilot, lambda: "That does nothing as things are now." in " ".join(told_by(app)))
        assert app.pane == "train"

    app = make_app(tmp_path)
    play(app, steps)


def test_the_palette_lists_every_action(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        titles = {command.title for command in PoemCommands(app.screen)._actions()}
        for pane in app.query(Pane):
            for cls in type(pane).__mro__:
                for found in keys_of(cls) if issubclass(cls, Pane) else ():
                    assert f"{_(pane.TITLE)}: {found.description}   {found.keys}" in titles
        frame = [found for found in keys_of(PoemApp) if found.id.startswith("app.")]
        assert len(frame) > 4
        assert titles.issuperset(f"{found.description}   {found.keys}" for found in frame)
        assert titles.issuperset(f"Go to {title}" for title in PANES.values())
        await pilot.press("ctrl+p", *"go to runs")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette) and "Go to Runs" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.pane == "runs" and not isinstance(app.screen, CommandPalette))

    app = make_app(tmp_path)
    play(app, steps, (120, 40))


def test_every_pane_explains_itself(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        for number, name in enumerate(PANES, start=2):
            await pilot.press(f"f{number}", "f1")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen))
            pane = app.query_one(f"#{name}", Pane)
            assert len(_(pane.HELP)) > 80
            told = "\n".join(str(line) for line in app.screen._lines())  # type: ignore[attr-defined]
            assert told.startswith(_(pane.HELP))
            for cls in (*type(pane).__mro__, PoemApp):
                for found in keys_of(cls):
                    assert found.description in told and found.keys in told
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, HelpScreen))

    app = make_app(tmp_path)
    play(app, steps)


def test_colours_go_round(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        seen = [app.theme]
        for _theme in OFFERED:
            await pilot.press("t")
            await pilot.pause()
            seen.append(app.theme)
        assert sorted(seen[1:]) == sorted(OFFERED) and seen[0] == seen[-1]

    app = make_app(tmp_path)
    play(app, steps)


def test_the_header_tells_what_matters_first_and_cuts_nothing(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app.data_state = DataState("/poems/[b]唐詩.json", rows=25_007, complete=True)
        app.profile_state = ProfileState("/profiles/tang.toml", unsaved=True)
        await pilot.pause()
        assert lines_of(app)[0].startswith(" poemtui  tang.toml *  [b]唐詩.json 25,007 rows")
        app.profile_state = ProfileState("/profiles/" + "長" * 80 + ".toml")
        await pilot.pause()
        assert cell_len(lines_of(app)[0]) <= 80

    app = make_app(tmp_path)
    play(app, steps)


@pytest.mark.parametrize("lang", i18n.LANGUAGES)
def test_the_footer_fits_in_every_pane_and_language(tmp_path: Path, lang: str) -> None:
    i18n.use(lang)

    async def steps(pilot: Pilot[None]) -> None:
        for number in range(2, 7):
            await pilot.press(f"f{number}")
            await pilot.pause()
            assert "^p" in lines_of(app)[-1] and "^q" in lines_of(app)[-1]

    app = make_app(tmp_path)
    play(app, steps)


def test_fitting() -> None:
    assert [fit("夜雨寄北", cells) for cells in (9, 8, 7, 6)] == ["夜雨寄北 ", "夜雨寄北", "夜雨寄…", "夜雨… "]
    assert fit("𠀀\n", 4) == "𠀀␊ "


def test_the_first_start_offers_a_way_to_begin(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "Welcome to poemtui" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Welcome to poemtui" not in text_of(app))
        assert app.data_state.path == SAMPLE

    app = make_app(tmp_path, Start())
    play(app, steps)
