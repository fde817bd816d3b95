"""`poemcore verse`: what it reads, the document that other programs read, what people read, and its refusals."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.cli import main

STORKS = "白日依山盡，黃河入海流。欲窮千里目，更上一層樓。"
SEEING_OFF = "渭城朝雨浥輕塵，客舍青青柳色新。勸君更盡一杯酒，西出陽關無故人。"
DAWN = "春眠不覺曉，處處聞啼鳥。夜來風雨聲，花落知多少。"
PERCENT = {"form", "rhyme", "rhyme_ping", "template", "template_ao", "regulated"}


def figures(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["verse", *arguments, "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    document = json.loads(printed.out)
    assert isinstance(document, dict)
    return document


def give(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_the_figures_of_the_bundled_sample(capsys: pytest.CaptureFixture[str]) -> None:
    document = figures(capsys, "builtin:tang-sample")
    assert document["n"] == 400
    assert document["percent"] == {
        "form": 100.0,
        "rhyme": 97.0,
        "rhyme_ping": 90.75,
        "template": 60.25,
        "template_ao": 75.0,
        "regulated": 74.0,
    }
    assert document["more_percent"] == {"dui": 70.5, "nian": 89.75, "no_three_level": 95.25}
    assert {form: found["n"] for form, found in document["forms"].items()} == {
        "五絕": 55,
        "七絕": 113,
        "五律": 153,
        "七律": 79,
    }
    assert all(set(found["percent"]) == PERCENT for found in document["forms"].values())


def test_lines_of_text_and_rows_are_judged_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "poems.txt"
    text.write_text(f"\ufeff{STORKS}\n\n{SEEING_OFF}\n{DAWN}\n一段散文。\n", encoding="utf-8")
    expected = figures(capsys, str(text))
    assert expected["n"] == 4
    # STORKS keeps all; SEEING_OFF fails 黏; DAWN too, and its rhyme is oblique; the prose has nothing.
    assert expected["percent"] == {
        "form": 75.0,
        "rhyme": 75.0,
        "rhyme_ping": 50.0,
        "template": 25.0,
        "template_ao": 25.0,
        "regulated": 25.0,
    }
    assert {rule for rule, poems in expected["misses"].items() if poems} == {"nian", "oblique_rhyme"}
    halves = [poem.partition("。") for poem in (STORKS, SEEING_OFF, DAWN)]
    rows = [{"input": first, "output": rest} for first, _mark, rest in halves]
    rows.append({"input": "", "output": "一段散文。"})
    records = tmp_path / "rows.jsonl"
    records.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert figures(capsys, str(records)) == expected
    (tmp_path / "named.data").write_text(json.dumps(rows), encoding="utf-8")  # no name that tells the format
    assert figures(capsys, str(tmp_path / "named.data")) == expected
    for content in (text, records):
        give(monkeypatch, content.read_bytes())
        assert figures(capsys, "-") == expected


def test_every_poem_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "poems.txt"
    path.write_text(f"{STORKS}\n\n{SEEING_OFF}\n", encoding="utf-8")
    assert "poems" not in figures(capsys, str(path))
    poems = figures(capsys, str(path), "--all")["poems"]
    assert [poem["number"] for poem in poems] == [1, 3]
    assert poems[0] == {
        "number": 1,
        "form": "五絕",
        "old": False,
        "groups": ["下平聲十一尤"],
        "pattern": "仄起首句不入韻",
        "rhyme": True,
        "rhyme_ping": True,
        "template": True,
        "template_ao": True,
        "regulated": True,
        "ao_lines": [],
        "unknown": "",
        "misses": [],
    }
    assert poems[1]["misses"] == [{"line": 3, "position": 2, "character": "君", "rule": "nian", "due": ""}]


def test_people_read_figures_and_the_first_misses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "poems.txt"
    path.write_text(f"{STORKS}\n" + f"{SEEING_OFF}\n" * 7, encoding="utf-8")
    assert main(["verse", str(path), "--lang", "en"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("8 poems: 五絕 1, 七絕 7\n")
    assert "   12.5 %  regulated\n" in shown
    assert "   87.5 %  the line does not stick to the couplet before it (失黏)\n" in shown
    assert shown.count("line 3, 2: 君") == 5 and "白日依山盡" not in shown
    assert main(["verse", str(path), "--limit", "1", "--lang", "en"]) == 0
    assert capsys.readouterr().out.count("line 3, 2: 君") == 1
    assert main(["verse", str(path), "--all", "--lang", "en"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("line 3, 2: 君") == 7 and "白日依山盡 黃河入海流" in shown


def test_hostile_text_reaches_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "poems.txt"
    path.write_text("\x1b[2J白日，依山，盡黃，河入\n" + "山" * 100_000 + "\n\u202e[bold]\n", encoding="utf-8")
    for arguments in (["--all"], ["--all", "--json"]):
        assert main(["verse", str(path), *arguments]) == 0
        shown = capsys.readouterr().out
        assert "\x1b" not in shown and "\u202e" not in shown and len(shown) < 10_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "no poem"),
        ("blank.txt", b"\n \n", "no poem"),
        ("big5.txt", "白日依山盡".encode("big5"), "not UTF-8"),
        ("rows.json", b"[]", "empty list"),
        ("rows.jsonl", b'{"poem": "x"}\n', "no rule"),
        ("rows.jsonl", b'{"output": "x"}\n{"output": 3}\n', "line 2, row 1: row 1 holds a number"),
        ("rows.csv", b"output\n", "no rows"),
    ],
)
def test_refusals(name: str, content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["verse", str(tmp_path / name), "--lang", "en"]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.startswith("poemcore: ") and printed.out == ""


def test_more_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["verse", str(tmp_path / "none.txt"), "--lang", "en"]) == 2
    assert "no such file" in capsys.readouterr().err
    give(monkeypatch, b"\xff\xfe")
    assert main(["verse", "-", "--lang", "en"]) == 2
    assert "standard input: not UTF-8" in capsys.readouterr().err
    give(monkeypatch, b"")
    assert main(["verse", "-", "--lang", "en"]) == 2
    assert "standard input: there is no poem" in capsys.readouterr().err
    assert main(["verse", "builtin:tang-sample", "--all", "--limit", "3", "--lang", "en"]) == 2
