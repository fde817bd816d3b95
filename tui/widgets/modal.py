"""Screens over the screen that close once. They know nothing of what is on them."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import Screen

_Answer = TypeVar("_Answer")


class ClosesOnce(Screen[_Answer]):
    """A screen that stays closed: Textual's would take the screen below with it when it is dismissed again.

    Two keys typed fast reach the same dialog before the first has closed it. To be named after Textual's own class,
    from which alone a screen takes its looks.
    """

    def dismiss(self, result: _Answer | None = None) -> AwaitComplete:
        """Close it, and what was opened over it; where it is closed already, do nothing."""
        stack = self.app.screen_stack
        if self not in stack:
            return AwaitComplete()
        for over in reversed(stack[stack.index(self) + 1 :]):
            over.dismiss()
        return super().dismiss(result)
