"""What the facts about a machine mean for teaching and using a model here: pure rules, each with a way to mend it.

Knows nothing of how the facts were found (core/machine.py) and of how findings are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.i18n import _
from core.machine import Machine, Terminal, Torch
from core.plain import plain

OLDEST_PYTHON = (3, 11)
OLDEST_TORCH = (2, 11)
_GIB = 1024**3
_MIB = 1024**2
# PyTorch, transformers and peft take a third of this before any model is loaded.
_LEAST_MEMORY_BYTES = _GIB
_EASY_MEMORY_BYTES = 2 * _GIB
# LoRA of rank 8 on every projection of Qwen2-1.5B has 9.2 M parameters: 37 MB an adapter, 111 MB a checkpoint.
_LEAST_DISK_BYTES = 100 * _MIB
_EASY_DISK_BYTES = 2 * _GIB
# The weights of a 1.5B base take 3 GiB in bfloat16; the rest is for activations.
_EASY_GPU_BYTES = 6 * _GIB


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    topic: str
    """"python", "torch", "device", "cpu", "memory", "disk", "terminal" or "packages"."""
    level: str
    """"ok"; "warn": it works, but slowly or not as well as it could; "bad": something will not work."""
    message: str
    """What was found, and what will be slow or break."""
    hint: str = ""
    """How to mend it; empty: nothing to mend."""


def findings(machine: Machine) -> tuple[Finding, ...]:
    """Everything that there is to say about the machine, at least one finding a topic."""
    found = [*_python(machine), *_torch(machine)]
    if machine.torch is not None:
        found += [*_device(machine, machine.torch), *_cpu(machine, machine.torch)]
    return (*found, *_memory(machine), *_disk(machine), *_terminal(machine.terminal), *_packages(machine))


def _python(machine: Machine) -> Iterator[Finding]:
    version = ".".join(map(str, machine.python))
    if machine.python[:2] < OLDEST_PYTHON:
        message = _("Python {version} is too old.").format(version=version)
        yield Finding("python", "bad", message, _("Install Python 3.11 or newer and make a new virtual environment."))
    else:
        message = _("Python {version} ({system}, {architecture}): {executable}").format(
            version=version,
            system=machine.system,
            architecture=machine.architecture,
            executable=plain(machine.executable),
        )
        yield Finding("python", "ok", message)


def _torch(machine: Machine) -> Iterator[Finding]:
    torch = machine.torch
    if torch is None:
        message = _("PyTorch can't be imported, so nothing can be trained or completed: {reason}").format(
            reason=plain(machine.torch_error)
        )
        hint = _("Install it anew in this environment: {command}").format(
            command="python -m pip install --force-reinstall 'torch>=2.11'"
        )
        yield Finding("torch", "bad", message, hint)
        return
    build = torch.built_for or (_("processor and Metal") if torch.mps else _("processor only"))
    if _release(torch.version) < OLDEST_TORCH:
        message = _("PyTorch {version} is older than 2.11; parts of it that are needed may be missing.").format(
            version=plain(torch.version)
        )
        yield Finding("torch", "bad", message, "python -m pip install --upgrade 'torch>=2.11'")
    else:
        message = _("PyTorch {version}, built for: {build}").format(version=plain(torch.version), build=build)
        yield Finding("torch", "ok", message)


def _device(machine: Machine, torch: Torch) -> Iterator[Finding]:
    for index, gpu in enumerate(torch.gpus):
        name = f"cuda:{index} {plain(gpu.name)}"
        memory = _size(gpu.memory_bytes)
        if gpu.error:
            message = _("{name}: a first computation failed: {reason}").format(name=name, reason=plain(gpu.error))
            hint = _("Look at nvidia-smi: the driver may be too old, the device full, or not served by this PyTorch.")
            yield Finding("device", "bad", message, hint)
        elif not gpu.bf16:
            message = _("{name}, {memory}: no bfloat16, so models take float32: twice the memory, and slow.").format(
                name=name, memory=memory
            )
            yield Finding("device", "warn", message, _("Lower data.cutoff_len and train.micro_batch_size."))
        elif gpu.free_bytes < _EASY_GPU_BYTES:
            message = _("{name}, {memory}: only {free} are free, tight for a 1.5B base.").format(
                name=name, memory=memory, free=_size(gpu.free_bytes)
            )
            hint = _("End what else uses it (nvidia-smi lists it), or set train.micro_batch_size = 1.")
            yield Finding("device", "warn", message, hint)
        else:
            message = _("{name}, {memory}, {free} free, bfloat16").format(
                name=name, memory=memory, free=_size(gpu.free_bytes)
            )
            yield Finding("device", "ok", message)
    if torch.gpus:
        return
    if torch.mps:
        yield Finding("device", "ok", _("mps: Apple's Metal, on the machine's own memory"))
        return
    if machine.nvidia and not torch.built_for:
        message = _("There is an NVIDIA GPU, but this PyTorch is built for the processor only and can't use it.")
        hint = _("Install the CUDA build: see https://pytorch.org/get-started/locally/")
        yield Finding("device", "warn", message, hint)
    elif torch.built_for:
        message = _("This PyTorch is built for {build} but sees no GPU.").format(build=plain(torch.built_for))
        hint = _("Look at nvidia-smi (or rocm-smi) and at CUDA_VISIBLE_DEVICES; without a GPU, all is well as it is.")
        yield Finding("device", "warn", message, hint)
    message = _("cpu: no GPU, so builtin:tang-tiny trains in minutes, but a 1.5B base takes days or weeks.")
    yield Finding("device", "warn", message, _("Use the profile tang-tiny-cpu here, and larger bases on a GPU."))


def _cpu(machine: Machine, torch: Torch) -> Iterator[Finding]:
    extras = [name for name, has in (("AMX", torch.amx), ("AVX512-BF16", torch.avx512_bf16)) if has]
    message = _("{cores} cores, {threads} threads, {instructions}").format(
        cores=machine.cores,
        threads=torch.threads,
        instructions=" + ".join([plain(torch.cpu_capability), *extras]),
    )
    if torch.threads > machine.cores:
        yield Finding(
            "cpu",
            "warn",
            _("{what}: more threads than cores wait for each other.").format(what=message),
            f"export OMP_NUM_THREADS={machine.cores}",
        )
    elif machine.architecture.lower() in ("x86_64", "amd64") and not torch.cpu_capability.startswith("AVX"):
        yield Finding(
            "cpu",
            "warn",
            _("{what}: without AVX2 everything takes several times as long.").format(what=message),
            _("Unset ATEN_CPU_CAPABILITY; in a virtual machine, pass the host's processor type on to it."),
        )
    else:
        yield Finding("cpu", "ok", message)


def _memory(machine: Machine) -> Iterator[Finding]:
    message = _("{free} free of {total}").format(
        free=_size(machine.memory_free_bytes), total=_size(machine.memory_bytes)
    )
    hint = _("End other programs, or give this container or machine more memory.")
    if machine.memory_free_bytes < _LEAST_MEMORY_BYTES:
        message = _("{what}: too little to load even the built-in base.").format(what=message)
        yield Finding("memory", "bad", message, hint)
    elif machine.memory_free_bytes < _EASY_MEMORY_BYTES:
        message = _("{what}: enough for the built-in base only.").format(what=message)
        yield Finding("memory", "warn", message, hint)
    else:
        yield Finding("memory", "ok", message)


def _disk(machine: Machine) -> Iterator[Finding]:
    where = plain(machine.runs_dir)
    elsewhere = _("Keep runs elsewhere with --runs-dir or POEMTUI_RUNS.")
    if machine.runs_dir_problem == "file":
        message = _("{where}: a file is in the way of the runs directory.").format(where=where)
        yield Finding("disk", "bad", message, elsewhere)
        return
    if machine.runs_dir_problem:
        message = _("{where}: you may not write there, so no run can start.").format(where=where)
        yield Finding("disk", "bad", message, elsewhere)
        return
    message = _("{free} free for runs in {where}").format(free=_size(machine.disk_free_bytes), where=where)
    if machine.disk_free_bytes < _LEAST_DISK_BYTES:
        message = _("{what}: too little for a run.").format(what=message)
        yield Finding("disk", "bad", message, _("Free some space. {elsewhere}").format(elsewhere=elsewhere))
    elif machine.disk_free_bytes < _EASY_DISK_BYTES:
        message = _("{what}: few runs with their checkpoints will fit.").format(what=message)
        yield Finding("disk", "warn", message, _("Lower train.keep_checkpoints, or free some space."))
    else:
        yield Finding("disk", "ok", message)


def _terminal(terminal: Terminal) -> Iterator[Finding]:
    if not terminal.is_tty:
        yield Finding("terminal", "ok", _("stdout is no terminal: the commands work, the app needs one"))
        return
    shown = _("{columns}×{lines}, {colours}, {locale}, TERM={term}").format(
        columns=terminal.columns,
        lines=terminal.lines,
        colours=_colours(terminal),
        locale=plain(terminal.locale),
        term=plain(terminal.term) or "-",
    )
    yield Finding("terminal", "ok", f"{shown}, {terminal.multiplexer}" if terminal.multiplexer else shown)
    if 0 < terminal.columns < 80 or 0 < terminal.lines < 24:
        message = _("It is smaller than 80×24: panes will be cut.")
        yield Finding("terminal", "warn", message, _("Make the window larger or its letters smaller."))
    if terminal.term in ("", "dumb"):
        message = _("TERM says that it can't move its cursor, so the app can't draw.")
        yield Finding("terminal", "warn", message, "export TERM=xterm-256color")
    elif not terminal.no_color and _depth(terminal) < 256:
        message = _("It says that it has few colours, so marks are hard to tell apart.")
        yield Finding("terminal", "warn", message, "export TERM=xterm-256color COLORTERM=truecolor")
    if terminal.term == "linux":
        message = _("The console of Linux itself has no Chinese characters: 漢字 show as boxes.")
        yield Finding("terminal", "warn", message, _("Log in over SSH from a terminal with a Chinese font."))
    if not _is_utf8(terminal.locale):
        message = _("The locale {locale} isn't UTF-8: 漢字 may show as ? or _.").format(locale=plain(terminal.locale))
        hint = "export LANG=C.UTF-8" + ("; tmux -u" if terminal.multiplexer == "tmux" else "")
        yield Finding("terminal", "warn", message, hint)
    if terminal.ssh and not terminal.multiplexer:
        message = _("This is an SSH session outside tmux: runs outlive the connection, the screen doesn't.")
        yield Finding("terminal", "warn", message, _("Start tmux first, and poemcore or poemtui inside it."))


def _packages(machine: Machine) -> Iterator[Finding]:
    missing = [name for name, version in machine.packages.items() if version is None]
    if missing:
        names = ", ".join(missing)
        message = _("Not installed: {names}").format(names=names)
        hint = _("Install the project again: {command}").format(command=f"python -m pip install {' '.join(missing)}")
        yield Finding("packages", "bad", message, hint)
    present = ", ".join(f"{name} {plain(version)}" for name, version in machine.packages.items() if version is not None)
    if present:
        yield Finding("packages", "ok", present)


def _colours(terminal: Terminal) -> str:
    if terminal.no_color:
        return _("no colours (NO_COLOR)")
    return _("{number} colours").format(number=_depth(terminal))


def _depth(terminal: Terminal) -> int:
    if terminal.colorterm.lower() in ("truecolor", "24bit") or terminal.term.endswith("-direct"):
        return 256**3
    return 256 if "256color" in terminal.term else 0 if terminal.term in ("", "dumb") else 16


def _is_utf8(locale: str) -> bool:
    return locale.lower().replace("-", "").partition("@")[0].endswith("utf8")


def _release(version: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version: (2, 13) for 2.13.0+cpu."""
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.1f} GiB" if size_bytes >= _GIB else f"{size_bytes / _MIB:.0f} MiB"
