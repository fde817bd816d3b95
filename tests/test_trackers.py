"""Figures mirrored to trackers: real TensorBoard files read back, and trackers that are missing, fail or hang."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from accelerate import Accelerator

from core.runs.directory import RunDirectory
from core.runs.events import EvalDone, Note, RunStarted, SampleMade, StepDone
from core.training import trackers
from core.training.trackers import Mirror

RUN_ID = "20260102-030405-tang"
VARIABLES = ("WANDB_MODE", "WANDB_DIR", "WANDB_SILENT", "WANDB_CONSOLE", "TRACKIO_DIR", "TRACKIO_SPACE_ID")


class Fake:
    """Stands in for one of accelerate's trackers and keeps what it is told."""

    made: ClassVar[list[Fake]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.arguments, self.options = arguments, options
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.calls: list[str] = []
        type(self).made.append(self)

    def start(self) -> None:
        self.calls.append("start")

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.calls.append("finish")


class Problems(list[str]):
    """What a run is told of its trackers; always in its own thread."""

    def __call__(self, message: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.append(message)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    path = tmp_path / RUN_ID
    path.mkdir()
    return RunDirectory(path)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the person's; every package seems installed; accelerate knows its device, as in a run."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr(trackers, "_is_installed", lambda name: True)
    Accelerator(cpu=True)


def use(monkeypatch: pytest.MonkeyPatch, name: str, fake: type[Fake]) -> type[Fake]:
    """Let `fake` be the tracker of that name."""
    fake.made = []
    monkeypatch.setitem(trackers._CLASSES, name, fake)
    return fake


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging tracker waits for; open at the end, so that no thread stays."""
    event = threading.Event()
    yield event
    event.set()


def started(*, resumed_from_step: int = 0) -> RunStarted:
    return RunStarted(RUN_ID, resumed_from_step, 8, 2, 4, 1, "builtin:tang-tiny", "cpu", "float32", 100, 10)


def step(number: int, loss: float = 2.5) -> StepDone:
    return StepDone(number, number / 4, loss, 0.25, 1.5, 64, 128.0, 0.5)


def figures(loss: float, number: int) -> dict[str, float]:
    return {
        "train/loss": loss,
        "train/lr": 0.25,
        "train/grad_norm": 1.5,
        "train/tokens_per_s": 128.0,
        "train/epoch": number / 4,
    }


def read_back(run: RunDirectory) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run.trackers_path / "tensorboard"))
    accumulator.Reload()
    return accumulator


def scalars(accumulator: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def text(accumulator: Any, tag: str) -> list[tuple[int, str]]:
    events = accumulator.Tensors(f"{tag}/text_summary")
    return [(event.step, event.tensor_proto.string_val[0].decode("utf-8")) for event in events]


def test_tensorboard_files_hold_the_figures(run: RunDirectory) -> None:
    problems = Problems()
    settings = {"train": {"epochs": 1}, "notify": {"command": "tell a-secret"}}
    mirror = Mirror(["tensorboard"], run=run, settings=settings, on_problem=problems)
    for event in (
        started(),
        EvalDone(0, 3.5, 20, 0.1),
        step(1),
        step(2, 2.25),
        SampleMade(2, "白日依山盡", "黃河入海流"),
        SampleMade(2, "床前", "明月光"),
        Note("a note is no figure"),
        EvalDone(2, 2.75, 20, 0.1),
    ):
        mirror(event)
    mirror.close()
    assert problems == []
    found = read_back(run)
    assert {tag: scalars(found, tag) for tag in found.Tags()["scalars"]} == {
        "eval/loss": [(0, 3.5), (2, 2.75)],
        "train/loss": [(1, 2.5), (2, 2.25)],
        "train/lr": [(1, 0.25), (2, 0.25)],
        "train/grad_norm": [(1, 1.5), (2, 1.5)],
        "train/tokens_per_s": [(1, 128.0), (2, 128.0)],
        "train/epoch": [(1, 0.25), (2, 0.5)],
    }
    assert text(found, "sample/1") == [(2, "白日依山盡\n\n黃河入海流")]
    assert text(found, "sample/2") == [(2, "床前\n\n明月光")]
    ((at, profile),) = text(found, "profile")
    assert (at, json.loads(profile)) == (0, {"train": {"epochs": 1}})
    assert [path.name for path in run.path.iterdir()] == ["trackers"]
    assert run.trackers_path.stat().st_mode & 0o777 == 0o700


def test_steps_done_again_replace_the_earlier_ones(run: RunDirectory) -> None:
    problems = Problems()
    for resumed_from, steps in ((0, (step(1), step(2), step(3, 9.0))), (2, (step(3, 2.0), step(4, 1.5)))):
        mirror = Mirror(["tensorboard"], run=run, settings={}, on_problem=problems)
        mirror(started(resumed_from_step=resumed_from))
        for event in steps:
            mirror(event)
        mirror.close()
    assert problems == []
    assert scalars(read_back(run), "train/loss") == [(1, 2.5), (2, 2.5), (3, 2.0), (4, 1.5)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("wandb", {"id": RUN_ID, "name": RUN_ID, "resume": "allow", "config": {"train": {"epochs": 1}}}),
        ("trackio", {"name": RUN_ID, "resume": "allow", "config": {"train": {"epochs": 1}}}),
    ],
)
def test_a_run_keeps_its_name_and_never_tells_the_notice(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any]
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    fake, problems = use(monkeypatch, name, Fake), Problems()
    settings = {"train": {"epochs": 1}, "notify": {"command": "tell a-secret"}}
    mirror = Mirror([name], run=run, settings=settings, on_problem=problems)
    for event in (started(), step(1), EvalDone(1, 2.0, 20, 0.1), SampleMade(1, "白日", "黃河")):
        mirror(event)
    mirror.close()
    (made,) = fake.made
    assert (made.arguments, made.options) == (("poemtui",), options)
    assert made.logged == [(1, figures(2.5, 1)), (1, {"eval/loss": 2.0}), (1, {"sample/1": "白日\n\n黃河"})]
    assert (made.calls, problems) == (["start", "finish"], [])
    assert constants.HF_HUB_OFFLINE is True


def test_trackers_stay_on_this_machine_unless_told_otherwise(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DIR", "/elsewhere")
    Mirror(["wandb", "trackio"], run=run, settings={}, on_problem=Problems()).close()
    assert [os.environ.get(name) for name in VARIABLES[:5]] == [
        "offline",
        "/elsewhere",
        "true",
        "off",
        str(run.trackers_path),
    ]


def test_a_mode_that_the_person_chose_stays(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    Mirror(["wandb"], run=run, settings={}, on_problem=Problems()).close()
    assert os.environ["WANDB_MODE"] == "online"


def test_a_space_that_the_person_chose_is_reachable(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TRACKIO_SPACE_ID", "me/poems")
    use(monkeypatch, "trackio", Fake)
    mirror = Mirror(["trackio"], run=run, settings={}, on_problem=Problems())
    mirror(step(1))
    mirror.close()
    assert constants.HF_HUB_OFFLINE is False


def test_a_tracker_that_fails_is_told_once_and_the_other_goes_on(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Fake):
        def log(self, values: dict[str, Any], step: int) -> None:
            raise RuntimeError("no room\x1b[31m\nand more")

    use(monkeypatch, "wandb", Failing)
    good, problems = use(monkeypatch, "trackio", type("Good", (Fake,), {})), Problems()
    mirror = Mirror(["wandb", "trackio"], run=run, settings={}, on_problem=problems)
    for number in (1, 2, 3):
        mirror(step(number))
    mirror.close()
    assert problems == ["wandb failed and gets no more figures: no room␛[31m"]
    assert [at for at, _values in good.made[0].logged] == [1, 2, 3]


def test_a_tracker_that_wants_the_process_to_exit_does_not_get_its_way(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exiting(Fake):
        def start(self) -> None:
            raise SystemExit

    use(monkeypatch, "wandb", Exiting)
    problems = Problems()
    mirror = Mirror(["wandb"], run=run, settings={}, on_problem=problems)
    mirror(step(1))
    mirror.close()
    assert problems == ["wandb failed and gets no more figures: SystemExit"]


def test_a_tracker_that_hangs_costs_only_its_own_figures(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    class Hanging(Fake):
        def start(self) -> None:
            gate.wait()

    hanging = use(monkeypatch, "wandb", Hanging)
    good, problems = use(monkeypatch, "trackio", type("Good", (Fake,), {})), Problems()
    monkeypatch.setattr(trackers, "MOST_WAITING", 2)
    monkeypatch.setattr(trackers, "CLOSE_S", 0.05)
    mirror = Mirror(["wandb"], run=run, settings={}, on_problem=problems)
    for number in (1, 2, 3, 4):
        mirror(step(number))
    assert problems == ["wandb does not keep up, or hangs; some figures will be missing there"]
    mirror.close()
    assert problems[1:] == ["wandb did not finish within 0.05 s; the last figures may be missing there"]

    other = Mirror(["trackio"], run=run, settings={}, on_problem=problems)
    other(step(1))
    monkeypatch.setattr(trackers, "CLOSE_S", 10.0)
    other.close()
    assert [at for at, _values in good.made[0].logged] == [1]

    gate.set()  # what waited is not lost, and the bound was two
    mirror.close()
    assert [at for at, _values in hanging.made[0].logged] == [1, 2]
    assert len(problems) == 2


def test_a_tracker_that_is_not_installed_names_its_extra(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "_is_installed", lambda name: False)
    problems = Problems()
    mirror = Mirror(["tensorboard"], run=run, settings={}, on_problem=problems)
    assert problems == []
    mirror(started())
    mirror(step(1))
    mirror.close()
    assert problems == ["tensorboard is not installed, so no figures go there; try: pip install 'poemtui[tensorboard]'"]
    assert list(run.path.iterdir()) == []


def test_a_tracker_starts_with_its_first_figure(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, problems = use(monkeypatch, "wandb", Fake), Problems()
    mirror = Mirror(["wandb"], run=run, settings={}, on_problem=problems)
    mirror(started())
    mirror(Note("no figure"))
    mirror.close()
    assert (fake.made, problems) == ([], [])


def test_a_problem_may_be_recorded_as_an_event(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "_is_installed", lambda name: False)
    told: list[str] = []

    def tell(message: str) -> None:
        told.append(message)
        mirror(Note(message))  # as a worker does, whose listener the mirror is

    mirror = Mirror(["wandb", "trackio"], run=run, settings={}, on_problem=tell)
    mirror(started())
    assert [message.split()[0] for message in told] == ["wandb", "trackio"]


def test_a_folder_is_not_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (tmp_path / "tracker_folder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not trackers._is_installed("tracker_folder")
    assert not trackers._is_installed("tracker_that_is_nowhere")
    assert trackers._is_installed("accelerate")
