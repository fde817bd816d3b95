"""What `poemtui` was asked to open."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """What the app opens first; empty parts are as the last time, or the bundled sample and the built-in base."""

    data: str = ""
    """A data file's path, or `builtin:NAME`."""
    profile: str = ""
    """A profile file's path, or a preset's name."""
    run: str = ""
    """The id of a run to follow."""
    pane: str = ""
    """The pane in front."""


def start_of(things: list[str], run: str = "") -> Start:
    """What arguments mean: what ends in `.toml` is a profile, anything else a data file; the pane follows from it."""
    data = next((thing for thing in things if not thing.endswith(".toml")), "")
    profile = next((thing for thing in things if thing.endswith(".toml")), "")
    pane = "train" if run else "profile" if profile and not data else "data" if data else ""
    return Start(data=data, profile=profile, run=run, pane=pane)
