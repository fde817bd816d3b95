"""Going on with a run: what must be what it began with, what may change, and from where it goes on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.cli import main
from core.errors import PoemError
from core.profile.document import load_profile, profile_to_dict
from core.runs.checkpoints import checkpoints
from core.runs.control import ask
from core.runs.directory import RunDirectory, typed
from core.runs.events import Note, RunFailed, RunStarted, RunStopped, SettingChanged
from core.runs.lock import is_locked, lock_run
from core.runs.resumption import make_resumable
from core.runs.view import view_run
from core.training import worker
from tests.tiny import Tiny, adapter_bytes, at, events_of, ignore, make_tiny, names_of, notes_of

# The rate doesn't depend on how many steps there are to be, so that a longer run begins as a shorter one.
STEADY = ('train.schedule="constant"', "train.eval_every=2", "train.checkpoint_every=5")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def whole(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that nothing happens to: checkpoints of the steps 4, 5 and 6."""
    runs_dir = tmp_path_factory.mktemp("whole")
    return worker.start(tiny.profile(*STEADY), runs_dir=runs_dir, name="whole", on_event=ignore).run


@pytest.fixture(scope="module")
def cut(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """The same run, stopped after step 3: checkpoints of the steps 2 and 3."""
    runs_dir = tmp_path_factory.mktemp("cut")
    listener = at(runs_dir, {"StepDone 3": lambda run: ask(run, "stop")})
    return worker.start(tiny.profile(*STEADY), runs_dir=runs_dir, name="cut", on_event=listener).run


@pytest.fixture
def stopped(cut: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A copy of it, to go on with."""
    return RunDirectory(Path(shutil.copytree(cut.path, tmp_path / "runs" / cut.id, symlinks=True)))


@pytest.fixture
def finished(whole: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A copy of the finished one."""
    return RunDirectory(Path(shutil.copytree(whole.path, tmp_path / "runs" / whole.id, symlinks=True)))


def poemcore_resume(run: RunDirectory, *words: str) -> int:
    return main(["resume", run.id, "--runs-dir", str(run.path.parent), *words])


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def refused(run: RunDirectory) -> PoemError:
    """Why a run doesn't go on; its events say the same, and its checkpoints are as they were."""
    before = [item.step for item in checkpoints(run)]
    with pytest.raises(PoemError) as caught:
        worker.resume(run, on_event=ignore)
    error = caught.value
    assert events_of(run)[-1] == RunFailed(message=error.message, hint=error.hint, where=error.where)
    assert view_run(run).status == "failed"
    assert [item.step for item in checkpoints(run)] == before
    return error


def test_the_manifest(whole: RunDirectory) -> None:
    manifest = json.loads(whole.manifest_path.read_text(encoding="utf-8"))
    assert list(manifest) == [
        "versions",
        "numerics",
        "data",
        "model",
        "profile",
        "instruction",
        "held_out",
    ]
    assert manifest["numerics"] == {
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": "cpu",
        "dtype": "float32",
    }
    assert manifest["profile"] == json.loads(json.dumps(profile_to_dict(load_profile(str(whole.profile_path)))))


def test_it_goes_on(stopped: RunDirectory, whole: RunDirectory) -> None:
    assert worker.resume(stopped, on_event=ignore).status == "finished"
    assert adapter_bytes(stopped) == adapter_bytes(whole)
    assert not any("computes otherwise" in note for note in notes_of(stopped))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("torch", "1.0.0", f"torch 1.0.0 → {torch.__version__}"),
        ("threads", 4096, f"threads 4096 → {torch.get_num_threads()}"),
        ("cpu_capability", "AVX9", f"cpu_capability AVX9 → {torch.backends.cpu.get_cpu_capability()}"),
        ("dtype", None, "dtype ? → float32"),
    ],
)
def test_another_machine_is_said_and_goes_on(
    stopped: RunDirectory, whole: RunDirectory, key: str, value: Any, words: str
) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["numerics"][key] = value
        if value is None:
            del manifest["numerics"][key]

    rewrite(stopped.manifest_path, change)
    assert worker.resume(stopped, on_event=ignore).status == "finished"
    notes = [note for note in notes_of(stopped) if "computes otherwise" in note]
    assert notes == [
        f"This machine computes otherwise than the one that the run began on ({words}): the result will be equal "
        "but for rounding, not bit for bit."
    ]
    assert adapter_bytes(stopped) == adapter_bytes(whole)


@pytest.fixture
def _threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two cores, and the threads of this process put back."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1}, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads")
def test_it_takes_the_threads_that_it_began_with(stopped: RunDirectory) -> None:
    rewrite(stopped.manifest_path, lambda manifest: manifest["numerics"].update(threads=2))
    threads: list[int] = []
    worker.resume(
        stopped, on_event=at(stopped.path.parent, {"StepDone 4": lambda _: threads.append(torch.get_num_threads())})
    )
    assert threads == [2]
    assert "Threads: 2, as the run began with" in notes_of(stopped)
    assert not any("computes otherwise" in note for note in notes_of(stopped))


def test_other_data(stopped: RunDirectory, tiny: Tiny) -> None:
    text = tiny.data.read_text(encoding="utf-8")
    try:
        tiny.data.write_text(text.replace("，", ",", 1), encoding="utf-8")
        error = refused(stopped)
    finally:
        tiny.data.write_text(text, encoding="utf-8")
    assert error.message == "the data file is not what the run began with"
    assert error.where == stopped.id
    # Once it is put back, the run goes on.
    assert worker.resume(stopped, on_event=ignore).status == "finished"


def test_another_base(stopped: RunDirectory, tiny: Tiny) -> None:
    config = tiny.base / "config.json"
    text = config.read_text(encoding="utf-8")
    try:
        rewrite(config, lambda document: document.update(rms_norm_eps=1e-5))
        error = refused(stopped)
    finally:
        config.write_text(text, encoding="utf-8")
    assert error.message == "the base model is not what the run began with"


def test_a_profile_edited_by_hand(stopped: RunDirectory, tiny: Tiny) -> None:
    text = stopped.profile_path.read_text(encoding="utf-8")
    changed = text.replace("learning_rate = 0.01", "learning_rate = 0.02").replace(
        "batch_size = 4", "batch_size = 8", 1
    )
    assert changed != text
    stopped.profile_path.write_text(changed, encoding="utf-8")
    error = refused(stopped)
    assert error.message.startswith("a run keeps what it began with: ")
    assert "train.learning_rate 0.01 → 0.02" in error.message
    assert error.where == stopped.id
    # What may change may be edited, too.
    stopped.profile_path.write_text(text.replace("eval_every = 2", "eval_every = 3"), encoding="utf-8")
    assert worker.resume(stopped, on_event=ignore).status == "finished"
    assert [name for name in names_of(events_of(stopped)) if name.startswith("EvalDone")][-1:] == ["EvalDone 6"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"numerics": 3}'])
def test_a_manifest_that_is_none(stopped: RunDirectory, text: str) -> None:
    stopped.manifest_path.write_text(text, encoding="utf-8")
    error = refused(stopped)
    assert error.message.startswith("the manifest can't be read")
    assert error.where == str(stopped.manifest_path)


def test_a_damaged_checkpoint_offers_the_older_one(stopped: RunDirectory, whole: RunDirectory) -> None:
    (stopped.checkpoint_path(3) / "optimiser.safetensors").write_bytes(b"\0" * 100)
    error = refused(stopped)
    assert error.message == ("the checkpoint of step 3 can't be resumed: optimiser.safetensors is not what was written")
    assert error.hint == f"Go on from step 2: poemcore resume {typed(stopped)} --from 2"
    assert error.where == str(stopped.checkpoint_path(3))
    assert poemcore_resume(stopped, "--from", "2") == 0
    assert adapter_bytes(stopped) == adapter_bytes(whole)


@pytest.mark.parametrize(("step", "removed"), [(5, "6"), (4, "5, 6"), (0, "4, 5, 6")])
def test_an_older_checkpoint(tiny: Tiny, finished: RunDirectory, whole: RunDirectory, step: int, removed: str) -> None:
    before = len(events_of(finished))
    assert poemcore_resume(finished, "--from", str(step), "--set", "train.max_steps=7") == 0
    events = events_of(finished)[before:]
    assert events[0] == SettingChanged(step=step, key="train.max_steps", before="6", after="7")
    assert Note(f"Later checkpoints removed: steps {removed}") in events
    started = next(event for event in events if isinstance(event, RunStarted))
    assert (started.resumed_from_step, started.steps) == (step, 7)
    names = names_of(events)
    assert names[3] == ("EvalStarted 0" if step == 0 else f"StepDone {step + 1}")
    assert view_run(finished).status == "finished"
    assert adapter_bytes(finished) != adapter_bytes(whole)


@pytest.mark.parametrize(("step", "when"), [(5, "StepDone 6"), (4, "StepDone 5")])
def test_the_best_of_what_was_not_undone(finished: RunDirectory, step: int, when: str) -> None:
    """Step 6 was the best; it isn't done yet."""
    assert os.readlink(finished.best_path) == "../checkpoints/step-000006/adapter"
    with lock_run(finished):
        make_resumable(finished, overrides=["train.max_steps=7"], from_step=step)
    links: list[str] = []
    listener = at(finished.path.parent, {when: lambda run: links.append(os.readlink(run.best_path))})
    worker.resume(finished, on_event=listener)
    assert links == ["../checkpoints/step-000004/adapter"]


def test_no_best_when_all_is_undone(finished: RunDirectory) -> None:
    with lock_run(finished):
        make_resumable(finished, overrides=["train.max_steps=7"], from_step=0)
    links: list[bool] = []
    listener = at(finished.path.parent, {"StepDone 1": lambda run: links.append(run.best_path.is_symlink())})
    worker.resume(finished, on_event=listener)
    assert links == [False]


def test_a_finished_run_made_longer(tiny: Tiny, tmp_path: Path, finished: RunDirectory, whole: RunDirectory) -> None:
    """It ends as one that was to be so long from the first; its adapter is replaced."""
    longer = worker.start(
        tiny.profile(*STEADY, "train.max_steps=8"), runs_dir=tmp_path / "longer", name=None, on_event=ignore
    )
    assert adapter_bytes(longer.run) != adapter_bytes(whole)
    assert adapter_bytes(finished) == adapter_bytes(whole)
    assert poemcore_resume(finished, "--set", "train.max_steps=8") == 0
    assert adapter_bytes(finished) == adapter_bytes(longer.run)
    assert load_profile(str(finished.profile_path)).train.max_steps == 8
    view = view_run(finished)
    assert (view.status, view.step, view.steps) == ("finished", 8, 8)
    assert view.eval_loss == longer.eval_loss


@pytest.mark.parametrize("words", [(), ("--set", "train.eval_every=1"), ("--from", "4")])
def test_a_finished_run_stays_finished(
    finished: RunDirectory, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    before = finished.events_path.read_bytes()
    assert poemcore_resume(finished, *words) == 2
    captured = capsys.readouterr()
    assert "the run is finished" in captured.err
    assert "--set train.epochs=N" in captured.err
    assert finished.events_path.read_bytes() == before
    assert [item.step for item in checkpoints(finished)] == [4, 5, 6]


def test_a_resume_that_is_refused_lets_go_of_the_run(finished: RunDirectory) -> None:
    assert poemcore_resume(finished) == 2
    assert not is_locked(finished)
    assert view_run(finished).status == "finished"


def test_fewer_steps_than_done(stopped: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert poemcore_resume(stopped, "--set", "train.max_steps=2") == 2
    captured = capsys.readouterr()
    assert "the run has done 3 steps and is now to have 2" in captured.err
    assert "--from" in captured.err
    assert isinstance(events_of(stopped)[-1], RunStopped)
    assert load_profile(str(stopped.profile_path)).train.max_steps == 6
    assert poemcore_resume(stopped, "--from", "2", "--set", "train.max_steps=2") == 0
    assert view_run(stopped).step == 2


def test_nothing_is_removed_before_all_is_known_to_be_as_it_was(stopped: RunDirectory) -> None:
    manifest = json.loads(stopped.manifest_path.read_text(encoding="utf-8"))
    manifest["data"]["sha256"] = "0" * 64
    stopped.manifest_path.write_text(json.dumps(manifest), encoding="utf-8")
    before = [item.step for item in checkpoints(stopped)]
    assert before[-1] > 2
    assert poemcore_resume(stopped, "--from", "2") == 2
    assert [item.step for item in checkpoints(stopped)] == before


def test_without_its_manifest_a_run_doesn_t_go_on(stopped: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    stopped.manifest_path.unlink()
    assert poemcore_resume(stopped) == 2
    assert "the manifest can't be read" in capsys.readouterr().err


def test_a_key_that_may_not_change(stopped: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    before = (stopped.profile_path.read_bytes(), stopped.events_path.read_bytes())
    assert poemcore_resume(stopped, "--set", "train.learning_rate=0.5", "--set", "train.max_steps=9") == 2
    assert "a run keeps what it began with: train.learning_rate 0.01 → 0.5" in capsys.readouterr().err
    assert (stopped.profile_path.read_bytes(), stopped.events_path.read_bytes()) == before


def test_a_run_that_goes_on_has_no_final_adapter(finished: RunDirectory) -> None:
    with lock_run(finished):
        make_resumable(finished, overrides=["train.max_steps=8"], from_step=None)
    there: list[list[str]] = []
    look = {"StepDone 7": lambda run: there.append(sorted(path.name for path in run.adapter_path.iterdir()))}
    worker.resume(finished, on_event=at(finished.path.parent, look))
    assert there == [["best"]]
    assert (finished.adapter_path / "adapter_config.json").is_file()
