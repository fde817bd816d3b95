"""A whole run on the built-in base: its events and files, `train --json`, and what is refused before it begins."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.errors import PoemError
from core.profile.document import load_profile, profile_to_dict
from core.profile.schema import Profile
from core.runs.directory import find_run
from core.runs.event_log import iter_events
from core.runs.events import CheckpointSaved, DeviceTaken, EvalDone, RunFinished, RunStarted, RunStopped
from core.runs.launch import with_full_paths
from core.runs.resumption import make_resumable
from core.runs.view import view_run
from core.training import conductor, worker
from tests.tiny import WEIGHTS, adapter_bytes, at, events_of, ignore, names_of

SETTINGS = [
    "data.rows=32",
    "data.eval_rows=6",
    "train.max_steps=4",
    "train.batch_size=8",
    "train.micro_batch_size=8",
    "train.eval_every=2",
    "train.checkpoint_every=3",
    "train.sample_every=4",
    "generation.max_new_tokens=8",
    "lora.r=2",
    "lora.alpha=4",
    "model.device=cpu",
]


def profile(*more: str) -> Profile:
    return load_profile("tang-tiny-cpu", overrides=[*SETTINGS, *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[worker.Outcome, list[Any]]:
    """One run to its end, and what was reported of it."""
    reported: list[Any] = []
    runs_dir = tmp_path_factory.mktemp("finished") / "runs"
    outcome = worker.start(profile(), runs_dir=runs_dir, name="whole", on_event=reported.append)
    return outcome, reported


def test_events_in_order(finished: tuple[worker.Outcome, list[Any]]) -> None:
    outcome, reported = finished
    assert [event for event, _time_s in iter_events(outcome.run.events_path)] == reported
    assert names_of(reported) == [
        "DeviceTaken",
        "RunStarted",
        "EvalStarted 0",
        "EvalDone 0",
        "StepDone 1",
        "StepDone 2",
        "EvalStarted 2",
        "EvalDone 2",
        "CheckpointSaved 2",
        "BestChanged 2",
        "StepDone 3",
        "CheckpointSaved 3",
        "StepDone 4",
        "EvalStarted 4",
        "EvalDone 4",
        "SampleMade 4",
        "CheckpointSaved 4",
        "BestChanged 4",
        "RunFinished 4",
    ]
    assert reported[0] == DeviceTaken(device="cpu")
    started = reported[1]
    assert isinstance(started, RunStarted)
    assert (started.run, started.rows, started.eval_rows, started.steps) == (outcome.run.id, 32, 6, 4)
    assert (started.base, started.device, started.dtype) == ("builtin:tang-tiny", "cpu", "float32")
    losses = [event.loss for event in reported if isinstance(event, EvalDone)]
    assert (outcome.eval_loss_base, outcome.eval_loss) == (losses[0], losses[-1])
    last = reported[-1]
    assert isinstance(last, RunFinished)
    assert (last.eval_loss_base, last.eval_loss, last.adapter) == (losses[0], losses[-1], "adapter")
    assert view_run(outcome.run).status == "finished"


def test_files_of_a_finished_run(finished: tuple[worker.Outcome, list[Any]]) -> None:
    run = finished[0].run
    manifest = json.loads(run.manifest_path.read_text(encoding="utf-8"))
    assert manifest["model"]["base"] == "builtin:tang-tiny"
    assert len(manifest["data"]["sha256"]) == 64
    assert len(manifest["held_out"]) == 6
    assert manifest["versions"].keys() == {"poemtui", "python", "torch", "transformers", "peft", "accelerate"}
    assert load_profile(str(run.profile_path)) == profile()
    assert manifest["numerics"].keys() == {"torch", "cpu_capability", "threads", "device", "dtype"}
    assert manifest["profile"] == json.loads(json.dumps(profile_to_dict(profile())))
    names = sorted(path.name for path in run.adapter_path.iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors", "best"]
    assert os.readlink(run.best_path) == "../checkpoints/step-000004/adapter"
    # The last step was the best: the two are the same.
    assert (run.best_path / WEIGHTS).read_bytes() == adapter_bytes(run)
    config = json.loads((run.adapter_path / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "builtin:tang-tiny"


def test_a_finished_run_is_not_resumed(finished: tuple[worker.Outcome, list[Any]]) -> None:
    with pytest.raises(PoemError, match="the run is finished"):
        make_resumable(finished[0].run, overrides=[], from_step=None)


def test_interrupted_and_resumed(tmp_path: Path, finished: tuple[worker.Outcome, list[Any]]) -> None:
    listener = at(tmp_path, {"StepDone 2": lambda _run: signal.raise_signal(signal.SIGTERM)})
    outcome = worker.start(profile(), runs_dir=tmp_path, name="cut", on_event=listener)
    assert (outcome.status, outcome.step) == ("stopped", 2)
    last = events_of(outcome.run)[-2:]
    assert isinstance(last[0], CheckpointSaved) and isinstance(last[1], RunStopped)
    assert last[1].reason == "SIGTERM"
    assert (outcome.run.path / last[0].path).is_dir()
    assert not outcome.run.adapter_path.exists()

    resumed = worker.resume(outcome.run, on_event=ignore)
    assert (resumed.status, resumed.step) == ("finished", 4)
    whole = finished[0]
    assert (resumed.eval_loss_base, resumed.eval_loss) == (whole.eval_loss_base, whole.eval_loss)
    assert adapter_bytes(resumed.run) == adapter_bytes(whole.run)


def test_train_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "tang-tiny-cpu", "--runs-dir", str(tmp_path / "runs"), "--json"]
    settings = [*SETTINGS, "data.eval_rows=0", "train.max_steps=1", "train.sample_every=0"]
    assert main([*arguments, *(word for setting in settings for word in ("--set", setting))]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    run = find_run(tmp_path / "runs", "last")
    assert document == {
        "run": run.id,
        "status": "finished",
        "steps": 1,
        "eval_loss_base": None,
        "eval_loss": None,
        "adapter": str(run.adapter_path),
    }
    assert run.id in captured.err


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], *settings: str) -> str:
    """The message of a run that never came to be."""
    runs_dir = tmp_path / "runs"
    words = [word for setting in (*SETTINGS, *settings) for word in ("--set", setting)]
    assert main(["train", "tang-tiny-cpu", "--runs-dir", str(runs_dir), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert not runs_dir.exists()
    return captured.err


def test_no_space(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "free_bytes", lambda _path: 3_000_000)
    message = refused(tmp_path, capsys)
    # 58368 numbers of 4 bytes, once for the adapter and thrice for each of 3 + 2 checkpoints; 2 MiB for the rest.
    assert "too little room for the run: 5.8 MB needed, 3.0 MB free" in message
    assert "--runs-dir" in message


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("model.base=/nowhere/model", "the model folder /nowhere/model is not there"),
        ("data.path=/nowhere/poems.json", "/nowhere/poems.json"),
        ("data.rows=401", "401"),
        ("data.cutoff_len=16", "no row fits into 16 tokens"),
        ('lora.target_modules=["q_porj"]', "no linear layer q_porj"),
        ("model.device=cuda:99", "the device cuda:99 is not there"),
    ],
)
def test_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, problem: str
) -> None:
    assert problem in refused(tmp_path, capsys, setting)


def test_overlong_rows_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(tmp_path, capsys, "data.cutoff_len=24", "data.overlong=truncate")
    assert "nothing left to learn: rows " in message


def test_a_run_keeps_full_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "poems.json").write_text("[]", encoding="utf-8")
    (tmp_path / "base").mkdir()
    kept = with_full_paths(load_profile("tang-tiny-cpu", overrides=["data.path=poems.json", "model.base=base"]))
    assert (kept.data.path, kept.model.base) == (str(tmp_path / "poems.json"), str(tmp_path / "base"))
    builtin = load_profile("tang-tiny-cpu")
    assert with_full_paths(builtin) == builtin
