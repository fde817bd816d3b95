"""What the Complete pane says: who writes, how the model process is, how fast it went, what a setting means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from core.i18n import _
from core.plain import plain
from tui.keys import KeyHelp
from tui.panes.completion_adapters import adapter_words
from tui.panes.completion_history import Entry
from tui.wording import short_id
from tui.workbench import RunSeen

if TYPE_CHECKING:
    from core.client import ModelState
    from core.data.script import Conversion

_AT_WORK = ("starting", "running", "paused")
_BYTES_PER_GB = 2**30
_KEYS_CELLS = 8


def first_words(keys: Iterable[KeyHelp]) -> Iterator[str]:
    """What the pane says before the first poem: what to do, and the keys for it."""
    yield _("Type the first line or couplet of a poem and press Enter.")
    yield _("The model writes the rest.")
    yield ""
    for key in keys:
        yield f"{key.keys:{_KEYS_CELLS}}{key.description}"


def writer_words(run_id: str, adapter: str, run: RunSeen | None, base: str, *, beside: bool) -> str:
    """Who writes, and with which adapter: untrusted text."""
    if not run_id:
        return _("The base {base} writes, without an adapter").format(base=base) if base else _("No model is chosen")
    words = _("{run} writes").format(run=short_id(run_id))
    if run is not None:
        words += f" ({adapter_words(run.view, adapter)})"
    return words + (_(", the base beside it") if beside else "")


def model_words(state: ModelState | None, runs: Iterable[RunSeen], *, was_loaded: bool, freed: bool) -> str:
    """How the model process is.

    Args:
        was_loaded: it has had a model since the app was started.
        freed: a person asked for that to be dropped.
    """
    if state is None or state.status == "off" or not (state.loaded or state.status in ("starting", "busy")):
        if not was_loaded:
            return _("no model is loaded; the first completion loads it")
        run = next((run for run in runs if run.view.status in _AT_WORK), None)
        if run is not None and not freed:
            text = _("the device was given to the run {run}; the next completion loads the model again")
            return text.format(run=short_id(run.id))
        return _("the device is free; the next completion loads the model again")
    if state.status == "starting":
        return state.doing or _("the model process starts …")
    memory = f" {state.memory_bytes / _BYTES_PER_GB:.1f} GB" if state.memory_bytes else ""
    if state.status == "busy":
        return (state.doing or _("at work")) + memory
    return _("ready: {model} on {device}").format(model=state.loaded, device=state.device) + memory


def progress_words(entry: Entry | None) -> str:
    """How much was written and how fast."""
    if entry is None or not any(poem.tokens for poem in entry.poems):
        return ""
    tokens = sum(poem.tokens for poem in entry.poems)
    words = _("{tokens} tokens").format(tokens=tokens)
    names = {"base": _("base"), "adapter": _("adapter")}
    if entry.sides == 1:
        return words + "".join(_(", {speed:.0f}/s").format(speed=speed) for _side, speed in entry.speeds if speed)
    return words + "".join(
        _(", {side} {speed:.0f}/s").format(side=names[side], speed=speed) for side, speed in entry.speeds if speed
    )


def conversion_words(conversion: Conversion, *, convert: bool) -> str:
    """What becomes, or could become, of a text that isn't written as the poems are."""
    shown = plain(conversion.text)
    if convert:
        return _("Completed as: {text}   ^t leaves it as typed").format(text=shown)
    found = conversion.simplified + conversion.marks
    return _("The poems have no {characters}.   ^t completes: {text}").format(characters=plain(found), text=shown)


def setting_words(key: str) -> str:
    """Range, meaning and advice of a sampling control."""
    from core.profile.key import describe_range
    from core.profile.reference import KEYS

    known = KEYS[f"generation.{key}"]
    words = f"{key} ({describe_range(known)}): {_(known.meaning)} {_(known.advice)}"
    if key == "seed":
        words += " " + _("^n: a new one each time.")
    return words
