"""How full the memory is that models live in: the first GPU's, where there is one, else the machine's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Memory at one moment."""

    device: str
    """"GPU" or "RAM"."""
    used_bytes: int
    """By all processes together."""
    total_bytes: int
    """All there is."""


class MemoryMeter:
    """Reads it again and again; the driver of a GPU is asked for once."""

    def __init__(self) -> None:
        """Look for a GPU."""
        self._gpu = _first_gpu()

    def read(self) -> DeviceMemory:
        """The memory now."""
        if self._gpu is not None:
            import pynvml

            try:
                found = pynvml.nvmlDeviceGetMemoryInfo(self._gpu)
                return DeviceMemory("GPU", int(found.used), int(found.total))
            except pynvml.NVMLError:
                self._gpu = None  # it fell off the bus, or the driver was replaced
        import psutil

        memory = psutil.virtual_memory()
        return DeviceMemory("RAM", memory.total - memory.available, memory.total)


def _first_gpu() -> object | None:
    import pynvml

    try:
        pynvml.nvmlInit()
        return cast(object, pynvml.nvmlDeviceGetHandleByIndex(0))
    except pynvml.NVMLError:  # no driver or no device
        return None
