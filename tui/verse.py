"""A poem laid out: its sentences, in regular verse the couplets, each on a line of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

SENTENCE = re.compile(r"[^。！？；\n]*[。！？；]+[」』”’）]*|[^。！？；\n]+")
"""A sentence with the marks and brackets that close it."""


def verse_lines(text: str) -> Iterator[str]:
    """The text's sentences, stripped, blank ones left out."""
    return (line for sentence in SENTENCE.findall(text) if (line := sentence.strip()))
