"""Reports: what a terminal and a Markdown reader see of every kind of block, whatever is in it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from core import i18n
from core.report.cells import cell_width, wrap
from core.report.document import Bars, Block, Code, Items, RowLinks, Section, Table, Text
from core.report.markdown import to_markdown
from core.report.terminal import to_text
from core.report.words import LONGEST_CHARACTERS, bar_lengths, name_rows

HOSTILE = "\x1b[2J<script>|`a` **b** [c](http://d.e) \u202e&lt; _f_\n# g $h$ ~~i~~ https://j.k www.l.m \\"


@pytest.fixture(autouse=True)
def english() -> None:
    i18n.use("en")


def text_of(*blocks: Block, width: int = 40, colours: bool = False) -> str:
    """The lines behind the heading."""
    return to_text(Section("s", "S", blocks), width, colours).removesuffix("\n\n").partition("\n\n")[2]


def markdown_of(*blocks: Block) -> str:
    return to_markdown([Section("s", "S", blocks)], "T").partition("## S\n\n")[2].removesuffix("\n")


def parsed(markdown: str) -> list[Token]:
    parser = MarkdownIt("gfm-like")
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})  # these are no part of GitHub's dialect
    return [token for block in parser.parse(markdown) for token in (block, *(block.children or ()))]


# -- cells


def test_cells() -> None:
    assert cell_width("") == 0
    assert cell_width("abc 1") == 5
    assert cell_width("白日。a") == 7
    assert cell_width("e\u0301\u20dd") == 1  # an accent and a ring, both on the letter


@pytest.mark.parametrize(
    ("text", "cells", "lines"),
    [
        ("", 10, [""]),
        ("one two three", 13, ["one two three"]),
        ("one two three", 12, ["one two", "three"]),
        ("one two  three", 8, ["one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("白日依山盡", 10, ["白日依山盡"]),
        ("白日依山盡", 9, ["白日依山", "盡"]),
        ("白日依山，盡", 8, ["白日依", "山，盡"]),  # a comma doesn't begin a line
        ("白日（依山", 6, ["白日", "（依山"]),  # nor does an opening bracket end one
        ("共 25,007 行", 8, ["共", "25,007", "行"]),
        ("白日", 1, ["白", "日"]),
    ],
)
def test_lines_are_broken_where_they_may_be(text: str, cells: int, lines: list[str]) -> None:
    assert wrap(text, cells) == lines


# -- what blocks have in common


def test_row_numbers_in_words() -> None:
    assert name_rows([]) == ""
    assert name_rows([3]) == "row 3"
    assert name_rows([3, 17]) == "rows 3, 17"
    assert name_rows(range(12)) == "rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    assert name_rows(range(2012)) == "rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2,000 more"


def test_bars_are_in_proportion_and_a_rare_value_is_seen() -> None:
    assert bar_lengths([100, 50, 1, 0], 40) == [40, 20, 1, 0]
    assert bar_lengths([], 40) == [] and bar_lengths([0], 40) == [0]


# -- terminal


def test_a_section_in_a_terminal() -> None:
    blocks = (
        Text("one two three four five six seven eight"),
        Text("It is right so.", tone="good"),
        Items(("first", "second item that is long enough for two")),
        Code("a = 1\n\n[b]", language="toml"),
    )
    assert to_text(Section("s", "數據 S", blocks), 30, False).split("\n") == [
        "數據 S",
        "──────",
        "",
        "one two three four five six",
        "seven eight",
        "",
        "✓ It is right so.",
        "",
        "• first",
        "• second item that is long",
        "  enough for two",
        "",
        "    a = 1",
        "    ",
        "    [b]",
        "",
        "",
    ]


def test_colours_only_where_they_are_wanted() -> None:
    section = Section("s", "S", (Text("Beware.", tone="warning"), Text("plain")))
    coloured = to_text(section, 40, True)
    assert "\x1b[33m! Beware.\x1b[0m\n" in coloured and "\nplain\n" in coloured
    assert re.sub("\x1b\\[\\d+m", "", coloured) == to_text(section, 40, False)


def test_a_table_in_a_terminal() -> None:
    table = Table(("form", "rows"), (("五絕", "2,488"), ("七律", "5")), right=(1,))
    assert text_of(table).split("\n") == ["form   rows", "────  ─────", "五絕  2,488", "七律      5"]


def test_the_widest_column_gives_way() -> None:
    table = Table(("k", "meaning"), (("r", "one two three four five"), ("alpha", "白日依山盡黃河入海流")))
    assert text_of(table, width=20).split("\n") == [
        "k      meaning",
        "─────  ─────────────",
        "r      one two three",
        "       four five",
        "alpha  白日依山盡黃",
        "       河入海流",
    ]


@pytest.mark.parametrize("width", [20, 33, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    blocks = (
        Text("白日依山盡，黃河入海流。" * 9),
        Table(("a" * 30, "b", "白" * 30), (("x " * 40, "1", "y" * 99),), right=(1,)),
        Bars("tokens", (("1–8", 12345), ("9–16", 7))),
        RowLinks("k", "t " * 60, tuple(range(99)), ("17: " + "山" * 60,), "r " * 60, "error"),
    )
    assert max(map(cell_width, text_of(*blocks, width=width).split("\n"))) <= width


def test_bars_in_a_terminal() -> None:
    assert text_of(Bars("tokens", (("1–8", 20), ("9–16", 10), ("17–24", 0)))).split("\n") == [
        "tokens",
        "   1–8  20  " + "█" * 28,
        "  9–16  10  " + "█" * 14,
        " 17–24   0",
    ]


def test_rows_in_a_terminal() -> None:
    links = RowLinks("duplicate", "2 rows", (3, 17), ("3: as row 1", "17: as row 2"), "Leave them out.", "warning")
    assert text_of(links).split("\n") == [
        "! 2 rows",
        "  → Leave them out.",
        "  • 3: as row 1",
        "  • 17: as row 2",
        "  rows 3, 17",
    ]


# -- Markdown


def test_a_document_in_markdown() -> None:
    sections = [
        Section("a", "A", (Text("one"), Text("right", tone="good"), Items(("x", "y")))),
        Section(
            "b",
            "B",
            (
                Table(("form", "rows"), (("五絕", "2,488"),), right=(1,)),
                Bars("tokens", (("1–8", 2), ("9–16", 1))),
                Code('r = "```"', language="toml"),
                RowLinks("duplicate", "2 rows", (3, 17), ("3: as row 1",), "Leave them out.", "error"),
            ),
        ),
    ]
    assert to_markdown(sections, "Review of a_b.json").split("\n") == [
        "# Review of a_b.json",
        "",
        "## A",
        "",
        "one",
        "",
        "✓ right",
        "",
        "- x",
        "- y",
        "",
        "## B",
        "",
        "| form | rows |",
        "| --- | ---: |",
        "| 五絕 | 2,488 |",
        "",
        "```text",
        "tokens",
        "   1–8  2  " + "█" * 40,
        "  9–16  1  " + "█" * 20,
        "```",
        "",
        "````toml",
        'r = "```"',
        "````",
        "",
        "✗ **2 rows**",
        "",
        "Leave them out.",
        "",
        "rows 3, 17",
        "",
        "- 3: as row 1",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("train.micro_batch_size = 2e-4", "train.micro_batch_size = 2e-4"),
        ("_a_ *b*", r"\_a\_ \*b\*"),
        ("a|b<c>&lt; & d", r"a\|b\<c>\&lt; & d"),
        ("# a", r"\# a"),
        ("> a [b](c) > d", r"\> a \[b](c) > d"),
        ("- a - b", r"\- a - b"),
        ("12. a", r"12\. a"),
        ("12 a. 3) b", "12 a. 3) b"),
        ("a\nb\tc\x1b", "a␊b␉c␛"),
        ("    a", "a"),
        ("http://a.b www.c.d", r"http\://a.b www\.c.d"),
    ],
)
def test_what_would_be_markup_is_escaped(text: str, written: str) -> None:
    assert markdown_of(Text(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "# a",
        "- a",
        "+ a",
        "1. a",
        "1) a",
        "> a",
        "===",
        "---",
        "***",
        "```",
        "~~~",
        "    a",
        "<!-- a",
        "[a]: b",
    ]
    + ["![a](b)", "<http://a.b>", "**a**", "a\\", "| a |\n| --- |", "&#x41;", ":--", "<b>", "http://a.b", "www.a.b"],
)
def test_a_markdown_reader_sees_the_text_itself(text: str) -> None:
    shown = text.strip().translate({code: 0x2400 + code for code in range(32)}).replace("\u202e", "\\u{202E}")
    blocks = (Text(text), Text(text, tone="good"), Items((text,)), Table((text,), ((text,),)))
    links = RowLinks(text, text, (1,), (text,), text, "hint")
    tokens = parsed(to_markdown([Section("s", text, (*blocks, links))], text))
    assert "".join(token.content for token in tokens if token.type == "text").count(shown) == 10
    allowed = {
        "heading",
        "paragraph",
        "bullet_list",
        "list_item",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "strong",
    }
    assert {re.sub("_(open|close)$", "", token.type) for token in tokens} - {
        "inline",
        "text",
        "text_special",
    } == allowed
    assert sum(token.type == "heading_open" for token in tokens) == 2
    assert sum(token.type == "strong_open" for token in tokens) == 1


def test_code_stays_in_its_fence() -> None:
    for text in ("```\n# a\n```", "````", HOSTILE):
        tokens = [
            token for token in parsed(markdown_of(Code(text), Bars(text, ((text, 1),)))) if token.type != "inline"
        ]
        assert [token.type for token in tokens] == ["fence", "fence"]


# -- both


def test_hostile_text_moves_no_cursor_and_fills_no_screen() -> None:
    long = HOSTILE + "山" * 100_000
    blocks = (
        Text(long, "error"),
        Items((long,)),
        Table((long, "x"), ((long, "x"),)),
        Bars(HOSTILE, ((HOSTILE, 1),)),
        Code(HOSTILE),
        RowLinks(long, long, (1,), (long,), long),
    )
    for shown in (to_text(Section("s", long, blocks), 80, False), to_markdown([Section("s", long, blocks)], long)):
        assert not [c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co")]
        assert len(shown) < 60 * LONGEST_CHARACTERS
