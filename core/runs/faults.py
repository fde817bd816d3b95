"""Where a process may be killed to see what survives: the tests of that set `on_reached`; nothing else does."""

from __future__ import annotations

from collections.abc import Callable

on_reached: Callable[[str], None] | None = None
"""Called with the name of every point that is reached."""


def reached(point: str) -> None:
    """Say that a point is reached at which a fault would hurt most."""
    if on_reached is not None:
        on_reached(point)
