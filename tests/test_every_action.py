"""Every action of every pane is done by its key and from the palette: the very action, in its own pane."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.actions import parse
from textual.pilot import Pilot

from tests.frame_stage import make_app, play
from tui.app import PANES, PoemApp
from tui.commands import PoemCommands
from tui.keys import keys_of
from tui.pane import Pane


def actions_of(pane: Pane) -> list[tuple[str, str, str]]:
    """What a pane binds: (action, first key, description)."""
    classes = [cls for cls in type(pane).__mro__ if issubclass(cls, Pane)]
    return [(found.action, key_of(cls, found.id), found.description) for cls in classes for found in keys_of(cls, {})]


def key_of(cls: type[Any], binding_id: str) -> str:
    """The first of the keys of a binding, as the pilot presses it."""
    return next(str(binding.key).split(",")[0] for binding in cls.BINDINGS if binding.id == binding_id)


def record(pane: Pane, done: list[tuple[str, tuple[Any, ...]]]) -> None:
    """Have a pane only note down what it is told to do: (name, parameters)."""
    pane.check_action = lambda action, parameters: True  # type: ignore[method-assign]
    for action, _key, _description in actions_of(pane):
        name = parse(action)[1]
        setattr(pane, f"action_{name}", lambda *parameters, name=name: done.append((name, parameters)))


@pytest.mark.parametrize("name", PANES)
def test_each_by_its_key_and_from_the_palette(tmp_path: Path, name: str) -> None:
    app = make_app(tmp_path)

    async def steps(pilot: Pilot[None]) -> None:
        pane = app.query_one(f"#{name}", Pane)
        done: list[tuple[str, tuple[Any, ...]]] = []
        record(pane, done)
        app.action_show(name)
        await pilot.pause()
        actions = actions_of(pane)
        assert len(actions) >= 8
        for _action, key, _description in actions:
            pane.focus()
            await pilot.press(key)
            assert done in [[parse(action)[1:]] for action, its_key, _description in actions if its_key == key], key
            done.clear()
        app.action_show("data" if name != "data" else "runs")
        for action, _key, description in actions:
            await best_match(app, pane, description)
            assert done == [parse(action)[1:]], description
            done.clear()
            assert app.pane == name

    play(app, steps, (120, 40))


async def best_match(app: PoemApp, pane: Pane, description: str) -> None:
    """Do what the palette offers first for an action's own words."""
    provider = PoemCommands(app.screen)
    hits = [hit async for hit in provider.search(f"{pane.TITLE}: {description}")]
    command: Any = max(hits, key=lambda hit: hit.score).command
    result = command()
    if asyncio.iscoroutine(result):
        await result
