"""Rows: every format gives the same ones, the column rules are explicit, and every bad row is named with its line."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
from pathlib import Path

import pytest

from core.data.rows import SAMPLE, BadRow, Row, RowFile, read_rows, resolve_data_path
from core.errors import PoemError

ROWS = [
    {
        "instruction": "續寫",
        "input": "白日依山盡，黃河入海流。",
        "output": "欲窮千里目，更上一層樓。",
        "author": "王之渙",
    },
    {
        "instruction": "續寫",
        "input": "春眠不覺曉，處處聞啼鳥。",
        "output": "夜來風雨聲，花落知多少。",
        "author": "孟浩然",
    },
]
WANTED = (
    Row(0, "續寫", "白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。", {"author": "王之渙"}),
    Row(1, "續寫", "春眠不覺曉，處處聞啼鳥。", "夜來風雨聲，花落知多少。", {"author": "孟浩然"}),
)
HEADER = "instruction,input,output,author\n"
CSV = HEADER + "".join(",".join(row.values()) + "\n" for row in ROWS)
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
TEXTS = {
    "a.json": json.dumps(ROWS, ensure_ascii=False),
    "b.json": json.dumps(ROWS, indent=2),
    "c.jsonl": JSONL,
    "d.csv": CSV,
    "e.tsv": CSV.replace(",", "\t"),
}
FORMATS = {"a.json": "json", "b.json": "json", "c.jsonl": "jsonl", "d.csv": "csv", "e.tsv": "tsv"}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def refused(path: Path | str, **options: object) -> PoemError:
    with pytest.raises(PoemError) as caught:
        read_rows(path, **options)  # type: ignore[arg-type]
    return caught.value


def read_text(folder: Path, content: str, name: str = "x.json", **options: object) -> RowFile:
    return read_rows(write(folder / name, content), **options)  # type: ignore[arg-type]


# --- formats --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, bom: bytes, packed: bool) -> None:
    data = bom + TEXTS[name].encode()
    data = gzip.compress(data) if packed else data
    path = write(tmp_path / (name + ".gz" if packed else name), data)
    file = read_rows(path)
    assert file.rows == WANTED
    assert file.bad_rows == ()
    assert file.format == FORMATS[name]
    assert file.columns == ("instruction", "input", "output", "author")
    assert file.mapping == {"instruction": "instruction", "input": "input", "output": "output"}
    assert file.rule == "alpaca"
    assert file.path == path
    assert file.size_bytes == len(data)
    assert file.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("name", "wanted"), [("a.json", 1), ("b.json", 14), ("c.jsonl", 2), ("d.csv", 3), ("e.tsv", 3)]
)
def test_text_lines_are_not_rows(tmp_path: Path, name: str, wanted: int) -> None:
    assert read_text(tmp_path, TEXTS[name], name).text_lines == wanted


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("x.csv", JSONL, "jsonl"),
        ("x.jsonl", TEXTS["a.json"], "json"),
        ("x.json", JSONL, "jsonl"),
        ("x", CSV, "csv"),
        ("x.csv", TEXTS["e.tsv"], "tsv"),
        ("x.tsv", CSV, "csv"),
        ("x.gz", JSONL, "jsonl"),
        ("x.csv", "output\n春\n", "csv"),
        ("x.tsv", "output\n春\n", "tsv"),
    ],
)
def test_content_decides_before_the_name(tmp_path: Path, name: str, text: str, wanted: str) -> None:
    assert read_text(tmp_path, text, name).format == wanted


def test_windows_line_ends_and_blank_lines_are_no_rows(tmp_path: Path) -> None:
    assert read_text(tmp_path, JSONL.replace("\n", "\r\n\r\n"), "x.jsonl").rows == WANTED
    assert read_text(tmp_path, CSV.replace("\n", "\r\n\r\n"), "x.csv").rows == WANTED


def test_csv_quotes_hold_commas_quotes_and_line_feeds(tmp_path: Path) -> None:
    file = read_text(tmp_path, 'input,output\r\n"a, ""b""","春\r\n秋"\r\n', "x.csv")
    assert file.rows == (Row(0, "", 'a, "b"', "春\n秋", {}),)


def test_line_separators_inside_jsonl_text_do_not_split_it(tmp_path: Path) -> None:
    text = "春\u2028秋\u0085冬"
    file = read_text(tmp_path, json.dumps({"output": text}, ensure_ascii=False), "x.jsonl")
    assert file.rows[0].output == text


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.csv"])
def test_a_field_of_a_million_characters_reads_fine(tmp_path: Path, name: str) -> None:
    poem = "春" * 1_000_000
    text = f"output,input\n{poem},x\n" if name == "x.csv" else json.dumps([{"output": poem}])
    text = text[1:-1] if name == "x.jsonl" else text
    assert len(read_text(tmp_path, text, name).rows[0].output) == 1_000_000


def test_other_columns_keep_text_and_numbers_as_written(tmp_path: Path) -> None:
    huge = "9" * 6000
    text = f'[{{"output": "春", "title": "曉", "year": 1.50, "id": {huge}, "x": null, "y": true, "z": [1], "w": {{}}}}]'
    file = read_text(tmp_path, text)
    assert file.rows[0].extra == {"title": "曉", "year": "1.50", "id": huge}
    assert all(type(value) is str for value in file.rows[0].extra.values())
    assert file.columns == ("output", "title", "year", "id", "x", "y", "z", "w")


def test_columns_come_in_order_of_first_sight_and_may_differ(tmp_path: Path) -> None:
    file = read_text(tmp_path, '[{"output": "春"}, {"author": "李白", "output": "秋", "input": "x"}]')
    assert file.columns == ("output", "author", "input")
    assert file.rows == (Row(0, "", "", "春", {}), Row(1, "", "x", "秋", {"author": "李白"}))


# --- the built-in sample and paths ----------------------------------------------------------------------------------


def test_the_sample_is_bundled() -> None:
    file = read_rows(SAMPLE)
    assert len(file.rows) == 400
    assert file.format == "jsonl"
    assert file.columns == ("instruction", "input", "output", "author", "title", "form")
    assert [row.number for row in file.rows if "白日依山盡" in row.input] == [139]
    assert file.rows[139].extra["form"] == "五絕"


def test_paths_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/libai")
    assert resolve_data_path("~/x.json") == Path("/home/libai/x.json")
    assert resolve_data_path("x.json", relative_to=tmp_path) == tmp_path / "x.json"
    assert resolve_data_path("/x.json", relative_to=tmp_path) == Path("/x.json")
    assert resolve_data_path("x.json") == Path("x.json")
    assert resolve_data_path(SAMPLE, relative_to=tmp_path).name == "tang_sample_400_rich.jsonl"


def test_an_unknown_built_in_name_lists_the_known() -> None:
    with pytest.raises(PoemError) as caught:
        resolve_data_path("builtin:song")
    assert "song" in caught.value.message
    assert "builtin:tang-sample" in caught.value.hint


# --- column rules ---------------------------------------------------------------------------------------------------


def test_prompt_and_completion(tmp_path: Path) -> None:
    file = read_text(tmp_path, '[{"prompt": "白日", "completion": "欲窮", "title": "登"}]')
    assert file.rule == "prompt-completion"
    assert file.mapping == {"input": "prompt", "output": "completion"}
    assert file.rows == (Row(0, "", "白日", "欲窮", {"title": "登"}),)


def test_alpaca_wins_where_both_families_are_there(tmp_path: Path) -> None:
    file = read_text(tmp_path, '[{"prompt": "p", "completion": "c", "output": "o"}]')
    assert file.rule == "alpaca"
    assert file.rows == (Row(0, "", "", "o", {"prompt": "p", "completion": "c"}),)


def test_the_profile_wins_over_both(tmp_path: Path) -> None:
    file = read_text(
        tmp_path,
        '[{"text": "春", "head": "曉", "output": "o"}]',
        columns={"output": "text", "instruction": "head"},
    )
    assert file.rule == "profile"
    assert dict(file.mapping) == {"instruction": "head", "output": "text"}
    assert file.rows == (Row(0, "曉", "", "春", {"output": "o"}),)


@pytest.mark.parametrize(
    ("columns", "message", "hint"),
    [
        ({"outptu": "a"}, "no field “outptu”", "instruction, input, output"),
        ({"output": "c"}, "no column “c”", "“a”, “b”"),
        ({"input": "a"}, "no column is named for the output", 'output = "b"'),
        ({"input": "a", "output": "a"}, "one column is named for two fields", "“a”, “b”"),
    ],
)
def test_profile_columns_that_do_not_suit(tmp_path: Path, columns: dict[str, str], message: str, hint: str) -> None:
    error = refused(write(tmp_path / "x.json", '[{"a": "1", "b": "2"}]'), columns=columns)
    assert message in error.message
    assert hint in error.hint
    assert error.where == "data.columns"


def test_a_file_that_fits_no_rule_gets_the_lines_to_paste(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "x.json", '[{"id": 1, "question": "q", "a \\"b\\"": "x", "tags": ["t"]}]'))
    assert '“id”, “question”, “a "b"”, “tags”' in error.message
    assert '[data.columns]\ninput = "question"\noutput = "a \\"b\\""' in error.hint
    only = refused(write(tmp_path / "y.csv", "poem\n春\n"))
    assert '[data.columns]\noutput = "poem"' in only.hint
    assert "holds text" in refused(write(tmp_path / "z.json", '[{"id": 1}]')).hint


# --- bad rows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("7", "is a number, not an object"),
        ('"春"', "is a string, not an object"),
        ("[]", "is a list, not an object"),
        ("null", "is null, not an object"),
        ("true", "is true, not an object"),
        ("NaN", "is NaN, not an object"),
        ("{}", "lacks the column “output”"),
        ('{"input": "x"}', "lacks the column “output”"),
        ('{"output": 5}', "holds a number in “output”, not text"),
        ('{"output": null}', "holds null in “output”, not text"),
        ('{"output": ["x"]}', "holds a list in “output”, not text"),
        ('{"output": {"x": 1}}', "holds an object in “output”, not text"),
        ('{"output": "x", "input": false}', "holds false in “input”, not text"),
        ('{"output": "x", "instruction": 1}', "holds a number in “instruction”, not text"),
        ('{"output": ""}', "has a blank “output”: there is nothing to learn"),
        ('{"output": " \\n\u3000"}', "has a blank “output”: there is nothing to learn"),
        ('{"output": "a\\u0000b"}', "holds the control character U+0000 in “output”"),
        ('{"output": "a\x1b[31mb"}', "holds the control character U+001B in “output”"),
        ('{"output": "a\\rb"}', "holds the control character U+000D in “output”"),
        ('{"output": "a\\u007fb"}', "holds the control character U+007F in “output”"),
        ('{"output": "x", "author": "\\b"}', "holds the control character U+0008 in “author”"),
        ('{"output": "\\ud800x"}', "holds half of a surrogate pair, U+D800, in “output”"),
        ('{"output": "x", "input": "\\udfff"}', "holds half of a surrogate pair, U+DFFF, in “input”"),
        ('{"output": "x", "score": NaN}', "holds NaN in “score”, which JSON does not have"),
        ('{"output": "x", "score": -Infinity}', "holds -Infinity in “score”, which JSON does not have"),
        ('{"output": "x", "output": "y"}', "holds the key “output” more than once"),
        ('{"output": "x", "a\\u0001": "y"}', "has a column name with a character that no text has: “a␁”"),
    ],
)
@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_bad_rows_are_named(tmp_path: Path, name: str, bad: str, problem: str) -> None:
    good = '{"instruction": "i", "input": "j", "output": "春"}'
    text = f"[\n{good},\n{bad},\n{good}\n]" if name == "x.json" else f"\n{good}\n{bad}\n{good}\n"
    path = write(tmp_path / name, text)
    file = read_rows(path, on_bad_row="skip")
    assert file.bad_rows == (BadRow(1, 3, problem),)
    assert [row.number for row in file.rows] == [0, 2]
    error = refused(path)
    assert error.message == f"row 1 {problem}"
    assert error.where == f"{path}, line 3, row 1"
    assert 'data.on_bad_row = "skip"' in error.hint


def test_line_feeds_and_tabs_are_text(tmp_path: Path) -> None:
    assert read_text(tmp_path, '[{"output": "春\\n\\t秋"}]').rows[0].output == "春\n\t秋"
    assert read_text(tmp_path, '[{"output": "春\t秋"}]').rows[0].output == "春\t秋"


def test_a_whole_surrogate_pair_is_one_character(tmp_path: Path) -> None:
    assert read_text(tmp_path, '[{"output": "\\ud840\\udc00"}]').rows[0].output == "\U00020000"


def test_the_error_counts_the_other_bad_rows(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "x.json", '[{"output": ""}, {"output": "春"}, 1, 2]'))
    assert error.hint.startswith("Further bad rows: 2.")


@pytest.mark.parametrize("mode", ["error", "skip"])
def test_only_bad_rows_are_an_error_with_skip_too(tmp_path: Path, mode: str) -> None:
    path = write(tmp_path / "x.json", '[\n{"output": ""},\n7]')
    error = refused(path, on_bad_row=mode)
    assert error.message.startswith("none of the 2 rows can be used; the first: row 0 has a blank")
    assert error.where == f"{path}, line 2, row 0"
    assert "none of the 2 rows" in refused(write(tmp_path / "y.json", "[1, 2]"), on_bad_row=mode).message


def test_bad_lines_of_jsonl_are_rows_too(tmp_path: Path) -> None:
    good = '{"output": "春"}'
    deep = '{"output": ' + "[" * 100_000
    text = "\n".join([good, '{"output": "x",}', good + good, deep, good, '{"output": "ab'])
    file = read_text(tmp_path, text, "x.jsonl", on_bad_row="skip")
    assert [row.number for row in file.rows] == [0, 4]
    assert [(bad.number, bad.line) for bad in file.bad_rows] == [(1, 2), (2, 3), (3, 4), (5, 6)]
    problems = [bad.problem for bad in file.bad_rows]
    assert problems[0].startswith("is not valid JSON at column 1")
    assert problems[1] == "is not valid JSON at column 16: Extra data"
    assert problems[2] == "is nested too deeply to be read"
    assert problems[3] == "ends early, at column 15: the file looks truncated"


def test_a_broken_first_line_of_jsonl_is_one_bad_row(tmp_path: Path) -> None:
    file = read_text(tmp_path, '{"output": "x"\n{"output": "春"}\n', "x.jsonl", on_bad_row="skip")
    assert [row.output for row in file.rows] == ["春"]
    assert [(bad.number, bad.line) for bad in file.bad_rows] == [(0, 1)]


def test_lines_of_many_bad_rows_are_counted_once(tmp_path: Path) -> None:
    count = 20_000
    text = '[{"output": "' + "春" * 1000 + '"},\n' + ",\n".join("1" * 50 for _ in range(count)) + "]"
    file = read_text(tmp_path, text, on_bad_row="skip")
    assert [bad.line for bad in file.bad_rows] == list(range(2, count + 2))


def test_csv_rows_of_the_wrong_width(tmp_path: Path) -> None:
    text = 'input,output\na,"x\ny"\nb\nc,d,e\nf,g\n'
    file = read_text(tmp_path, text, "x.csv", on_bad_row="skip")
    assert [row.number for row in file.rows] == [0, 3]
    assert file.bad_rows == (
        BadRow(1, 4, "has 1 field(s) where the header has 2"),
        BadRow(2, 5, "has 3 field(s) where the header has 2"),
    )


def test_csv_control_characters_and_blank_outputs_are_bad(tmp_path: Path) -> None:
    file = read_text(tmp_path, "input,output\na\x00,x\nb,\nc,\x1b[2J\nd,春\n", "x.csv", on_bad_row="skip")
    assert [(bad.line, bad.problem) for bad in file.bad_rows] == [
        (2, "holds the control character U+0000 in “input”"),
        (3, "has a blank “output”: there is nothing to learn"),
        (4, "holds the control character U+001B in “output”"),
    ]


def test_an_unnamed_csv_column_is_no_column_of_a_row(tmp_path: Path) -> None:
    file = read_text(tmp_path, ",input,output\n0,a,春\n", "x.csv")
    assert file.rows == (Row(0, "", "a", "春", {}),)


def test_on_bad_row_takes_two_values(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'ignore'"):
        read_rows(SAMPLE, on_bad_row="ignore")
