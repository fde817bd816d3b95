"""Texts that cost the screen little: laid out anew only where they need other room, painted only where they change.

Laying out takes as long as painting does, and the screen is in the way of the next key meanwhile.
"""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.reactive import Reactive
from textual.visual import VisualType
from textual.widgets import Input, Static


class Block(Static):
    """Text as wide as its place, and as high as it needs to be."""

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Show another text."""
        if isinstance(content, Content) and isinstance(self.content, Content) and self.is_attached:
            if content.is_same(self.content):
                return
            width, height = self.content_size
            layout = layout and not (width and content.get_height(self.styles.get_rules(), width) == height)
        super().update(content, layout=layout)


class SearchInput(Input):
    """An input as wide as its place, which what is typed doesn't change."""

    virtual_size = Reactive(Size(0, 0))
