"""The life of a worker in this process: how it ends, what it leaves behind, and memory that runs out on the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.cli import main
from core.errors import PoemError, WorkError
from core.runs import queue
from core.runs.checkpoints import checkpoints
from core.runs.control import ask
from core.runs.directory import RunDirectory, find_run, list_runs
from core.runs.events import RunFailed, RunFinished, RunStarted, StepDone
from core.runs.lock import is_locked, lock_run
from core.runs.view import view_run
from core.training import conductor, loop, worker
from core.training.checkpoint import load_state
from core.training.loss import supervised_nats
from tests.tiny import Tiny, adapter_bytes, at, events_of, ignore, make_tiny, names_of, notes_of

EVERYTHING = ("train.eval_every=2", "train.checkpoint_every=5", "train.sample_every=3")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def whole(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that nothing happens to."""
    runs_dir = tmp_path_factory.mktemp("whole")
    return worker.start(tiny.profile(*EVERYTHING), runs_dir=runs_dir, name="whole", on_event=ignore).run


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("was_there", [True, False])
def test_what_fails_before_it_trains_leaves_nothing(tiny: Tiny, tmp_path: Path, was_there: bool) -> None:
    runs_dir = tmp_path / "runs"
    if was_there:
        runs_dir.mkdir()
    heard: list[Any] = []
    with pytest.raises(PoemError, match="no linear layer q_porj"):
        worker.start(
            tiny.profile('lora.target_modules=["q_porj"]'), runs_dir=runs_dir, name="bad", on_event=heard.append
        )
    assert [type(event).__name__ for event in heard] == ["DeviceTaken", "RunFailed"]
    assert runs_dir.exists() == was_there
    assert list_runs(runs_dir) == ()
    assert queue.waiting() == ()
    assert queue.holders() == {}


def test_it_leaves_what_other_runs_there_are(tiny: Tiny, tmp_path: Path) -> None:
    first = worker.start(tiny.profile("train.max_steps=1"), runs_dir=tmp_path, name="good", on_event=ignore)
    with pytest.raises(PoemError):
        worker.start(tiny.profile("model.device=cuda:99"), runs_dir=tmp_path, name="bad", on_event=ignore)
    assert [run.id for run in list_runs(tmp_path)] == [first.run.id]


def test_a_run_that_fails_while_it_trains_stays(
    tiny: Tiny, tmp_path: Path, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_run: RunDirectory) -> None:
        monkeypatch.setattr(loop, "supervised_nats", lambda _model, _batch: torch.tensor(float("nan")).requires_grad_())

    with pytest.raises(PoemError, match="the loss of step 4 is not a finite number; its rows: ") as caught:
        worker.start(
            tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="bad", on_event=at(tmp_path, {"StepDone 3": fail})
        )
    monkeypatch.setattr(loop, "supervised_nats", supervised_nats)
    run = find_run(tmp_path, "last")
    error = caught.value
    assert events_of(run)[-1] == RunFailed(message=error.message, hint=error.hint, where="step 4")
    assert view_run(run).status == "failed"
    assert [item.step for item in checkpoints(run)] == [2]
    assert not is_locked(run)
    assert worker.resume(run, on_event=ignore).status == "finished"
    assert adapter_bytes(run) == adapter_bytes(whole)


def test_a_fault_of_ours_is_told_and_passes_on(
    tiny: Tiny, tmp_path: Path, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(conductor, "save_final", raising(RuntimeError("never thought of")))
        with pytest.raises(RuntimeError, match="never thought of"):
            worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="bad", on_event=ignore)
    run = find_run(tmp_path, "last")
    failed = events_of(run)[-1]
    assert isinstance(failed, RunFailed)
    assert failed.message == "internal error: RuntimeError: never thought of"
    assert run.console_path.name in failed.hint
    assert not is_locked(run)
    assert not (run.path / ".reserve").exists()
    assert queue.holders() == {}
    # All six steps are in the checkpoint; what is left is to write the adapter.
    before = len(events_of(run))
    assert worker.resume(run, on_event=ignore).status == "finished"
    assert names_of(events_of(run)[before:]) == ["DeviceTaken", "RunStarted", "RunFinished 6"]
    assert adapter_bytes(run) == adapter_bytes(whole)
    assert events_of(run)[-1] == events_of(whole)[-1]


def test_one_worker_at_a_time(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    listener = at(tmp_path, {"StepDone 3": lambda run: ask(run, "stop")})
    run = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="cut", on_event=listener).run
    before = run.events_path.read_bytes()
    with lock_run(run), pytest.MonkeyPatch.context() as patched:
        patched.setattr(worker, "lock_run", lambda run: lock_run(run, patience_s=0))
        with pytest.raises(PoemError, match="is at work in another process"):
            worker.resume(run, on_event=ignore)
    assert run.events_path.read_bytes() == before
    assert worker.resume(run, on_event=ignore).status == "finished"
    assert adapter_bytes(run) == adapter_bytes(whole)


def test_what_a_killed_worker_left_is_tidied(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    listener = at(tmp_path, {"StepDone 3": lambda run: ask(run, "stop")})
    run = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="cut", on_event=listener).run
    for left in (run.checkpoints_path / ".step-000003.new" / "adapter", run.path / ".adapter.new"):
        left.mkdir(parents=True)
        (left / "adapter_model.safetensors").write_bytes(b"half")
    (run.path / ".reserve").write_bytes(b"")
    with run.events_path.open("ab") as file:
        file.write(b'{"v": 1, "kind": "step_do')
    assert worker.resume(run, on_event=ignore).status == "finished"
    assert adapter_bytes(run) == adapter_bytes(whole)
    assert sorted(path.name for path in run.path.iterdir()) == [
        "adapter",
        "checkpoints",
        "control",
        "events.jsonl",
        "lock",
        "manifest.json",
        "process.json",
        "profile.toml",
    ]
    assert sorted(path.name for path in run.checkpoints_path.iterdir()) == ["step-000004", "step-000005", "step-000006"]


@pytest.fixture
def _open_umask() -> Iterator[None]:
    former = os.umask(0o022)
    yield
    os.umask(former)


@pytest.mark.usefixtures("_open_umask")
def test_a_run_is_for_its_user_alone(tiny: Tiny, tmp_path: Path) -> None:
    """Whatever the libraries write in it, too; the process's own umask is as it was."""
    runs_dir = tmp_path / "runs"
    listener = at(runs_dir, {"StepDone 1": lambda run: ask(run, "checkpoint")})
    run = worker.start(tiny.profile(*EVERYTHING), runs_dir=runs_dir, name="own", on_event=listener).run
    assert os.umask(0o022) == 0o022
    modes = {path: path.lstat().st_mode for path in [run.path, *run.path.rglob("*")] if not path.is_symlink()}
    assert len(modes) > 20
    assert {stat.S_IMODE(mode) for mode in modes.values() if stat.S_ISDIR(mode)} == {0o700}
    assert {stat.S_IMODE(mode) for mode in modes.values() if not stat.S_ISDIR(mode)} == {0o600}
    assert stat.S_IMODE(runs_dir.stat().st_mode) == 0o700


@pytest.mark.usefixtures("_open_umask")
def test_the_umask_comes_back_after_a_failure(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(PoemError):
        worker.start(tiny.profile("model.device=cuda:99"), runs_dir=tmp_path, name="bad", on_event=ignore)
    assert os.umask(0o022) == 0o022


def test_memory_that_ran_out_is_remembered(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From step 3 on one row goes through at once, in this process and in the next one, which has more memory."""
    small = {"since": False}

    def limited(model: Any, batch: Any) -> torch.Tensor:
        if small["since"] and len(batch.rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return supervised_nats(model, batch)

    monkeypatch.setattr(loop, "supervised_nats", limited)

    def shrink(_run: RunDirectory) -> None:
        small["since"] = True

    note = "Memory ran out at step 3. Rows that go through the model at once from here on: 1"
    small["since"] = False
    through = worker.start(
        tiny.profile(*EVERYTHING),
        runs_dir=tmp_path / "a",
        name=None,
        on_event=at(tmp_path / "a", {"StepDone 2": shrink}),
    ).run
    assert notes_of(through).count(note) == 1
    assert load_state(checkpoints(through)[-1]).micro_batch_size == 1

    small["since"] = False
    deeds = {"StepDone 2": shrink, "StepDone 4": lambda run: ask(run, "stop")}
    halted = worker.start(
        tiny.profile(*EVERYTHING), runs_dir=tmp_path / "b", name=None, on_event=at(tmp_path / "b", deeds)
    ).run
    assert load_state(checkpoints(halted)[-1]).micro_batch_size == 1
    monkeypatch.setattr(loop, "supervised_nats", supervised_nats)
    assert worker.resume(halted, on_event=ignore).status == "finished"
    assert adapter_bytes(halted) == adapter_bytes(through)
    losses = [[e.loss for e in events_of(run) if isinstance(e, StepDone)] for run in (through, halted)]
    assert losses[0] == losses[1]


def test_one_row_too_many_fails_the_run(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "supervised_nats", raising(torch.OutOfMemoryError("CUDA out of memory.")))
    with pytest.raises(PoemError, match="memory ran out at step 1, with one row at a time"):
        worker.start(tiny.profile(), runs_dir=tmp_path, name="big", on_event=ignore)
    run = find_run(tmp_path, "last")
    assert view_run(run).status == "failed"
    assert [type(event) for event in events_of(run) if isinstance(event, (RunStarted, StepDone, RunFinished))] == [
        RunStarted
    ]


def test_the_command_at_the_end(tiny: Tiny, tmp_path: Path) -> None:
    """Once for each end, whoever brought it about."""
    told = tmp_path / "told"
    command = tmp_path / "tell"
    command.write_text(
        f'#!/bin/sh\necho "$POEMTUI_STATUS $POEMTUI_STEP of $POEMTUI_STEPS" >> {told}\n', encoding="utf-8"
    )
    command.chmod(0o700)
    runs_dir = tmp_path / "runs"
    settings = (f'notify.command="{command}"',)
    listener = at(runs_dir, {"StepDone 3": lambda run: ask(run, "stop")})
    run = worker.start(tiny.profile(*settings), runs_dir=runs_dir, name=None, on_event=listener).run
    assert told.read_text(encoding="utf-8") == "stopped 3 of 6\n"
    worker.resume(run, on_event=ignore)
    assert told.read_text(encoding="utf-8") == "stopped 3 of 6\nfinished 6 of 6\n"


def test_what_fails_at_work_is_no_fault_of_the_input(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_keys: object) -> None:
        raise PoemError("the disk is gone", hint="look", where="there")

    monkeypatch.setattr(conductor, "save_checkpoint", refuse)
    with pytest.raises(WorkError, match="the disk is gone") as caught:
        worker.start(tiny.profile(), runs_dir=tmp_path, name=None, on_event=ignore)
    assert (caught.value.hint, caught.value.where) == ("look", "there")
    monkeypatch.setattr("core.cli._run_verb", raising(WorkError("the disk is gone")))
    assert main(["train", "x"]) == 1
