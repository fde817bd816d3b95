"""Decoding against `generate` of transformers, and the detokeniser, on a tiny random model."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from core.errors import PoemError
from core.generation.decode import Completion, Piece, Sampling, complete
from core.generation.stream import Detokeniser
from core.model.verse_tokenizer import save_tokenizer, train_tokenizer

POEMS = ["白日依山盡，黃河入海流。欲窮千里目，更上一層樓。", "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。"]
LIMIT_TOKENS = 64
GREEDY = Sampling(
    max_new_tokens=24, temperature=0.0, top_p=1.0, top_k=0, repetition_penalty=1.0, no_repeat_ngram_size=0
)
DRAWN = replace(GREEDY, temperature=0.9, top_p=0.95)


@dataclass(frozen=True, slots=True)
class Tiny:
    model: Any
    tokenizer: Any
    prompt: list[int]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("tiny")
    save_tokenizer(train_tokenizer(POEMS, ["續寫"], vocab_size=400), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=LIMIT_TOKENS,
            initializer_range=0.5,  # scores far enough apart for the order of the likeliest to be sure
            bos_token_id=None,
            eos_token_id=None,
        )
        model = Qwen2ForCausalLM(config).eval()
    return Tiny(model, tokenizer, tokenizer("白日依山盡，", add_special_tokens=False).input_ids)


def finished(
    tiny: Tiny, sampling: Sampling, seeds: Sequence[int], end_ids: Sequence[int] = (), model: Any = None
) -> list[Completion]:
    pieces: dict[int, str] = {}
    completions = []
    stream = complete(
        tiny.model if model is None else model,
        tiny.tokenizer,
        tiny.prompt,
        end_ids=end_ids,
        sampling=sampling,
        seeds=seeds,
    )
    for item in stream:
        if isinstance(item, Piece):
            assert item.text
            pieces[item.candidate] = pieces.get(item.candidate, "") + item.text
        else:
            completions.append(item)
    for completion in completions:
        assert pieces.get(completion.candidate, "") == completion.text
        assert completion.seed == seeds[completion.candidate]
    return sorted(completions, key=lambda completion: completion.candidate)


def generated(tiny: Tiny, sampling: Sampling, end_ids: Sequence[int] = ()) -> list[int]:
    ids = torch.tensor([tiny.prompt])
    options: dict[str, Any] = {"eos_token_id": list(end_ids)} if end_ids else {}
    output = tiny.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=sampling.max_new_tokens,
        repetition_penalty=sampling.repetition_penalty,
        no_repeat_ngram_size=sampling.no_repeat_ngram_size,
        pad_token_id=0,
        **options,
    )
    new: list[int] = output[0, len(tiny.prompt) :].tolist()
    return new


def plain_text(tiny: Tiny, ids: list[int]) -> str:
    return str(tiny.tokenizer.decode(ids, skip_special_tokens=True))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"no_repeat_ngram_size": 2},
        {"no_repeat_ngram_size": 1},
        {"repetition_penalty": 1.7},
        {"repetition_penalty": 0.6},
        {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3},
    ],
)
@pytest.mark.parametrize("seeds", [[1], [1, 2, 3]])
def test_greedy_is_generate(tiny: Tiny, changes: dict[str, Any], seeds: list[int]) -> None:
    sampling = replace(GREEDY, **changes)
    wanted = generated(tiny, sampling)
    assert len(wanted) == 24
    completions = finished(tiny, sampling, seeds)
    assert [item.text for item in completions] == [plain_text(tiny, wanted)] * len(seeds)
    assert {(item.tokens, item.stop) for item in completions} == {(24, "length")}


def test_greedy_ends_where_generate_ends(tiny: Tiny) -> None:
    whole = generated(tiny, GREEDY)
    end = next(token for position, token in enumerate(whole) if position > 2 and token not in whole[:position])
    wanted = generated(tiny, GREEDY, [end])
    assert wanted[-1] == end
    (completion,) = finished(tiny, GREEDY, [0], [end])
    assert completion.stop == "end"
    assert completion.text == plain_text(tiny, wanted[:-1])
    assert completion.tokens == len(wanted) - 1


def test_an_end_at_once_is_an_empty_completion(tiny: Tiny) -> None:
    (completion,) = finished(tiny, GREEDY, [0], generated(tiny, GREEDY)[:1])
    assert (completion.text, completion.tokens, completion.stop) == ("", 0, "end")


def test_a_lora_adapter_decodes_as_its_own_generate(tiny: Tiny) -> None:
    from peft import LoraConfig, get_peft_model

    model = Qwen2ForCausalLM(tiny.model.config)
    model.load_state_dict(tiny.model.state_dict())
    adapted = get_peft_model(
        model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    ).eval()
    wanted = generated(replace_model(tiny, adapted), GREEDY)
    assert wanted != generated(tiny, GREEDY)
    assert finished(tiny, GREEDY, [0], model=adapted)[0].text == plain_text(tiny, wanted)


def replace_model(tiny: Tiny, model: Any) -> Tiny:
    return Tiny(model, tiny.tokenizer, tiny.prompt)


def test_a_seed_gives_the_same_text_whatever_is_made_beside_it(tiny: Tiny) -> None:
    # Some candidates end early, so that the batch shrinks under the others.
    ends, sampling = list(range(0, 290, 20)), replace(DRAWN, temperature=3.0)
    together = finished(tiny, sampling, [1, 2, 3, 4, 5, 6], ends)
    assert len({item.text for item in together}) > 3
    assert len({item.tokens for item in together}) > 1
    for completion in together:
        (alone,) = finished(tiny, sampling, [completion.seed], ends)
        assert (alone.text, alone.tokens, alone.stop) == (completion.text, completion.tokens, completion.stop)


def test_equal_seeds_are_equal_and_others_differ(tiny: Tiny) -> None:
    first, second, third = finished(tiny, DRAWN, [7, 7, 8])
    assert first.text == second.text != third.text


def test_draws_follow_the_odds(tiny: Tiny) -> None:
    sampling = replace(GREEDY, max_new_tokens=1, temperature=2.0)
    with torch.no_grad():
        odds = (tiny.model(torch.tensor([tiny.prompt])).logits[0, -1] / 2).softmax(-1)
    likeliest = int(odds.argmax())
    completions = finished(tiny, sampling, range(600), [likeliest])
    share = sum(item.stop == "end" for item in completions) / 600
    assert share == pytest.approx(float(odds[likeliest]), abs=0.07)  # three standard deviations are 0.061 at most


@pytest.mark.parametrize("changes", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}, {"temperature": 1e-300}])
def test_the_narrowest_settings_are_greedy(tiny: Tiny, changes: dict[str, Any]) -> None:
    narrow = finished(tiny, replace(DRAWN, **changes), [5, 6])
    assert {item.text for item in narrow} == {finished(tiny, GREEDY, [0])[0].text}


def test_the_model_s_length_bounds_a_completion(tiny: Tiny) -> None:
    (completion,) = finished(tiny, replace(GREEDY, max_new_tokens=10_000), [0])
    assert completion.stop == "length"
    assert completion.tokens == LIMIT_TOKENS - len(tiny.prompt)


def test_a_prompt_that_fills_the_model_is_refused_at_the_call(tiny: Tiny) -> None:
    with pytest.raises(PoemError, match=f"has {LIMIT_TOKENS} tokens"):
        complete(tiny.model, tiny.tokenizer, [5] * LIMIT_TOKENS, end_ids=[], sampling=GREEDY, seeds=[0])


def test_the_global_random_state_is_left_alone(tiny: Tiny) -> None:
    torch.manual_seed(3)
    random.seed(3)
    before, before_python = torch.get_rng_state(), random.getstate()
    finished(tiny, DRAWN, [1, 2])
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == before_python


@pytest.mark.parametrize("early", [False, True])
def test_the_mode_of_every_module_comes_back(tiny: Tiny, early: bool) -> None:
    tiny.model.train()
    tiny.model.lm_head.eval()
    try:
        before = [module.training for module in tiny.model.modules()]
        stream: Any = complete(tiny.model, tiny.tokenizer, tiny.prompt, end_ids=[], sampling=DRAWN, seeds=[1, 2])
        next(stream)
        assert not tiny.model.training
        assert not torch.is_inference_mode_enabled()  # never left on in the caller's code
        if early:
            stream.close()
        else:
            list(stream)
        assert [module.training for module in tiny.model.modules()] == before
    finally:
        tiny.model.eval()


def test_scores_that_are_no_numbers_are_an_error_and_the_mode_comes_back(tiny: Tiny) -> None:
    weight = tiny.model.model.norm.weight
    kept = weight.detach().clone()
    tiny.model.train()
    try:
        with torch.no_grad():
            weight[0] = float("nan")
        with pytest.raises(PoemError, match="not finite"):
            finished(tiny, DRAWN, [1])
        assert tiny.model.training
    finally:
        with torch.no_grad():
            weight.copy_(kept)
        tiny.model.eval()


def test_settings_that_leave_no_token_are_an_error(tiny: Tiny) -> None:
    model = Qwen2ForCausalLM(Qwen2Config(**{**tiny.model.config.to_dict(), "max_position_embeddings": 1_000}))
    with pytest.raises(PoemError, match="no token"):
        finished(tiny, replace(GREEDY, no_repeat_ngram_size=1, max_new_tokens=900), [1], model=model)


# The detokeniser


def push_all(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    detokeniser = Detokeniser(tokenizer)
    return [*(detokeniser.push(token) for token in ids), detokeniser.finish()]


def ids_of_bytes(tokenizer: Any, data: bytes) -> list[int]:
    """One token for each byte, by GPT-2's table of printable stand-ins."""
    from tokenizers import pre_tokenizers

    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(rest)}
    assert set(table.values()) == set(pre_tokenizers.ByteLevel.alphabet())
    return [tokenizer.convert_tokens_to_ids(table[byte]) for byte in data]


def test_a_split_ideograph_comes_once_and_whole(tiny: Tiny) -> None:
    ids = ids_of_bytes(tiny.tokenizer, "鶴。𠀀𫝀a".encode())
    assert len(ids) == 15
    wanted = ["", "", "鶴", "", "", "。", "", "", "", "𠀀", "", "", "", "𫝀", "a", ""]
    assert push_all(tiny.tokenizer, ids) == wanted


def test_what_stands_before_a_split_ideograph_comes_at_once(tmp_path: Path) -> None:
    # A token that ends one character and begins the next: the comma and the first byte of 鶴 (E9 B6 B4).
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = ["ï¼Įé", "¶", "´", "<unk>"]
    backend = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert push_all(tokenizer, [0, 1, 2, 0]) == ["，", "", "鶴", "，", "\ufffd"]


def test_a_real_replacement_character_comes_out(tiny: Tiny) -> None:
    ids = ids_of_bytes(tiny.tokenizer, "山\ufffd水\ufffd".encode())
    pieces = push_all(tiny.tokenizer, ids)
    assert "".join(pieces) == "山\ufffd水\ufffd"
    assert pieces[-1] == "\ufffd"


def test_special_tokens_are_no_text(tiny: Tiny) -> None:
    special = tiny.tokenizer.convert_tokens_to_ids("<|im_start|>")
    first, second, third = ids_of_bytes(tiny.tokenizer, "鶴".encode())
    assert push_all(tiny.tokenizer, [special, first, second, third, special]) == ["", "", "", "鶴", "", ""]


@pytest.mark.parametrize("seed", range(20))
def test_any_tokens_join_to_the_decoding_of_the_whole(tiny: Tiny, seed: int) -> None:
    chance = random.Random(seed)
    ids = [chance.randrange(len(tiny.tokenizer)) for _ in range(300)]
    if seed % 2:  # long runs of bytes that are no text, with ideographs between
        junk = [
            ids_of_bytes(tiny.tokenizer, bytes(chance.choices([0x80, 0xBF, 0xE4, 0xF0, 0xFF], k=n)))
            for n in (31, 32, 33, 34, 35, 36, 90)
        ]
        ids = [*itertools.chain.from_iterable([*part, *ids_of_bytes(tiny.tokenizer, "𠀀鶴".encode())] for part in junk)]
    assert "".join(push_all(tiny.tokenizer, ids)) == tiny.tokenizer.decode(ids, skip_special_tokens=True)


def test_the_cost_of_a_long_text_is_linear(tiny: Tiny) -> None:
    class Counting:
        tokens = 0

        def decode(self, ids: list[int], **options: Any) -> str:
            self.tokens += len(ids)
            return str(tiny.tokenizer.decode(ids, **options))

    for text in ("鶴山".encode() * 500, b"\x80" * 3_000):
        counting: Any = Counting()
        push_all(counting, ids_of_bytes(tiny.tokenizer, text))
        assert counting.tokens < 3_000 * 40
