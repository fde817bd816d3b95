"""Stub, about to be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.widgets import Static

from core.i18n import N_
from tui.pane import Pane


class ProfilePane(Pane):
    """Stub."""

    TITLE: ClassVar[str] = N_("Profile")

    def compose(self) -> ComposeResult:
        """Stub."""
        yield Static("stub")

    def open(self, source: str) -> None:
        """Open another profile."""

    def set_keys(self, values: Mapping[str, Any]) -> None:
        """Change keys in place."""

    def ask_to_start(self) -> None:
        """Ask whether to start a run."""

    def follow(self, run_id: str) -> None:
        """Show a run."""

    def use_run(self, run_id: str) -> None:
        """Complete with a run's adapter."""
