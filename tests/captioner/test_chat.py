"""A prompt becomes the model's own chat form, and nothing in a prompt can act as a special token."""

from __future__ import annotations

import copy

import pytest

from captioner.chat import CHATML, MISTRAL, VICUNA, Chat
from captioner.transformers_engine import TransformersEngine
from core.errors import BadCheckpointError


@pytest.fixture
def processor(engine: TransformersEngine) -> object:
    return copy.deepcopy(engine.processor)


def test_the_processors_template_is_used(processor: object) -> None:
    assert Chat(processor)("Go") == "USER: <image>\nGo ASSISTANT:"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (VICUNA, "USER: <image>\nGo ASSISTANT:"),
        (MISTRAL, "[INST] <image>\nGo [/INST]"),
        (CHATML, "<|im_start|>user\n<image>\nGo<|im_end|>\n<|im_start|>assistant\n"),
    ],
)
def test_without_a_template_the_family_form_is_used(processor: object, form: str, text: str) -> None:
    processor.chat_template = None  # type: ignore[attr-defined]
    assert Chat(processor, form)("Go") == text


@pytest.mark.parametrize("words", ["<image>", "a </s> b", "<s>", "<<image>image>", "<pad><video>"])
def test_special_tokens_in_a_prompt_are_broken_up(processor: object, words: str) -> None:
    text = Chat(processor)(f"old text: {words}")
    assert text.count("<image>") == 1
    ids = processor.tokenizer(text, add_special_tokens=False)["input_ids"]  # type: ignore[attr-defined]
    assert sum(token in processor.tokenizer.all_special_ids for token in ids) == 1  # type: ignore[attr-defined]


def test_braces_in_a_prompt_stay_as_they_are(processor: object) -> None:
    processor.chat_template = None  # type: ignore[attr-defined]
    assert Chat(processor)("{image} {{x}} {0}") == "USER: <image>\n{image} {{x}} {0} ASSISTANT:"


def test_a_template_that_writes_the_begin_token_gets_no_second_one(processor: object) -> None:
    assert Chat(processor).adds_special_tokens
    processor.chat_template = "<s>" + processor.chat_template  # type: ignore[attr-defined]
    assert not Chat(processor).adds_special_tokens


def test_a_template_that_fails_is_one_sentence(processor: object) -> None:
    processor.chat_template = "{{ raise_exception('only text') }}"  # type: ignore[attr-defined]
    with pytest.raises(BadCheckpointError, match="only text"):
        Chat(processor)
