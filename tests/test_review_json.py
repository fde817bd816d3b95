"""The JSON document of a review: what other programs rely on, with figures counted another way."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.advice.facts import Budget, Distribution
from core.base_folder import resolve_base
from core.cli import main
from core.data.recipe import DEFAULT_TASK, make_example
from core.data.rows import read_rows
from core.encoding.encode import make_encoder
from core.model.load import load_tokenizer
from core.verse.form import form_of, verse_lines

SAMPLE = "builtin:tang-sample"
TINY = ("--profile", "tang-tiny-cpu", "--set", "model.device=cpu")
DISTRIBUTION = {"mean": float, "median": float, "p95": int, "p99": int, "max": int, "sum": int}


@pytest.fixture(autouse=True)
def no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """How quick this machine is matters to `document` alone, which is made before."""
    monkeypatch.setattr("core.review.measure.budget_here", lambda *_given, **_named: None)


def document_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["review", *arguments, "--json", "--lang", "en"]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1  # one document, in one line
    document = json.loads(printed.out)
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        shown: list[str] = []
        patch.setattr("builtins.print", lambda text, **_how: shown.append(text))
        assert main(["review", SAMPLE, *TINY, "--json"]) == 0
    (text,) = shown
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_what_every_document_has(document: dict[str, Any]) -> None:
    kinds = {
        "profile": str,
        "file": str,
        "rows": int,
        "bad_rows": int,
        "text_lines": int,
        "excluded_rows": list,
        "structure": dict,
        "tokens": dict,
        "forms": dict,
        "verse": dict,
        "problems": list,
        "value": list,
        "plan": dict,
        "advice": list,
        "refusals": list,
        "model": dict,
        "budget": dict,
    }
    assert {name: type(value) for name, value in document.items()} == kinds
    for part in ("instruction", "input", "output", "text", "template", "total"):
        assert {name: type(value) for name, value in document["tokens"][part].items()} == DISTRIBUTION
    assert {"supervised_share", "shared_prefix_tokens", "estimated", "tokenizer"} <= set(document["tokens"])
    for problem in document["problems"]:
        assert set(problem) == {"kind", "count", "rows"}
        assert problem["count"] == len(problem["rows"]) > 0 and problem["rows"] == sorted(problem["rows"])
    for advice in document["advice"]:
        assert set(advice) == {"id", "key", "severity", "reason", "from", "to"}
        assert advice["severity"] in ("error", "warning", "hint", "good") and advice["reason"]
    for finding in document["value"]:
        assert set(finding) == {"id", "kind", "title", "reason", "numbers"}
        assert finding["kind"] in ("strength", "limit")
    assert set(document["plan"]) == {"profile", "advised"}
    assert {"verdict", "bytes", "seconds"} <= set(document["budget"])
    assert document["budget"]["verdict"] in ("fits", "tight", "will not fit")  # the CPU is here, and its memory known
    assert document["budget"]["bytes"] == sum(document["budget"]["parts"].values()) > 0
    assert document["budget"]["seconds"] > 0 and document["budget"]["probed"] is False


def test_the_figures_of_the_sample(document: dict[str, Any]) -> None:
    assert (document["rows"], document["text_lines"], document["bad_rows"]) == (400, 400, 0)
    assert document["profile"] == "tang-tiny-cpu" and document["file"] == SAMPLE
    assert document["forms"] == {"五律": 153, "七絕": 113, "七律": 79, "五絕": 55}
    assert document["verse"]["regulated"] == 74.0
    assert document["plan"]["profile"]["rows"] == 360 and document["plan"]["profile"]["steps"] == 69
    counts = {problem["kind"]: problem["count"] for problem in document["problems"]}
    assert counts == {"broken-rhyme": 10, "unknown-character": 4}


def test_lengths_and_forms_counted_another_way(document: dict[str, Any]) -> None:
    rows = read_rows(SAMPLE).rows
    encoder = make_encoder(load_tokenizer(resolve_base("builtin:tang-tiny")), template="chatml")
    items = encoder.encode([make_example(row, (DEFAULT_TASK,), system_prompt="", seed=0, epoch=0) for row in rows])
    found = document["tokens"]
    lengths = [len(item.ids) for item in items]
    whole = Distribution.of(lengths)
    assert found["total"] == {name: getattr(whole, name) for name in DISTRIBUTION}
    supervised = sum(len(item.ids) - item.supervised_from for item in items)
    assert found["supervised_share"] == pytest.approx(supervised / whole.sum)
    assert found["output"]["sum"] == supervised - len(rows)  # each output has an end token of its own
    assert found["text"]["sum"] + found["template"]["sum"] == whole.sum
    assert (found["estimated"], found["tokenizer"]) == (False, "builtin:tang-tiny")
    assert document["forms"] == Counter(form_of(verse_lines(row.input + row.output)) for row in rows)


def test_without_the_base_lengths_are_estimated(capsys: pytest.CaptureFixture[str]) -> None:
    away = document_of(capsys, SAMPLE, "--set", "model.base=away/Qwen2-1.5B")
    assert away["profile"] == "tang-qwen2-1.5b"  # the one that is taken where none is named
    assert (away["tokens"]["estimated"], away["tokens"]["tokenizer"]) == (True, "")
    assert (away["model"]["parameters"], away["model"]["source"]) == (1_543_714_304, "published")
    assert away["budget"] == {"verdict": "unknown", "bytes": 0, "seconds": None}  # as nothing was measured


def test_the_budget_is_that_of_the_probe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    probed = Budget("tight", 95, 100, 7.5, {"weights": 95}, "cpu", "float32", probed=True)
    monkeypatch.setattr("core.review.measure.probe_here", lambda *_given, **_named: probed)
    found = document_of(capsys, SAMPLE, *TINY, "--probe")
    assert found["budget"] == {
        "verdict": "tight",
        "bytes": 95,
        "seconds": 7.5,
        "memory_bytes": 100,
        "parts": {"weights": 95},
        "device": "cpu",
        "dtype": "float32",
        "probed": True,
        "fits_with": None,
    }
    assert "memory-tight" in {one["id"] for one in found["advice"]}


def test_a_named_tokenizer_takes_the_place_of_an_absent_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: dict[str, Any]
) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes((resolve_base("builtin:tang-tiny") / "tokenizer.json").read_bytes())
    named = document_of(capsys, SAMPLE, "--set", "model.base=away/Qwen2-1.5B", "--tokenizer", str(folder))
    assert (named["tokens"]["estimated"], named["tokens"]["tokenizer"]) == (False, str(folder))
    assert named["tokens"]["total"] == document["tokens"]["total"]


def test_a_pretty_printed_file_has_more_lines_than_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"instruction": "續", "input": "白日依山盡，", "output": f"黃河入海流{number}。"} for number in range(12)]
    path = tmp_path / "pretty.json"
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=2), encoding="utf-8")
    found = document_of(capsys, str(path), *TINY, "--set", "data.eval_rows=2")
    assert (found["rows"], found["text_lines"]) == (12, 62)
    assert found["structure"]["could_be_mistaken"] is True


def test_a_run_that_would_be_refused_is_reviewed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "few.jsonl"
    lines = [{"input": f"{a}日依山盡，黃河入海流。", "output": f"欲窮千里目，更上{a}層樓。"} for a in "白紅"]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    found = document_of(capsys, str(path), *TINY, "--set", "data.rows=520", "--set", "data.hold_out=[]")
    assert found["rows"] == 2
    (refusal,) = found["refusals"]
    assert refusal["where"] == "data.eval_rows" and "40 rows shall be held out" in refusal["message"]
    assert {"rows-too-many", "eval-rows-all"} <= {one["id"] for one in found["advice"] if one["severity"] == "error"}
    path.write_text(path.read_text(encoding="utf-8") + '{"output": 3}\n', encoding="utf-8")
    found = document_of(capsys, str(path), *TINY, "--set", "data.exclude=[7]", "--set", "data.hold_out=[]")
    assert (found["rows"], found["bad_rows"]) == (2, 1)
    assert {"kind": "bad-row", "count": 1, "rows": [2]} in found["problems"]
    assert [one["where"] for one in found["refusals"]] == ["data.exclude", "data.eval_rows"]


def test_excluded_rows_are_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    found = document_of(capsys, SAMPLE, *TINY, "--set", 'data.exclude=["broken-rhyme", "0-2"]')
    assert (found["rows"], len(found["excluded_rows"])) == (400, 13) and found["excluded_rows"][:3] == [0, 1, 2]
    assert found["plan"]["profile"]["rows"] == 400 - 13 - 40
    kept = [row for row in read_rows(SAMPLE).rows if row.number not in found["excluded_rows"]]
    assert found["tokens"]["characters"] == sum(len(row.instruction + row.input + row.output) for row in kept)


def test_the_loss_of_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "few.jsonl"
    rows = read_rows(SAMPLE).rows[:6]
    lines = [{"instruction": row.instruction, "input": row.input, "output": row.output} for row in rows]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    assert "losses" not in document_of(capsys, str(path), *TINY, "--set", "data.eval_rows=1")
    found = document_of(capsys, str(path), *TINY, "--set", "data.eval_rows=1", "--loss")
    assert sorted(loss["row"] for loss in found["losses"]) == list(range(6))
    assert all(set(loss) == {"row", "tokens", "nats"} and 0 < loss["nats"] < 9 for loss in found["losses"])
