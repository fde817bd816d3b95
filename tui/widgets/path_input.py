"""A field for a path: the tab key completes what is typed from the disk, which may be slow. It opens no file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from core.i18n import N_
from core.plain import plain
from tui.plain import content
from tui.widgets.dialogs import Ask


def completion_of(value: str, *, also: Sequence[str] = (), folders_only: bool = False) -> str | None:
    """A longer path that begins with `value`; None where there is none, or the disk refuses.

    Of several it is what they have in common, else the first of them; a folder ends with a slash. Hidden names and
    names that can't be shown as they are aren't offered unless they are asked for.

    Args:
        value: what has been typed, `~` included.
        also: other answers, such as `builtin:tang-sample`.
        folders_only: whether files are left out.
    """
    for word in also:
        if value and word.startswith(value) and word != value:
            return word
    folder, begun = os.path.split(value)
    if value in ("~", ".", ".."):
        return value + "/"
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            names = sorted(
                entry.name + "/" * entry.is_dir()
                for entry in entries
                if entry.name.startswith(begun)
                and plain(entry.name) == entry.name
                and (begun or not entry.name.startswith("."))
                and (not folders_only or entry.is_dir())
            )
    except (OSError, ValueError):
        return None
    if not names:
        return None
    common = os.path.commonprefix(names)
    found = common if len(common) > len(begun) else names[0]
    return value + found[len(begun) :] if found != begun else None


class PathSuggester(Suggester):
    """Completes paths beside the screen's work; of what is asked while the disk is slow, only the last is looked up."""

    def __init__(self, *, also: Sequence[str] = (), folders_only: bool = False) -> None:
        """See `completion_of`."""
        super().__init__(use_cache=False, case_sensitive=True)
        self._also, self._folders_only = also, folders_only
        self._wanted = ""
        self._disk = asyncio.Lock()

    async def get_suggestion(self, value: str) -> str | None:
        """The completion of a path; None also where something else has been typed since."""
        self._wanted = value
        async with self._disk:
            if value != self._wanted:
                return None
            return await asyncio.to_thread(completion_of, value, also=self._also, folders_only=self._folders_only)


class PathInput(Input):
    """A line for a path."""

    BINDINGS = [Binding("tab", "complete", N_("Complete the path"), id="path.complete", show=False)]

    def __init__(self, value: str = "", *, placeholder: str = "", suggester: PathSuggester | None = None) -> None:
        """A field that holds `value`."""
        self._paths = suggester or PathSuggester()
        super().__init__(value, placeholder=placeholder, suggester=self._paths, select_on_focus=False)
        self.cursor_blink = False

    def action_complete(self) -> None:
        """Take the completion, where there is one; else go to what comes next."""
        if self._suggestion:
            self._take(self._suggestion)
        elif self.value and self.cursor_at_end:
            self.run_worker(self._complete(self.value), exclusive=True, group="complete")
        else:
            self.screen.focus_next()

    async def _complete(self, value: str) -> None:
        found = await self._paths.get_suggestion(value)
        if self.value != value or not self.has_focus:
            return
        if found:
            self._take(found)
        else:
            self.screen.focus_next()

    def _take(self, value: str) -> None:
        self.value = value
        self.cursor_position = len(value)


class AskPath(Ask):
    """A path, typed or one of those used before."""

    def __init__(
        self,
        title: str,
        *,
        text: str = "",
        value: str = "",
        placeholder: str = "",
        suggester: PathSuggester | None = None,
        recent: Sequence[str] = (),
        check: Callable[[str], str] = lambda _value: "",
    ) -> None:
        """Ask for a path; `check` says what is wrong with it, or nothing."""
        super().__init__(title, text=text, value=value, placeholder=placeholder, check=check)
        self._paths, self._recent = suggester, tuple(recent)

    def compose(self) -> ComposeResult:
        """The question, the field, what is wrong with what is in it, and the paths of before."""
        with Vertical():
            if self._text:
                yield Static(content(self._text), classes="dialog--text")
            yield PathInput(self._value, placeholder=self._placeholder, suggester=self._paths)
            yield Static(classes="dialog--problem")
            if self._recent:
                yield OptionList(*(Option(content(path)) for path in self._recent), markup=False)

    @on(OptionList.OptionSelected)
    def _recent_chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._recent[event.option_index])
