"""The making of a base model: tokenizer, packing, Muon, and a run that goes on where it stood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import PoemError

POEMS = [
    f"春風{a}夜雨，明月{b}秋山。花落{a}人去，江流{b}客還。"
    for a in "一二三四五六七八九十"
    for b in "東西南北中上下左右前"
] * 2


@pytest.fixture(scope="module")
def corpus_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n".join(POEMS), encoding="utf-8")
    return path


def tiny_plan(**changes: int) -> object:
    from core.model.pretrain import Plan

    values = {"tokens": 4000, "sequence_tokens": 64, "batch_sequences": 4, "vocab_size": 420, "hidden_size": 32}
    return Plan(
        **{**values, "intermediate_size": 48, "layers": 2, "heads": 2, "kv_heads": 1, "warmup_steps": 2, **changes}
    )


def test_every_99th_poem_is_held_out(corpus_path: Path) -> None:
    from core.model.corpus import read_corpus

    corpus = read_corpus(corpus_path)
    assert corpus.held_out == (POEMS[0], POEMS[99], POEMS[198])
    assert len(corpus.train) == 197


def test_a_corpus_that_is_missing_or_too_short(tmp_path: Path) -> None:
    from core.model.corpus import read_corpus

    with pytest.raises(PoemError, match="can't be read"):
        read_corpus(tmp_path / "none.txt")
    (tmp_path / "one.txt").write_text("春風\n", encoding="utf-8")
    with pytest.raises(PoemError, match="too few"):
        read_corpus(tmp_path / "one.txt")


def test_no_token_spans_two_ideographs(corpus_path: Path) -> None:
    from core.model.verse_tokenizer import train_tokenizer

    tokenizer = train_tokenizer(POEMS, ["請續寫"], vocab_size=420)
    decoded = [tokenizer.decode([token]) for token in range(tokenizer.get_vocab_size())]
    assert not [text for text in decoded if sum("\u4e00" <= c <= "\u9fff" for c in text) > 1]
    assert "春" in decoded and "assistant" in decoded


def test_packing_keeps_every_document_whole_and_once() -> None:
    from core.model.corpus import pack

    documents = [[i] * (1 + i % 9) for i in range(1000)]
    packed = [document for sequence in pack(iter(documents), sequence_tokens=10) for document in sequence]
    assert sorted(packed) == sorted(documents)
    assert all(sum(map(len, s)) <= 10 for s in pack(iter(documents), sequence_tokens=10))


def test_labels_never_cross_documents() -> None:
    from core.model.pretrain import collate

    batch = collate([[[5, 6, 7], [8, 9]]], width=6, pad=0)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 0]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 0]]
    assert batch["labels"].tolist() == [[6, 7, -100, 9, -100, -100]]


def test_muon_makes_singular_values_alike() -> None:
    import torch

    from core.model.muon import orthogonalise

    torch.manual_seed(0)
    for shape in ((3, 16, 40), (2, 40, 16)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
        assert values.min() > 0.5
        assert values.max() < 1.3


def test_the_rate_warms_up_stays_and_decays() -> None:
    from core.model.pretrain import Plan, learning_rate_share

    plan = Plan(tokens=1000, decay_share=0.4, warmup_steps=10)
    assert learning_rate_share(0, 1, plan) == 0.1
    assert learning_rate_share(600, 50, plan) == 1.0
    assert learning_rate_share(800, 60, plan) == pytest.approx(0.5)
    assert learning_rate_share(1000, 70, plan) == 0.0


def test_a_resumed_run_is_the_uninterrupted_one(corpus_path: Path, tmp_path: Path) -> None:
    import torch
    from tokenizers import Tokenizer

    from core.model.corpus import read_corpus
    from core.model.pretrain import Pretraining

    corpus, cpu = read_corpus(corpus_path), torch.device("cpu")
    whole = Pretraining(corpus, tiny_plan(), device=cpu)  # type: ignore[arg-type]
    reports = list(whole.train(report_every=1, eval_every=1000))
    assert reports[-1].tokens >= 4000
    assert reports[-1].loss_per_token < reports[0].loss_per_token

    part = Pretraining(corpus, tiny_plan(), device=cpu, tokenizer=whole.tokenizer)  # type: ignore[arg-type]
    for report in part.train(report_every=1, eval_every=1000):
        if report.step == 4:
            break
    part.save_checkpoint(tmp_path / "checkpoint")
    tokenizer = Tokenizer.from_file(str(tmp_path / "checkpoint" / "tokenizer.json"))
    rest = Pretraining(corpus, tiny_plan(), device=cpu, tokenizer=tokenizer)  # type: ignore[arg-type]
    rest.load_checkpoint(tmp_path / "checkpoint")
    later = list(rest.train(report_every=1, eval_every=1000))
    assert [r.loss_per_token for r in later] == [r.loss_per_token for r in reports[4:]]
    for ours, theirs in zip(rest.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_verb_writes_a_base_that_loads(
    corpus_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.cli import main
    from core.model import pretrain
    from core.model.load import load_base

    plan = tiny_plan()
    monkeypatch.setattr(pretrain, "Plan", lambda: plan)
    assert main(["pretrain", str(corpus_path), "--out", str(tmp_path / "base"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["held_out_poems"] == 3
    assert report["held_out_nats_per_character"] > 0
    base = load_base(str(tmp_path / "base"))
    assert base.tokenizer("春風").input_ids == base.tokenizer("春").input_ids + base.tokenizer("風").input_ids


def test_the_built_in_tokenizer_is_what_its_file_says() -> None:
    from tokenizers import Tokenizer

    from core.data.rows import SAMPLE, read_rows
    from core.model.load import load_tokenizer, resolve_base

    folder = resolve_base("builtin:tang-tiny")
    ours, file = load_tokenizer(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [row.input + row.output for row in read_rows(SAMPLE).rows] + ["<|im_start|>user\n請<|im_end|>"]
    assert [ours(text).input_ids for text in texts] == [encoding.ids for encoding in file.encode_batch(texts)]
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert weights <= 20 * 2**20
