"""Words to look for, in whichever characters they are typed: a Simplified one finds the Traditional ones too.

It changes no text; `core.data.script` does, where somebody agrees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

_IDEOGRAPHS = range(0x3400, 0xA000)


def pattern_of(word: str) -> re.Pattern[str]:
    """What finds a word in casefolded text: each character as typed, or any that it is the Simplified form of."""
    word = word.casefold()
    if word.isascii():
        return re.compile(re.escape(word))
    variants = traditional_variants()
    return re.compile("".join(f"[{one}{variants[one]}]" if one in variants else re.escape(one) for one in word))


@cache
def traditional_variants() -> Mapping[str, str]:
    """Simplified character → the Traditional ones that are written so: 发 → 發髮. The first call takes some 50 ms."""
    import opencc

    # From Traditional, as that way no variant is lost; and this dictionary is small, the other takes 30 MB.
    characters = [chr(code) for code in _IDEOGRAPHS]
    variants: dict[str, str] = {}
    simplified = opencc.OpenCC("t2s").convert("\n".join(characters)).split("\n")
    for character, simple in zip(characters, simplified, strict=True):
        if simple != character:
            variants[simple] = variants.get(simple, "") + character
    return variants
