"""The command palette: every action of the frame and of each pane, and every run, profile and matching row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual import on
from textual.actions import parse
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType
from textual.widgets import Input, OptionList

from core.i18n import _
from core.plain import plain
from core.profile.presets import preset_names
from core.profile.reference import nearest
from tui import messages
from tui.keys import binding_ids, keys_of
from tui.pane import Pane
from tui.plain import content
from tui.widgets.modal import ClosesOnce

if TYPE_CHECKING:
    from tui.app import PoemApp
    from tui.settings import Settings

_ROWS_FOUND = 20
# What only has a meaning where the focus is, or opens what is open already.
_UNLISTED = ("list.", "chart.", "dialog.", "pane.")


class Palette(CommandPalette, ClosesOnce[None]):
    """Textual's palette; what is chosen is done once, however often the enter key comes before it has closed."""

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def _choose_once(self, event: OptionList.OptionSelected | Input.Submitted) -> None:
        if self._selected_command is not None:
            event.stop()
            event.prevent_default()


@dataclass(frozen=True, slots=True)
class Command:
    """An entry."""

    title: str
    """Untrusted."""
    help: str
    """One line, untrusted."""
    run: IgnoreReturnCallbackType
    """What it does."""
    is_offered: bool = True
    """Whether it does anything as things are now."""


class PoemCommands(Provider):
    """Finds commands."""

    @property
    def _poem_app(self) -> PoemApp:
        return cast("PoemApp", self.app)

    async def discover(self) -> Hits:
        """The actions, before anything is typed."""
        for command in self._offered():
            yield DiscoveryHit(content(command.title), command.run, text=command.title, help=command.help or None)

    async def search(self, query: str) -> Hits:
        """What matches, best first."""
        matcher = self.matcher(query)
        for command in (*self._offered(), *self._runs(), *self._profiles()):
            score = matcher.match(command.title)
            if score > 0:
                yield Hit(score, content(command.title), command.run, text=command.title, help=command.help or None)
        data: Any = self._poem_app.query_one("#data")
        for number, text in data.find_rows(query, _ROWS_FOUND):
            title = _("row {number}: {text}").format(number=number, text=text)
            yield Hit(0.1, content(title), partial(self._go_to_row, number), text=title)

    def _offered(self) -> Iterator[Command]:
        return (command for command in self._actions() if command.is_offered)

    def _actions(self) -> Iterator[Command]:
        """Every action, also what can't be done as things are now."""
        app = self._poem_app
        changed = app.settings.keys
        for pane in app.query(Pane):
            title = _(pane.TITLE)
            yield Command(_("Go to {pane}").format(pane=title), "", partial(app.action_show, str(pane.id)))
            for cls in type(pane).__mro__:
                for found in keys_of(cls, changed) if issubclass(cls, Pane) else ():
                    run = partial(self._act, str(pane.id), found.action)
                    _name, action, parameters = parse(found.action)
                    can = bool(pane.check_action(action, parameters))
                    yield Command(f"{title}: {found.description}   {found.keys}", "", run, can)
        for found in keys_of(type(app), changed):
            if not found.id.startswith(_UNLISTED):
                run = partial(self._act_everywhere, found.action)
                yield Command(f"{found.description}   {found.keys}", "", run)
        for theme in app.available_themes:
            yield Command(_("Colours: {theme}").format(theme=theme), "", partial(setattr, app, "theme", theme))

    async def _act(self, pane: str, action: str) -> None:
        app = self._poem_app
        app.action_show(pane)
        if not await app.run_action(action, app.query_one(f"#{pane}", Pane)):
            app.notify(_("That does nothing as things are now."), severity="warning", markup=False)

    async def _act_everywhere(self, action: str) -> None:
        await self._poem_app.run_action(action)

    def _runs(self) -> Iterator[Command]:
        for run in self._poem_app.runs:
            post = self._poem_app.post_message
            yield Command(
                _("Follow the run {run}").format(run=run.id), run.status, partial(post, messages.FollowRun(run.id))
            )
            complete = _("Complete with the run {run}").format(run=run.id)
            yield Command(complete, run.status, partial(post, messages.CompleteWith(run.id)))

    def _profiles(self) -> Iterator[Command]:
        post = self._poem_app.post_message
        for name in preset_names():
            yield Command(_("Open the preset {name}").format(name=name), "", partial(post, messages.OpenProfile(name)))

    def _go_to_row(self, number: int) -> None:
        self._poem_app.action_show("data")
        data: Any = self._poem_app.query_one("#data")
        data.go_to_row(number)


def unknown_ids(settings: Settings) -> str:
    """What is wrong with the person's own keys, or nothing: an action that there isn't, a key that there isn't."""
    known = binding_ids(all_classes())
    wrong = [name for name in settings.keys if name not in known]
    told = []
    if wrong:
        text = _("{path}: [keys] names {name}, which nothing is called.")
        told.append(text.format(path=settings.path, name=wrong[0]) + _did_you_mean(nearest(wrong[0], known)))
    for name, keys in settings.wrong_keys.items():
        if name in known:
            text = _("{path}: [keys] gives {name} the key {keys}, which there isn't. It keeps its own.")
            hint = _did_you_mean(nearest_keys(keys)) or " " + _(
                "A key is a character or has a name, such as f5, ctrl+s, comma; commas separate several."
            )
            told.append(text.format(path=settings.path, name=name, keys=keys) + hint)
            break  # one at a time, as with names
    return plain("\n".join(told), keep_newlines=True)


def nearest_keys(keys: str) -> str | None:
    """The keys that a person has most likely meant; None where that can't be told."""
    from tui.settings import is_key, key_names

    meant = []
    for name in keys.split(","):
        written = name.strip().lower().replace("-", "+") if len(name.strip()) > 1 else name.strip()
        *modifiers, key = written.split("+")
        near = nearest(key, key_names())
        found = [name.strip(), written, "+".join((*modifiers, near)) if near else ""]
        meant.append(next((one for one in found if is_key(one)), None))
    return None if None in meant else ",".join(map(str, meant))


def _did_you_mean(near: str | None) -> str:
    return " " + _("Did you mean {near}?").format(near=near) if near else ""


def all_classes() -> tuple[type[Any], ...]:
    """Every class of the app that may bind keys."""
    import importlib
    import pkgutil

    import tui

    found: dict[type[Any], None] = {}
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        if not module.name.endswith("__main__"):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and value.__module__ == module.name:
                    found[value] = None
    return tuple(found)
