"""`poemcore review`: what people read, in which language and form; files that it writes; its refusals.

`POEMTUI_SNAPSHOTS=write pytest tests/test_review_verb.py` writes the whole report anew; read it before you commit it.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from core.advice.facts import Budget
from core.cli import main
from core.data.rows import read_rows
from core.report.words import LONGEST_CHARACTERS

GOLDEN = Path(__file__).parent / "snapshots" / "review.md"
SAMPLE = "builtin:tang-sample"
TINY = ("--profile", "tang-tiny-cpu", "--set", "model.device=cpu", "--set", "data.eval_rows=2")
IDS = ["structure", "tokens", "audit", "value", "plan", "parameters", "next"]
HEADINGS = [
    "Structure of the data",
    "Tokens and memory",
    "Quality audit",
    "Training value",
    "Device and training plan",
    "Parameter analysis",
    "Next steps",
]
BUDGET = Budget(
    verdict="fits",
    bytes=600_000_000,
    memory_bytes=8_000_000_000,
    seconds=300.0,
    parts={"process": 420_000_000, "weights": 27_000_000, "activations": 153_000_000},
    device="cpu",
    dtype="float32",
)
# Memory as Python counts it: it differs between its versions.
_MACHINE = re.compile(r"(?m)^\| Rows in memory.*\n")


@pytest.fixture(autouse=True)
def known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine has and how quick it is, is no part of a report that can be compared."""
    monkeypatch.setattr("core.review.measure.budget_here", lambda *_given, **_named: BUDGET)


def write(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def sample_rows(count: int) -> list[dict[str, str]]:
    rows = read_rows(SAMPLE).rows[:count]
    return [{"instruction": row.instruction, "input": row.input, "output": row.output} for row in rows]


def flawed_rows() -> list[dict[str, str]]:
    """Ten poems, the first of them again, and one with a character missing."""
    rows = sample_rows(10)
    return [
        *rows,
        rows[0],
        {**rows[1], "input": "昔人已乘黃鶴去，此地空餘□鶴樓。", "output": "千載白雲空在，年年芳草春愁。"},
    ]


def headings(markdown: str) -> list[str]:
    return re.findall(r"(?m)^## (.+)$", markdown)


# -- what people read


def test_every_section_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", SAMPLE, *TINY, "--lang", "en"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and "\x1b" not in printed.out
    lines = printed.out.split("\n")
    assert lines[0] == "Review of builtin:tang-sample with the profile tang-tiny-cpu"
    underlined = [lines[at - 1] for at, line in enumerate(lines) if re.fullmatch("─+", line) and lines[at - 2] == ""]
    assert [line for line in underlined if line in HEADINGS] == HEADINGS


def test_the_whole_report(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "poems.jsonl", flawed_rows())
    monkeypatch.chdir(tmp_path)
    assert main(["review", "poems.jsonl", *TINY, "--markdown", "--lang", "en"]) == 0
    seen = _MACHINE.sub("", capsys.readouterr().out)
    if os.environ.get("POEMTUI_SNAPSHOTS") == "write":
        GOLDEN.write_text(seen, encoding="utf-8")
    assert seen == GOLDEN.read_text(encoding="utf-8")
    assert headings(seen) == HEADINGS


@pytest.mark.parametrize("language", ["en", "zh-Hans", "zh-Hant"])
def test_the_language(tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str) -> None:
    path = write(tmp_path / "poems.jsonl", sample_rows(8))
    assert main(["review", str(path), *TINY, "--markdown", "--lang", language]) == 0
    found = headings(capsys.readouterr().out)
    assert len(found) == len(HEADINGS)
    assert [bool(re.search("[\u4e00-\u9fff]", heading)) for heading in found] == [language != "en"] * len(found)


def test_a_review_that_is_wanted_no_more_ends_at_once() -> None:
    from core.profile.document import load_profile
    from core.review.review import review

    calls = iter(range(100))

    def check() -> None:
        if next(calls) == 3:
            raise TimeoutError

    reviewing = review(load_profile("tang-tiny-cpu"), SAMPLE, check=check)
    with pytest.raises(TimeoutError):
        list(reviewing)
    assert next(calls) == 4  # not asked again


# -- hostile text


def test_hostile_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        *sample_rows(6),
        {"instruction": "<script>|`x` \u202e", "input": "# [a](http://b.c)", "output": "<b>**d**</b>\n\n---\n1. e"},
        {"instruction": "續", "input": "", "output": "山" * 100_000},
        {"instruction": "續", "input": "\x1b[2J", "output": "x"},
        {"output": "| a | b |\n| --- | --- |\n```\n", "author\u202e|<i>": "\u2028`c`"},
    ]
    path = write(tmp_path / "a|_b_\u202e.jsonl", rows)
    for form in ((), ("--markdown",), ("--json",)):
        assert main(["review", str(path), *TINY, "--lang", "en", *form]) == 0
        shown = capsys.readouterr().out
        assert not [c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")]
        assert len(shown) < 20 * LONGEST_CHARACTERS
        if form == ("--markdown",):
            parser = MarkdownIt("gfm-like")
            assert parser.linkify is not None
            parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
            tokens = [token for block in parser.parse(shown) for token in (block, *(block.children or ()))]
            kinds = {re.sub("_(open|close)$", "", token.type) for token in tokens}
            assert not kinds & {
                "html_inline",
                "html_block",
                "link",
                "image",
                "hr",
                "em",
                "s",
                "code_block",
                "code_inline",
            }
            assert len([token for token in tokens if token.type == "heading_open"]) == 1 + len(HEADINGS)
            assert all(len(table) == 1 for table in _columns_of_tables(shown))


def _columns_of_tables(markdown: str) -> list[set[int]]:
    """Of each table, the numbers of cells that its lines have."""
    tables = re.findall(r"(?m)(?:^\|.*\|\n)+", re.sub(r"(?ms)^(```+).*?^\1$", "", markdown))
    return [{len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()} for table in tables]


# -- files


def test_the_report_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write(tmp_path / "poems.jsonl", sample_rows(8)), tmp_path / "report.md"
    arguments = ["review", str(data), *TINY, "--lang", "en", "-o", str(out)]
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"wrote {out}\n"
    assert headings(out.read_text(encoding="utf-8")) == HEADINGS
    out.write_text("mine", encoding="utf-8")
    assert main(arguments) == 2
    assert "the file exists already" in capsys.readouterr().err and out.read_text(encoding="utf-8") == "mine"
    assert main([*arguments, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(out)}
    assert json.loads(out.read_text(encoding="utf-8"))["rows"] == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["poems.jsonl", "report.md"]


def test_a_cleaned_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path / "poems.jsonl", flawed_rows())
    before, out = data.read_bytes(), tmp_path / "clean.jsonl"
    assert main(["review", str(data), *TINY, "--lang", "en", "--write-clean", str(out)]) == 0
    told = capsys.readouterr().out.rstrip().split("\n")[-3:]
    assert told[0] == f"wrote {out}: 10 rows; left out: 2"
    assert [line.split(":")[0] for line in told[1:]] == ["  1  duplicate", "  1  missing-character"]
    assert out.read_text(encoding="utf-8").splitlines() == data.read_text(encoding="utf-8").splitlines()[:10]
    assert data.read_bytes() == before
    other = tmp_path / "other.jsonl"
    assert (
        main(["review", str(data), *TINY, "--json", "--write-clean", str(other), "--exclude", "missing-character"]) == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert document["clean"] == {
        "path": str(other),
        "rows": 11,
        "left_out": {"missing-character": 1},
        "left_out_rows": [11],
    }
    assert len(other.read_text(encoding="utf-8").splitlines()) == 11


# -- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jsonl"], "no such file"),
        ([SAMPLE, "--profile", "none"], "no preset"),
        ([SAMPLE, "--set", "train.epochs=0"], "train.epochs"),
        ([SAMPLE, "--json", "--markdown"], "exclude each other"),
        ([SAMPLE, "--exclude", "duplicate"], "--write-clean"),
        ([SAMPLE, "--write-clean", "c.jsonl", "--exclude", "duplicates"], "Did you mean duplicate?"),
        ([SAMPLE, "-o", "none/report.md"], "there is no folder"),
        ([SAMPLE, "-o", "a.json", "--write-clean", "a.json"], "one name"),
        ([SAMPLE, "--tokenizer", "none"], "there is no tokenizer.json"),
        ([SAMPLE, "--loss"], "models/Qwen2-1.5B is not there"),
    ],
)
def test_refusals(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["review", *arguments, "--lang", "en"]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.startswith("poemcore: ") and printed.out == ""
    assert list(tmp_path.iterdir()) == []
