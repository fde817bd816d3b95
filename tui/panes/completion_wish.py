"""How a person wants poems completed, and the request that comes of it. It knows no widget."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.runs.directory import find_run
from tui.panes.completion_adapters import check_kept, is_name
from tui.workbench import RunSeen, Workbench

if TYPE_CHECKING:
    from core.client import CompletionRequest

_SEED_BOUND = 2**31


@dataclass(frozen=True, slots=True)
class Wish:
    """What isn't in the profile."""

    run: str = ""
    """Id of the run whose adapter writes; "": the base alone."""
    with_base: bool = True
    """Whether the base writes beside an adapter."""
    new_seed: bool = False
    """Whether each completion draws a seed of its own; else the profile's is taken."""
    convert: bool = True
    """Whether a text in Simplified characters is completed in Traditional ones."""
    adapter: str = ""
    """Which adapter of the run writes, by its folder relative to the run's; "": the run's own choice."""


def wish_of(state: Mapping[str, Any]) -> Wish:
    """The wish that was remembered, of whatever is there."""
    known = Wish()
    values = {name: state.get(name) for name in ("run", "with_base", "new_seed", "convert", "adapter")}
    sound: dict[str, Any] = {name: value for name, value in values.items() if type(value) is type(getattr(known, name))}
    wish = Wish(**sound)
    return wish if is_name(wish.adapter) else replace(wish, adapter="")


def seen_run(bench: Workbench, run_id: str) -> RunSeen | None:
    """The run as it is now; None where it isn't known."""
    return next((run for run in bench.runs if run.id == run_id), None)


def base_of(bench: Workbench, run_id: str) -> str:
    """The base model that writes, or that the run's adapter belongs to; "" where it isn't known."""
    run, profile = seen_run(bench, run_id), bench.profile_state.profile
    if run_id:
        return run.view.base if run is not None else ""
    return profile.model.base if profile is not None else ""


async def make_request(bench: Workbench, wish: Wish, text: str) -> CompletionRequest:
    """The request to complete a text; what is given is converted here, so that it can be shown.

    Raises:
        AdapterGone: the run keeps the chosen adapter no more.
        PoemError: there is no such run.
    """
    from core.client import CompletionRequest
    from core.profile.schema import GenerationKeys

    if wish.convert:
        from core.data.script import traditional_form

        conversion = await asyncio.to_thread(traditional_form, text)
        text = conversion.text if conversion is not None else text
    path = ""
    if wish.run:
        seen = seen_run(bench, wish.run)
        path = str(seen.path if seen else (await asyncio.to_thread(find_run, bench.runs_dir, wish.run)).path)
        await asyncio.to_thread(check_kept, Path(path), wish.adapter)
    state = bench.profile_state
    keys = state.profile.generation if state.profile is not None else GenerationKeys()
    return CompletionRequest(
        text=text,
        profile=state.text if state.profile is not None else "",
        base_dir=str(state.base_dir),
        run=path,
        with_base=wish.with_base and bool(path),
        count=keys.count,
        seed=random.SystemRandom().randrange(_SEED_BOUND) if wish.new_seed else keys.seed,
        instruction=None,
        convert=False,
        adapter=wish.adapter if path else "",
    )
