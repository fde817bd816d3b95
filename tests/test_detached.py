"""Runs in processes of their own: they end as those in the foreground do, and other processes reach them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.runs.control import ask
from core.runs.directory import RunDirectory, find_run
from core.runs.events import RequestAnswered, RunFailed, RunStopped
from core.runs.launch import launch, submit
from core.runs.lock import is_locked, lock_run
from core.runs.view import view_run
from core.training import conductor, worker
from tests.tiny import Tiny, adapter_bytes, at, events_of, ignore, make_tiny, names_of

EVERYTHING = ("train.eval_every=2", "train.checkpoint_every=5", "train.sample_every=3")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def whole(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run in the foreground."""
    runs_dir = tmp_path_factory.mktemp("whole")
    return worker.start(tiny.profile(*EVERYTHING), runs_dir=runs_dir, name="whole", on_event=ignore).run


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "core", *words]


def poemcore(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, encoding="utf-8", timeout=120)


def detach(tiny: Tiny, runs_dir: Path) -> RunDirectory:
    """A run that a process has started which is gone by now."""
    words = [word for setting in tiny.settings(*EVERYTHING) for word in ("--set", setting)]
    done = poemcore(
        "train", "tang-tiny-cpu", "--runs-dir", str(runs_dir), "--name", "far", "--detach", "--json", *words
    )
    assert done.returncode == 0, done.stderr
    run = find_run(runs_dir, "last")
    assert json.loads(done.stdout) == {"run": run.id}
    return run


def follow(run: RunDirectory) -> tuple[int, list[dict[str, Any]]]:
    done = poemcore("follow", run.id, "--runs-dir", str(run.path.parent), "--json")
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_detached_run_is_the_same_run(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    run = detach(tiny, tmp_path)
    code, lines = follow(run)
    assert code == 0
    assert view_run(run).status == "finished"
    kinds = [line["kind"] for line in lines]
    assert kinds == [json.loads(line)["kind"] for line in run.events_path.read_text(encoding="utf-8").splitlines()]
    assert (kinds[0], kinds[-1]) == ("device_taken", "run_finished")
    assert names_of(events_of(run)) == names_of(events_of(whole))
    assert adapter_bytes(run) == adapter_bytes(whole)
    assert run.console_path.read_text(encoding="utf-8") == ""
    assert json.loads(run.process_path.read_text(encoding="utf-8"))["pid"] != os.getpid()


def test_a_detached_run_that_fails_stays(tiny: Tiny, tmp_path: Path) -> None:
    run = submit(tiny.profile(), tmp_path, name="far")
    run.profile_path.write_text("[train]\nepochs = 0\n", encoding="utf-8")
    with lock_run(run) as lock:
        launch(run, lock)
    code, lines = follow(run)
    assert code == 1
    assert [line["kind"] for line in lines] == ["run_failed"]
    failed = events_of(run)[-1]
    assert isinstance(failed, RunFailed)
    assert "train.epochs" in failed.message + failed.where
    assert failed.message in run.console_path.read_text(encoding="utf-8")
    assert view_run(run).status == "failed"


def test_a_stop_at_once_reaches_it(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is held from its first moment, and what it is told before it looks is not lost."""
    run = submit(tiny.profile(), tmp_path, name="far")
    with lock_run(run) as lock:
        launch(run, lock)
    assert main(["stop", run.id, "--runs-dir", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": run.id, "status": "stopped", "step": 0}
    assert not is_locked(run)
    assert names_of(events_of(run)) == ["RequestAnswered", "RunStopped 0"]
    assert events_of(run)[-1] == RunStopped(step=0, reason="stop")


def test_another_process_lets_a_paused_run_go_on(
    tiny: Tiny, tmp_path: Path, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conductor, "_POLL_S", 0.001)
    others: list[subprocess.Popen[str]] = []

    def resume(run: RunDirectory) -> None:
        words = ("resume", run.id, "--runs-dir", str(tmp_path), "--json")
        others.append(subprocess.Popen(command(*words), stdout=subprocess.PIPE, text=True, encoding="utf-8"))

    listener = at(tmp_path, {"StepDone 1": lambda run: ask(run, "pause"), "RunPaused 1": resume})
    run = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="near", on_event=listener).run
    said, _nothing = others[0].communicate(timeout=60)
    answer = [event for event in events_of(run) if isinstance(event, RequestAnswered)][1]
    assert others[0].returncode == 0
    assert json.loads(said) == {
        "run": run.id,
        "action": "resume",
        "request": answer.request,
        "answered": True,
        "problem": None,
    }
    names = names_of(events_of(run))
    assert names[names.index("RunPaused 1") :][:4] == ["RunPaused 1", "RequestAnswered", "RunContinued 1", "StepDone 2"]
    assert adapter_bytes(run) == adapter_bytes(whole)


def test_a_stopped_run_goes_on_detached(tiny: Tiny, tmp_path: Path, whole: RunDirectory) -> None:
    listener = at(tmp_path, {"StepDone 3": lambda run: ask(run, "stop")})
    run = worker.start(tiny.profile(*EVERYTHING), runs_dir=tmp_path, name="near", on_event=listener).run
    done = poemcore("resume", run.id, "--runs-dir", str(tmp_path), "--detach", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"run": run.id})
    code, lines = follow(run)
    assert (code, lines[-1]["kind"]) == (0, "run_finished")
    assert adapter_bytes(run) == adapter_bytes(whole)
