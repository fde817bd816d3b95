"""Starting a worker: its own session, its lock, its console, and no signal lost. The worker here is a fake."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.base_folder import BUILTIN
from core.errors import PoemError
from core.profile.document import load_profile
from core.profile.schema import Profile
from core.runs import launch as launch_module
from core.runs.directory import RunDirectory, create_run
from core.runs.launch import launch, submit, with_full_paths
from core.runs.lock import is_locked, lock_run

Ended = Callable[[int], dict[str, Any]]

# Waits for the signals that were held back for it, says what it finds, and ends when the test has written to `go`.
FAKE_WORKER = """
import json, os, pathlib, signal, sys
held_back = signal.pthread_sigmask(signal.SIG_BLOCK, [])
got = [signal.sigwait([signal.SIGHUP, signal.SIGINT, signal.SIGTERM]) for _number in range(3)]
print("詩 on stdout")
print("and on stderr", file=sys.stderr)
report = {
    "arguments": sys.argv[1:], "cwd": os.getcwd(), "pid": os.getpid(), "session": os.getsid(0),
    "held_back": sorted(held_back), "got": sorted(got), "stdin": sys.stdin.read(),
    "stdin_is_null": os.fstat(0).st_rdev == os.stat(os.devnull).st_rdev,
    "outputs": [os.path.samestat(os.fstat(number), os.stat("console.log")) for number in (1, 2)],
    "descriptors": [number for number in range(3, 64) if os.path.exists(f"/dev/fd/{number}")],
    "path": sys.path[:2],
}
pathlib.Path("report.json").write_text(json.dumps(report), encoding="utf-8")
os.write(os.open("come", os.O_WRONLY), b"!")
os.read(os.open("go", os.O_RDONLY), 1)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "runs", name="tang")


@pytest.fixture
def pipes(run: RunDirectory) -> Iterator[dict[str, int]]:
    """The pipes `come` and `go` in the run, open for both directions, so that neither end ever waits for the other."""
    opened = {}
    for name in ("come", "go"):
        os.mkfifo(run.path / name)
        opened[name] = os.open(run.path / name, os.O_RDWR)
    yield opened
    for descriptor in opened.values():
        os.close(descriptor)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the fake worker's code is, which `launch` takes for its own."""
    package = tmp_path / "code" / "core" / "training"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "__main__.py").write_text(FAKE_WORKER, encoding="utf-8")
    monkeypatch.setattr(launch_module, "__file__", str(package.parent / "runs" / "launch.py"))
    return tmp_path / "code"


def start(run: RunDirectory) -> int:
    with lock_run(run, patience_s=0) as lock:
        return launch(run, lock)


@pytest.fixture
def ended(run: RunDirectory, code: Path, pipes: dict[str, int]) -> Ended:
    """Sends a worker its signals at once, lets it end, and gives what it reported."""

    def end(worker: int) -> dict[str, Any]:
        for number in launch_module.HELD_BACK:
            os.kill(worker, number)
        os.write(pipes["go"], b"!")
        assert os.waitpid(worker, 0) == (worker, 0), run.console_path.read_text(encoding="utf-8")
        report: dict[str, Any] = json.loads((run.path / "report.json").read_text(encoding="utf-8"))
        return report

    return end


def test_the_worker_stands_alone(run: RunDirectory, code: Path, ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    lock = lock_run(run, patience_s=0)
    former_stdin, (reader, writer) = os.dup(0), os.pipe()
    os.dup2(reader, 0)  # an open one that says nothing, as a terminal's
    try:
        with lock:
            worker = launch(run, lock)
    finally:
        os.dup2(former_stdin, 0)
        for descriptor in (former_stdin, reader, writer):
            os.close(descriptor)
    assert is_locked(run)
    report = ended(worker)
    signals = sorted((signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
    assert report["arguments"] == [str(run.path), "--lock", str(lock.descriptor)]
    assert (report["cwd"], report["pid"], report["session"]) == (str(run.path), worker, worker)
    assert report["session"] != os.getsid(0)
    assert (report["held_back"], report["got"]) == (signals, signals)
    assert (report["stdin"], report["stdin_is_null"], report["outputs"]) == ("", True, [True, True])
    assert report["descriptors"][0] == lock.descriptor
    assert report["path"][0] == str(code)
    assert sorted(run.console_path.read_text(encoding="utf-8").splitlines()) == ["and on stderr", "詩 on stdout"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (run.console_path,)} == {0o600}
    assert not is_locked(run)


def test_the_newest_checkpoint_is_not_named_and_the_console_is_added_to(run: RunDirectory, ended: Ended) -> None:
    run.console_path.write_text("an earlier process\n", encoding="utf-8")
    ended(start(run))
    assert run.console_path.read_text(encoding="utf-8").startswith("an earlier process\n")


@pytest.mark.usefixtures("code")
def test_the_lock_is_held_without_a_gap_until_the_worker_is_killed(run: RunDirectory, pipes: dict[str, int]) -> None:
    lock = lock_run(run, patience_s=0)
    enough = threading.Event()
    seen: list[bool] = []

    def look() -> None:
        while not enough.is_set():
            seen.append(is_locked(run))

    reader = threading.Thread(target=look)
    reader.start()
    with lock:
        worker = launch(run, lock)
    for number in launch_module.HELD_BACK:
        os.kill(worker, number)
    assert select.select([pipes["come"]], [], [], 60.0)[0]
    enough.set()
    reader.join()
    assert is_locked(run)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert len(seen) > 10
    assert all(seen)
    assert not is_locked(run)


def test_this_process_gets_its_signals_as_before(run: RunDirectory, ended: Ended) -> None:
    former = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        ended(start(run))
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == former | {signal.SIGUSR1}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@pytest.mark.parametrize("python_path", ["", ":", ".", "/gone::"])
def test_what_lies_in_the_run_directory_is_never_imported(
    run: RunDirectory,
    ended: Ended,
    monkeypatch: pytest.MonkeyPatch,
    python_path: str,
) -> None:
    for name in ("json", "pathlib", "signal", "core"):
        (run.path / f"{name}.py").write_text("raise SystemExit('hijacked')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", python_path)
    assert ended(start(run))["stdin"] == ""


def test_a_path_of_the_person_s_means_the_same_for_the_worker(
    run: RunDirectory, tmp_path: Path, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "mine")
    assert ended(start(run))["path"][1] == str(tmp_path / "mine")


def test_a_run_that_is_named_from_here_is_found_from_anywhere(
    run: RunDirectory, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path.parent)
    near = RunDirectory(Path(run.id))
    assert ended(start(near))["arguments"][0] == str(run.path)


@pytest.mark.parametrize("fault", ["console is a link", "no interpreter"])
def test_where_it_can_t_be_started_the_run_is_let_go(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "no interpreter":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    else:
        run.console_path.symlink_to(tmp_path / "secret")
    with pytest.raises(PoemError):
        start(run)
    assert not (tmp_path / "secret").exists()
    assert not run.process_path.exists()
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert not is_locked(run)


def tiny() -> Profile:
    return load_profile("tang-tiny-cpu")


def test_submitting_makes_the_run_with_its_profile(tmp_path: Path) -> None:
    run = submit(tiny(), tmp_path / "runs", name="tang")
    assert os.listdir(run.path) == ["profile.toml"]
    assert stat.S_IMODE(run.profile_path.stat().st_mode) == 0o600
    assert load_profile(str(run.profile_path)) == tiny()
    with pytest.raises(PoemError, match="can't be the name of a run"):
        submit(tiny(), tmp_path / "runs", name="../x")


def test_a_run_keeps_full_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    profile = tiny()
    assert with_full_paths(profile) == profile
    assert profile.data.path.startswith(BUILTIN)
    near = replace(profile, data=replace(profile.data, path="rows.jsonl"), model=replace(profile.model, base="base"))
    full = with_full_paths(near)
    assert (full.data.path, full.model.base) == (str(tmp_path / "rows.jsonl"), str(tmp_path / "base"))
    hub = replace(near, model=replace(profile.model, base="Qwen/Qwen2-1.5B"))
    assert with_full_paths(hub).model.base == "Qwen/Qwen2-1.5B"
