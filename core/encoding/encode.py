"""From examples to token ids, exactly: the prompt of a completion is a prefix of the training ids, always.

Text is encoded by the tokenizer without its added tokens, so `<|im_end|>` inside a poem stays text. The output is
encoded apart from the prompt, so the supervised span is an offset and needs no mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from core.data.recipe import Example
from core.encoding.template import (
    END_OF_TEXT,
    IM_END,
    IM_START,
    ModelTemplate,
    Span,
    alpaca,
    chat_tokens_look_untrained,
    chatml,
)
from core.errors import PoemError
from core.i18n import _

_NAMED_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as the model sees it."""

    row: int
    """The row's number in its file."""
    task: str
    """The task that made the example."""
    ids: tuple[int, ...]
    """Prompt, output and end token."""
    supervised_from: int
    """The loss is taken over ids[supervised_from:], which is never empty."""


class Encoder:
    """One tokenizer with one template."""

    def __init__(
        self, tokenizer: Any, *, template: str, reason: str, render: Callable[[Example], list[Span]], end_token: str
    ) -> None:
        """Prepare; `make_encoder` chooses the template.

        Args:
            tokenizer: a transformers tokenizer backed by `tokenizers`.
            template: its name.
            reason: why this one, for people.
            render: makes the prompt's spans of an example.
            end_token: the special token that ends an output.
        """
        self.template = template
        self.reason = reason
        self._render = render
        self._plain = _without_added_tokens(tokenizer)
        self._added: dict[str, int] = tokenizer.get_added_vocab()
        end = self._added.get(end_token)
        if end is None:
            end = tokenizer.convert_tokens_to_ids(end_token)
        names = (END_OF_TEXT, IM_END)
        others = [self._added[name] for name in names if name in self._added]
        if tokenizer.eos_token_id is not None:
            others.append(tokenizer.eos_token_id)
        self.end_ids: tuple[int, ...] = tuple(dict.fromkeys((end, *others)))

    def prompt_text(self, example: Example) -> str:
        """The rendered prompt, special tokens by name."""
        return "".join(span.text for span in self._render(example))

    def prompt_ids(self, example: Example) -> tuple[int, ...]:
        """Everything before the output."""
        return self._prompts([example])[0]

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Encode whole examples, the end token last."""
        prompts = self._prompts(examples)
        outputs = self._texts([example.output for example in examples])
        end = self.end_ids[0]
        return [
            Encoded(example.row, example.task, (*prompt, *output, end), len(prompt))
            for example, prompt, output in zip(examples, prompts, outputs, strict=True)
        ]

    def encode_plain(self, texts: Sequence[tuple[int, str, str]]) -> list[Encoded]:
        """Encode (row, given text, text to be scored) with no template at all, the end token last."""
        given = self._texts([text for _row, text, _rest in texts])
        rest = self._texts([text for _row, _given, text in texts])
        return [
            Encoded(row, "plain", (*before, *after, self.end_ids[0]), len(before))
            for (row, _given, _rest), before, after in zip(texts, given, rest, strict=True)
        ]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of texts, each encoded by itself with no template and no end token."""
        return [len(encoding) for encoding in self._plain.encode_batch_fast(list(texts), add_special_tokens=False)]

    def _prompts(self, examples: Sequence[Example]) -> list[tuple[int, ...]]:
        rendered = [self._render(example) for example in examples]
        # Most spans are the same in every row; each distinct text is encoded once.
        distinct = list(dict.fromkeys(span.text for spans in rendered for span in spans if not span.special))
        ids_of = dict(zip(distinct, self._texts(distinct), strict=True))
        return [
            tuple(
                token for span in spans for token in ((self._added[span.text],) if span.special else ids_of[span.text])
            )
            for spans in rendered
        ]

    def _texts(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._plain.encode_batch_fast(list(texts), add_special_tokens=False)]


def make_encoder(tokenizer: Any, *, template: str, embeddings: Any = None) -> Encoder:
    """Choose the template and say why.

    Args:
        tokenizer: a transformers tokenizer backed by `tokenizers`.
        template: `auto`, `chatml`, `alpaca` or `model`.
        embeddings: (V, D), the base's input embeddings, by which `auto` sees whether the base knows the chat tokens;
            None: it is taken to know them.

    Raises:
        PoemError: the tokenizer lacks what the template needs.
    """
    added = tokenizer.get_added_vocab()
    has_chat_tokens = IM_START in added and IM_END in added
    if template == "auto":
        template, reason = _choose(has_chat_tokens, added, embeddings)
    else:
        reason = _("{template}, as the profile asks").format(template=template)
    if template == "model":
        own = ModelTemplate(tokenizer)
        return Encoder(tokenizer, template=template, reason=reason, render=own.render, end_token=own.end_token)
    if template == "chatml":
        if not has_chat_tokens:
            raise PoemError(
                _("this model's tokenizer has no {start} and {end}").format(start=IM_START, end=IM_END),
                hint=_('Set data.template to "alpaca", "model" or "auto".'),
                where="data.template",
            )
        return Encoder(tokenizer, template=template, reason=reason, render=chatml, end_token=IM_END)
    end = END_OF_TEXT if END_OF_TEXT in added else tokenizer.eos_token
    if not end:
        raise PoemError(
            _("this model's tokenizer names no end-of-text token"),
            hint=_('Set "eos_token" in its tokenizer_config.json.'),
            where="data.template",
        )
    return Encoder(tokenizer, template=template, reason=reason, render=alpaca, end_token=end)


def _choose(has_chat_tokens: bool, added: dict[str, int], embeddings: Any) -> tuple[str, str]:
    if not has_chat_tokens:
        return "alpaca", _("alpaca: this model's tokenizer has no chat tokens")
    untrained = None
    if embeddings is not None:
        untrained = chat_tokens_look_untrained(embeddings, added[IM_START], added[IM_END])
    if untrained is None:
        return "chatml", _("chatml: this model knows the chat tokens")
    return "alpaca", _("alpaca with end-of-text: the chat tokens look untrained ({why})").format(why=untrained)


def fit(encoded: Sequence[Encoded], *, cutoff_len: int, overlong: str) -> tuple[list[Encoded], list[int]]:
    """Apply the policy for rows that are longer than `cutoff_len` tokens.

    Args:
        encoded: whole examples.
        cutoff_len: the most tokens that an example may have.
        overlong: `drop`, `truncate` (cut off at the end, so the end token is lost) or `error`.

    Returns:
        the examples that fit, and the numbers of the rows that were dropped or truncated.

    Raises:
        PoemError: with `error`, a row is too long; with `truncate`, one has nothing left to learn.
    """
    long = [item for item in encoded if len(item.ids) > cutoff_len]
    rows = [item.row for item in long]
    if overlong == "drop" or not long:
        return [item for item in encoded if len(item.ids) <= cutoff_len], rows
    if overlong == "error":
        raise PoemError(
            _("{count} rows are longer than data.cutoff_len = {cutoff} tokens: rows {rows}").format(
                count=len(rows), cutoff=cutoff_len, rows=name_rows(rows)
            ),
            hint=_(
                "The longest has {longest}. Raise data.cutoff_len, or set data.overlong to drop or truncate."
            ).format(longest=max(len(item.ids) for item in long)),
            where="data.overlong",
        )
    empty = [item.row for item in long if item.supervised_from >= cutoff_len]
    if empty:
        raise PoemError(
            _("cut off at {cutoff} tokens, {count} rows have nothing left to learn: rows {rows}").format(
                cutoff=cutoff_len, count=len(empty), rows=name_rows(empty)
            ),
            hint=_('Their prompts alone fill it. Raise data.cutoff_len, or set data.overlong = "drop".'),
            where="data.cutoff_len",
        )
    return [Encoded(item.row, item.task, item.ids[:cutoff_len], item.supervised_from) for item in encoded], rows


def name_rows(rows: Sequence[int]) -> str:
    """Some row numbers as people read them: the first few and how many more."""
    shown = ", ".join(map(str, rows[:_NAMED_AT_MOST]))
    more = len(rows) - _NAMED_AT_MOST
    return shown if more <= 0 else _("{shown} and {more} more").format(shown=shown, more=more)


def _without_added_tokens(tokenizer: Any) -> Tokenizer:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise PoemError(
            _("this model's tokenizer is of a kind without tokenizer.json, which can't be encoded exactly"),
            hint=_("Use a model folder that has a tokenizer.json."),
            where="model.base",
        )
    # The same model between the same steps; the added tokens, and what is put around a text, stay behind.
    plain = Tokenizer(backend.model)
    for step in ("normalizer", "pre_tokenizer"):
        if getattr(backend, step) is not None:
            setattr(plain, step, getattr(backend, step))
    return plain
