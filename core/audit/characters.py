"""Characters that a poem should not have: signs for missing ones, invisible ones, brackets, marks and script of another
kind than the rest of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from core.audit.poem import Lines
from core.audit.scripts import script_characters
from core.audit.verse import shown_characters, verse_length
from core.data.holdout import poem_of
from core.data.row import Row
from core.i18n import _
from core.verse.form import verse_lines

_IDEOGRAPH = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# White squares and geta, 囗 that stands for a square, the replacement character, private-use characters, ideographic
# descriptions ⿰, and characters composed by hand: {草/明}, [金*本].
_COMPOSED = r"\{[^{}\x00-\x7f]{1,4}(?:[/+*@-]?[^{}\x00-\x7f]{1,4}){0,3}\}|\[[^\[\]\s]{1,4}[+*/@-][^\[\]\s]{1,4}\]"
_MISSING = re.compile(f"[□■◻◼▢▣▯〓囗\ufffd\ue000-\uf8ff\U000f0000-\U0010fffd\u2ff0-\u2fff]|{_COMPOSED}")
_QUESTION = re.compile("[?？]")
_BETWEEN_QUESTIONS = re.compile(r"[，。！；、：,.!;:\s…—]+")
_INVISIBLE = re.compile(
    "[\t\x80-\x9f\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164"
    "\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e007f]"
)
_OPENING, _CLOSING = "(\\[{（［｛〔【〖〈＜<", ")\\]}）］｝〕】〗〉＞>"
_BRACKET = re.compile(f"[{_OPENING}{_CLOSING}]")
_NOTE = re.compile(f"[{_OPENING}][^{_OPENING}{_CLOSING}]*[{_CLOSING}]|{_BRACKET.pattern}")
_NARROW_MARK = re.compile(f"[{_IDEOGRAPH}] ?([,.;:!?､｡．])")
_WIDE_MARK = re.compile("[，。；：！？、]")
_MOST_SHOWN = 3
_LONGEST_SHOWN = 12


def missing_characters(rows: Sequence[Row], lines: Sequence[Lines]) -> Mapping[int, str]:
    """Rows with a sign that stands for a character: □, a composed {草/明}, or a question mark inside a line."""
    found: dict[int, str] = {}
    for row, own in zip(rows, lines, strict=True):
        text = poem_of(row)
        if _MISSING.search(text):
            found[row.number] = _places(text, _MISSING.finditer(text))
        elif _QUESTION.search(text) and (sign := _questioned(text, own)):
            found[row.number] = _("{sign} in place of a character").format(sign=sign)
    return found


def _questioned(text: str, lines: Sequence[str]) -> str:
    """The question mark that is needed to make a line as long as the others; "" where there is none.

    A mark at the end of a line makes one too long; two whole lines with a mark between them are longer still.
    """
    length = verse_length(lines)
    stretches = _BETWEEN_QUESTIONS.split(text)
    if length is None:
        # With a mark in every line, no two of the pieces need be alike.
        length = verse_length([stretch for stretch in stretches if stretch])
    marked = (stretch for stretch in stretches if len(stretch) == length)
    return next((sign[0] for stretch in marked if (sign := _QUESTION.search(stretch))), "")


def invisible_characters(rows: Sequence[Row], _lines: Sequence[Lines]) -> Mapping[int, str]:
    """Rows with control characters, zero-width ones, marks of direction, tabs, and spaces other than the plain one."""
    found: dict[int, str] = {}
    for row in rows:
        text = poem_of(row)
        if _INVISIBLE.search(text):
            codes = dict.fromkeys(f"U+{ord(match[0]):04X}" for match in _INVISIBLE.finditer(text))
            found[row.number] = _listed(codes)
    return found


def brackets(rows: Sequence[Row], _lines: Sequence[Lines]) -> Mapping[int, str]:
    """Rows of verse, once what is in brackets is left out, that have brackets other than of a composed character."""
    found: dict[int, str] = {}
    for row in rows:
        text = poem_of(row)
        if not _BRACKET.search(text):
            continue
        text = _MISSING.sub("□", text)
        notes = list(_NOTE.finditer(text))
        if notes and verse_length(verse_lines(_NOTE.sub("", text))) is not None:
            found[row.number] = _places(text, notes)
    return found


def mixed_punctuation(rows: Sequence[Row], _lines: Sequence[Lines]) -> Mapping[int, str]:
    """Rows with narrow marks behind ideographs; where most rows have them, those that have wide ones as well."""
    narrow = {row.number: row for row in rows if _NARROW_MARK.search(row.input) or _NARROW_MARK.search(row.output)}
    if 2 * len(narrow) > len(rows):
        narrow = {number: row for number, row in narrow.items() if _WIDE_MARK.search(poem_of(row))}
    return {
        number: _listed(match[1] for match in _NARROW_MARK.finditer(poem_of(row))) for number, row in narrow.items()
    }


def mixed_scripts(rows: Sequence[Row], _lines: Sequence[Lines]) -> Mapping[int, str]:
    """Rows with characters of Simplified type alone where more rows have those of Traditional type, or the reverse."""
    texts = [poem_of(row) for row in rows]
    characters: set[str] = set()
    for text in texts:
        characters.update(text)
    found = script_characters(characters)
    simplified, traditional = (
        [at for at, text in enumerate(texts) if not only.isdisjoint(text)]
        for only in (found.simplified, found.traditional)
    )
    if len(simplified) <= len(traditional):
        others, only, words = simplified, found.simplified, _("Simplified: {characters}")
    else:
        others, only, words = traditional, found.traditional, _("Traditional: {characters}")
    return {
        rows[at].number: words.format(
            characters=shown_characters("".join(dict.fromkeys(one for one in texts[at] if one in only)))
        )
        for at in others
    }


def _places(text: str, matches: Iterable[re.Match[str]]) -> str:
    """What was found, each once, with the line that it is in."""
    places: dict[str, str] = {}
    for match in matches:
        if match[0] not in places:
            places[match[0]] = _in_line(text, match)
            if len(places) > _MOST_SHOWN:
                break
    return _listed(places.values())


def _in_line(text: str, match: re.Match[str]) -> str:
    line = max(1, len(verse_lines(text[: match.start()] + "□")))
    sign = match[0] if len(match[0]) <= _LONGEST_SHOWN else match[0][:_LONGEST_SHOWN] + "…"
    if len(sign) == 1 and not sign.isprintable():
        sign = f"U+{ord(sign):04X}"
    return _("{sign} in line {line:,}").format(sign=sign, line=line)


def _listed(words: Iterable[str]) -> str:
    shown = list(islice(dict.fromkeys(words), _MOST_SHOWN + 1))
    return ", ".join(shown[:_MOST_SHOWN]) + (" …" if len(shown) > _MOST_SHOWN else "")
