"""Browsing: an indexed file has the rows of one that is read whole, however awkward it is; exports are verbatim."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import threading
from pathlib import Path

import pytest

from core.data import array_rows, browse, row_index
from core.data.browse import IndexedRows, ReadRows, Rows, export_rows, open_rows
from core.data.row_index import RowIndex
from core.data.rows import BadRow, Row, read_rows
from core.errors import PoemError

A = '{"input": "白日依山盡", "output": "欲窮千里目", "author": "王之渙"}'
B = '{"output": "春眠不覺曉", "year": 730.10}'
C = '{"output": "國破山河在", "notes": null}'

AWKWARD = {
    "plain": f"{A}\n{B}\n",
    "no line feed at the end": f"{A}\n{B}",
    "blank lines": f"\n \n{A}\n\n\t\n{B}\n\n\n{C}\n \n",
    "wide and unicode blanks": f"{A}\n\u3000\u3000\n{B}\n\x1f\n\u2028\n{C}\n",
    "many blanks": f"{A}\n{' ' * 300}\n{B}\n",
    "windows": f"{A}\r\n\r\n{B}\r\n",
    "old line ends in a row": f"{A}\r{B}\n{C}\n",
    "indented": f"  {A}\n\t{B} \n",
    "no JSON": f"{A}\nnonsense\n{B}\n",
    "not an object": f"{A}\n[1]\n7\nnull\n{B}\n",
    "bad first row": '{"output": 7}\n' + f"{A}\n{B}\n",
    "broken first row": '{"output": "x\n' + f"{A}\n{B}\n",
    "blank output": f'{A}\n{{"output": " "}}\n{{"input": "x"}}\n',
    "control character": f'{A}\n{{"output": "\x1b[2J"}}\n{{"output": "\\ud800"}}\n{B}\n',
    "truncated": f'{A}\n{B}\n{{"output": "國破',
    "truncated, then blank": f'{A}\n{B}\n{{"output": "國破\n\n',
    "truncated inside": f'{A}\n{{"output": "國破\n{B}\n',
    "repeated key": f'{A}\n{{"output": "a", "output": "b"}}\n{B}\n',
    "line separators in a text": f'{A}\n{{"output": "春\u2028秋\u0085冬"}}\n',
    "long row": f'{A}\n{{"output": "{"春" * 5000}"}}\n{B}\n',
}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


@pytest.fixture(autouse=True)
def small_files_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse, "INDEXED_BYTES", 1)


def indexed(path: Path) -> IndexedRows:
    rows = open_rows(str(path))
    assert isinstance(rows, IndexedRows)
    rows.index(lambda: True)
    assert rows.complete
    return rows


def whole(path: Path) -> ReadRows:
    return ReadRows(str(path), path, None)


def all_of(rows: Rows) -> list[Row | BadRow]:
    return [rows.row(position) for position in range(rows.count)]


def refused(rows: Rows, target: Path, positions: list[int] | None = None, *, overwrite: bool = False) -> PoemError:
    with pytest.raises(PoemError) as caught:
        export_rows(rows, [0] if positions is None else positions, target, overwrite=overwrite)
    return caught.value


# --- the same rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8])
def test_an_indexed_file_has_the_rows_of_one_that_is_read(tmp_path: Path, name: str, bom: bytes) -> None:
    path = write(tmp_path / "x.jsonl", bom + AWKWARD[name].encode())
    rows, wanted = indexed(path), whole(path)
    assert all_of(rows) == all_of(wanted)
    assert (rows.columns, rows.mapping, rows.rule) == (wanted.columns, wanted.mapping, wanted.rule)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("piece_bytes", [1, 7, 64])
def test_wherever_the_pieces_end(tmp_path: Path, name: str, piece_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_index, "_BEGUN_BYTES", 8)
    path = write(tmp_path / "x.jsonl", codecs.BOM_UTF8 + AWKWARD[name].encode())
    index, wanted = RowIndex(path), all_of(whole(path))
    counts = [0]
    while not index.complete:
        index.scan(piece_bytes)
        assert index.count >= counts[-1]
        counts.append(index.count)
        if index.count:  # what is known can be read
            assert isinstance(index.line(index.count - 1), bytes)
    assert index.count == len(wanted)
    text = path.read_text(encoding="utf-8-sig").split("\n") if "\r" not in AWKWARD[name] else None
    for position, row in enumerate(wanted):
        if isinstance(row, BadRow):
            assert index.line_number(position) == row.line
        if text is not None:
            assert index.line(position) == text[index.line_number(position) - 1].encode()


def test_exact_places(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", f"{A}\n\n\nnonsense\n{B}\n[")
    rows = indexed(path)
    assert rows.count == 4
    assert rows.row(0) == Row(0, "", "白日依山盡", "欲窮千里目", {"author": "王之渙"})
    first, last = rows.row(1), rows.row(3)
    assert isinstance(first, BadRow) and isinstance(last, BadRow)
    assert (first.number, first.line, first.problem) == (1, 4, "is not valid JSON at column 1: Expecting value")
    assert (last.number, last.line, last.problem) == (3, 6, "ends early, at column 2: the file looks truncated")
    assert rows.row(2) == Row(2, "", "", "春眠不覺曉", {"year": "730.10"})


def test_a_row_that_is_not_utf8_is_a_bad_one(tmp_path: Path) -> None:
    rows = indexed(write(tmp_path / "x.jsonl", A.encode() + b'\n{"output": "\xb4\xba"}\n'))
    assert rows.row(1) == BadRow(1, 2, "is not UTF-8: byte 12 of the line")
    assert isinstance(rows.row(0), Row)


# --- which way a file is opened -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("array.jsonl", f"[{A},\n{B}]"),
        ("table.csv", "output,author\n春眠不覺曉,孟浩然\n"),
        ("one.jsonl", A + "\n"),
        ("packed.jsonl", gzip.compress(f"{A}\n{B}\n".encode())),
    ],
)
def test_what_is_no_jsonl_is_read_whole_whatever_its_name(tmp_path: Path, name: str, content: str | bytes) -> None:
    path = write(tmp_path / name, content)
    rows = open_rows(str(path))
    assert isinstance(rows, ReadRows)
    assert all_of(rows) == list(read_rows(path).rows)


def test_jsonl_is_indexed_whatever_its_name_but_only_if_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "rows.json", f"{A}\n{B}\n")
    size_bytes = path.stat().st_size
    monkeypatch.setattr(browse, "INDEXED_BYTES", size_bytes)
    assert isinstance(open_rows(str(path)), IndexedRows)
    monkeypatch.setattr(browse, "INDEXED_BYTES", size_bytes + 1)
    assert isinstance(open_rows(str(path)), ReadRows)


def test_bad_rows_of_a_read_file_are_in_their_places(tmp_path: Path) -> None:
    rows = whole(write(tmp_path / "x.json", f'[{A}, {{"output": 7}}, {B}]'))
    assert rows.complete and rows.count == 3
    assert rows.row(1) == BadRow(1, 1, "holds a number in “output”, not text")
    assert [row.number for row in all_of(rows)] == [0, 1, 2]


@pytest.mark.parametrize("name", ["missing.jsonl", "nul\0.jsonl", "."])
def test_what_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(PoemError):
        open_rows(f"{tmp_path}/{name}")


def test_a_large_file_without_an_output_names_its_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", '{"poem": "a"}\n{"poem": "b"}\n')
    with pytest.raises(PoemError, match="“poem”"):
        open_rows(str(path))
    assert open_rows(str(path), {"output": "poem"}).rule == "profile"


# --- growing, and a file that changes -------------------------------------------------------------------------------


def test_rows_are_there_before_all_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse, "_CHUNK_BYTES", 3 * len(f"{C}\n".encode()))
    rows = open_rows(str(write(tmp_path / "x.jsonl", f"{C}\n" * 10)))
    assert (rows.count, rows.complete) == (3, False)
    assert isinstance(rows.row(2), Row)
    rows.index(lambda: False)
    assert (rows.count, rows.complete) == (3, False)
    asked = iter([True, False])
    rows.index(lambda: next(asked))
    assert (rows.count, rows.complete) == (6, False)
    rows.index(lambda: True)
    assert (rows.count, rows.complete) == (10, True)


def test_reading_while_another_thread_indexes(tmp_path: Path) -> None:
    index = RowIndex(write(tmp_path / "x.jsonl", "".join(f'{{"output": "{n}"}}\n\n' for n in range(5000))))

    def scan() -> None:
        while not index.complete:
            index.scan(64)

    scanning = threading.Thread(target=scan)
    scanning.start()
    wrong, looks = [], 0
    while scanning.is_alive() or not looks:
        count = index.count
        for position in (0, count - 1) if count else ():
            looks += 1
            if index.line(position) != f'{{"output": "{position}"}}'.encode():
                wrong.append(position)
    scanning.join()
    assert index.complete and index.count == 5000 and wrong == []


def test_a_file_that_is_cut_short_gives_bad_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse, "_CHUNK_BYTES", 3 * len(f"{C}\n".encode()))
    path = write(tmp_path / "x.jsonl", f"{C}\n" * 10)
    rows = open_rows(str(path))
    os.truncate(path, 50)
    gone = "is no longer in its place: the file has changed since it was opened"
    assert isinstance(rows.row(0), Row)
    assert rows.row(1) == BadRow(1, 2, gone)
    assert rows.line(1) == ""
    rows.index(lambda: True)
    assert rows.complete
    error = refused(rows, tmp_path / "out.jsonl")
    assert (error.message, error.where) == ("the file has changed since it was opened", str(path))
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_that_is_written_over_shows_no_pieces_of_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", f"{C}\n" * 4)
    rows = indexed(path)
    write(path, f"{A}\n" * 8)
    assert [type(rows.row(position)) for position in range(4)] == [BadRow] * 4


def test_a_file_that_is_replaced_stays_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", f"{A}\n{C}\n")
    rows = indexed(path)
    write(tmp_path / "new", f"{B}\n").replace(path)
    row = rows.row(1)
    assert isinstance(row, Row) and row.output == "國破山河在"
    assert export_rows(rows, [1], tmp_path / "out.jsonl") == 1


def test_a_line_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_index, "_LONGEST_BYTES", 100)
    rows = indexed(write(tmp_path / "x.jsonl", f'{C}\n{{"output": "{"x" * 200}"}}\n{C}\n'))
    assert rows.row(1) == BadRow(1, 2, "is too long to be looked at: 215 bytes")
    assert isinstance(rows.row(2), Row)


def test_the_file_is_let_go(tmp_path: Path) -> None:
    rows = indexed(write(tmp_path / "x.jsonl", f"{A}\n{B}\n"))
    descriptor = rows._index._descriptor
    os.fstat(descriptor)
    del rows
    with pytest.raises(OSError):
        os.fstat(descriptor)


# --- export ---------------------------------------------------------------------------------------------------------


def test_an_export_is_verbatim(tmp_path: Path) -> None:
    odd = '{"n": 1.50e2, "output": "春\\u66c9", "list": [1, {"x": null}], "input": "\\u4e00", "big": 9007199254740993}'
    lines = [A, odd, '{"output": 7}', C]
    jsonl = write(tmp_path / "x.jsonl", "\r\n\r\n".join(lines))
    pretty = write(tmp_path / "x.json", "[\n  " + ",\n  ".join(lines).replace('"list": ', '"list":\n    ') + "\n]\n")
    wanted = f"{C}\n{odd}\n"
    files: tuple[Rows, ...] = (indexed(jsonl), whole(jsonl), open_rows(str(pretty)))
    for number, rows in enumerate(files):
        target = tmp_path / f"out{number}.jsonl"
        assert export_rows(rows, [3, 2, 1], target) == 2
        assert target.read_text(encoding="utf-8") == wanted
        assert [row.output for row in read_rows(target).rows] == ["國破山河在", "春曉"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_an_exported_table_keeps_its_columns(tmp_path: Path) -> None:
    table = write(tmp_path / "x.csv", "no,prompt,completion\n007,春,秋\n8,夏,冬\n")
    assert export_rows(open_rows(str(table)), [0], tmp_path / "out.jsonl") == 1
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == '{"no": "007", "prompt": "春", "completion": "秋"}\n'


def test_another_file_is_overwritten_only_where_that_is_wanted(tmp_path: Path) -> None:
    rows = indexed(write(tmp_path / "x.jsonl", f"{A}\n{B}\n"))
    target = write(tmp_path / "out.jsonl", "mine")
    error = refused(rows, target)
    assert (error.message, error.where) == ("there is a file of that name already", str(target))
    assert target.read_text(encoding="utf-8") == "mine"
    assert export_rows(rows, [0], target, overwrite=True) == 1
    assert target.read_text(encoding="utf-8") == A + "\n"


def test_the_file_itself_can_be_overwritten(tmp_path: Path) -> None:
    for name in ("x.jsonl", "y.jsonl"):
        path = write(tmp_path / name, f"{A}\n{B}\n")
        rows = indexed(path) if name == "x.jsonl" else whole(path)
        assert export_rows(rows, [1], path, overwrite=True) == 1
        assert path.read_text(encoding="utf-8") == B + "\n"


def test_rows_of_a_read_file_that_changed_are_not_exported(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", f"{A}\n{B}\n")
    rows = whole(path)
    write(path, f"{B}\n{A}\n")
    assert refused(rows, tmp_path / "out.jsonl").message == "the file has changed since it was opened"
    path.unlink()
    assert refused(rows, tmp_path / "out.jsonl").message == "there is no such file"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/out.jsonl", "x.jsonl/out.jsonl", "nul\0", "half\ud800", "n" * 300])
def test_where_nothing_can_be_written(tmp_path: Path, name: str) -> None:
    rows = indexed(write(tmp_path / "x.jsonl", f"{A}\n{B}\n"))
    assert refused(rows, tmp_path / name).message.startswith("can't write the file: ")
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    rows = indexed(write(tmp_path / "x.jsonl", f"{A}\n{B}\n"))
    (tmp_path / "out").mkdir()
    assert refused(rows, tmp_path / "out", overwrite=True).message.startswith("can't write the file: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x.jsonl"]


def array_file(folder: Path, rows: list[object], end: str = "]") -> Path:
    """A JSON array of rows."""
    path = folder / "rows.json"
    path.write_text("[" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + end, encoding="utf-8")
    return path


POEM = {"instruction": "作詩", "input": "春眠不覺曉，處處聞啼鳥。", "output": "夜來風雨聲，花落知多少。"}


def test_the_first_rows_of_a_large_array_are_there_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_rows, "EARLY_BYTES", 0)
    monkeypatch.setattr(array_rows, "_HEAD_BYTES", 700)  # ends in the midst of a character of a row
    path = array_file(tmp_path, [{**POEM, "title": f"{n}"} for n in range(8)] + [7, {**POEM, "author": "孟浩然"}])
    rows = open_rows(str(path))
    first = rows.count
    assert 0 < first < 8 and not rows.complete and rows.columns == ("instruction", "input", "output", "title")
    assert rows.row(0) == Row(0, POEM["instruction"], POEM["input"], POEM["output"], {"title": "0"})
    rows.index(lambda: False)
    assert rows.count == first
    rows.index(lambda: True)
    assert rows.complete and rows.columns == ("instruction", "input", "output", "title", "author")
    numbers = [row.extra["title"] for row in all_of(rows)[:8] if isinstance(row, Row)]
    assert (
        rows.count == 10 and numbers == list("01234567") and rows.row(8) == BadRow(8, 9, "is a number, not an object")
    )


def test_an_array_that_ends_early_is_told_once_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_rows, "EARLY_BYTES", 0)
    rows = open_rows(str(array_file(tmp_path, [POEM] * 300, end="")))
    assert (rows.count, rows.complete) == (100, False)
    with pytest.raises(PoemError, match="ends early"):
        rows.index(lambda: True)


@pytest.mark.parametrize(
    "rows", [[{"text": "春"}] * 3 + [POEM], [7, *[POEM] * 3]], ids=["columns come later", "no object first"]
)
def test_an_array_whose_head_says_little_is_read(
    tmp_path: Path, rows: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = array_file(tmp_path, rows)
    monkeypatch.setattr(array_rows, "_HEAD_ROWS", 1)
    monkeypatch.setattr(array_rows, "EARLY_BYTES", 0)
    opened = open_rows(str(path))
    opened.index(lambda: True)
    assert opened.complete and opened.count == 4


def test_rows_of_an_array_can_be_exported_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_rows, "EARLY_BYTES", 0)
    rows = open_rows(str(array_file(tmp_path, [POEM] * 300)))
    assert list(rows.written([1])) == [json.dumps(POEM, ensure_ascii=False)]
