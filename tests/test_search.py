"""Searching, sorting and measuring rows: exact answers on five of them, the same for a file too large to be kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from core.data import browse, search
from core.data.browse import IndexedRows, ReadRows, open_rows
from core.data.rows import Row
from core.data.search import Finder, length_of, parse_query
from core.data.variants import pattern_of
from core.errors import PoemError

ROWS: list[dict[str, object]] = [
    {"input": "牀前看月光，疑是地上霜。", "output": "舉頭望山月，低頭思故鄉。", "author": "李白", "title": "靜夜思"},
    {"input": "白雲千里", "output": "萬里！", "author": "Du Fu", "title": "發 a/b", "year": 759},
    {"output": 7},
    {"input": "春眠不覺曉", "output": "處處聞啼鳥。\n夜來風雨聲", "author": "孟浩然", "title": "李白", "year": 12},
    {"output": "……", "author": "無", "title": "髮"},
]
"""Of 20, 6, no, 15 and 0 characters; the third is a bad row."""


def lines(*rows: Mapping[str, object], ascii_only: bool = False) -> str:
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)


@pytest.fixture(params=["read", "indexed", "not kept", "escaped"])
def finder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finder:
    """The rows in a file that is read, one that is indexed, and two that are too large for anything to be kept."""
    path = tmp_path / "x.jsonl"
    path.write_text(lines(*ROWS, ascii_only=request.param == "escaped"), encoding="utf-8")
    if request.param != "read":
        monkeypatch.setattr(browse, "INDEXED_BYTES", 1)
    rows = open_rows(str(path))
    assert type(rows) is (ReadRows if request.param == "read" else IndexedRows)
    finder = Finder(rows)
    if request.param in ("not kept", "escaped"):
        monkeypatch.setattr(Finder, "_keeps", lambda self: False)
    return finder


def find(finder: Finder, text: str) -> list[int]:
    query = parse_query(text, finder._rows.columns)
    return list(list(finder.search(query, lambda: True))[-1])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("  ", [0, 1, 2, 3, 4]),
        ("月", [0]),
        ("李白", [0, 3]),
        ("里", [1]),
        ("山月 低頭", [0]),
        ("山月 春", []),
        ("du FU", [1]),
        ("759", [1]),
        ("a/b", [1]),
        ("鳥。夜", []),
        ("nowhere", []),
        # In one column
        ("author:李白", [0]),
        ("title:李白", [3]),
        ("Author：李白", [0]),
        ("author:", [0, 1, 2, 3, 4]),
        ("author:fu 里", [1]),
        ("year:5", [1]),
        ("year:2 year:1", [3]),
        ("input:月", [0]),
        ("output:光", []),
        ("instruction:x", []),
        # By length
        ("length:20", [0]),
        ("length:<20", [1, 3, 4]),
        ("length:<=20", [0, 1, 3, 4]),
        ("length:>6", [0, 3]),
        ("length:>=6", [0, 1, 3]),
        ("length:6..15", [1, 3]),
        ("length:..6", [1, 4]),
        ("length:15..", [0, 3]),
        ("length:0", [4]),
        ("length:<1", [4]),
        ("length:>5 length:<16", [1, 3]),
        ("Length：＞１５", [0]),
        ("length:>5 author:李白", [0]),
        ("length:9..3", []),
        # In Simplified characters
        ("白云", [1]),
        ("发", [1, 4]),
        ("發", [1]),
        ("万里", [1]),
        ("author:无", [4]),
        ("举头", [0]),
    ],
)
def test_what_a_query_finds(finder: Finder, text: str, wanted: list[int]) -> None:
    assert find(finder, text) == wanted


@pytest.mark.parametrize("text", ["length:", "length:<", "length:many", "length:<>3", "length:-1", "length:9999999999"])
def test_a_part_that_means_nothing_yet_is_named_and_the_rest_counts(finder: Finder, text: str) -> None:
    query = parse_query(f"{text} author:李白", finder._rows.columns)
    assert query.problem == "length: takes 20, <40, >=20 or 20..40"
    assert list(list(finder.search(query, lambda: True))[-1]) == [0]


def test_a_column_that_is_none() -> None:
    assert parse_query("autor:李白", ("author",)).problem == "no column is called “autor”"
    assert parse_query("曰：何以", ("author",)).problem == ""
    assert parse_query("a:b:c :x x:", ("a",)).problem == "no column is called “x”"
    assert parse_query("[a-z]+.* \\ (", ()).problem == ""


def test_words_are_no_patterns() -> None:
    assert pattern_of(".").search("a") is None
    assert pattern_of("a.[b").search("xa.[b")
    assert pattern_of("云.").search("雲x") is None
    assert pattern_of("云.").search("雲.")


def test_a_bad_row_is_found_by_its_problem_in_a_file_that_was_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(lines(*ROWS), encoding="utf-8")
    assert find(Finder(open_rows(str(path))), "number") == [2]


def test_a_column_of_the_file_goes_before_a_field_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(lines({"input": "甲", "poem": "乙"}, {"input": "丙", "poem": "甲"}), encoding="utf-8")
    finder = Finder(open_rows(str(path), {"output": "poem"}))
    assert (find(finder, "input:甲"), find(finder, "output:甲"), find(finder, "poem:甲")) == ([0], [1], [1])
    assert list(finder.sort([0, 1], "input")) == [1, 0]


def test_the_length_of_a_poem() -> None:
    row = Row(0, "十個字不算", "春眠，不覺曉 ", "『a_b』\n—𠀀！", {"title": "也不算"})
    assert length_of(row) == 8


# --- a long search --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False])
def test_a_search_tells_what_it_has_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr(search, "_CHUNK_ROWS", 2)
    monkeypatch.setattr(search, "_TOLD_ROWS", 4)
    monkeypatch.setattr(Finder, "_keeps", lambda self: kept)
    path = tmp_path / "x.jsonl"
    path.write_text(lines(*({"output": "春" if n % 2 else "秋"} for n in range(11))), encoding="utf-8")
    finder, query = Finder(open_rows(str(path))), parse_query("春", ())
    assert [list(found) for found in finder.search(query, lambda: True)] == [[1, 3], [1, 3, 5, 7], [1, 3, 5, 7, 9]]
    answers: Iterator[bool] = iter([True, True, True, False])
    assert [list(found[:]) for found in finder.search(query, lambda: next(answers))] == [[1, 3]]
    assert next(answers, None) is None  # it asked, and went no further


# --- order and lengths ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("number", [0, 1, 2, 3, 4]),
        ("length", [2, 4, 1, 3, 0]),
        ("author", [2, 1, 3, 0, 4]),
        ("year", [0, 2, 4, 3, 1]),
        ("output", [2, 4, 0, 1, 3]),
        ("no such column", [0, 1, 2, 3, 4]),
    ],
)
def test_order(finder: Finder, by: str, wanted: list[int]) -> None:
    assert list(finder.sort(range(5), by)) == wanted
    some = [position for position in wanted if position in (4, 1)]
    assert list(finder.sort([4, 1] if by != "no such column" else [1, 4], by)) == some


def test_order_backwards_keeps_equal_rows_in_file_order(finder: Finder) -> None:
    assert list(finder.sort(range(5), "number", backwards=True)) == [4, 3, 2, 1, 0]
    assert list(finder.sort(range(5), "year", backwards=True)) == [1, 3, 0, 2, 4]


def test_lengths(finder: Finder) -> None:
    assert finder.lengths(range(5)) == ((0, 0, 1), (6, 6, 1), (15, 15, 1), (20, 20, 1))
    assert finder.lengths([1, 2]) == ((6, 6, 1),)
    assert finder.lengths([]) == ()


def test_too_many_rows_are_not_put_in_order(finder: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SORTABLE_ROWS", 4)
    for ask in (
        lambda: finder.sort(range(5), "length"),
        lambda: finder.sort(range(5), "author"),
        lambda: finder.lengths(range(5)),
    ):
        with pytest.raises(PoemError, match="more than 4 rows are neither put in order nor measured"):
            ask()
    assert list(finder.sort([3, 1, 0], "length")) == [1, 3, 0]
    assert list(finder.sort(range(5), "number", backwards=True)) == [4, 3, 2, 1, 0]


def test_rows_that_come_later_are_found_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(lines(*({"output": f"春{n:03}"} for n in range(100))), encoding="utf-8")
    monkeypatch.setattr(browse, "INDEXED_BYTES", 1)
    monkeypatch.setattr(browse, "_CHUNK_BYTES", 1000)
    rows = open_rows(str(path))
    finder = Finder(rows)
    assert 0 < rows.count < 100
    assert find(finder, "春") == list(range(rows.count))
    assert len(finder.sort(range(rows.count), "length")) == rows.count
    rows.index(lambda: True)
    assert find(finder, "春") == list(range(100))


def test_searching_and_browsing_load_nothing_heavy() -> None:
    code = """
import sys
from core.data.browse import open_rows
from core.data.search import Finder, Query, parse_query
assert "opencc" not in sys.modules
rows = open_rows("builtin:tang-sample")
finder = Finder(rows)
parse_query("li length:20", rows.columns)
assert "opencc" not in sys.modules
list(finder.search(parse_query("白云", rows.columns), lambda: True))
heavy = {"numpy", "torch", "transformers", "tokenizers", "pyarrow", "datasets"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
