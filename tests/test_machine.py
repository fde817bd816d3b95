"""Looking at a machine: child process, control groups, environment. No real PyTorch is imported here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core import machine
from core.machine import Gpu, Terminal, Torch, cgroup_cores, cgroup_memory, look_at_terminal, look_at_torch, read_answer

FAKE_TORCH = """
from types import SimpleNamespace as Space
__version__ = "2.99.0+fake"
version = Space(hip=None, cuda="12.8")
cuda = Space(is_available=lambda: False, device_count=lambda: 1)
backends = Space(
    mps=Space(is_available=lambda: False), cpu=Space(get_cpu_capability=lambda: "AVX2")
)
cpu = Space(_is_amx_tile_supported=lambda: True)
get_num_threads = lambda: 3
"""


FAKE_GPUS = """
from contextlib import contextmanager
current = 0
@contextmanager
def device(index):
    global current
    current = index
    yield
def ones(_count, *, device):
    if current == 1:
        raise RuntimeError("CUDA error: no kernel image is available\\nCompile with ...")
    return Number(1)
class Number(int):
    def __add__(self, other): return Number(int(self) + other)
    def sum(self): return self
    def item(self): return int(self)
cuda = Space(
    is_available=lambda: True,
    device_count=lambda: 2,
    get_device_properties=lambda index: Space(name=f"GPU {index}", total_memory=1000 + index),
    mem_get_info=lambda: (900 + current, 1000),
    is_bf16_supported=lambda including_emulation: not including_emulation,
    device=device,
)
"""


@pytest.fixture
def fake_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The source of a module `torch` that children import; the current directory holds a `core` that must not win."""
    modules = tmp_path / "modules"
    (modules / "torch").mkdir(parents=True)
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").write_text("raise SystemExit('the wrong core')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(modules))
    return modules / "torch" / "__init__.py"


def test_torch_is_looked_at_in_a_child(fake_torch: Path) -> None:
    fake_torch.write_text(f"print('hello from a noisy library')\n{FAKE_TORCH}", encoding="utf-8")
    assert look_at_torch() == (Torch("2.99.0+fake", "CUDA 12.8", (), False, "AVX2", True, None, 3), "")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise OSError('libcudart.so.12: cannot open')", "OSError: libcudart.so.12: cannot open"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os; os._exit(0)", "IndexError: list index out of range"),
        ("x = 1", "AttributeError: module 'torch' has no attribute 'cuda'"),
    ],
)
def test_a_broken_torch_is_told_not_raised(fake_torch: Path, source: str, reason: str) -> None:
    fake_torch.write_text(source, encoding="utf-8")
    assert look_at_torch() == (None, reason)


def test_each_gpu_is_tried(fake_torch: Path) -> None:
    fake_torch.write_text(FAKE_TORCH + FAKE_GPUS, encoding="utf-8")
    torch, error = look_at_torch()
    assert error == ""
    assert torch is not None
    assert torch.gpus == (
        Gpu("GPU 0", 1000, 900, True, ""),
        Gpu("GPU 1", 1001, 901, True, "CUDA error: no kernel image is available"),
    )


def test_gpus_come_as_facts() -> None:
    answer = (
        b'{"version": "2", "built_for": "CUDA 12.8", "gpus": [{"name": "H100", "memory_bytes": 2, "free_bytes": 1, '
        b'"bf16": true, "error": ""}], "mps": false, "cpu_capability": "AVX512", "amx": null, "avx512_bf16": null, '
        b'"threads": 2}\n'
    )
    torch, error = read_answer(0, answer, b"")
    assert error == ""
    assert torch is not None
    assert torch.gpus == (Gpu("H100", 2, 1, True, ""),)


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b"not json", b"\xff", b'{"gpus": [{"name": 1}]}'])
def test_nonsense_from_the_child(answer: bytes) -> None:
    torch, error = read_answer(0, answer, b"")
    assert torch is None
    assert error


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n", encoding="utf-8")


def test_no_control_groups(tmp_path: Path) -> None:
    assert cgroup_memory(tmp_path, "") is None
    assert cgroup_memory(tmp_path, "0::/user.slice\n4:memory:/x\n") is None
    assert cgroup_cores(tmp_path, "0::/user.slice\n1:cpu,cpuacct:/x\n") is None


def test_unified_control_groups(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a/memory.max": "4000",
            "a/memory.current": "3500",
            "a/memory.stat": "anon 1\ninactive_file 500",
            "a/b/memory.max": "max",
            "a/b/memory.current": "900",
            "a/cpu.max": "150000 100000",
            "a/b/cpu.max": "max 100000",
        },
    )
    assert cgroup_memory(tmp_path, "0::/a/b\n") == (4000, 3000)
    assert cgroup_cores(tmp_path, "0::/a/b\n") == 1.5
    write(tmp_path, {"a/b/memory.max": "1000", "a/b/cpu.max": "50000 100000"})
    assert cgroup_memory(tmp_path, "0::/a/b\n") == (1000, 900)
    assert cgroup_cores(tmp_path, "0::/a/b\n") == 0.5


def test_control_groups_of_the_older_kind(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "memory/a/memory.limit_in_bytes": "4000",
            "memory/a/memory.usage_in_bytes": "3000",
            "memory/a/memory.stat": "total_inactive_file 1000",
            "cpu/a/cpu.cfs_quota_us": "200000",
            "cpu/a/cpu.cfs_period_us": "100000",
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert cgroup_memory(tmp_path, "4:memory:/a\n2:cpu,cpuacct:/a\n0::/\n") == (4000, 2000)
    assert cgroup_cores(tmp_path, "4:memory:/a\n2:cpu,cpuacct:/a\n0::/\n") == 2.0


def test_a_containers_limit_is_the_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"memory.max": "5000", "memory.current": "2000", "membership": "0::/"})
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(machine, "look_at_torch", lambda: (None, "not asked"))
    seen = machine.look(tmp_path / "runs")
    assert (seen.memory_bytes, seen.memory_free_bytes) == (5000, 3000)
    assert not (tmp_path / "runs").exists()
    assert seen.packages["peft"]


def test_a_runs_directory_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "look_at_torch", lambda: (None, "not asked"))
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert machine.look(tmp_path / "none" / "runs").runs_dir_problem == ""
    assert machine.look(tmp_path / "file" / "runs").runs_dir_problem == "file"
    assert machine.look(tmp_path / "dangling").runs_dir_problem == "file"
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert machine.look(tmp_path / "runs").runs_dir_problem == "denied"


def test_a_terminal_over_ssh_in_tmux() -> None:
    environ = {
        "TERM": "tmux-256color",
        "TMUX": "/tmp/tmux-0/default,1,0",
        "SSH_TTY": "/dev/pts/0",
        "LANG": "zh_CN.UTF-8",
    }
    assert look_at_terminal(environ, (200, 50), utf8_mode=False) == Terminal(
        True, 200, 50, "tmux-256color", "", False, "zh_CN.UTF-8", "tmux", True
    )


def test_no_terminal() -> None:
    assert look_at_terminal({}, None, utf8_mode=True) == Terminal(False, 0, 0, "", "", False, "C", "", False)


@pytest.mark.parametrize(
    ("environ", "utf8_mode", "locale"),
    [
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, "C"),
        ({"LC_CTYPE": "C.UTF-8"}, False, "C.UTF-8"),
        ({"LC_CTYPE": "C.UTF-8", "PYTHONUTF8": "1"}, True, "C.UTF-8"),
        ({"LC_ALL": "C.UTF-8"}, True, "C.UTF-8"),
        ({"LC_ALL": "C", "LC_CTYPE": "C.UTF-8", "LANG": "en_US.UTF-8"}, True, "C"),
        ({"LC_ALL": "", "LC_CTYPE": "", "LANG": "en_US.UTF-8"}, False, "en_US.UTF-8"),
    ],
)
def test_the_locale(environ: dict[str, str], utf8_mode: bool, locale: str) -> None:
    assert look_at_terminal(environ, (80, 24), utf8_mode=utf8_mode).locale == locale


@pytest.mark.parametrize(
    ("environ", "multiplexer"),
    [({"STY": "1.x"}, "screen"), ({"TERM": "screen-256color"}, "screen"), ({"TERM": "tmux"}, "tmux"), ({}, "")],
)
def test_multiplexers(environ: dict[str, str], multiplexer: str) -> None:
    assert look_at_terminal(environ, (80, 24), utf8_mode=False).multiplexer == multiplexer
