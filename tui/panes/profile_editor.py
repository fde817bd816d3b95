"""The editor of a profile's text: TOML in colours, faulty lines marked, a value changed in place. It checks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.style import Style
from rich.text import Text
from textual._text_area_theme import TextAreaTheme
from textual.widgets import TextArea

from tui.plain import one_for_one

_LONGEST_COLOURED = 60_000

# The terminal's own colours, which go with a dark and with a light background.
_COLOURS = TextAreaTheme(
    "poem",
    syntax_styles={
        "toml.type": Style(color="blue", bold=True),
        "toml.error": Style(color="red", underline=True),
        "string": Style(color="green"),
        "number": Style(color="magenta"),
        "boolean": Style(color="magenta"),
        "type": Style(color="cyan"),
        "property": Style(color="cyan"),
    },
)


class ProfileEditor(TextArea):
    """A code editor whose text is a profile."""

    DEFAULT_CSS = """
    ProfileEditor, ProfileEditor:focus {
        border: none; padding: 0; background: $background;
        & .text-area--gutter { color: $text-muted; }
        & > .profile-editor--aside { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES = {"profile-editor--problem", "profile-editor--advice", "profile-editor--aside"}

    def __init__(self, *, id: str) -> None:
        """An empty editor."""
        super().__init__(language="toml", soft_wrap=False, tab_behavior="focus", show_line_numbers=True, id=id)
        self.register_theme(_COLOURS)
        self.theme = _COLOURS.name
        self.cursor_blink = False
        self._bindings.key_to_bindings.pop("f7", None)  # the pane has another use for it
        self._faulty: frozenset[int] = frozenset()
        self._advised: frozenset[int] = frozenset()

    def on_mount(self) -> None:
        """Take up the colours of the app's theme, and of the next one."""
        self._take_colours()
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._take_colours())

    def _take_colours(self) -> None:
        """Colour comments as the theme does what matters less: dim, as terminals do it, is hard to read."""
        aside = Style(color=self.get_component_rich_style("profile-editor--aside").color)
        styles = {**_COLOURS.syntax_styles, "comment": aside, "operator": aside}
        self.register_theme(replace(_COLOURS, syntax_styles=styles))
        self._set_theme(_COLOURS.name)

    def _build_highlight_map(self) -> None:
        """A comment behind a value is a part of its pair, whose colour would be that of the comment."""
        super()._build_highlight_map()
        for highlights in self._highlights.values():
            highlights.sort(key=lambda highlight: highlight[2] == "comment")

    def show_text(self, text: str) -> None:
        """Load a text; of a very long one every key would take long if its colours were worked out again."""
        language = "toml" if len(text) <= _LONGEST_COLOURED else None
        if self.language != language:
            self.language = language
        self.load_text(text)

    def mark(self, *, faulty: frozenset[int], advised: frozenset[int]) -> None:
        """Mark lines (from 0) as faulty, and lines that could be better."""
        if (faulty, advised) != (self._faulty, self._advised):
            self._faulty, self._advised = faulty, advised
            self._line_cache.clear()
            self.refresh()

    def get_line(self, line_index: int) -> Text:
        """A line as it is shown: what has no shape of its own gets one, a marked line is underlined."""
        line = Text(one_for_one(self.document.get_line(line_index)), end="", no_wrap=True)
        for marked, name in ((self._faulty, "profile-editor--problem"), (self._advised, "profile-editor--advice")):
            if line_index in marked:
                line.stylize(Style(underline=True) + self.get_component_rich_style(name, partial=True))
        return line

    def put(self, line: int, start: int, end: int, text: str) -> None:
        """Put a text in the place of a piece of a line, as one step that can be undone."""
        self.history.checkpoint()
        self.replace(text, (line, start), (line, end), maintain_selection_offset=False)
        self.history.checkpoint()

    def set_keys(self, values: Mapping[str, Any]) -> None:
        """Change keys in place, as one step that can be undone; the cursor goes to the first of them.

        Raises:
            PoemError: the text isn't TOML, or has no place for one of them; then none is changed.
        """
        from core.profile.edit import changed_lines, set_value
        from core.profile.lines import find_lines

        before = after = self.text
        for key, value in values.items():
            after = set_value(after, key, value)
        start, end, lines = changed_lines(before, after)
        if not lines and start == end:
            return
        old = before.split("\n")
        self.history.checkpoint()
        if end < len(old):
            self.replace("".join(f"{line}\n" for line in lines), (start, 0), (end, 0), maintain_selection_offset=False)
        else:
            text = "\n".join(lines)
            begin = (start, 0) if start < len(old) else (start - 1, len(old[start - 1]))
            stop = (len(old) - 1, len(old[-1]))
            self.replace(text if start < len(old) else f"\n{text}", begin, stop, maintain_selection_offset=False)
        self.history.checkpoint()
        first = tuple(next(iter(values)).split("."))
        self.move_cursor((find_lines(after).get(first, 1) - 1, 0))
