"""What `plain` lets through and what it makes visible."""

from __future__ import annotations

import pytest

from core.plain import plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "白日依山盡，黃河入海流。",
        "\u3000故人西辭黃鶴樓",  # an ideographic space is no control
        "\u3400𠀀",  # Extensions A and B
        "葛\U000e0100",  # an ideographic variant
        "[bold]{markup}[/]",
    ],
)
def test_what_is_harmless_stays(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x00", "␀"),
        ("\x1b[31m紅\x1b[0m", "␛[31m紅␛[0m"),
        ("\x7f", "␡"),
        ("\x9b2J", "\\u{009B}2J"),  # the one-character form of ESC [
        ("a\tb\r", "a␉b␍"),
        ("山\u202e水", "山\\u{202E}水"),
        ("\u2066\u2069", "\\u{2066}\\u{2069}"),
        ("\u200b\ufeff", "\\u{200B}\\u{FEFF}"),
        ("\u2028\u2029\x85", "\\u{2028}\\u{2029}\\u{0085}"),
        ("\ue000\U000f0000", "\\u{E000}\\u{F0000}"),
        ("\ud800", "\\u{D800}"),
        ("\U000e0041", "\\u{E0041}"),  # an invisible tag letter
    ],
)
def test_what_moves_the_cursor_or_hides_is_shown(text: str, shown: str) -> None:
    assert plain(text) == shown
    assert plain(shown) == shown


def test_line_feeds_stay_only_where_asked() -> None:
    assert plain("一\n二\r\n") == "一␊二␍␊"
    assert plain("一\n二\r\n", keep_newlines=True) == "一\n二␍\n"


def test_every_character_comes_out_encodable_and_obeyed_by_no_terminal() -> None:
    shown = plain("".join(map(chr, range(0x11000))))
    shown.encode("utf-8")
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in shown)
