"""Several completions of one prompt, decoded together, streamed as they are written.

The prompt goes through the model once; its cache is then shared out to all candidates. The random numbers are a
candidate's own, so a seed gives the same poem however many candidates are made beside it (as far as the device
computes the same numbers for batches of different sizes, which float32 on a CPU does to the last few bits). It must
not know how a prompt is rendered.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    PreTrainedTokenizerBase,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from core.errors import PoemError
from core.generation.stream import Detokeniser
from core.i18n import _
from core.profile.schema import GenerationKeys

# Below this, dividing by the temperature leaves float32; the likeliest token has all the odds long before.
_COLDEST = 1e-5


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    max_new_tokens: int
    """Tokens after which a completion is cut off, at least 1; the model's own limit counts too."""
    temperature: float
    """Divides the logits; 0: always the likeliest token, and the next three have no effect."""
    top_p: float
    """Only the likeliest tokens that together reach this share; 1: off."""
    top_k: int
    """Only this many of the likeliest tokens; 0: off."""
    repetition_penalty: float
    """Divides the odds of tokens of prompt and completion; 1: off. Works at temperature 0 too."""
    no_repeat_ngram_size: int
    """No run of this many tokens twice in prompt and completion; 0: off. Works at temperature 0 too."""


def sampling_of(keys: GenerationKeys) -> Sampling:
    """How a profile's `[generation]` draws tokens."""
    return Sampling(
        max_new_tokens=keys.max_new_tokens,
        temperature=keys.temperature,
        top_p=keys.top_p,
        top_k=keys.top_k,
        repetition_penalty=keys.repetition_penalty,
        no_repeat_ngram_size=keys.no_repeat_ngram_size,
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that became certain."""

    candidate: int
    """Which completion it belongs to: position in `seeds`."""
    text: str
    """Never empty."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion, finished."""

    candidate: int
    """Position in `seeds`."""
    text: str
    """The continuation alone: all its pieces joined, without special tokens."""
    seed: int
    """The seed that gives it again."""
    tokens: int
    """Tokens written, the end token not counted; 0 where the model ended at once."""
    stop: str
    """"end": the model ended it; "length": it was cut off."""
    seconds: float
    """From the call to this completion's end, the time of those who read the pieces included."""


@dataclass(slots=True)
class _Candidate:
    number: int
    seed: int
    draws: torch.Generator
    detokeniser: Detokeniser
    text: str = ""
    tokens: int = 0


def complete(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompt_ids: Sequence[int],
    *,
    end_ids: Sequence[int],
    sampling: Sampling,
    seeds: Sequence[int],
) -> Generator[Piece | Completion, None, None]:
    """Write one completion per seed.

    The model is in evaluation mode from the first piece until the iterator ends or is closed, and then as it was. The
    global random state is neither read nor changed.

    Args:
        model: a transformers causal model, or a PeftModel around one.
        tokenizer: its tokenizer.
        prompt_ids: at least one id.
        end_ids: ids that end a completion.
        sampling: how tokens are chosen.
        seeds: one per completion, at least one.

    Returns:
        Pieces as soon as their text is certain, and a `Completion` for each candidate when it ends.

    Raises:
        PoemError: at the call, the prompt leaves no room in the model; later, the model's numbers can't be used.
    """
    if not prompt_ids or not seeds:
        raise ValueError("a prompt and a seed are needed")
    room_tokens = _room_tokens(model, len(prompt_ids))
    candidates = [
        _Candidate(number, seed, torch.Generator("cpu").manual_seed(seed), Detokeniser(tokenizer))
        for number, seed in enumerate(seeds)
    ]
    longest_tokens = min(sampling.max_new_tokens, room_tokens)
    return _stream(model, list(prompt_ids), frozenset(end_ids), sampling, candidates, longest_tokens)


def _stream(
    model: Any,
    prompt_ids: list[int],
    end_ids: frozenset[int],
    sampling: Sampling,
    candidates: list[_Candidate],
    longest_tokens: int,
) -> Generator[Piece | Completion, None, None]:
    started_s = time.perf_counter()
    in_training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        decoder = _Decoder(model, prompt_ids, sampling, len(candidates))
        while candidates:
            chosen = decoder.choose([candidate.draws for candidate in candidates])
            kept: list[int] = []
            for position, (candidate, token) in enumerate(zip(candidates, chosen, strict=True)):
                ended = token in end_ids
                piece = ""
                if not ended:
                    candidate.tokens += 1
                    piece = candidate.detokeniser.push(token)
                done = ended or candidate.tokens >= longest_tokens
                if done:
                    piece += candidate.detokeniser.finish()
                else:
                    kept.append(position)
                if piece:
                    candidate.text += piece
                    yield Piece(candidate.number, piece)
                if done:
                    seconds = time.perf_counter() - started_s
                    stop = "end" if ended else "length"
                    yield Completion(candidate.number, candidate.text, candidate.seed, candidate.tokens, stop, seconds)
            candidates = [candidates[position] for position in kept]
            if candidates:
                decoder.advance([chosen[position] for position in kept], kept)
    finally:
        for module in in_training:
            module.training = True


class _Decoder:
    """The model's state: the cache, the ids so far, the logits of the next token. No gradient is ever kept.

    Inference mode is entered by each method and never held over a `yield`, where it would reach the caller's code.
    """

    @torch.inference_mode()
    def __init__(self, model: Any, prompt_ids: list[int], sampling: Sampling, count: int) -> None:
        self._model = model
        self._greedy = sampling.temperature < _COLDEST
        self._filters, self._warpers = _processors(sampling)
        self._device = model.get_input_embeddings().weight.device
        self._cache = DynamicCache(config=model.config)
        ids = torch.tensor([prompt_ids], device=self._device)  # (1, T) int64
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        # Logits of the whole prompt would be T times the vocabulary.
        last_only = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(inner.forward).parameters else {}
        logits = self._forward(ids, **last_only)
        if count > 1:
            self._cache.batch_repeat_interleave(count)
        self._ids: Any = ids.repeat(count, 1)  # (B, T) int64
        self._logits = logits.repeat(count, 1)  # (B, V) float32

    @torch.inference_mode()
    def choose(self, draws: Sequence[torch.Generator]) -> list[int]:
        """One token for each candidate in the batch; each takes one number from its own generator."""
        # max passes NaN on, so one look at the row's maximum sees every kind of damage.
        if not bool(self._logits.max(dim=-1).values.isfinite().all()):
            raise PoemError(
                _("the model's scores for the next token are not finite numbers"),
                hint=_('Adapter or base are damaged, or overflow in their number format: try model.dtype = "float32".'),
                where="model",
            )
        scores: Tensor = self._filters(self._ids, self._logits)
        best = scores.max(dim=-1, keepdim=True).values
        if not bool(best.isfinite().all()):
            raise PoemError(
                _("these sampling settings leave no token to choose from"),
                hint=_(
                    "Raise generation.no_repeat_ngram_size, or set it to 0; set generation.repetition_penalty to 1."
                ),
                where="generation",
            )
        if self._greedy:
            return [int(token) for token in scores.argmax(dim=-1)]
        # Odds don't change by the shift, and no temperature makes them overflow.
        scores = self._warpers(self._ids, scores - best)
        # float64, which not every device has; the cumulative odds of a large vocabulary need it.
        odds = scores.softmax(dim=-1).cpu().double().cumsum(dim=-1)  # (B, V)
        points = torch.cat([torch.rand(1, generator=own, dtype=torch.float64) for own in draws]).unsqueeze(1)
        picked = torch.searchsorted(odds, points * odds[:, -1:], right=True)
        last = odds.shape[1] - 1
        return [min(token, last) for token in picked.squeeze(1).tolist()]

    @torch.inference_mode()
    def advance(self, tokens: Sequence[int], kept: Sequence[int]) -> None:
        """Keep the candidates at these positions of the batch and feed each its token."""
        if len(kept) < len(self._ids):
            positions = torch.tensor(kept, device=self._device)
            self._cache.batch_select_indices(positions)
            self._ids = self._ids[positions]
        column = torch.tensor(tokens, device=self._device).unsqueeze(1)  # (B, 1)
        self._ids = torch.cat([self._ids, column], dim=1)
        self._logits = self._forward(column)

    def _forward(self, ids: Tensor, **options: Any) -> Tensor:
        """(B, T) new ids → (B, V) float32 logits after the last of them.

        No candidate is padded, so the cache's own length gives every position, and everything before is attended to.
        """
        seen = self._cache.get_seq_length()
        positions = torch.arange(seen, seen + ids.shape[1], device=self._device).unsqueeze(0)
        output = self._model(
            input_ids=ids, position_ids=positions, past_key_values=self._cache, use_cache=True, **options
        )
        logits: Tensor = output.logits[:, -1, :].float()
        return logits


def _processors(sampling: Sampling) -> tuple[LogitsProcessorList, LogitsProcessorList]:
    """What `generate` would apply, in its order: always, and only where tokens are drawn."""
    filters, warpers = LogitsProcessorList(), LogitsProcessorList()
    if sampling.repetition_penalty != 1:
        filters.append(RepetitionPenaltyLogitsProcessor(float(sampling.repetition_penalty)))
    if sampling.no_repeat_ngram_size > 0:
        filters.append(NoRepeatNGramLogitsProcessor(sampling.no_repeat_ngram_size))
    if sampling.temperature >= _COLDEST and sampling.temperature != 1:
        warpers.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k > 0:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(float(sampling.top_p)))
    return filters, warpers


def _room_tokens(model: Any, prompt_tokens: int) -> int:
    """How many tokens fit after the prompt.

    Raises:
        PoemError: none do.
    """
    limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    if not isinstance(limit, int):
        return 2**31
    if prompt_tokens >= limit:
        raise PoemError(
            _("the prompt has {tokens} tokens, and this model takes {limit} with the completion").format(
                tokens=prompt_tokens, limit=limit
            ),
            hint=_("Give a shorter text."),
            where=_("prompt"),
        )
    return limit - prompt_tokens
