"""What a run needs on the disk."""

from __future__ import annotations

from core.training.checkpoint import COPIES_PER_CHECKPOINT

_EVENTS_BYTES = 2 * 2**20  # events, console and profile of a run of some ten thousand steps
_BYTES_PER_PARAMETER = 4  # float32, whatever the base is in


def room_needed(trainable_parameters: int, *, keep_checkpoints: int) -> int:
    """Bytes for the final adapter, the checkpoints kept, the best, the one being written, and the events."""
    one = trainable_parameters * _BYTES_PER_PARAMETER
    return one * (1 + COPIES_PER_CHECKPOINT * (keep_checkpoints + 2)) + _EVENTS_BYTES
