"""Which texts are offered a conversion, and to what."""

from __future__ import annotations

import pytest

from core.data.rows import SAMPLE, read_rows
from core.data.script import Conversion, traditional_form


def test_simplified_text_is_converted_whole() -> None:
    assert traditional_form("白日依山尽，黄河入海流。") == Conversion("白日依山盡，黃河入海流。", "尽黄", "")


def test_ascii_marks_become_full_width_and_traditional_characters_stay() -> None:
    assert traditional_form("白日依山盡, 黃河入海流.") == Conversion("白日依山盡，黃河入海流。", "", ",.")
    assert traditional_form("雲深不知處?") == Conversion("雲深不知處？", "", "?")


def test_both_at_once() -> None:
    assert traditional_form("千里黄云白日曛,") == Conversion("千里黃雲白日曛，", "黄", ",")


def test_phrases_decide_between_characters() -> None:
    found = traditional_form("白发三千丈，缘愁似个长。")
    assert found is not None
    assert found.text == "白髮三千丈，緣愁似個長。"


@pytest.mark.parametrize(
    "text",
    [
        "白日依山盡，黃河入海流。",
        "皇后里云台几谷余只干丑松面",  # Simplified forms that are Traditional characters too
        "却看妻子愁何在，烟波江上使人愁。",  # variants in the printed editions
        "Li, Bai. v1.5",
        "",
        "𠀀𫝀",
    ],
)
def test_traditional_text_is_not_nagged_about(text: str) -> None:
    assert traditional_form(text) is None


def test_no_row_of_the_sample_is_taken_for_simplified() -> None:
    rows = read_rows(SAMPLE).rows
    assert [row.number for row in rows if traditional_form(row.input + row.output)] == []
