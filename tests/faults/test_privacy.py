"""A run opens no socket, and nothing that it writes can be read by another user."""

from __future__ import annotations

import os
import signal
import stat

import psutil
import pytest
from stage import Stage, await_end, await_event, ended, train, wait_for, worker_pid
from victim import IN_AN_EVALUATION, SAMPLING, Fault

from core.runs.events import StepDone


@pytest.mark.short
def test_a_worker_opens_no_socket(stage: Stage) -> None:
    run = stage.detach()
    for step in (1, 4, 7):
        await_event(run, StepDone, step=step)
        os.kill(worker_pid(run), signal.SIGSTOP)  # it stands still while we look
        worker = psutil.Process(worker_pid(run))
        family = [worker, *worker.children(recursive=True)]
        assert [socket for process in family for socket in process.net_connections(kind="all")] == []
        worker.send_signal(signal.SIGCONT)
    await_end(run)
    assert stage.status() == "finished"


@pytest.mark.short
def test_every_file_is_for_this_user_alone(stage: Stage) -> None:
    former = os.umask(0)  # the most generous
    try:
        gates = {name: stage.gate(name) for name in ("eval", "sample", "save", "adapter")}
        faults = [
            Fault(IN_AN_EVALUATION, 1, gate=str(gates["eval"])),
            Fault("checkpoint: optimiser written", 1, gate=str(gates["save"])),
            Fault(SAMPLING, 1, gate=str(gates["sample"])),
            Fault("adapter: written", 1, gate=str(gates["adapter"])),
        ]
        process = stage.victim(*train(), faults=faults)
        for name in ("eval", "save", "sample", "adapter"):
            wait_for(gates[name].exists)
            assert _open_to_others(stage) == []
            gates[name].unlink()
        assert ended(process) == 0, stage.said()
        run = stage.detach("detached")
        await_end(run)
        assert stage.status("detached") == "finished"
    finally:
        os.umask(former)
    assert _open_to_others(stage) == []


def _open_to_others(stage: Stage) -> list[str]:
    found = []
    for top in (stage.runs_dir, stage.root / "state"):
        for path in (top, *top.rglob("*")):
            if path.is_symlink():
                continue  # what it leads to is looked at by itself
            mode, wanted = stat.S_IMODE(path.stat().st_mode), 0o700 if path.is_dir() else 0o600
            if mode != wanted:
                found.append(f"{path.relative_to(stage.root)}: {mode:o}")
    return found
