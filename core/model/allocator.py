"""How this process asks the system for memory. Call it before torch is imported.

A training step allocates and frees the same hundreds of megabytes every time. glibc gives large blocks back to the
kernel at once, and the page faults of the next step can cost more than its arithmetic.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_TOP_PAD_BYTES = 64 * 2**20
# Larger blocks, such as logits, have pages of their own all the same: on the heap their places are soon broken up, and
# a run with a vocabulary of 150,000 held twice the memory. They are few, so a step takes no longer for their faults.
LARGE_BYTES = 32 * 2**20
_INT_MAX = 2**31 - 1


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, and let torch ask for huge pages. Does nothing on other systems."""
    if sys.platform != "linux":
        return
    # torch reads this when it is loaded.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no such function
        return
    mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _INT_MAX)
    mallopt(_M_TOP_PAD, _TOP_PAD_BYTES)


def return_freed_memory() -> None:
    """Let glibc give back to the system what is free now. Does nothing on other systems."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):  # musl has no such function
        ctypes.CDLL(None).malloc_trim(0)
