"""Which device and precision to use, and why. The choice is always explained, never silent."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from core.errors import PoemError
from core.i18n import _


@dataclass(frozen=True, slots=True)
class Device:
    """A device that exists here."""

    torch_device: torch.device
    reason: str  # why this one, for people


@dataclass(frozen=True, slots=True)
class Precision:
    """The type of the base model's weights. Adapter weights are float32 always."""

    dtype: torch.dtype
    reason: str  # why this one, for people


def choose_device(wanted: str) -> Device:
    """The device that `model.device` names; for `auto` the first of CUDA, MPS, CPU that is there.

    Raises:
        PoemError: the name is none that torch knows, or the device isn't there.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        if cuda:
            name = torch.cuda.get_device_name(0)
            return Device(torch.device("cuda", 0), _("CUDA, the first GPU: {name}").format(name=name))
        if mps:
            return Device(torch.device("mps"), _("MPS, the GPU of this Mac"))
        threads = torch.get_num_threads()
        return Device(torch.device("cpu"), _("the CPU, {threads} threads: there is no GPU").format(threads=threads))
    there = ["cpu", *(["mps"] if mps else []), *[f"cuda:{i}" for i in range(torch.cuda.device_count())]]
    index = wanted.partition(":")[2] or "0"
    full = f"cuda:{index}" if wanted.split(":")[0] == "cuda" else wanted
    if full not in there:
        raise PoemError(
            _("the device {wanted} is not there").format(wanted=wanted),
            hint=_("Set it to auto, or to one of: {there}.").format(there=", ".join(there)),
            where="model.device",
        )
    return Device(torch.device(full), _("{device}, as the profile asks").format(device=full))


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """The type that `model.dtype` names; for `auto` bfloat16 where the GPU computes in it, else float32.

    Raises:
        PoemError: the GPU can't compute in the type asked for.
    """
    supported = device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "auto":
        if device.type == "cuda" and supported:
            return Precision(torch.bfloat16, _("bfloat16: this GPU computes in it, and it halves the memory"))
        if device.type == "cuda":
            return Precision(torch.float32, _("float32: this GPU has no bfloat16"))
        if device.type == "mps":
            return Precision(torch.float32, _("float32: exact on MPS; bfloat16 halves the memory if it is short"))
        return Precision(torch.float32, _("float32: a CPU is slower in bfloat16"))
    if wanted == "bfloat16" and not supported:
        raise PoemError(
            _("this GPU can't compute in bfloat16"), hint=_("Set it to auto or float32."), where="model.dtype"
        )
    return Precision(getattr(torch, wanted), _("{dtype}, as the profile asks").format(dtype=wanted))


def memory_in_use(device: torch.device) -> int:
    """Bytes: most ever allocated on a CUDA device, what MPS's driver holds, else what this process has resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    import psutil

    return int(psutil.Process().memory_info().rss)
