"""Locks: seen while held, let go of by the kernel, and handed to a child process without ever being free."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs.directory import create_run, typed
from core.runs.lock import HeldLock, adopt, hold, is_held, is_locked, lock_run

# Holds the lock whose descriptor and file it is told of, or takes it itself, says so, and waits for its stdin to end.
HOLDER = """
import sys
from pathlib import Path
from core.runs.lock import adopt, hold
path = Path(sys.argv[1])
lock = adopt(int(sys.argv[2]), path) if len(sys.argv) > 2 else hold(path, patience_s=0)
print("free" if lock is None else "held", flush=True)
sys.stdin.read()
"""


def start_holder(path: Path, lock: HeldLock | None = None) -> subprocess.Popen[bytes]:
    """A process that holds a lock by now: its own, or the one that it is given."""
    given = [] if lock is None else [lock.descriptor]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), *map(str, given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parent.parent,
        pass_fds=given,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder


def test_lock_is_seen_while_held_and_asking_makes_no_file(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    assert not is_locked(run)
    assert not run.lock_path.exists()
    with lock_run(run, patience_s=0):
        assert is_locked(run)
        assert stat.S_IMODE(run.lock_path.stat().st_mode) == 0o600
        with pytest.raises(PoemError, match=f"The run {run.id} is at work in another process") as caught:
            lock_run(run, patience_s=0)
        assert caught.value.hint == f"Watch it with: poemcore follow {typed(run)}"
        assert is_locked(run)
    assert not is_locked(run)
    lock_run(run, patience_s=0).release()


def test_many_may_ask_at_once_and_none_takes_another_for_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = hold(path, patience_s=0)
    assert lock is not None
    lock.release()
    reader = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(reader, fcntl.LOCK_SH)
        assert not is_held(path)
    finally:
        os.close(reader)


def test_a_reader_that_looks_just_then_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    path.touch()
    reader = os.open(path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    assert hold(path, patience_s=0) is None
    waits: list[float] = []

    def leave(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            os.close(reader)

    monkeypatch.setattr("core.runs.lock.time.sleep", leave)
    lock = hold(path)
    assert lock is not None
    assert len(waits) == 3
    lock.release()


def test_patience_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 100.9, 101.9, 102.1])
    monkeypatch.setattr("core.runs.lock.time.monotonic", lambda: next(moments))
    monkeypatch.setattr("core.runs.lock.time.sleep", lambda _seconds: None)
    path = tmp_path / "lock"
    with path.open("wb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert hold(path, patience_s=2.0) is None
    assert next(moments, None) is None


def test_a_lock_that_is_not_got_leaves_no_open_file(tmp_path: Path) -> None:
    def lowest_free_descriptor() -> int:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        os.close(descriptor)
        return descriptor

    run = create_run(tmp_path)
    with lock_run(run, patience_s=0):
        before = lowest_free_descriptor()
        assert hold(run.lock_path, patience_s=0) is None
        assert is_held(run.lock_path)
        assert lowest_free_descriptor() == before


def test_a_killed_process_lets_go_of_the_lock(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    with start_holder(run.lock_path) as holder:
        assert is_locked(run)
        holder.kill()
        holder.wait()
        assert not is_locked(run)


def test_a_lock_that_is_handed_over_stays_held_and_ends_with_the_child(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    lock = lock_run(run, patience_s=0)
    with start_holder(run.lock_path, lock) as child:
        assert is_locked(run)
        lock.release()
        assert is_locked(run)
        with pytest.raises(PoemError, match="is at work"):
            lock_run(run, patience_s=0)
        child.kill()
        child.wait()
        assert not is_locked(run)


def test_an_adopted_lock_is_not_handed_on_by_chance(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = hold(path, patience_s=0)
    assert lock is not None
    os.set_inheritable(lock.descriptor, True)
    adopted = adopt(lock.descriptor, path)
    assert adopted == lock
    assert not os.get_inheritable(lock.descriptor)
    lock.release()
    assert not is_held(path)


def test_a_lock_that_was_lost_on_the_way_is_not_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runs.lock._PATIENCE_S", 0)
    path = tmp_path / "lock"
    stale = os.open(path, os.O_RDWR | os.O_CREAT)
    with start_holder(path) as holder:
        assert adopt(stale, path) is None
        holder.kill()
    adopted = adopt(stale, path)  # taken where nobody else has it
    assert adopted is not None
    assert is_held(path)
    adopted.release()


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    run.lock_path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PoemError, match="symbolic link"):
        is_locked(run)
    with pytest.raises(PoemError, match="symbolic link"):
        lock_run(run, patience_s=0)
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_that_is_a_fifo_hangs_nobody(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    os.mkfifo(path)
    assert not is_held(path)
    with hold(path, patience_s=0) or pytest.fail("not held"):
        assert is_held(path)


def test_a_lock_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(PoemError, match="Is a directory"):
        hold(tmp_path / "lock", patience_s=0)


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    run = create_run(tmp_path)
    run.lock_path.touch()
    monkeypatch.setattr(fcntl, "flock", refuse)
    for ask in (is_locked, lock_run):
        with pytest.raises(PoemError, match="No locks available") as caught:
            ask(run)
        assert caught.value.where == str(run.lock_path)
