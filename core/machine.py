"""What this machine has: Python, PyTorch, devices, memory, disk, terminal. It looks and judges nothing.

PyTorch is looked at in a child process (`python -m core.machine`), so that a broken one is a fact and not a crash.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("textual", "transformers", "peft", "accelerate", "datasets", "tokenizers", "safetensors")
_TORCH_PATIENCE_S = 180
_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")  # not there on other systems than Linux, which have no such limits


@dataclass(frozen=True, slots=True)
class Gpu:
    """One CUDA (or ROCm) device."""

    name: str
    """As the driver calls it."""
    memory_bytes: int
    """All of its memory."""
    free_bytes: int
    """What no process uses now."""
    bf16: bool
    """Whether it computes in bfloat16 without emulation."""
    error: str
    """Why a first small computation on it failed; empty: it works."""


@dataclass(frozen=True, slots=True)
class Torch:
    """An importable PyTorch."""

    version: str
    """With its build: 2.13.0+cpu."""
    built_for: str
    """"CUDA 12.8", "ROCm 6.4" …; empty: processor (and Metal) only."""
    gpus: tuple[Gpu, ...]
    """CUDA or ROCm devices that it sees."""
    mps: bool
    """Whether Apple's Metal can be used."""
    cpu_capability: str
    """The best instruction set that it uses: AVX512, AVX2, DEFAULT …"""
    amx: bool | None
    """Whether the processor has AMX tiles (fast bfloat16); None: not known."""
    avx512_bf16: bool | None
    """Whether the processor has AVX-512 bfloat16 dot products; None: not known."""
    threads: int
    """Threads that it would compute with."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where output goes."""

    is_tty: bool
    """Whether stdout is a terminal."""
    columns: int
    """Width in cells; 0: not known, or no terminal."""
    lines: int
    """Height in cells; 0: not known, or no terminal."""
    term: str
    """$TERM; empty: unset."""
    colorterm: str
    """$COLORTERM; empty: unset."""
    no_color: bool
    """Whether $NO_COLOR asks for no colours."""
    locale: str
    """The locale's name for characters, "C" where none is set."""
    multiplexer: str
    """"tmux", "screen" or empty."""
    ssh: bool
    """Whether this is a session over SSH."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that `poemcore doctor` judges."""

    python: tuple[int, int, int]
    """Version."""
    executable: str
    """Path of the interpreter."""
    system: str
    """"Linux", "Darwin" …"""
    architecture: str
    """"x86_64", "arm64" …"""
    torch: Torch | None
    """None: it can't be imported."""
    torch_error: str
    """Why it can't; empty where it can."""
    nvidia: bool
    """Whether an NVIDIA driver is loaded, whatever PyTorch makes of it."""
    cores: int
    """Processor cores that this process may use."""
    memory_bytes: int
    """Memory that this process may use: the machine's, or its container's limit."""
    memory_free_bytes: int
    """What is free of it."""
    runs_dir: str
    """Where runs are kept."""
    runs_dir_problem: str
    """"file" (something else is in the way), "denied", or empty: it can be written."""
    disk_free_bytes: int
    """What this user may still write there."""
    terminal: Terminal
    """Where output goes."""
    packages: Mapping[str, str | None]
    """Version of each of PACKAGES; None: not installed."""


def look(runs_dir: Path) -> Machine:
    """Look at everything. Takes as long as importing PyTorch does; writes nothing."""
    torch, torch_error = look_at_torch()
    memory_bytes, memory_free_bytes = _memory()
    problem, disk_free_bytes = _disk(runs_dir)
    return Machine(
        python=sys.version_info[:3],
        executable=sys.executable,
        system=platform.system(),
        architecture=platform.machine(),
        torch=torch,
        torch_error=torch_error,
        nvidia=Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists(),
        cores=_cores(),
        memory_bytes=memory_bytes,
        memory_free_bytes=memory_free_bytes,
        runs_dir=str(runs_dir),
        runs_dir_problem=problem,
        disk_free_bytes=disk_free_bytes,
        terminal=look_at_terminal(os.environ, _terminal_size(), utf8_mode=bool(sys.flags.utf8_mode)),
        packages={name: _version(name) for name in PACKAGES},
    )


def look_at_torch() -> tuple[Torch | None, str]:
    """PyTorch as a child process finds it, or None and why it can't be imported."""
    # The child must find this very `core`, and no `core` folder of the directory that the user is in.
    path = os.pathsep.join(filter(None, (str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH"))))
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "core.machine"],
            env=os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TORCH_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer after {_TORCH_PATIENCE_S} s"
    except OSError as error:
        return None, str(error)
    return read_answer(child.returncode, child.stdout, child.stderr)


def read_answer(code: int, stdout: bytes, stderr: bytes) -> tuple[Torch | None, str]:
    """What the child process said: facts on its last line of stdout, or a traceback, or nothing when it was killed."""
    if code < 0:
        return None, f"killed by signal {-code}"
    said = stderr.decode("utf-8", "replace").strip().splitlines()
    if code > 0:
        return None, said[-1] if said else f"exit code {code}"
    try:
        facts = json.loads(stdout.decode("utf-8").strip().splitlines()[-1])
        return Torch(**(facts | {"gpus": tuple(Gpu(**gpu) for gpu in facts["gpus"])})), ""
    except (ValueError, LookupError, TypeError) as error:
        return None, f"{type(error).__name__}: {error}"


def look_at_terminal(environ: Mapping[str, str], size: tuple[int, int] | None, *, utf8_mode: bool) -> Terminal:
    """The terminal as the environment tells of it.

    Args:
        environ: environment variables.
        size: (columns, lines), or None where stdout is no terminal.
        utf8_mode: whether Python took UTF-8 for itself, which it does where the locale is C.
    """
    names = (environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next((name for name in names if name), "C")
    if utf8_mode and locale == "C.UTF-8" and not environ.get("LC_ALL") and "PYTHONUTF8" not in environ:
        locale = "C"  # Python itself has set LC_CTYPE; the other programs of this terminal have the C locale
    term = environ.get("TERM", "")
    if environ.get("TMUX") or term.startswith("tmux"):
        multiplexer = "tmux"
    else:
        multiplexer = "screen" if environ.get("STY") or term.startswith("screen") else ""
    return Terminal(
        is_tty=size is not None,
        columns=size[0] if size else 0,
        lines=size[1] if size else 0,
        term=term,
        colorterm=environ.get("COLORTERM", ""),
        no_color=bool(environ.get("NO_COLOR")),
        locale=locale,
        multiplexer=multiplexer,
        ssh=bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")),
    )


def cgroup_memory(root: Path, membership: str) -> tuple[int, int] | None:
    """The tightest memory limit of the control groups that a process is in.

    Args:
        root: where they are mounted, /sys/fs/cgroup.
        membership: the text of /proc/self/cgroup.

    Returns:
        (limit, used) in bytes, file cache that can be dropped not counted as used; None: no limit.
    """
    found: list[tuple[int, int]] = []
    for unified, directory in _groups(root, membership, "memory"):
        limit = _number_in(directory / ("memory.max" if unified else "memory.limit_in_bytes"))
        used = _number_in(directory / ("memory.current" if unified else "memory.usage_in_bytes"))
        if limit is not None and used is not None:
            cache = _statistic(directory / "memory.stat", "inactive_file" if unified else "total_inactive_file")
            found.append((limit, max(0, used - cache)))
    return min(found, key=lambda limit_used: limit_used[0] - limit_used[1], default=None)


def cgroup_cores(root: Path, membership: str) -> float | None:
    """The processor time that control groups allow, in cores; arguments as `cgroup_memory`'s; None: no limit."""
    found: list[float] = []
    for unified, directory in _groups(root, membership, "cpu"):
        if unified:
            quota, _space, period = _text_in(directory / "cpu.max").partition(" ")
        else:
            quota, period = (_text_in(directory / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            found.append(int(quota) / int(period))
    return min(found, default=None)


def _groups(root: Path, membership: str, controller: str) -> Iterator[tuple[bool, Path]]:
    """(whether of the unified hierarchy, directory) of each control group that could limit us, the innermost first."""
    for line in membership.splitlines():
        _number, _colon, rest = line.partition(":")
        controllers, _colon, group = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        base = root / controller if controllers else root
        here = base / group.strip("/")
        for directory in (here, *here.parents):
            yield not controllers, directory
            if directory == base:
                break


def _memory() -> tuple[int, int]:
    import psutil

    machine = psutil.virtual_memory()
    total, free = int(machine.total), int(machine.available)
    limit = cgroup_memory(_CGROUPS, _text_in(_MEMBERSHIP))
    if limit is not None and limit[0] < total:
        total, free = limit[0], min(free, max(0, limit[0] - limit[1]))
    return total, free


def _number_in(path: Path) -> int | None:
    try:
        return int(_text_in(path))
    except ValueError:  # not there, or "max"
        return None


def _text_in(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _statistic(path: Path, name: str) -> int:
    lines = _text_in(path).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cores(_CGROUPS, _text_in(_MEMBERSHIP))
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _disk(runs_dir: Path) -> tuple[str, int]:
    from core.runs.storage import free_bytes

    here = runs_dir.absolute()
    while not os.path.lexists(here) and here != here.parent:
        here = here.parent
    if not here.is_dir():
        return "file", 0
    return "" if os.access(here, os.W_OK | os.X_OK) else "denied", free_bytes(here)


def _terminal_size() -> tuple[int, int] | None:
    try:
        return os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):  # a pipe, a file, or a stand-in without a descriptor
        return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def torch_facts() -> dict[str, Any]:
    """The fields of `Torch`, from PyTorch itself. Only the child process calls this."""
    import torch

    gpus = [_gpu_facts(index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    hip = torch.version.hip
    return {
        "version": str(torch.__version__),
        "built_for": f"ROCm {hip}" if hip else f"CUDA {torch.version.cuda}" if torch.version.cuda else "",
        "gpus": gpus,
        "mps": torch.backends.mps.is_available(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "amx": _ask_cpu("_is_amx_tile_supported"),
        "avx512_bf16": _ask_cpu("_is_avx512_bf16_supported"),
        "threads": torch.get_num_threads(),
    }


def _gpu_facts(index: int) -> dict[str, Any]:
    import torch

    properties = torch.cuda.get_device_properties(index)
    facts = {"name": properties.name, "memory_bytes": properties.total_memory, "free_bytes": 0, "bf16": False}
    try:
        with torch.cuda.device(index):
            facts["free_bytes"] = torch.cuda.mem_get_info()[0]
            facts["bf16"] = torch.cuda.is_bf16_supported(including_emulation=False)
            (torch.ones(2, device="cuda") + 1).sum().item()
    except RuntimeError as error:  # a device too old for this build, full, or in a bad state
        return facts | {"error": (str(error) or type(error).__name__).splitlines()[0]}
    return facts | {"error": ""}


def _ask_cpu(question: str) -> bool | None:
    """PyTorch's own word on the processor; the questions have no public name and may be missing."""
    import torch

    ask = getattr(torch.cpu, question, None)
    return bool(ask()) if ask is not None else None


if __name__ == "__main__":
    print(json.dumps(torch_facts()))
