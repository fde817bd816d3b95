"""`poemcore encode` and `evaluate`: the documents that other programs read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.cli import main


def test_encode_prints_ids_tokens_and_the_span(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "builtin:tang-sample", "--row", "139", "--profile", "tang-tiny-cpu", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"ids", "supervised_from", "tokens", "prompt", "task"}
    assert "".join(document["tokens"][document["supervised_from"] :]) == "欲窮千里目，更上一層樓。<|im_end|>"
    assert document["prompt"].endswith("白日依山盡，黃河入海流。<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize(("arguments", "message"), [(["--row", "400"], "no row 400"), (["--row", "-1"], "no row -1")])
def test_a_row_that_is_not_there(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "builtin:tang-sample", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_evaluate_agrees_with_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["data.rows=32", "data.eval_rows=8", "train.max_steps=2", "train.sample_every=0"]
    sets = [part for override in overrides for part in ("--set", override)]
    assert main(["train", "tang-tiny-cpu", *sets, "--runs-dir", str(tmp_path), "--json"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--runs-dir", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["poems"] == 8
    assert 3 < document["tuned_nats_per_character"] < document["base_nats_per_character"] < 6
    assert 3 < document["base_plain_nats_per_character"] < 6
