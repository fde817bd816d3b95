"""Text that can't be told apart into rows: each fault with its line, column and row, and how to mend it."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest

from core.data.records import quoted_names
from core.data.rows import Row, read_rows
from core.errors import PoemError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def refused(path: Path | str) -> PoemError:
    with pytest.raises(PoemError) as caught:
        read_rows(path)
    return caught.value


@pytest.mark.parametrize("content", [b"", codecs.BOM_UTF8, gzip.compress(b"")])
def test_empty_files(tmp_path: Path, content: bytes) -> None:
    assert refused(write(tmp_path / "x.json", content)).message == "the file is empty"


def test_white_space_empty_list_and_bare_header(tmp_path: Path) -> None:
    assert refused(write(tmp_path / "x.json", " \r\n\t")).message == "the file holds only white space"
    assert "empty list" in refused(write(tmp_path / "x.json", " [ ]\n")).message
    assert "no rows" in refused(write(tmp_path / "x.csv", "input,output\n")).message


@pytest.mark.parametrize(
    ("text", "line", "column", "row"),
    [
        ("[", 1, 2, 0),
        ('[\n{"output": "春"},\n', 2, 17, 1),
        ('[\n{"output": "春"}', 2, 16, 1),
        ('[\n{"output": "春"},\n{"output": "a\\nb', 3, 17, 1),
        ('[\n{"output": "春"},\n{"output": "a\\u4e', 3, 18, 1),
        ('[\n{"output": "春"},\n{"out', 3, 6, 1),
        ('[\n{"output": "春", "x": tr', 2, 24, 0),
        ('[\n{"output": "春", "x": 12', 2, 24, 0),
    ],
)
def test_truncated_json_is_called_truncated(tmp_path: Path, text: str, line: int, column: int, row: int) -> None:
    path = write(tmp_path / "x.json", text)
    error = refused(path)
    assert error.message == f"the JSON ends early, at line {line}, column {column}: the file looks truncated"
    assert error.where == f"{path}, line {line}, row {row}"
    assert error.hint


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ('[\n{"output": "春"}\n{"output": "秋"}]', 3, 1, "Expecting ',' delimiter"),
        ('[\n{"output" "春"}]', 2, 11, "Expecting ':' delimiter"),
        ("[\n{'output': 1}]", 2, 2, "Expecting property name"),
        ('[{"output": "春"},\n]', 2, 1, "Expecting value"),
        ('[{"output": "春"}]\nx', 2, 1, "Extra data"),
        ('[{"output": "春\n}, {"output": "秋"}]', 1, 15, "Invalid control character"),
    ],
)
def test_broken_json_has_line_column_and_reason(tmp_path: Path, text: str, line: int, column: int, reason: str) -> None:
    error = refused(write(tmp_path / "x.json", text))
    assert error.message.startswith(f"this is not valid JSON at line {line}, column {column}: {reason}")


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "x.json", '[\n{"output": "春"},\n' + "[" * 200_000))
    assert error.message == "the row is nested too deeply to be read"
    assert error.where.endswith("line 3, row 1")
    assert "nested too deeply" in refused(write(tmp_path / "x.json", '{\n"a":' + '{"a":' * 200_000)).message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", '{\n  "version": "1",\n  "data": [{"output": "春"}]\n}'),
        ("x.jsonl", '{"version": "1", "data": [{"output": "春"}]}\n'),
    ],
)
def test_a_top_level_object_names_its_keys_and_its_list(tmp_path: Path, name: str, text: str) -> None:
    error = refused(write(tmp_path / name, text))
    assert error.message == "the file is one JSON object (keys: “version”, “data”), not a list of rows"
    assert error.hint.startswith("“data” holds a list")
    assert """jq '.["data"]'""" in error.hint


def test_other_objects_over_several_lines(tmp_path: Path) -> None:
    assert "one JSON object (keys: “output”)" in refused(write(tmp_path / "x.json", '{"output": "春"}')).message
    assert read_rows(write(tmp_path / "x.jsonl", '{"output": "春"}')).rows == (Row(0, "", "", "春", {}),)
    several = refused(write(tmp_path / "x.json", '{\n"output": "春"\n}\n{\n"output": "秋"\n}\n'))
    assert "a second one starts at line 4" in several.message
    assert "jq -c ." in several.hint
    cut = refused(write(tmp_path / "x.json", '{\n"output": "春",\n'))
    assert cut.message == "the JSON ends early, at line 2, column 15: the file looks truncated"


def test_text_that_is_neither_json_nor_a_table(tmp_path: Path) -> None:
    assert "neither JSON nor a table" in refused(write(tmp_path / "x.txt", "白日依山盡，黃河入海流。\n")).message
    assert "“null”" in refused(write(tmp_path / "x.json", "null")).message


def test_csv_faults_of_the_whole_file(tmp_path: Path) -> None:
    twice = refused(write(tmp_path / "x.csv", "output,input,output\na,b,c\n"))
    assert twice.message == "the header names a column more than once: “output”"
    unclosed = refused(write(tmp_path / "x.csv", 'input,output\na,b\nc,"d\ne,f\n'))
    assert "never closed" in unclosed.message
    assert unclosed.where.endswith("line 3, row 1")
    stray = refused(write(tmp_path / "x.csv", 'input,output\na,"b"c\n'))
    assert "don't match" in stray.message
    assert stray.where.endswith("line 2, row 0")


def test_names_from_files_are_shown_safely_and_shortly() -> None:
    assert quoted_names(["a\x1b[31m", "b" * 50]) == "“a␛[31m”, “" + "b" * 39 + "…”"
    assert quoted_names(map(str, range(14))).endswith("“11”, … and 2 more")
