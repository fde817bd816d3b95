"""Untrusted text made safe for a terminal: what a file, a model or a profile holds can't move the cursor or hide."""

from __future__ import annotations

import unicodedata

_CONTROL_PICTURES = 0x2400
_DELETE = 0x7F


def plain(text: str, *, keep_newlines: bool = False) -> str:
    """`text` with every control, bidirectional, private-use and unpaired-surrogate character made visible.

    C0 controls become their Unicode control pictures (ESC → ␛); the rest become `\\u{XXXX}`. Line feeds stay where
    `keep_newlines` is set.
    """
    if text.isprintable():
        return text
    return "".join(character if character == "\n" and keep_newlines else _visible(character) for character in text)


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    if code == _DELETE:
        return "\u2421"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return f"\\u{{{code:04X}}}"
    return character
