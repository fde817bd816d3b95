"""The rules of `poemcore doctor`, on machines made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from core import cli
from core.doctor import Finding, findings
from core.machine import Gpu, Machine, Terminal, Torch

GIB = 1024**3
H100 = Gpu("NVIDIA H100", 80 * GIB, 79 * GIB, True, "")
TERMINAL = Terminal(True, 120, 40, "xterm-256color", "truecolor", False, "C.UTF-8", "", False)
TORCH = Torch("2.13.0+cu128", "CUDA 12.8", (H100,), False, "AVX512", True, True, 16)
FINE = Machine(
    python=(3, 11, 7),
    executable="/venv/bin/python",
    system="Linux",
    architecture="x86_64",
    torch=TORCH,
    torch_error="",
    nvidia=True,
    cores=16,
    memory_bytes=128 * GIB,
    memory_free_bytes=100 * GIB,
    runs_dir="runs",
    runs_dir_problem="",
    disk_free_bytes=64 * GIB,
    terminal=TERMINAL,
    packages={"textual": "8.2.8", "peft": "0.21.2"},
)
CPU_TORCH = replace(TORCH, version="2.13.0+cpu", built_for="", gpus=())


def about(machine: Machine, topic: str) -> list[Finding]:
    return [finding for finding in findings(machine) if finding.topic == topic]


def levels(machine: Machine, topic: str) -> list[str]:
    return [finding.level for finding in about(machine, topic)]


def test_a_machine_with_nothing_to_mend() -> None:
    assert findings(FINE) == (
        Finding("python", "ok", "Python 3.11.7 (Linux, x86_64): /venv/bin/python"),
        Finding("torch", "ok", "PyTorch 2.13.0+cu128, built for: CUDA 12.8"),
        Finding("device", "ok", "cuda:0 NVIDIA H100, 80.0 GiB, 79.0 GiB free, bfloat16"),
        Finding("cpu", "ok", "16 cores, 16 threads, AVX512 + AMX + AVX512-BF16"),
        Finding("memory", "ok", "100.0 GiB free of 128.0 GiB"),
        Finding("disk", "ok", "64.0 GiB free for runs in runs"),
        Finding("terminal", "ok", "120×40, 16777216 colours, C.UTF-8, TERM=xterm-256color"),
        Finding("packages", "ok", "textual 8.2.8, peft 0.21.2"),
    )


def test_whatever_is_not_ok_has_a_hint() -> None:
    worst = replace(
        FINE,
        python=(3, 9, 1),
        torch=replace(CPU_TORCH, version="2.4.1", threads=64),
        memory_free_bytes=0,
        disk_free_bytes=0,
        terminal=replace(TERMINAL, columns=40, term="dumb", locale="C", ssh=True),
        packages={"peft": None},
    )
    for machine in (worst, replace(worst, torch=None, torch_error="broken", runs_dir_problem="denied")):
        found = [finding for finding in findings(machine) if finding.level != "ok"]
        assert len(found) >= 8
        assert [finding for finding in found if not finding.hint] == []


@pytest.mark.parametrize(("version", "level"), [((3, 10, 12), "bad"), ((3, 11, 0), "ok"), ((4, 0, 0), "ok")])
def test_python(version: tuple[int, int, int], level: str) -> None:
    assert levels(replace(FINE, python=version), "python") == [level]


def test_a_broken_torch_is_a_finding_and_its_words_are_made_safe() -> None:
    machine = replace(FINE, torch=None, torch_error="OSError: libcudart.so\x1b[2J")
    assert about(machine, "torch") == [
        Finding(
            "torch",
            "bad",
            "PyTorch can't be imported, so nothing can be trained or completed: OSError: libcudart.so␛[2J",
            "Install it anew in this environment: python -m pip install --force-reinstall 'torch>=2.11'",
        )
    ]
    assert levels(machine, "device") == []


@pytest.mark.parametrize(
    ("version", "level"),
    [("2.10.1+cpu", "bad"), ("1.13", "bad"), ("2.11.0", "ok"), ("2.13.0a0+git1", "ok"), ("3.0", "ok")],
)
def test_torch_versions(version: str, level: str) -> None:
    assert levels(replace(FINE, torch=replace(TORCH, version=version)), "torch") == [level]


@pytest.mark.parametrize(
    ("gpu", "level", "words"),
    [
        (replace(H100, error="no kernel image is available"), "bad", "no kernel image is available"),
        (replace(H100, bf16=False), "warn", "float32"),
        (replace(H100, free_bytes=6 * GIB - 1), "warn", "only 6.0 GiB are free"),
        (replace(H100, free_bytes=6 * GIB), "ok", "6.0 GiB free"),
    ],
)
def test_gpus(gpu: Gpu, level: str, words: str) -> None:
    found = about(replace(FINE, torch=replace(TORCH, gpus=(H100, gpu))), "device")
    assert [finding.level for finding in found] == ["ok", level]
    assert words in found[1].message
    assert "cuda:1 " in found[1].message


@pytest.mark.parametrize(
    ("torch", "nvidia", "said"),
    [
        (CPU_TORCH, False, ["cpu: no GPU"]),
        (CPU_TORCH, True, ["There is an NVIDIA GPU, but this PyTorch is built for the processor only", "cpu: no GPU"]),
        (replace(TORCH, gpus=()), True, ["This PyTorch is built for CUDA 12.8 but sees no GPU.", "cpu: no GPU"]),
        (replace(CPU_TORCH, mps=True), False, ["mps: "]),
    ],
)
def test_no_gpu(torch: Torch, nvidia: bool, said: list[str]) -> None:
    found = about(replace(FINE, torch=torch, nvidia=nvidia), "device")
    assert len(found) == len(said)
    for finding, words in zip(found, said, strict=True):
        assert finding.message.startswith(words)
        assert finding.level == ("ok" if words.startswith("mps") else "warn")


@pytest.mark.parametrize(
    ("threads", "capability", "architecture", "level", "hint"),
    [
        (16, "AVX2", "x86_64", "ok", ""),
        (17, "AVX2", "x86_64", "warn", "export OMP_NUM_THREADS=16"),
        (16, "DEFAULT", "x86_64", "warn", "Unset ATEN_CPU_CAPABILITY"),
        (16, "DEFAULT", "arm64", "ok", ""),
    ],
)
def test_cpu(threads: int, capability: str, architecture: str, level: str, hint: str) -> None:
    torch = replace(TORCH, threads=threads, cpu_capability=capability, amx=None, avx512_bf16=False)
    (finding,) = about(replace(FINE, torch=torch, architecture=architecture), "cpu")
    assert finding.level == level
    assert finding.message.startswith(f"16 cores, {threads} threads, {capability}")
    assert finding.hint.startswith(hint)


@pytest.mark.parametrize(
    ("free_bytes", "level", "message"),
    [
        (GIB - 1, "bad", "1024 MiB free of 128.0 GiB: too little to load even the built-in base."),
        (GIB, "warn", "1.0 GiB free of 128.0 GiB: enough for the built-in base only."),
        (2 * GIB, "ok", "2.0 GiB free of 128.0 GiB"),
    ],
)
def test_memory(free_bytes: int, level: str, message: str) -> None:
    (finding,) = about(replace(FINE, memory_free_bytes=free_bytes), "memory")
    assert (finding.level, finding.message) == (level, message)


@pytest.mark.parametrize(
    ("free_bytes", "problem", "level", "words"),
    [
        (100 * 1024**2 - 1, "", "bad", "too little for a run"),
        (100 * 1024**2, "", "warn", "100 MiB free for runs in runs: few runs"),
        (2 * GIB, "", "ok", "2.0 GiB free for runs in runs"),
        (2 * GIB, "denied", "bad", "you may not write there"),
        (0, "file", "bad", "a file is in the way"),
    ],
)
def test_disk(free_bytes: int, problem: str, level: str, words: str) -> None:
    (finding,) = about(replace(FINE, disk_free_bytes=free_bytes, runs_dir_problem=problem), "disk")
    assert finding.level == level
    assert words in finding.message


@pytest.mark.parametrize(
    ("terminal", "warned"),
    [
        (TERMINAL, []),
        (replace(TERMINAL, columns=80, lines=24), []),
        (replace(TERMINAL, columns=0, lines=0), []),
        (replace(TERMINAL, columns=79), ["smaller than 80×24"]),
        (replace(TERMINAL, lines=23), ["smaller than 80×24"]),
        (replace(TERMINAL, colorterm=""), []),
        (replace(TERMINAL, colorterm="", term="xterm"), ["few colours"]),
        (replace(TERMINAL, colorterm="", term="xterm", no_color=True), []),
        (replace(TERMINAL, term="dumb"), ["can't move its cursor"]),
        (replace(TERMINAL, term=""), ["can't move its cursor"]),
        (replace(TERMINAL, locale="zh_CN.utf8"), []),
        (replace(TERMINAL, locale="UTF-8"), []),
        (replace(TERMINAL, locale="zh_CN.UTF-8@pinyin"), []),
        (replace(TERMINAL, locale="zh_CN.GBK"), ["isn't UTF-8"]),
        (replace(TERMINAL, locale="C"), ["isn't UTF-8"]),
        (replace(TERMINAL, ssh=True), ["outside tmux"]),
        (replace(TERMINAL, term="linux", no_color=True), ["has no Chinese characters"]),
        (replace(TERMINAL, ssh=True, multiplexer="screen"), []),
        (Terminal(False, 0, 0, "", "", False, "C", "", True), []),
    ],
)
def test_terminal(terminal: Terminal, warned: list[str]) -> None:
    found = about(replace(FINE, terminal=terminal), "terminal")
    assert [finding.level for finding in found] == ["ok"] + ["warn"] * len(warned)
    for finding, words in zip(found[1:], warned, strict=True):
        assert words in finding.message


def test_terminal_in_words() -> None:
    tmux = replace(TERMINAL, colorterm="", term="tmux-256color", locale="C", multiplexer="tmux")
    found = about(replace(FINE, terminal=tmux), "terminal")
    assert found[0].message == "120×40, 256 colours, C, TERM=tmux-256color, tmux"
    assert found[1].hint == "export LANG=C.UTF-8; tmux -u"
    quiet = replace(TERMINAL, no_color=True, term="a\x1b[m")
    message = about(replace(FINE, terminal=quiet), "terminal")[0].message
    assert message == "120×40, no colours (NO_COLOR), C.UTF-8, TERM=a␛[m"


def test_packages() -> None:
    assert about(replace(FINE, packages={"textual": "8.2.8", "peft": None, "datasets": None}), "packages") == [
        Finding(
            "packages",
            "bad",
            "Not installed: peft, datasets",
            "Install the project again: python -m pip install peft datasets",
        ),
        Finding("packages", "ok", "textual 8.2.8"),
    ]


@pytest.mark.parametrize(("machine", "code"), [(FINE, 0), (replace(FINE, torch=CPU_TORCH), 0)])
def test_the_verb(machine: Machine, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.object(cli, "VERBS", ("doctor",)), mock.patch("core.machine.look", return_value=machine) as look:
        assert cli.main(["doctor", "--json", "--runs-dir", str(tmp_path)]) == code
    look.assert_called_once_with(tmp_path)
    document = json.loads(capsys.readouterr().out)
    assert document["findings"][0] == {
        "topic": "python",
        "level": "ok",
        "message": "Python 3.11.7 (Linux, x86_64): /venv/bin/python",
        "hint": "",
    }
    assert len(document["findings"]) == len(findings(machine))


def test_the_verb_in_words_says_what_is_bad_and_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    machine = replace(FINE, packages={"peft": None})
    with mock.patch.object(cli, "VERBS", ("doctor",)), mock.patch("core.machine.look", return_value=machine):
        assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok   Python     Python 3.11.7 (Linux, x86_64): /venv/bin/python"
    assert lines[-2:] == [
        "bad  packages   Not installed: peft",
        "                → Install the project again: python -m pip install peft",
    ]
