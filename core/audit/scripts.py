"""Characters that only Simplified type has, and those that only Traditional type has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.data.script import traditional_form

_FIRST_IDEOGRAPH = "\u3400"


@dataclass(frozen=True, slots=True)
class ScriptCharacters:
    """Characters of one script alone; all others can stand in either."""

    simplified: frozenset[str]
    """Those that only Simplified type has: 发 马."""
    traditional: frozenset[str]
    """Those that only Traditional type has: 發 馬."""


def script_characters(characters: Iterable[str]) -> ScriptCharacters:
    """Which of some characters belong to one script alone.

    Simplified as `core.data.script` tells it; Traditional where opencc has another form for it and GB 2312, the
    standard of Simplified type, lacks it: 乾 and 著 are in both.
    """
    import opencc

    ideographs = sorted({one for one in characters if one >= _FIRST_IDEOGRAPH and one.isalpha()})
    simple = opencc.OpenCC("t2s").convert("\n".join(ideographs)).split("\n") if ideographs else []
    changed = [one for one, other in zip(ideographs, simple, strict=True) if one != other]
    kept = [one for one, other in zip(ideographs, simple, strict=True) if one == other]
    return ScriptCharacters(
        frozenset(one for one in kept if (form := traditional_form(one)) is not None and form.simplified),
        frozenset(one for one in changed if not _in_gb2312(one)),
    )


def _in_gb2312(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True
