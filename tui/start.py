"""What `poemtui` was asked to open."""

from __future__ import annotations

from typing import NamedTuple


class Start(NamedTuple):
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
    """What arguments mean; the pane follows from it.

    What ends in `.toml` is a profile, a preset's name is that preset, and anything else is a data file.
    """
    data = next((thing for thing in things if not _is_profile(thing)), "")
    profile = next((thing for thing in things if _is_profile(thing)), "")
    pane = "train" if run else "profile" if profile and not data else "data" if data else ""
    return Start(data=data, profile=profile, run=run, pane=pane)


def _is_profile(thing: str) -> bool:
    if thing.endswith(".toml"):
        return True
    from core.profile.presets import preset_names

    return thing in preset_names()
