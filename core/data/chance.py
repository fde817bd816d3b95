"""Draws that depend on nothing but what they are for: the same on every machine, Python version and day.

`random` promises that for no more than one method of one class; a hash promises it for ever.
"""

from __future__ import annotations

import hashlib


def draw(purpose: str, *parts: int | str) -> int:
    """A number in [0, 2**64) that looks random: the BLAKE2b digest of the purpose and the parts.

    Args:
        purpose: what is drawn, so that two uses of the same parts are independent.
        parts: everything that the draw shall depend on, a seed for one.
    """
    text = "\x1f".join((purpose, *map(str, parts)))
    # Text that no row can hold may still come from a profile; it must not stop a draw.
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
