"""How examples are laid out as text, and which chat templates of tokenizers are refused."""

from __future__ import annotations

from typing import Any

import pytest

from core.data.recipe import Example
from core.encoding.template import ModelTemplate, Span, alpaca, chatml, user_content
from core.errors import PoemError
from core.model.verse_tokenizer import CHAT_TEMPLATE


class FakeTokenizer:
    """What a template needs of a tokenizer, by jinja as transformers renders it."""

    eos_token: str | None = "<|endoftext|>"

    def __init__(self, chat_template: str | None) -> None:
        self.chat_template = chat_template

    def get_added_vocab(self) -> dict[str, int]:
        return {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}

    def apply_chat_template(
        self, messages: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> Any:
        from transformers.utils.chat_template_utils import render_jinja_template

        assert not tokenize
        return render_jinja_template(
            conversations=[messages], chat_template=self.chat_template, add_generation_prompt=add_generation_prompt
        )[0][0]


def example(**changes: str) -> Example:
    values = {"system_prompt": "", "instruction": "續寫", "input": "白日", "output": "依山"} | changes
    return Example(row=0, task="row", **values)


def text_of(spans: list[Span]) -> str:
    return "".join(span.text for span in spans)


@pytest.mark.parametrize(
    ("instruction", "given", "content"), [("續寫", "白日", "續寫\n白日"), ("續寫", "", "續寫"), ("", "白日", "白日")]
)
def test_one_message_of_instruction_and_input(instruction: str, given: str, content: str) -> None:
    assert user_content(example(instruction=instruction, input=given)) == content


def test_chatml_spans() -> None:
    assert chatml(example(system_prompt="師")) == [
        Span("<|im_start|>", True),
        Span("system\n師", False),
        Span("<|im_end|>", True),
        Span("\n", False),
        Span("<|im_start|>", True),
        Span("user\n續寫\n白日", False),
        Span("<|im_end|>", True),
        Span("\n", False),
        Span("<|im_start|>", True),
        Span("assistant\n", False),
    ]
    assert text_of(chatml(example())) == "<|im_start|>user\n續寫\n白日<|im_end|>\n<|im_start|>assistant\n"


def test_alpaca_text() -> None:
    assert alpaca(example(system_prompt="師")) == [
        Span("師\n\n### Instruction:\n續寫\n\n### Input:\n白日\n\n### Response:\n", False)
    ]
    assert text_of(alpaca(example(input=""))) == "### Instruction:\n續寫\n\n### Response:\n"


@pytest.mark.parametrize("system_prompt", ["", "師"])
def test_the_model_s_template_is_chatml_where_it_says_so(system_prompt: str) -> None:
    template = ModelTemplate(FakeTokenizer(CHAT_TEMPLATE))
    given = example(system_prompt=system_prompt)
    assert template.end_token == "<|im_end|>"
    assert text_of(template.render(given)) == text_of(chatml(given))
    assert [span.text for span in template.render(given) if span.special] == [
        span.text for span in chatml(given) if span.special
    ]


def test_what_is_put_in_is_never_searched() -> None:
    template = ModelTemplate(FakeTokenizer(CHAT_TEMPLATE))
    given = example(system_prompt="甲USER甲", instruction="", input="甲SYSTEM甲<|im_end|>{{ 1 }}")
    assert text_of(template.render(given)) == text_of(chatml(given))
    assert [span.special for span in template.render(given)] == [span.special for span in chatml(given)]


def test_turns_that_follow_each_other_without_special_tokens() -> None:
    joined = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"
    given = example(system_prompt="甲USER甲", instruction="", input="甲SYSTEM甲")
    assert text_of(ModelTemplate(FakeTokenizer(joined)).render(given)) == "甲USER甲\n甲SYSTEM甲\n"


BODY = "{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}"
REFUSED = [
    (None, "no chat template"),
    ("", "no chat template"),
    (CHAT_TEMPLATE.replace("message['content']", "message['content'] | trim"), "alters the text"),
    (CHAT_TEMPLATE.replace("message['content']", "message['content'] | replace('<', '&lt;')"), "alters the text"),
    ("{% for m in messages %}{{ m['role'] }}<|im_end|>{% endfor %}", "leaves out or repeats"),
    (CHAT_TEMPLATE.replace("message['content']", "message['content'] + message['content']"), "leaves out or repeats"),
    (BODY + "{% if add_generation_prompt %}think:{% endif %}", "changes the prompt once there is an answer"),
    ("{{ raise_exception('no ' + messages[0]['role']) }}", "fails: no user"),
    ("{% for m in messages %", "fails: "),
]


@pytest.mark.parametrize(("chat_template", "problem"), REFUSED)
def test_refused(chat_template: str | None, problem: str) -> None:
    with pytest.raises(PoemError, match=problem) as caught:
        ModelTemplate(FakeTokenizer(chat_template))
    assert caught.value.where == "data.template"
    assert "data.template" in caught.value.hint


def test_a_template_without_system_turns_is_refused_only_with_a_system_prompt() -> None:
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    template = ModelTemplate(FakeTokenizer(refusal + CHAT_TEMPLATE))
    assert text_of(template.render(example())) == text_of(chatml(example()))
    with pytest.raises(PoemError, match="takes no system prompt"):
        template.render(example(system_prompt="師"))


def test_an_answer_without_a_special_end_ends_with_the_tokenizer_s() -> None:
    plain = "{% for m in messages %}{{ m['role'] + ':' + m['content'] + '\n' }}{% endfor %}"
    plain += "{% if add_generation_prompt %}assistant:{% endif %}"
    assert ModelTemplate(FakeTokenizer(plain)).end_token == "<|endoftext|>"
    tokenizer = FakeTokenizer(plain)
    tokenizer.eos_token = None
    with pytest.raises(PoemError, match="no special token"):
        ModelTemplate(tokenizer)
