"""How long the rows of a file are to a model: counted with its tokenizer, or estimated where there is none."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from core.advice.facts import Distribution, Tokens
from core.data.recipe import DEFAULT_TASK, Example, eligible_tasks, make_example
from core.data.row import Row
from core.encoding.encode import Encoder
from core.i18n import _
from core.profile.schema import Profile
from core.review.characters import Characters, cost_characters
from core.review.characters import repeats_of as repeats_of
from core.review.lengths import Bin, bins_of
from core.review.lengths import padding_share as padding_share

TOKENS_A_CHARACTER = 1.035
"""What Qwen2's tokenizer takes for a character of classical Chinese, measured on inputs and outputs of 25,007 Tang
poems in Traditional characters; the tokenizers of Qwen2.5 and Qwen3 split text in the same way."""
ASCII_A_TOKEN = 4
"""Letters that a token of English text holds, by OpenAI's rule of thumb for such tokenizers."""
LISTED_ROWS = 10
"""So many of the longest rows are listed."""

_CHUNK_ROWS = 1024
_QUOTED_CHARACTERS = 40
# ChatML: <|im_start|>, the role, a line feed, <|im_end|> and a line feed make a turn; the answer's turn ends with
# <|im_end|>. The line feed after the instruction is one token with the mark before it.
_TURN, _PREFIX_OF_TURN, _ANSWER = 5, 3, 4


@dataclass(frozen=True, slots=True)
class LongRow:
    """One of the longest rows."""

    row: int
    """Its number."""
    tokens: int
    """Its whole length."""
    text: str
    """The beginning of its input and output; untrusted."""


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Everything that is known of the lengths of a file's rows."""

    tokens: Tokens
    """What the rules go by."""
    rows: Sequence[int]
    """The numbers of the rows counted, ascending: all that some task takes."""
    totals: Sequence[int]
    """The whole length of each, in tokens."""
    supervised: Sequence[int]
    """How many of these the loss is taken over."""
    without_task: tuple[int, ...]
    """Numbers of the rows that no task takes; they aren't counted."""
    bins: tuple[Bin, ...]
    """The histogram of `totals`, without a gap."""
    longest: tuple[LongRow, ...]
    """The longest rows, the longest first, at most 10."""
    template: str
    """The template and why it is this one, in words."""
    characters: Characters | None
    """None where it is estimated."""
    distinct_ids: int
    """Distinct token ids in all rows; 0 where it is estimated."""


def count_tokens(rows: Sequence[Row], profile: Profile, encoder: Encoder, tokenizer_name: str) -> TokenCounts:
    """Count the rows as epoch 0 of a run encodes them.

    Instruction, input and output are encoded each by itself as well. What the whole row has beyond the sum of these is
    the template's, so that the parts add up even where a token spans the border of two.

    Args:
        rows: of a file, at least one.
        profile: its tasks, system prompt and `data.cutoff_len`.
        encoder: the base's.
        tokenizer_name: whose it is, for people.

    Raises:
        PoemError: no task takes any row.
    """
    examples, without_task = _examples(rows, profile)
    lengths = _Lengths()
    used: set[int] = set()
    prefix: tuple[int, ...] | None = None
    for chunk in _chunks(examples):
        encoded = encoder.encode(chunk)
        texts = list(dict.fromkeys(text for example in chunk for text in (example.instruction, example.input)))
        sizes = dict(zip(texts, encoder.count_tokens(texts), strict=True))
        for example, item in zip(chunk, encoded, strict=True):
            supervised = len(item.ids) - item.supervised_from
            parts = (sizes[example.instruction], sizes[example.input], supervised - 1)
            lengths.add(parts, total=len(item.ids), supervised=supervised)
            used.update(item.ids)
            prefix = item.ids if prefix is None else _common(prefix, item.ids)
    return _counts(
        examples,
        without_task,
        profile,
        lengths,
        shared_prefix_tokens=len(prefix or ()),
        tokenizer=tokenizer_name,
        template=encoder.reason,
        characters=cost_characters(examples, encoder, tokens=sum(lengths.input) + sum(lengths.output)),
        distinct_ids=len(used),
    )


def estimate_tokens(rows: Sequence[Row], profile: Profile) -> TokenCounts:
    """The same without a tokenizer: from characters, in ChatML.

    Args:
        rows: of a file, at least one.
        profile: its tasks, system prompt and `data.cutoff_len`.

    Raises:
        PoemError: no task takes any row.
    """
    examples, without_task = _examples(rows, profile)
    prompt = profile.data.system_prompt
    system = _TURN + _estimate(prompt) if prompt else 0
    sizes: dict[str, int] = {}
    lengths = _Lengths()
    for example in examples:
        if example.instruction not in sizes:
            sizes[example.instruction] = _estimate(example.instruction)
        parts = (sizes[example.instruction], _estimate(example.input), _estimate(example.output))
        lengths.add(parts, total=system + _TURN + _ANSWER + sum(parts), supervised=parts[2] + 1)
    shared = sum(sizes.values()) if len(sizes) == 1 else 0
    return _counts(
        examples,
        without_task,
        profile,
        lengths,
        shared_prefix_tokens=system + _PREFIX_OF_TURN + shared,
        tokenizer="",
        template=_("chatml, supposed"),
        characters=None,
        distinct_ids=0,
    )


class _Lengths:
    """Lengths of rows, part by part, as they are counted."""

    def __init__(self) -> None:
        self.instruction, self.input, self.output = array("q"), array("q"), array("q")
        self.total, self.supervised = array("q"), array("q")

    def add(self, parts: tuple[int, int, int], *, total: int, supervised: int) -> None:
        """One row: instruction, input and output; the whole; what the loss is taken over."""
        self.instruction.append(parts[0])
        self.input.append(parts[1])
        self.output.append(parts[2])
        self.total.append(total)
        self.supervised.append(supervised)


def _examples(rows: Sequence[Row], profile: Profile) -> tuple[list[Example], tuple[int, ...]]:
    """The examples of epoch 0, and the rows that no task takes."""
    tasks = [task for task in profile.data.tasks or (DEFAULT_TASK,) if task.weight > 0]
    taken = [row for row in rows if eligible_tasks(row, tasks)]
    if not taken:
        taken = [rows[0]]  # for which `make_example` says what is wrong
    prompt, seed = profile.data.system_prompt, profile.train.seed
    examples = [make_example(row, profile.data.tasks, system_prompt=prompt, seed=seed, epoch=0) for row in taken]
    numbers = {row.number for row in taken}
    return examples, tuple(row.number for row in rows if row.number not in numbers)


def _counts(
    examples: Sequence[Example],
    without_task: tuple[int, ...],
    profile: Profile,
    lengths: _Lengths,
    *,
    shared_prefix_tokens: int,
    tokenizer: str,
    template: str,
    characters: Characters | None,
    distinct_ids: int,
) -> TokenCounts:
    cutoff, numbers = profile.data.cutoff_len, array("q", [example.row for example in examples])
    texts = array("q", map(sum, zip(lengths.instruction, lengths.input, lengths.output, strict=True)))
    around = array("q", (total - text for total, text in zip(lengths.total, texts, strict=True)))
    prompts = (total - supervised for total, supervised in zip(lengths.total, lengths.supervised, strict=True))
    total = Distribution.of(lengths.total)
    tokens = Tokens(
        instruction=Distribution.of(lengths.instruction),
        input=Distribution.of(lengths.input),
        output=Distribution.of(lengths.output),
        text=Distribution.of(texts),
        template=Distribution.of(around),
        total=total,
        supervised_share=sum(lengths.supervised) / total.sum,
        shared_prefix_tokens=shared_prefix_tokens,
        characters=sum(len(example.instruction) + len(example.input) + len(example.output) for example in examples),
        over_cutoff=tuple(row for row, length in zip(numbers, lengths.total, strict=True) if length > cutoff),
        nothing_supervised=tuple(row for row, prompt in zip(numbers, prompts, strict=True) if prompt >= cutoff),
        estimated=characters is None,
        tokenizer=tokenizer,
    )
    order = sorted(range(len(examples)), key=lambda at: (-lengths.total[at], numbers[at]))
    return TokenCounts(
        tokens=tokens,
        rows=numbers,
        totals=lengths.total,
        supervised=lengths.supervised,
        without_task=without_task,
        bins=bins_of(lengths.total),
        longest=tuple(LongRow(numbers[at], lengths.total[at], _beginning(examples[at])) for at in order[:LISTED_ROWS]),
        template=template,
        characters=characters,
        distinct_ids=distinct_ids,
    )


def _beginning(example: Example) -> str:
    text = (example.input + example.output)[: _QUOTED_CHARACTERS + 1]
    return text if len(text) <= _QUOTED_CHARACTERS else text[: _QUOTED_CHARACTERS - 1] + "…"


def _estimate(text: str) -> int:
    ascii_letters = len(text.encode("ascii", "ignore"))
    tokens = round(TOKENS_A_CHARACTER * (len(text) - ascii_letters) + ascii_letters / ASCII_A_TOKEN)
    return max(1, tokens) if text else 0


def _common(prefix: tuple[int, ...], ids: tuple[int, ...]) -> tuple[int, ...]:
    if ids[: len(prefix)] == prefix:
        return prefix
    pairs = zip(prefix, ids, strict=False)
    return prefix[: next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(prefix), len(ids)))]


def _chunks(examples: Sequence[Example]) -> Iterator[list[Example]]:
    left = iter(examples)
    while chunk := list(islice(left, _CHUNK_ROWS)):
        yield chunk
