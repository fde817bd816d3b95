"""Lines, forms, rhyme groups and tones, each by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.verse.form import form_of, has_tone_pattern, verse_lines
from core.verse.rhyme import LEVEL_GROUPS, find_rhyme, rhyme_groups, rhyme_table
from core.verse.tones import FREE, UNKNOWN, fit_patterns, has_lone_level, has_three_level, tones_of

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("白日依山盡，黃河入海流。", ("白日依山盡", "黃河入海流")),
        ("白日依山盡,黃河入海流.", ("白日依山盡", "黃河入海流")),
        ("白日依山盡\n黃河入海流\n", ("白日依山盡", "黃河入海流")),
        ("白日依山盡\u3000黃河入海流", ("白日依山盡", "黃河入海流")),
        ("「白日依山盡」，《黃河》入海流！", ("白日依山盡", "黃河入海流")),
        ("海上生明月…天涯共此時", ("海上生明月", "天涯共此時")),
        ("。，、\n", ()),
        ("", ()),
        ("□日a1", ("□日a1",)),
        ("葛\U000e0100", ("葛",)),
    ],
)
def test_verse_lines(text: str, lines: tuple[str, ...]) -> None:
    assert verse_lines(text) == lines


@pytest.mark.parametrize(
    ("lines", "length", "form"),
    [
        (4, 5, "五絕"),
        (4, 7, "七絕"),
        (8, 5, "五律"),
        (8, 7, "七律"),
        (6, 5, "五言古體"),
        (10, 7, "七言古體"),
        (4, 4, "四言"),
        (4, 6, "六言"),
        (4, 9, "雜言"),
        (3, 5, ""),
        (0, 5, ""),
    ],
)
def test_form_of(lines: int, length: int, form: str) -> None:
    assert form_of(["山" * length] * lines) == form


def test_form_of_long_and_of_ragged_poems() -> None:
    assert form_of(["山" * 5] * 10, regulated=True) == "五言排律"
    assert form_of(["山" * 7] * 12, regulated=True) == "七言排律"
    assert form_of(["山" * 5] * 11, regulated=True) == "五言古體"
    assert form_of(["山" * 5] * 6, regulated=True) == "五言古體"
    assert form_of(["山" * 5, "山" * 5, "山" * 5, "山" * 4]) == "雜言"


def test_only_couplets_of_five_or_seven_have_a_tone_pattern() -> None:
    shapes = [(4, 5), (8, 7), (6, 5), (5, 5), (4, 6), (2, 5)]
    assert [has_tone_pattern(["山" * length] * lines) for lines, length in shapes] == [True] * 3 + [False] * 3
    assert not has_tone_pattern([]) and not has_tone_pattern(["山" * 5] * 3 + ["山"])


def test_the_table() -> None:
    table = rhyme_table()
    assert len(table.names) == 106 and len(set(table.names)) == 106
    assert (table.names[0], table.names[29], table.names[30]) == ("上平聲一東", "下平聲十五咸", "上聲一董")
    assert all(("平聲" in name) == bool(1 << bit & LEVEL_GROUPS) for bit, name in enumerate(table.names))
    assert len(table.groups) == 21_475
    assert all(len(character) == 1 and groups for character, groups in table.groups.items())


def test_groups_of_a_character() -> None:
    assert rhyme_groups("東") == ("上平聲一東",)
    assert rhyme_groups("看") == ("上平聲十四寒", "去聲十五翰")
    assert rhyme_groups("爲") == rhyme_groups("為") != ()  # the second source
    assert rhyme_groups("隣") == rhyme_groups("鄰") == ("上平聲十一真",)  # a variant glyph
    assert rhyme_groups("□") == rhyme_groups("a") == ()


def test_the_other_rhymes_say_how_a_polyphone_is_read() -> None:
    assert find_rhyme(["看", "寒"], "目").groups == ("上平聲十四寒",)
    assert find_rhyme(["看", "亂"], "目").groups == ("去聲十五翰",)
    both = find_rhyme(["看", "難"], "目")
    assert both.groups == ("上平聲十四寒",) and both.level and not both.first_line  # a level one where there is any


def test_the_first_line_narrows_the_groups_where_it_rhymes() -> None:
    # 涯 and 差 are both in 支, in 佳 and in 麻; 家 in 麻 alone.
    assert find_rhyme(["涯", "差"], "目").groups == ("上平聲四支", "上平聲九佳", "下平聲六麻")
    found = find_rhyme(["涯", "差"], "家")
    assert found.groups == ("下平聲六麻",) and found.first_line


def test_an_end_that_does_not_rhyme_is_off() -> None:
    found = find_rhyme(["流", "樓", "臺", "秋"], "盡")
    assert (found.groups, found.shared, found.off) == (("下平聲十一尤",), False, (2,))
    # No two of them share a group: all but the first are off.
    found = find_rhyme(["流", "東"], "盡")
    assert (found.groups, found.shared, found.off) == ((), False, (1,))
    assert find_rhyme([], "").shared is False
    assert find_rhyme(["流"], "").shared is False


def test_tones() -> None:
    assert tones_of("白日依山盡") == "仄仄平平仄"
    assert tones_of("看□東") == FREE + UNKNOWN + "平"


@pytest.mark.parametrize(
    ("tones", "lone", "three"),
    [
        ("仄平仄仄平", True, False),
        ("平平仄仄平", False, False),
        ("仄平平仄平", False, False),
        (FREE + "平仄仄平", False, False),
        ("仄仄仄平仄仄平", True, False),
        ("仄仄仄平平仄平", False, False),
        ("仄仄平平平", False, True),
        ("仄仄" + FREE + "平平", False, False),
    ],
)
def test_faults_of_a_line(tones: str, lone: bool, three: bool) -> None:
    assert (has_lone_level(tones), has_three_level(tones)) == (lone, three)


LEVEL_START = ["平平平仄仄", "仄仄仄平平", "仄仄平平仄", "平平仄仄平"]
OBLIQUE_START = ["仄仄平平仄", "平平仄仄平", "平平平仄仄", "仄仄仄平平"]


@pytest.mark.parametrize(("tones", "start"), [(LEVEL_START, 0), (OBLIQUE_START, 1)])
def test_both_patterns_in_both_lengths(tones: list[str], start: int) -> None:
    fit = fit_patterns(tones)
    assert (fit.start, fit.template, fit.off, fit.turns) == (start, True, (), ())
    # Seven characters: two of the other tone before the five.
    longer = [("仄仄" if line[1] == "平" else "平平") + line for line in tones]
    fit = fit_patterns(longer)
    assert (fit.start, fit.template) == (1 - start, True)
    assert fit_patterns(tones * 2).template  # eight lines: the pattern goes on


def test_free_and_unknown_characters_fit_everywhere() -> None:
    assert fit_patterns([FREE * 5] * 4).template and fit_patterns([UNKNOWN * 7] * 8).template


def test_ao_of_seven_characters() -> None:
    tones = ["仄仄平平仄平仄", "平平仄仄仄平平", "平平仄仄平平仄", "仄仄平平仄仄平"]
    fit = fit_patterns(tones)
    assert (fit.template, fit.template_ao, fit.ao_lines) == (False, True, (0,))
    # Its fifth must be oblique, and its second as in the whole pattern.
    assert not fit_patterns(["仄仄平平平平仄", *tones[1:]]).template_ao
    assert not fit_patterns(["仄平平平仄平仄", *tones[1:]]).template_ao


def test_the_fewest_departures() -> None:
    # A line against both its neighbours is two turns, not two characters.
    fit = fit_patterns(["仄仄平平仄", "平平仄仄平", "仄仄平平仄", "仄仄仄平平"])
    assert fit.off == () and [(turn.line, turn.rule) for turn in fit.turns] == [(2, "nian"), (3, "dui")]
    # One character is one character.
    fit = fit_patterns(["仄仄平平仄", "平仄仄仄平", "平平平仄仄", "仄仄仄平平"])
    assert fit.off == ((1, 1, "平"),) and fit.turns == ()


def test_the_room_loads_neither_a_model_library_nor_opencc() -> None:
    program = (
        "import sys; from core.verse.judge import judge;"
        "assert judge('白日依山盡，黃河入海流。欲窮千里目，更上一層樓。').regulated;"
        "print(sorted({'torch', 'numpy', 'transformers', 'tokenizers', 'opencc', 'textual'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
    assert done.stdout == "[]\n"
