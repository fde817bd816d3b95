"""Opens a data file and finds rows in it, in threads beside the screen's work. It shows nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual import work
from textual.message import Message
from textual.widget import Widget
from textual.worker import get_current_worker

from core.errors import PoemError
from tui.panes.dataset_book import Book, open_book

@dataclass(frozen=True, slots=True)
class View:
    """Which rows are wanted, and in which order."""

    query: str = ""
    """As it was typed; empty: every row."""
    sort: str = "number"
    """One of `SORT_KEYS`."""
    descending: bool = False
    """Whether the last come first."""
