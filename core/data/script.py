"""Which script and punctuation a text is in, and its form in Traditional characters with full-width marks.

A text is never changed here unasked: `traditional_form` says what it would become, and whoever calls decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

_MARKS = str.maketrans(
    {",": "，", ".": "。", ";": "；", ":": "：", "!": "！", "?": "？", "､": "、", "｡": "。", "．": "。"}
)
_IDEOGRAPH = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# A mark after an ideograph with the spaces that belong to it; in "v1.5" or "Li, Bai" it stays.
_ASCII_MARK = re.compile(rf"(?<=[{_IDEOGRAPH}])\s?([,.;:!?､｡．])[ \t]*")

# Characters that opencc takes for Simplified and that poems in Traditional type use all the same, as an older form or
# another character (烟 beside 煙, 却 beside 卻). Found by counting in 225,000 Tang and Song poems in Traditional type;
# those that occur there a few times by a slip (广, 价, 党) are left out.
_TRADITIONAL_TOO = frozenset(
    "却烟脚迹荆凄衮笋栖熏厨葱凭洒虬咏厦耻恒疴脉确姹涂叶溆戯跖沄冲咤踪洼彦蘖苹䅉腊嘘瓮亘膻渌潴叙惬悮粤淀蝎据柜鞲猪"
    "猫椮兖糍术蜡揾灾懔枧霡毶棁㨫痖敚榝蒀榅刾蕰鳀"
)
# The 5,401 frequent characters of Big5, the standard of Traditional type, hold 后 里 云 台 几 谷 余 and every other
# Simplified form that is a Traditional character of its own as well.
_BIG5_FREQUENT = range(0xA440, 0xC67E + 1)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a text would become."""

    text: str
    """The whole text, converted."""
    simplified: str
    """Its characters that are Simplified only, each once, in order of first sight; "" for none."""
    marks: str
    """Its ASCII and half-width marks, each once; "" for none."""


def traditional_form(text: str) -> Conversion | None:
    """How the text would be written in the training data's script; None where it is in it already.

    Characters are converted only where at least one can't be Traditional. 后, 里 or 云 alone prove nothing, as
    Traditional texts have them too; beside a Simplified-only character they are converted with it, by opencc's phrases.
    """
    simplified = "".join(dict.fromkeys(character for character in text if _is_simplified_only(character)))
    marks = "".join(dict.fromkeys(match.group(1) for match in _ASCII_MARK.finditer(text)))
    if not simplified and not marks:
        return None
    converted = _to_traditional()(text) if simplified else text
    converted = _ASCII_MARK.sub(lambda match: match.group(1).translate(_MARKS), converted)
    return Conversion(converted, simplified, marks)


def _is_simplified_only(character: str) -> bool:
    """Whether Traditional type never has this character: opencc maps it there and back, and neither list knows it."""
    if character < "\u3400" or character in _TRADITIONAL_TOO or _is_frequent_in_big5(character):
        return False
    traditional = _to_traditional()(character)
    return traditional != character and _to_simplified()(traditional) == character


def _is_frequent_in_big5(character: str) -> bool:
    try:
        return int.from_bytes(character.encode("big5"), "big") in _BIG5_FREQUENT
    except UnicodeEncodeError:
        return False


@cache
def _to_traditional() -> Callable[[str], str]:
    import opencc  # 50 ms, and only those who complete a text need it

    converter: Callable[[str], str] = opencc.OpenCC("s2t").convert
    return converter


@cache
def _to_simplified() -> Callable[[str], str]:
    import opencc

    converter: Callable[[str], str] = opencc.OpenCC("t2s").convert
    return converter
