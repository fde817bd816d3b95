"""A whole poem judged: its form, its rhyme, its tone pattern, and every character that breaks a rule.

docs/verse.md defines each of these. It knows one poem; figures over many are for `core.verse.tally`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from core.i18n import N_
from core.verse.form import REGULAR_FORMS, form_of, has_tone_pattern, verse_lines
from core.verse.rhyme import Rhyme, find_rhyme, rhyme_table
from core.verse.tones import (
    LEVEL,
    OBLIQUE,
    STARTS,
    UNKNOWN,
    Fit,
    fit_patterns,
    has_lone_level,
    has_three_level,
    tones_of,
)

RULES = {
    "rhyme": N_("does not rhyme with the other lines (落韻)"),
    "oblique_rhyme": N_("the rhyme is an oblique one (仄韻)"),
    "line_end": N_("the wrong tone at the end of a line (句腳)"),
    "alternation": N_("breaks the alternation within its line (二四六分明)"),
    "dui": N_("the line is not opposite to the first of its couplet (失對)"),
    "nian": N_("the line does not stick to the couplet before it (失黏)"),
    "lone_level": N_("a lone level tone (孤平)"),
    "three_level": N_("three level tones at the end (三平調)"),
}
"""Rule → what a miss of it means. All but the last two keep a poem from being regulated."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Miss:
    """One place where a poem breaks a rule."""

    line: int
    """The line, from 1."""
    position: int
    """The character in it, from 1; of a rule about lines the one that shows it."""
    character: str
    """That character, as the poem has it."""
    rule: str
    """A key of `RULES`."""
    due: str
    """The tone that belongs there, 平 or 仄; "" where the rule is not about a character's own tone."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What there is to say of one poem. Without the shape that tone patterns are for, the fields from `old` on stay."""

    lines: tuple[str, ...]
    """The poem's lines without marks, as written."""
    form: str
    """As `form_of` names it; "" for fewer than four lines."""
    groups: tuple[str, ...]
    """The rhyme groups, as `Rhyme.groups`; empty also where there are fewer than four lines."""
    first_line_rhymes: bool
    """Whether the first line's end is in one of them."""
    rhyme: bool
    """Whether the ends of all even lines share a group."""
    rhyme_ping: bool
    """Whether they share a level-tone group."""
    unknown: str
    """The characters that the table lacks, each once, as written; "" for none."""
    simplified: bool
    """Whether the characters were looked up in their Traditional forms."""
    old: bool = False
    """Whether four or eight lines are 古絕 or 古體 rather than regulated verse with a slip: the rhyme is oblique, or
    neither `dui` nor `nian` is kept."""
    pattern: str = ""
    """仄起 or 平起, with 首句入韻 or 首句不入韻."""
    template: bool = False
    """Whether the second, fourth and sixth characters fit one whole pattern."""
    template_ao: bool = False
    """The same, with 平平仄平仄 taken for 平平平仄仄 in the first lines of couplets."""
    dui: bool = False
    """Whether in every couplet each of these characters is opposite to the one above it; 拗 is no excuse."""
    nian: bool = False
    """Whether the second characters on both sides of every gap between couplets agree."""
    no_three_level: bool = False
    """Whether no line ends in three level tones."""
    regulated: bool = False
    """Level rhyme, even lines ending level, odd ones from the third on oblique, and `template_ao`."""
    ao_lines: tuple[int, ...] = ()
    """Lines, from 1, that fit by 拗 alone."""
    misses: tuple[Miss, ...] = ()
    """Every miss, by line."""


def judge(text: str) -> Judgement:
    """Judge a poem.

    Args:
        text: the whole poem, with or without marks; any text at all. Simplified characters are looked up in their
            Traditional forms.
    """
    lines = verse_lines(text)
    form = form_of(lines)
    known, simplified = _known_lines(lines)
    tones = [tones_of(line) for line in known]
    rhyme = find_rhyme([line[-1] for line in known[1::2]], known[0][-1]) if form else find_rhyme([], "")
    judgement = Judgement(
        lines=lines,
        form=form,
        groups=rhyme.groups,
        first_line_rhymes=rhyme.first_line,
        rhyme=rhyme.shared,
        rhyme_ping=rhyme.level,
        unknown=_unknown(lines, tones),
        simplified=simplified,
    )
    if not has_tone_pattern(lines):
        return judgement
    fit = fit_patterns(tones)
    dui, nian, ends = _keeps_dui(tones), _keeps_nian(tones), _wrong_ends(tones)
    oblique = rhyme.shared and not rhyme.level
    regulated = rhyme.level and fit.template_ao and not ends
    return replace(
        judgement,
        form=form_of(lines, regulated=regulated),
        old=form in REGULAR_FORMS.values() and not regulated and (oblique or not (dui or nian)),
        pattern=STARTS[fit.start] + ("首句入韻" if rhyme.first_line else "首句不入韻"),
        template=fit.template,
        template_ao=fit.template_ao,
        dui=dui,
        nian=nian,
        no_three_level=not any(map(has_three_level, tones)),
        regulated=regulated,
        ao_lines=tuple(line + 1 for line in fit.ao_lines),
        misses=_misses(lines, tones, rhyme, fit, ends),
    )


def _unknown(lines: Sequence[str], tones: Sequence[str]) -> str:
    """The characters whose tone isn't known, each once."""
    pairs = (zip(line, found, strict=True) for line, found in zip(lines, tones, strict=True) if UNKNOWN in found)
    return "".join(dict.fromkeys(character for pair in pairs for character, tone in pair if tone == UNKNOWN))


def _keeps_dui(tones: Sequence[str]) -> bool:
    return not any(
        first[at] == second[at] and first[at] in (LEVEL, OBLIQUE)
        for first, second in zip(tones[::2], tones[1::2], strict=True)
        for at in range(1, len(first) - 1, 2)
    )


def _keeps_nian(tones: Sequence[str]) -> bool:
    return all(
        {above[1], below[1]} != {LEVEL, OBLIQUE} for above, below in zip(tones[1:-1:2], tones[2::2], strict=True)
    )


def _wrong_ends(tones: Sequence[str]) -> tuple[int, ...]:
    """The lines, from 0, whose end has the wrong tone for certain; that of the first line may be either."""
    return tuple(line for line in range(1, len(tones)) if tones[line][-1] == (OBLIQUE if line % 2 else LEVEL))


def _misses(
    lines: Sequence[str], tones: Sequence[str], rhyme: Rhyme, fit: Fit, ends: Sequence[int]
) -> tuple[Miss, ...]:
    last = len(lines[0]) - 1
    found = [(2 * at + 1, last, "rhyme", "") for at in rhyme.off]
    if rhyme.shared and not rhyme.level:
        # Said once: where the rhyme is oblique, the other ends are meant to be level.
        found.append((1, last, "oblique_rhyme", ""))
    else:
        found += [(line, last, "line_end", LEVEL if line % 2 else OBLIQUE) for line in ends]
    found += [(line, at, "alternation", due) for line, at, due in fit.off]
    found += [(turn.line, 1, turn.rule, "") for turn in fit.turns]
    found += [(line, last, "three_level", "") for line, tone in enumerate(tones) if has_three_level(tone)]
    rhyming = [*([0] if rhyme.first_line else []), *range(1, len(lines), 2)]
    found += [(line, last - 4, "lone_level", "") for line in rhyming if has_lone_level(tones[line])]
    return tuple(Miss(line + 1, at + 1, lines[line][at], rule, due) for line, at, rule, due in sorted(found))


def _known_lines(lines: tuple[str, ...]) -> tuple[Sequence[str], bool]:
    """The lines in the characters that they are looked up in, and whether those are other ones than are written.

    A poem in Simplified characters has one that the table lacks, but for one in ten thousand. Then the whole of it is
    converted, as 机 or 虫 alone would be looked up as rare characters that they are too.
    """
    known = rhyme_table().groups
    text = "\n".join(lines)
    if not any(map(_is_simplified, set(text).difference(known))):  # a line feed is no letter, so it isn't
        return lines, False
    converted = _to_traditional()(_SURROGATE.sub("□", text)).split("\n")
    if list(map(len, converted)) != list(map(len, lines)):
        return lines, False  # a phrase of another length: no character could be pointed at
    return converted, True


@lru_cache(maxsize=1 << 14)
def _is_simplified(character: str) -> bool:
    if not character.isalpha():
        return False  # nor can opencc take half a surrogate pair
    from core.data.script import traditional_form

    found = traditional_form(character)
    return found is not None and found.simplified != ""


@cache
def _to_traditional() -> Callable[[str], str]:
    import opencc  # 50 ms, and only Simplified text needs it

    converter: Callable[[str], str] = opencc.OpenCC("s2t").convert
    return converter
