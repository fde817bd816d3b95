"""What a file holds: a file of 12 rows counted by hand, text lines told from rows, and the section that says it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.audit.poem import judged_poem
from core.audit.structure import Structure, structure_of
from core.data.row import Row
from core.data.rows import RowFile, read_rows
from core.report.document import Block, Code, RowLinks, Section, Table, Text
from core.report.markdown import to_markdown
from core.review.section_structure import structure_section
from core.verse.judge import judge

ASKED = "續寫"
POEMS = (
    (ASKED, "白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。", "王之渙"),
    (ASKED, "牀前看月光，疑是地上霜。", "舉頭望山月，低頭思故鄉。", "李白"),
    (ASKED, "朝辭白帝彩雲間，千里江陵一日還。", "兩岸猿聲啼不住，輕舟已過萬重山。", "李白"),
    (
        ASKED,
        "國破山河在，城春草木深。",
        "感時花濺淚，恨別鳥驚心。烽火連三月，家書抵萬金。白頭搔更短，渾欲不勝簪。",
        "杜甫",
    ),
    (
        ASKED,
        "風急天高猿嘯哀，渚清沙白鳥飛迴。",
        "無邊落木蕭蕭下，不盡長江滾滾來。萬里悲秋常作客，百年多病獨登臺。艱難苦恨繁霜鬢，潦倒新停濁酒杯。",
        "杜甫",
    ),
    (ASKED, "春眠不觉晓，处处闻啼鸟。", "夜来风雨声，花落知多少。", "孟浩然"),  # Simplified
    (ASKED, "红豆生南國，春來發幾枝。", "願君多采擷，此物最相思。", "王維"),  # 红 among Traditional characters
    (
        ASKED,
        "空山不見人，但聞人語響。",
        "空山不見人，但聞人語響。返景入深林，復照青苔上。",
        "王維",
    ),  # says the input again
    ("寫詩", "江雪", "千山鳥飛絕，萬徑人蹤滅。孤舟蓑笠翁，獨釣寒江雪。", "柳宗元"),  # a title
    ("", "What is a poem?", "A short text.", ""),
    ("", "人生得意須盡歡，", "莫使金樽空對月。", "李白"),  # two lines
    ("", "君不見，黃河之水天上來，", "奔流到海不復回。君不見，高堂明鏡悲白髮，朝如青絲暮成雪。", "李白"),
)


def rows_of(poems: Sequence[tuple[str, str, str, str]]) -> list[Mapping[str, str]]:
    return [dict(zip(("instruction", "input", "output", "author"), poem, strict=True)) for poem in poems]


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> RowFile:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return read_rows(path, on_bad_row="skip")


def structure(file: RowFile, name: str = "poems") -> Structure:
    return structure_of(name, file, [judge(judged_poem(row)) for row in file.rows])


def one_poem(tmp_path: Path, given: str, rest: str) -> Structure:
    return structure(write(tmp_path / "one.jsonl", [{"input": given, "output": rest}]))


@pytest.fixture
def twelve(tmp_path: Path) -> Structure:
    return structure(write(tmp_path / "poems.jsonl", rows_of(POEMS)))


def test_twelve_rows_counted_by_hand(twelve: Structure) -> None:
    assert (twelve.path, twelve.format, twelve.rows, twelve.bad_rows, twelve.text_lines) == (
        "poems",
        "jsonl",
        12,
        0,
        12,
    )
    assert not twelve.could_be_mistaken
    assert twelve.columns == ("instruction", "input", "output", "author")
    assert twelve.instructions == {ASKED: 8, "": 3, "寫詩": 1}
    assert (twelve.distinct_instructions, twelve.distinct_inputs) == (3, 12)
    assert list(twelve.forms.items()) == [
        ("五絕", (0, 1, 5, 6, 7, 8)),
        ("雜言", (9, 11)),
        ("七絕", (2,)),
        ("五律", (3,)),
        ("七律", (4,)),
        ("", (10,)),
    ]
    assert list(twelve.line_counts.items()) == [(2, 1), (4, 7), (6, 1), (7, 1), (8, 2)]
    assert (twelve.output_holds, twelve.output_whole, twelve.task) == ("rest", 1, "completion")
    assert twelve.given_lines == {2: 9}  # all but the title, the English and the two lines
    assert list(twelve.authors.items())[:3] == [("李白", 4), ("杜甫", 2), ("王維", 2)]
    assert twelve.distinct_authors == 6  # one row names none
    assert twelve.scripts == {"traditional": 9, "simplified": 1, "mixed": 1, "other": 1}


def test_memory_counts_a_shared_text_once(tmp_path: Path) -> None:
    apart = [{"instruction": f"{number}" + "長" * 500, "output": "一二三"} for number in range(4)]
    shared = [{"instruction": "0" + "長" * 500, "output": "一二三"} for _number in range(4)]
    more = structure(write(tmp_path / "apart.jsonl", apart)).memory_bytes
    less = structure(write(tmp_path / "shared.jsonl", shared)).memory_bytes
    assert more - less == 3 * sys.getsizeof("0" + "長" * 500)


@pytest.mark.parametrize(
    ("given", "rest", "poem"),
    [
        ("白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。", "白日依山盡，黃河入海流。\n欲窮千里目，更上一層樓。"),
        ("白日依山盡", "白日依山盡，黃河入海流。", "白日依山盡，黃河入海流。"),
        ("", "欲窮千里目，更上一層樓。", "\n欲窮千里目，更上一層樓。"),
        (
            "登鸛雀樓",
            "一二三四五，一二三四五。一二三四五，一二三四五。",
            "一二三四五，一二三四五。一二三四五，一二三四五。",
        ),
        ("登鸛雀樓", "一二三四五，一二三四五。一二三四五。", "登鸛雀樓\n一二三四五，一二三四五。一二三四五。"),
        ("登上鸛雀樓", "一二三四五，一二三四五。一二三四五。", "登上鸛雀樓\n一二三四五，一二三四五。一二三四五。"),
    ],
)
def test_the_poem_of_a_row(given: str, rest: str, poem: str) -> None:
    assert judged_poem(Row(0, "", given, rest, {})).strip() == poem.strip()


@pytest.mark.parametrize(
    ("lengths", "task"),
    [((11, 3, 7, 7), "completion"), ((12, 3, 6, 7), "other"), ((11, 4, 7, 7), "other"), ((30, 30, 30, 30), "other")],
)
def test_unequal_lines_are_verse_while_they_are_short(tmp_path: Path, lengths: Sequence[int], task: str) -> None:
    lines = [character * length for character, length in zip("山水花鳥", lengths, strict=True)]
    found = one_poem(tmp_path, f"{lines[0]}，{lines[1]}。", f"{lines[2]}，{lines[3]}。")
    assert found.forms == {"雜言": (0,)}
    assert found.task == task


def test_tasks(tmp_path: Path) -> None:
    poem = "千山鳥飛絕，萬徑人蹤滅。孤舟蓑笠翁，獨釣寒江雪。"
    assert one_poem(tmp_path, "", poem).task == "writing"
    assert one_poem(tmp_path, "寫一首關於雪的詩。", poem).task == "writing"
    assert one_poem(tmp_path, "寫一首關於雪的詩。", poem).forms == {"五絕": (0,)}
    said_again = one_poem(tmp_path, "千山鳥飛絕，", poem)
    assert (said_again.task, said_again.output_holds, said_again.given_lines) == ("completion", "whole", {1: 1})
    assert one_poem(tmp_path, "一句話", "只有這一句。").task == "other"


def test_a_pretty_printed_file_is_told_from_one_of_so_many_rows(tmp_path: Path) -> None:
    rows = [{name: row[name] for name in ("instruction", "input", "output")} for row in rows_of(POEMS)]
    path = tmp_path / "pretty.json"
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=2), encoding="utf-8")
    found = structure(read_rows(path))
    assert (found.rows, found.text_lines, found.could_be_mistaken) == (12, 62, True)
    assert notes(structure_section(found), "warning") == [
        "62 text lines, but 12 rows: a row takes 5.2 lines here. Whoever counts the lines, as wc -l and editors do, "
        "takes the file for one of 62 rows."
    ]


@pytest.mark.parametrize(("blank_lines", "mistaken"), [(0, False), (1, False), (2, True)])
def test_a_tenth_more_lines_than_rows_can_be_mistaken(tmp_path: Path, blank_lines: int, mistaken: bool) -> None:
    rows = [json.dumps({"output": f"第{number}句"}, ensure_ascii=False) for number in range(10)]
    path = tmp_path / "rows.json"
    path.write_text("[\n" + ",\n".join(rows) + "\n" * (blank_lines + 1) + "]\n", encoding="utf-8")
    found = structure(read_rows(path))
    assert (found.rows, found.text_lines) == (10, 12 + blank_lines)
    assert found.could_be_mistaken is mistaken


def test_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    rows = rows_of(POEMS[:3])
    found = structure(write(tmp_path / "poems.jsonl", [{"input": "blank", "output": " "}, *rows]))
    assert (found.rows, found.bad_rows) == (3, 1)
    assert found.forms == {"五絕": (1, 2), "七絕": (3,)}


def blocks(section: Section, kind: type[Block]) -> list[Any]:
    return [block for block in section.blocks if isinstance(block, kind)]


def notes(section: Section, tone: str) -> list[str]:
    return [block.text for block in blocks(section, Text) if block.tone == tone]


def test_the_section_of_twelve_rows(twelve: Structure) -> None:
    section = structure_section(twelve)
    assert (section.id, section.title) == ("structure", "Structure of the data")
    facts, lines, authors, scripts, instructions = blocks(section, Table)
    assert dict(facts.rows)["Rows"] == "12"
    assert dict(facts.rows)["Most outputs hold"] == "the rest of a poem that the input begins"
    assert lines.rows[:2] == (("2", "1", "8.3 %"), ("4", "7", "58.3 %"))
    assert authors.rows[0] == ("李白", "4", "33.3 %")
    assert scripts.rows == (
        ("Traditional", "9", "75.0 %"),
        ("Simplified", "1", "8.3 %"),
        ("both in one row", "1", "8.3 %"),
        ("no Chinese characters", "1", "8.3 %"),
    )
    assert instructions.rows == ((ASKED, "8", "66.7 %"), ("–", "3", "25.0 %"), ("寫詩", "1", "8.3 %"))
    forms = blocks(section, RowLinks)
    assert (forms[0].kind, forms[0].title, forms[0].rows) == ("form:五絕", "五絕: 6 rows (50.0 %)", (0, 1, 5, 6, 7, 8))
    assert (forms[-1].kind, forms[-1].title) == ("form:", "No form (fewer than four lines): 1 row (8.3 %)")
    assert notes(section, "good") == [
        "The task: first couplet → rest of the poem. In 9 rows (75.0 %) the input is the first two lines."
    ]
    assert notes(section, "warning") == []
    (example,) = blocks(section, Code)
    assert json.loads(example.text) == rows_of(POEMS)[0]


def test_many_line_counts_are_shortened(tmp_path: Path) -> None:
    texts = ["山，" * (lines + 1) for lines in range(14)]
    found = structure(write(tmp_path / "rows.jsonl", [{"output": text} for text in (*texts, *texts[:12])]))
    table = blocks(structure_section(found), Table)[1]
    assert [row[:2] for row in table.rows] == [*((str(lines), "2") for lines in range(1, 13)), ("others", "2")]


def test_a_hostile_file_stays_short_and_harmless(tmp_path: Path) -> None:
    row = {"input": "山" * 100_000, "output": "[b]水[/b] | `" + "，水" * 100_000, "x" * 5_000: "\u202e" * 1_000}
    path = tmp_path / "rows.jsonl"
    found = structure(write(path, [row, *rows_of(POEMS)]), name="\x1b[31mred")
    assert (found.rows, found.task) == (13, "completion")
    text = to_markdown([structure_section(found)], "review")
    assert len(text) < 12_000
    assert "\x1b" not in text
    assert "\u202e" not in text
