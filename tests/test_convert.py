"""Conversion: what `datasets` reads becomes JSONL that `read_rows` reads; nothing is overwritten or left behind."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core import cli
from core import convert as conversion
from core.convert import Conversion, convert, is_hub_id
from core.data.rows import Row, read_rows
from core.errors import PoemError

RECORDS: list[dict[str, Any]] = [
    {"input": "白日依山盡，", "output": "黃河入海流。", "year": 742, "good": True, "note": None, "tags": ["一", "二"]},
    {"input": "春眠\n不覺曉，", "output": "處處聞\u2028啼鳥。", "year": None, "good": None, "note": None, "tags": []},
]
ROWS = (
    Row(0, "", "白日依山盡，", "黃河入海流。", {"year": "742", "tags": "一\n二"}),
    Row(1, "", "春眠\n不覺曉，", "處處聞\u2028啼鳥。", {}),
)


def parquet(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(RECORDS), path)


def arrow(path: Path) -> None:
    import pyarrow

    table = pyarrow.Table.from_pylist(RECORDS)
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)


def saved(path: Path) -> None:
    import datasets

    datasets.Dataset.from_list(RECORDS).save_to_disk(str(path))


def saved_splits(path: Path) -> None:
    import datasets

    data = datasets.Dataset.from_list(RECORDS)
    datasets.DatasetDict({"train": data, "test": data.select([1])}).save_to_disk(str(path))


def json_lines(path: Path) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")


def json_list(path: Path) -> None:
    path.write_text(json.dumps(RECORDS), encoding="utf-8")


def folder(path: Path) -> None:
    path.mkdir()
    parquet(path / "train-00000.parquet")


def refused(source: Path | str, out: Path, **options: Any) -> PoemError:
    before = sorted(out.parent.iterdir()) if out.parent.is_dir() else []
    with pytest.raises(PoemError) as caught:
        convert(str(source), out, **options)
    assert (sorted(out.parent.iterdir()) if out.parent.is_dir() else []) == before, "something was written"
    return caught.value


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x.parquet", parquet),
        ("x.arrow", arrow),
        ("saved", saved),
        ("splits", saved_splits),
        ("x.jsonl", json_lines),
        ("x.json", json_list),
        ("folder", folder),
    ],
)
def test_every_kind_of_source_gives_the_same_rows(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    source, out = tmp_path / name, tmp_path / "out.jsonl"
    make(source)
    done = convert(str(source), out)
    assert done == Conversion(2, ("input", "output", "year", "tags"), ("good", "note"), str(out))
    file = read_rows(out)
    assert file.rows == ROWS
    assert file.format == "jsonl"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out.jsonl"])


@pytest.mark.parametrize(("name", "mark"), [("x.csv", ","), ("x.tsv", "\t"), ("x.csv.gz", ",")])
def test_tables_are_read_as_text(tmp_path: Path, name: str, mark: str) -> None:
    text = f'output{mark}no{mark}note\n"春, ""秋"""{mark}007{mark}null\n冬{mark}1.50{mark}\n'.encode()
    source, out = tmp_path / name, tmp_path / "out.jsonl"
    source.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    convert(str(source), out)
    assert read_rows(out).rows == (
        Row(0, "", "", '春, "秋"', {"no": "007", "note": "null"}),
        Row(1, "", "", "冬", {"no": "1.50", "note": ""}),
    )


def test_columns_are_mapped_and_the_rest_keep_their_names(tmp_path: Path) -> None:
    source, out = tmp_path / "x.json", tmp_path / "out.jsonl"
    source.write_text('[{"text": "黃河", "head": "白日", "output": "old", "id": 7}]', encoding="utf-8")
    done = convert(str(source), out, columns={"output": "text", "input": "head"})
    assert done == Conversion(1, ("input", "output", "id"), ("output",), str(out))
    assert out.read_text(encoding="utf-8") == '{"input": "白日", "output": "黃河", "id": 7}\n'
    lines = tmp_path / "lines.json"
    lines.write_text('[{"title": "登", "paragraphs": ["甲，乙。", "丙，丁。"]}]', encoding="utf-8")
    convert(str(lines), out, columns={"output": "paragraphs"}, force=True)
    assert read_rows(out).rows == (Row(0, "", "", "甲，乙。\n丙，丁。", {"title": "登"}),)


def test_the_split_is_chosen(tmp_path: Path) -> None:
    saved_splits(tmp_path / "splits")
    saved(tmp_path / "saved")
    parquet(tmp_path / "x.parquet")
    out = tmp_path / "out.jsonl"
    assert convert(str(tmp_path / "splits"), out, split="test").rows == 1
    error = refused(tmp_path / "splits", tmp_path / "new.jsonl", split="validation")
    assert error.message == "there is no split “validation”"
    assert error.hint == "The splits are: “train”, “test”"
    for source in ("saved", "x.parquet"):
        assert refused(tmp_path / source, tmp_path / "new.jsonl", split="test").hint == "The source has only one."


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    source, out = tmp_path / "x.json", tmp_path / "out.jsonl"
    json_list(source)
    out.write_text("precious", encoding="utf-8")
    error = refused(source, out)
    assert error.message == "the file exists already"
    assert "--force" in error.hint
    assert out.read_text(encoding="utf-8") == "precious"
    assert convert(str(source), out, force=True).rows == 2
    assert "source itself" in refused(source, source, force=True).message
    assert "folder" in refused(source, tmp_path, force=True).message
    assert "no folder" in refused(source, tmp_path / "nowhere" / "x.jsonl").message


def test_a_failure_half_way_keeps_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("precious", encoding="utf-8")
    source = tmp_path / "x.jsonl"
    source.write_text('{"output": "春"}\n{"output": "秋"\n', encoding="utf-8")
    assert "can't be read" in refused(source, out, force=True).message
    assert out.read_text(encoding="utf-8") == "precious"


def test_sources_that_are_none(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert refused(tmp_path / "x.parquet", out).message == "there is no such file or folder"
    odd = tmp_path / "x.pkl"
    odd.write_bytes(b"\x80\x04.")
    assert "what kind of file" in refused(odd, out).message
    for name in ("broken.parquet", "broken.arrow", "broken.json"):
        (tmp_path / name).write_bytes(b"PAR1 not really")
        assert "can't be read" in refused(tmp_path / name, out).message, name
    (tmp_path / "bare.csv").write_text("input,output\n", encoding="utf-8")
    assert "no rows" in refused(tmp_path / "bare.csv", out).message
    (tmp_path / "none.jsonl").write_text("", encoding="utf-8")
    assert refused(tmp_path / "none.jsonl", out).message == "the source holds no rows"
    (tmp_path / "wide.csv").write_text("input,output\na,b\nc\n", encoding="utf-8")
    assert refused(tmp_path / "wide.csv", out).message == "row 1 has 1 field(s) where the header has 2"
    (tmp_path / "big5.csv").write_bytes("input,output\n春，秋。\n".encode("big5"))
    assert "iconv -f BIG5" in refused(tmp_path / "big5.csv", out).hint
    (tmp_path / "flags.json").write_text('[{"good": true}]', encoding="utf-8")
    assert "“good”" in refused(tmp_path / "flags.json", out).message


def test_columns_that_do_not_suit(tmp_path: Path) -> None:
    source, out = tmp_path / "x.json", tmp_path / "out.jsonl"
    json_list(source)
    error = refused(source, out, columns={"output": "poem"})
    assert error.message == "there is no column “poem”"
    assert "“input”, “output”, “year”" in error.hint
    assert refused(source, out, columns={"output": "year"}).message == "row 0 holds a number in “year”, not text"


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("owner/tang-poems", True),
        ("squad", True),
        ("owner/poems.parquet", False),
        ("x.json.gz", False),
        ("./poems", False),
        ("/owner/poems", False),
        ("a/b/c", False),
        ("https://example.org/x.csv", False),
        ("../poems", False),
        ("", False),
    ],
)
def test_what_may_be_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, wanted: bool) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id(source) is wanted


def test_a_folder_here_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "poems").mkdir(parents=True)
    assert not is_hub_id("owner/poems")


def test_whether_the_hub_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert not conversion._hub_answers()  # bound, but nobody listens
        listener.listen()
        assert conversion._hub_answers()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert conversion._hub_answers()


# --- the verb -----------------------------------------------------------------------------------------------------


def poemcore(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "core", "convert", *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_the_verb_converts_in_a_child_and_prints_json(tmp_path: Path) -> None:
    parquet(tmp_path / "x.parquet")
    # A package of this name in the user's folder must not win over ours.
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").write_text("raise SystemExit(99)", encoding="utf-8")
    done = poemcore("x.parquet", "out.jsonl", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 2, "columns": ["input", "output", "year", "tags"], "path": "out.jsonl"}
    assert "good, note" in done.stderr
    assert read_rows(tmp_path / "out.jsonl").rows == ROWS


def test_the_verb_says_what_it_wrote_and_what_the_profile_needs(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"title": "登", "text": "春"}]', encoding="utf-8")
    done = poemcore("x.json", "out.jsonl", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "rows: 1\ncolumns: title, text\nfile: out.jsonl\n"
    assert '[data.columns]\ninput = "title"\noutput = "text"' in done.stderr


def test_a_hub_id_without_a_network_is_one_clear_error(tmp_path: Path) -> None:
    done = poemcore(
        "nobody/nothing", "out.jsonl", folder=tmp_path, HF_HOME=str(tmp_path / "hf"), HF_ENDPOINT="http://127.0.0.1:1"
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("poemcore: nobody/nothing: there is no such file or folder, and the hub can't")
    assert len(done.stderr.splitlines()) == 2
    assert not (tmp_path / "out.jsonl").exists()


def test_the_verb_refuses_before_it_starts_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.verbs import convert as verb

    def no_child(_wanted: Mapping[str, Any], *, offline: bool) -> tuple[int, None]:
        raise AssertionError("a child was started")

    monkeypatch.setattr(verb, "_run_child", no_child)
    source, out = tmp_path / "x.json", tmp_path / "out.jsonl"
    json_list(source)
    for columns in ("output", "output=", "poem=text", "output=a,output=b"):
        assert cli.main(["convert", str(source), str(out), "--columns", columns]) == 2
        assert "--columns" in capsys.readouterr().err
    out.touch()
    assert cli.main(["convert", str(source), str(out)]) == 2
    assert "the file exists already" in capsys.readouterr().err


def test_a_child_that_dies_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.verbs import convert as verb

    monkeypatch.setattr(verb, "_run_child", lambda _wanted, *, offline: (-9, None))
    assert cli.main(["convert", str(tmp_path / "x.json"), str(tmp_path / "out.jsonl")]) == 1
    assert "code -9" in capsys.readouterr().err
    monkeypatch.setattr(verb, "_run_child", lambda _wanted, *, offline: (130, None))
    assert cli.main(["convert", str(tmp_path / "x.json"), str(tmp_path / "out.jsonl")]) == 130
