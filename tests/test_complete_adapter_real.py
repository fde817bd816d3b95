"""Completing with each adapter that a real run keeps, and with none that it doesn't."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from core.client import CompletionRequest, ModelClient
from core.errors import PoemError
from core.runs.directory import RunDirectory
from core.serve_protocol import Written, fields_of, written_from
from tests.complete_stage import GIVEN, Stage, play, type_line
from tests.pilot import settle, until
from tests.tiny import WEIGHTS, make_tiny
from tui.widgets.dialogs import Choose

BEST, STEPS = "adapter/best", (2, 4, 6)


def of_step(step: int) -> str:
    return f"checkpoints/step-{step:06d}/adapter"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run of six steps that learns so fast that each checkpoint is another; the second is said to be the best."""
    from core.training import worker
    from core.training.loss import count_supervised

    folder = tmp_path_factory.mktemp("adapters")
    losses = iter((6.0, 5.0, 4.0, 5.5))

    def held_out_batches(_model: Any, items: Sequence[Any], **_options: Any) -> Iterator[float]:
        yield next(losses) * count_supervised(items)

    profile = make_tiny(folder).profile(
        "train.eval_every=2", "train.checkpoint_every=2", "train.keep_checkpoints=3", "train.learning_rate=0.5"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.training.loop.held_out_batches", held_out_batches)
        found = worker.start(profile, runs_dir=folder / "runs", name="tang", on_event=lambda _event: None).run
    weights = {path.read_bytes() for path in found.path.rglob(WEIGHTS)}
    assert len(weights) == 3 and os.readlink(found.best_path) == f"../{of_step(4)}"
    return found


@dataclass(slots=True)
class Bench:
    """A model that stays loaded, and which folders adapters were read from."""

    warm: Any
    read: list[Path]

    def written(self, run: RunDirectory, adapter: str) -> Written:
        request = CompletionRequest(
            GIVEN, "[generation]\nmax_new_tokens = 12\n", "", str(run.path), False, 2, 5, "續寫。", False, adapter
        )
        asked = {"kind": "complete", "request": fields_of(request)}
        return written_from(list(self.warm.meet(asked, lambda: None))[-1])


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    from core import serve_work

    read: list[Path] = []
    load = serve_work.load_adapter

    def load_adapter(base: Any, folder: Path) -> Any:
        read.append(folder)
        return load(base, folder)

    monkeypatch.setattr(serve_work, "load_adapter", load_adapter)
    return Bench(serve_work.Warm(tmp_path, lambda **_state: None), read)


def texts(written: Written) -> list[str]:
    return [candidate.text for side in written.sides for candidate in side.candidates]


def test_each_name_loads_its_own_adapter(run: RunDirectory, bench: Bench) -> None:
    names = ["", "adapter", BEST, *map(of_step, STEPS)]
    by_name = {name: bench.written(run, name) for name in names}
    folders = ["adapter", "adapter", of_step(4), of_step(2), of_step(4), of_step(6)]
    assert [by_name[name].adapter for name in names] == folders
    # What is on the base already isn't read again.
    read = ["adapter", of_step(4), of_step(2), of_step(4), of_step(6)]
    assert [str(folder.relative_to(run.path)) for folder in bench.read] == read
    assert texts(by_name[BEST]) == texts(by_name[of_step(4)]) != texts(by_name["adapter"])
    assert texts(by_name[""]) == texts(by_name["adapter"]) == texts(by_name[of_step(6)])


def test_of_a_run_at_work_the_newest_checkpoint_writes(run: RunDirectory, bench: Bench, tmp_path: Path) -> None:
    copy = copied(run, tmp_path)
    for name in (WEIGHTS, "adapter_config.json"):
        (copy.adapter_path / name).unlink()
    assert bench.written(copy, "").adapter == of_step(6)
    assert bench.written(copy, BEST).adapter == of_step(4)
    with pytest.raises(PoemError, match="doesn't keep the adapter adapter"):
        bench.written(copy, "adapter")


def copied(run: RunDirectory, place: Path) -> RunDirectory:
    shutil.copytree(run.path, place / run.id, symlinks=True)
    return RunDirectory(place / run.id)


def move_out(path: Path) -> None:
    """Put the folder elsewhere, and a link to it in its place."""
    elsewhere = path.parents[3] / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def lead_best_to(target: str) -> Callable[[RunDirectory], None]:
    def lead(run: RunDirectory) -> None:
        run.best_path.unlink()
        run.best_path.symlink_to(target.format(run=run.path))

    return lead


def link_weights(run: RunDirectory) -> None:
    weights = run.checkpoint_path(2) / "adapter" / WEIGHTS
    weights.rename(run.path.parent / WEIGHTS)
    weights.symlink_to(run.path.parent / WEIGHTS)


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../other/adapter",
        "checkpoints/../adapter",
        "adapter/",
        "./adapter",
        "adapter/best/../../adapter",
        "checkpoints/step-000099/adapter",
        "checkpoints/step-000002",
        "checkpoints",
        "/etc",
        "\x1b[2J",
        "\x00",
        "x" * 5000,
    ],
)
def test_a_name_that_is_none_of_the_run_is_refused(run: RunDirectory, bench: Bench, name: str) -> None:
    with pytest.raises(PoemError, match="doesn't keep the adapter") as refused:
        bench.written(run, name)
    assert not {"\x1b", "\x00"} & set(str(refused.value)) and len(str(refused.value)) < 1000
    assert refused.value.hint == "It may have been removed meanwhile. Choose another one."
    with pytest.raises(PoemError, match="doesn't keep the adapter"):
        bench.written(run, str(run.adapter_path))
    assert bench.read == []


@pytest.mark.parametrize(
    ("trap", "name"),
    [
        (lambda run: move_out(run.checkpoint_path(2)), of_step(2)),
        (lambda run: move_out(run.checkpoint_path(2) / "adapter"), of_step(2)),
        (link_weights, of_step(2)),
        (lambda run: shutil.rmtree(run.checkpoint_path(4)), BEST),
        (lambda run: run.best_path.unlink(), BEST),
        (lambda run: (run.best_path.unlink(), shutil.copytree(run.checkpoint_path(2), run.best_path)), BEST),
        (lead_best_to("../../elsewhere"), BEST),
        (lead_best_to("{run}/checkpoints/step-000002/adapter"), BEST),
        (lead_best_to("best"), BEST),
        (lead_best_to("../checkpoints"), BEST),
    ],
)
def test_no_link_leads_out_of_the_run(
    run: RunDirectory, bench: Bench, tmp_path: Path, trap: Callable[[RunDirectory], object], name: str
) -> None:
    copy = copied(run, tmp_path)
    trap(copy)
    with pytest.raises(PoemError, match="doesn't keep the adapter|symbolic link"):
        bench.written(copy, name)
    assert bench.read == []
    assert bench.written(copy, of_step(6)).done


def test_the_pane_completes_with_the_best_and_the_final_one(run: RunDirectory, tmp_path: Path) -> None:
    copy = copied(run, tmp_path)

    async def choose(pilot: Pilot[None], downs: int) -> None:
        await pilot.press("ctrl+r", "home", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, Choose) and "Which adapter" in app.screen._title)
        await settle(pilot)
        await pilot.press("home", *["down"] * downs, "enter")
        await settle(pilot)

    async def ended(pilot: Pilot[None], entries: int) -> None:
        def is_over() -> bool:
            pane = app.complete_pane
            return not pane._writing and (len(pane._entries) == entries or bool(app.said("problem")))

        await until(pilot, is_over)

    async def steps(pilot: Pilot[None]) -> None:
        pane = app.complete_pane
        await until(pilot, lambda: len(app.runs) == 1)
        await type_line(pilot, GIVEN)
        for number, downs in enumerate((1, 0, 4), start=1):  # best, final, the oldest checkpoint
            await choose(pilot, downs)
            await pilot.press("enter")
            await ended(pilot, number)
            assert app.said("problem") == ""
        oldest, final, best = pane._entries
        assert [entry.adapter for entry in (oldest, final, best)] == [of_step(2), "adapter", of_step(4)]
        assert (best.is_best, final.is_best) == (True, False)
        of_base = [[poem.text for poem in entry.poems if poem.side == "base"] for entry in pane._entries]
        assert of_base[0] == of_base[1] == of_base[2]
        written = {tuple(poem.text for poem in entry.poems if poem.side == "adapter") for entry in pane._entries}
        assert len(written) == 3
        # What retention has taken meanwhile is told, and the usual adapter goes on.
        shutil.rmtree(copy.checkpoint_path(2))
        await pilot.press("enter")
        await until(pilot, lambda: "checkpoint of step 2 isn't there any more" in app.said("problem"))
        await pilot.press("enter")
        await ended(pilot, 4)
        assert app.said("problem") == "" and pane._entries[0].adapter == "adapter"
        assert pane._entries[0].poems == final.poems

    app = Stage(tmp_path)
    app._model = ModelClient(app._model_changed, runs_dir=tmp_path)
    play(app, steps, (120, 40), "generation.max_new_tokens=12", "generation.count=2")
