"""Templates: how instruction, input and output are laid out as text, and where special tokens stand.

A rendered example is a list of spans. A special span is one token; a text span is encoded with special tokens off, so
that nothing in a poem ever becomes one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from core.data.recipe import Example
from core.errors import PoemError
from core.i18n import _

IM_START, IM_END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"

# An embedding row that training never moved: far shorter than ordinary ones, or the same as its neighbour's.
_UNTRAINED_NORM_SHARE = 0.3
_UNTRAINED_COSINE = 0.98
_ORDINARY_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a rendered prompt."""

    text: str
    special: bool  # True: `text` is the name of one special token


def user_content(example: Example) -> str:
    """Instruction and input as one message, a line feed between them where both are there."""
    return "\n".join(part for part in (example.instruction, example.input) if part)


def chatml(example: Example) -> list[Span]:
    """The prompt in ChatML, as Qwen's chat models were trained on; no system turn without a system prompt."""
    turns = [("system", example.system_prompt)] if example.system_prompt else []
    spans: list[Span] = []
    for role, content in (*turns, ("user", user_content(example))):
        spans += [Span(IM_START, True), Span(f"{role}\n{content}", False), Span(IM_END, True), Span("\n", False)]
    return [*spans, Span(IM_START, True), Span("assistant\n", False)]


def alpaca(example: Example) -> list[Span]:
    """The prompt in the plain-text form of Stanford Alpaca (Taori et al. 2023), without its English preamble."""
    parts = [example.system_prompt] if example.system_prompt else []
    parts.append(f"### Instruction:\n{example.instruction}")
    if example.input:
        parts.append(f"### Input:\n{example.input}")
    parts.append("### Response:\n")
    return [Span("\n\n".join(parts), False)]


class ModelTemplate:
    """The tokenizer's own chat template, taken apart once with placeholders."""

    def __init__(self, tokenizer: Any) -> None:
        """Keep the tokenizer; the template is rendered once with and once without a system turn.

        Args:
            tokenizer: a transformers tokenizer.

        Raises:
            PoemError: it has no template, or one that alters contents or can't be continued.
        """
        if not getattr(tokenizer, "chat_template", None):
            raise _template_error(_("this model's tokenizer has no chat template"))
        self._tokenizer = tokenizer
        self._specials = sorted(tokenizer.get_added_vocab(), key=len, reverse=True)
        # Letters only, and none that a template would strip or escape.
        self._system, self._user, self._output = "\u7532SYSTEM\u7532", "\u7532USER\u7532", "\u7532OUTPUT\u7532"
        self._literals = {with_system: self._take_apart(with_system) for with_system in (False, True)}
        self.end_token = self._find_end()

    def render(self, example: Example) -> list[Span]:
        """The prompt as spans."""
        literal = self._literals[bool(example.system_prompt)]
        if literal is None:
            raise _template_error(_("this model's chat template takes no system prompt"))
        contents = {self._system: example.system_prompt, self._user: user_content(example)}
        return [
            span if span.special else Span(_fill(span.text, contents), False)
            for span in _split_specials(literal, self._specials)
        ]

    def _messages(self, with_system: bool) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self._system}] if with_system else []
        return [*system, {"role": "user", "content": self._user}]

    def _apply(self, messages: list[dict[str, str]], *, prompt: bool) -> str:
        try:
            return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt))
        except Exception as error:
            # A template is a program of the model's author; whatever it raises is the template's refusal.
            raise _template_error(
                _("this model's chat template fails: {reason}").format(reason=str(error)[:200])
            ) from error

    def _take_apart(self, with_system: bool) -> str | None:
        messages = self._messages(with_system)
        try:
            prompt = self._apply(messages, prompt=True)
        except PoemError:
            if with_system:
                return None
            raise
        expected = [self._system] * with_system + [self._user]
        if any(prompt.count(name) != 1 for name in expected):
            raise _template_error(_("this model's chat template leaves out or repeats what it is given"))
        whole = self._apply([*messages, {"role": "assistant", "content": self._output}], prompt=False)
        if not whole.startswith(prompt + self._output):
            raise _template_error(_("this model's chat template changes the prompt once there is an answer"))
        for content in ("  a ", "\n\u66f8\n", "A<b>&amp;'\""):
            filled = [{**m, "content": content} if m["role"] == "user" else m for m in messages]
            if self._apply(filled, prompt=True) != _fill(prompt, {self._user: content}):
                raise _template_error(_("this model's chat template alters the text that it is given"))
        return prompt

    def _find_end(self) -> str:
        messages = [*self._messages(False), {"role": "assistant", "content": self._output}]
        suffix = self._apply(messages, prompt=False).split(self._output)[-1]
        special = next((span.text for span in _split_specials(suffix, self._specials) if span.special), None)
        end = special or self._tokenizer.eos_token
        if not end:
            raise _template_error(_("this model's chat template ends an answer with no special token"))
        return str(end)


def _fill(text: str, contents: dict[str, str]) -> str:
    # One pass over the template's own text: what is put in is never searched for placeholders.
    return re.sub("|".join(contents), lambda found: contents[found[0]], text)


def _split_specials(text: str, specials: list[str]) -> list[Span]:
    spans: list[Span] = []
    start = at = 0
    while at < len(text):
        special = next((name for name in specials if text.startswith(name, at)), None)
        if special is None:
            at += 1
            continue
        if at > start:
            spans.append(Span(text[start:at], False))
        spans.append(Span(special, True))
        start = at = at + len(special)
    if start < len(text):
        spans.append(Span(text[start:], False))
    return spans


def chat_tokens_look_untrained(embeddings: Any, start: int, end: int) -> str | None:
    """Why the two chat tokens look as if the base never saw them, or None.

    A base model's table holds rows for tokens that its training never used. Such a row keeps its small initial norm,
    or drifts with every other unused row to the same place. Training a LoRA adapter can't mend it: the table is frozen.

    Args:
        embeddings: (V, D), the input embeddings.
        start: the id of `<|im_start|>`.
        end: the id of `<|im_end|>`.
    """
    rows = embeddings[[start, end]].float()
    ordinary = embeddings[: min(_ORDINARY_ROWS, len(embeddings))].float().norm(dim=1).median()
    norms = rows.norm(dim=1)
    if float(norms.min()) < _UNTRAINED_NORM_SHARE * float(ordinary):
        share = float(norms.min()) / max(float(ordinary), 1e-12)
        return _("their embeddings have {share:.0%} of the usual length").format(share=share)
    cosine = float((rows[0] @ rows[1]) / (norms[0] * norms[1]))
    if cosine > _UNTRAINED_COSINE:
        return _("their two embeddings are the same to {cosine:.1%}").format(cosine=cosine)
    return None


def _template_error(message: str) -> PoemError:
    return PoemError(message, hint=_('Set data.template to "chatml", "alpaca" or "auto".'), where="data.template")
