"""A run outlives the terminal that it was started from: a real sshd whose connection is cut, a real pseudo-terminal."""

from __future__ import annotations

import getpass
import os
import pty
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from stage import POEMCORE, SETTINGS, Stage, await_end, await_event, events, sha256, train, wait_for, worker_pid

from core.profile.document import dump_profile, load_profile
from core.runs.directory import list_runs
from core.runs.events import RunStopped, StepDone
from tests.terminal import Terminal

_SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@dataclass(frozen=True, slots=True)
class Sshd:
    """A running server."""

    process: psutil.Process
    """The one that listens."""
    command: tuple[str, ...]
    """What logs in, to be followed by what to do there."""


def _install() -> str:
    """Debian's openssh-server, where it is missing; why it can't be had, or nothing."""
    global _SSHD
    if _SSHD is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            return "no sshd here, and installing one takes root and apt-get"
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "openssh-server", "openssh-client"]
        for command in (["apt-get", "update", "-q"], install):
            try:
                done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=240)
            except subprocess.TimeoutExpired:
                return "no sshd here, and apt-get took longer than 4 minutes"
        _SSHD = shutil.which("sshd", path="/usr/sbin")
        if _SSHD is None:
            return f"no sshd here, and apt-get didn't install it: {done.stderr[-200:]}"
    return "" if shutil.which("ssh") else "no ssh client here"


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A server on 127.0.0.1 with keys of its own, for this user."""
    if problem := _install():
        pytest.skip(problem)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where its unprivileged half lives; a boot script's work
    for key in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/client.pub\n"
        "PidFile none\nPermitRootLogin yes\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n",
        encoding="utf-8",
    )
    with open(tmp_path / "sshd.log", "wb") as log:
        process = subprocess.Popen([str(_SSHD), "-D", "-e", "-f", str(config)], stderr=log, stdin=subprocess.DEVNULL)
    wait_for(lambda: _listens(port) or process.poll() is not None, timeout_s=20)
    assert process.poll() is None, (tmp_path / "sshd.log").read_text(encoding="utf-8")
    options = ("StrictHostKeyChecking=no", f"UserKnownHostsFile={tmp_path}/known", "IdentitiesOnly=yes")
    command = ["ssh", "-tt", "-F", "none", "-i", str(tmp_path / "client"), "-p", str(port)]
    command += [part for option in options for part in ("-o", option)]
    yield Sshd(psutil.Process(process.pid), (*command, f"{getpass.getuser()}@127.0.0.1"))
    process.kill()
    process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _detach_and_follow(stage: Stage) -> str:
    """What a person types: start a run in the background, and watch it."""
    settings = {**stage.environment, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
    train_line = shlex.join([POEMCORE, *train(), "--detach"])
    return f"cd {shlex.quote(str(stage.root))} && export {exports} && {train_line} && {POEMCORE} follow last"


def _with_a_follower(sshd: Sshd) -> dict[psutil.Process, list[str]]:
    """The server's descendants and their command lines, once one of them follows the run."""
    there = {}
    for process in sshd.process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            there[process] = process.cmdline()
    return there if any("follow" in command for command in there.values()) else {}


@pytest.mark.short
def test_a_run_started_through_ssh_outlives_the_connection(
    stage: Stage, sshd: Sshd, undisturbed: str, strike: Callable[..., None]
) -> None:
    with open(stage.root / "ssh.log", "wb") as log:
        client = subprocess.Popen(
            [*sshd.command, _detach_and_follow(stage)], stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    wait_for(lambda: list_runs(stage.runs_dir) or client.poll() is not None)
    assert client.poll() is None, (stage.root / "ssh.log").read_text(encoding="utf-8")
    run = stage.run()
    await_event(run, StepDone, step=2)
    there = wait_for(lambda: _with_a_follower(sshd))
    client.kill()
    for process, command in there.items():
        if "follow" not in command:
            with suppress(psutil.NoSuchProcess):  # one session may fall with another
                process.kill()
    client.wait()
    _gone, alive = psutil.wait_procs(list(there), timeout=20)
    assert not alive  # the follower went with its terminal
    strike()
    await_end(run)
    assert stage.status() == "finished"
    assert sha256(run) == undisturbed


def _app(stage: Stage, sshd: Sshd, *arguments: str) -> Terminal:
    """The app in a terminal of 80 × 24, through the server."""
    own = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "POEMTUI_CONFIG": str(stage.root / "none.toml")}
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in (stage.environment | own).items())
    line = shlex.join([str(Path(POEMCORE).with_name("poemtui")), *arguments])
    command = [str(shutil.which("ssh")), *sshd.command[1:]]
    return Terminal(
        [*command, f"cd {shlex.quote(str(stage.root))} && export LC_ALL=C.UTF-8 {exports} && {line}"],
        environment={**os.environ, "TERM": "xterm-256color"},
    )


@pytest.mark.short
def test_a_run_started_in_the_app_outlives_the_connection(
    stage: Stage, sshd: Sshd, undisturbed: str, strike: Callable[..., None]
) -> None:
    (stage.root / "state").mkdir(mode=0o700, exist_ok=True)
    sets = [f"{key}={value}" for key, value in SETTINGS.items()]
    profile = dump_profile(load_profile("tang-tiny-cpu", overrides=sets))
    (stage.root / "tried.toml").write_text(profile, encoding="utf-8")
    with _app(stage, sshd, "tried.toml") as terminal:
        terminal.see("tried.toml", "dtype").press("escape", "3").see("Start").press("s").see("parameters")
        terminal.press("enter")
        wait_for(lambda: list_runs(stage.runs_dir))
        run = stage.run()
        await_event(run, StepDone, step=2)
        there = sshd.process.children(recursive=True)
        os.kill(terminal.pid, signal.SIGKILL)
        for process in there:
            with suppress(psutil.NoSuchProcess):
                if "sshd" in process.name():
                    process.kill()
        _gone, alive = psutil.wait_procs(there, timeout=20)
        assert not alive  # the app and its model process went with the connection
    strike()
    await_end(run)
    assert stage.status() == "finished"
    assert sha256(run) == undisturbed
    with _app(stage, sshd) as terminal:
        terminal.see("finished", "step 12/12")
        terminal.press("5").see("Follow").press("a").see("tried writes")
        terminal.press(*"白日依山盡，黃河入海流。").see("白日依山盡，黃河入海流。").press("enter")
        terminal.see("cut off by max_new_tokens")
        terminal.press("ctrl+y").until(lambda: b"\x1b]52;c;" in terminal.raw, what="the clipboard")
        terminal.press("ctrl+q")
        assert terminal.wait() == 0


@pytest.mark.short
def test_a_detached_run_outlives_its_terminal(stage: Stage, undisturbed: str, strike: Callable[..., None]) -> None:
    pid, terminal = _on_a_terminal(stage, ["/bin/sh", "-c", _detach_and_follow(stage)])
    wait_for(lambda: list_runs(stage.runs_dir))
    run = stage.run()
    await_event(run, StepDone, step=2)
    os.close(terminal)
    _status, code = _reaped(pid)
    assert os.waitstatus_to_exitcode(code) != 0  # who watched is gone
    strike()
    await_end(run)
    assert stage.status() == "finished"
    assert sha256(run) == undisturbed


@pytest.mark.parametrize("number", [0, signal.SIGTERM])
def test_a_run_in_the_foreground_outlives_its_terminal(
    stage: Stage, undisturbed: str, number: int, strike: Callable[..., None]
) -> None:
    pid, terminal = _on_a_terminal(stage, [POEMCORE, *train()])
    wait_for(lambda: list_runs(stage.runs_dir))
    run = stage.run()
    await_event(run, StepDone, step=2)
    os.close(terminal)
    strike()
    if number:  # without its terminal it still obeys
        os.kill(worker_pid(run), number)
        _reaped(pid)
        assert [event.reason for event in events(run, RunStopped)] == ["SIGTERM"]
        stage.poemcore("resume", run.id)
    else:
        _reaped(pid)
    assert stage.status() == "finished"
    assert sha256(run) == undisturbed


def _on_a_terminal(stage: Stage, command: list[str]) -> tuple[int, int]:
    """Start a command whose terminal is a new pseudo-terminal; its process id and the terminal's other end."""
    environment = {**os.environ, **stage.environment}
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(stage.root)
            os.execve(command[0], command, environment)
        finally:
            os._exit(127)
    return pid, terminal


def _reaped(pid: int) -> tuple[int, int]:
    """The ended child and its status."""
    return wait_for(lambda: next((pair for pair in [os.waitpid(pid, os.WNOHANG)] if pair[0]), None))
