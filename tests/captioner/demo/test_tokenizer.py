"""The tokenizer: captions short, phrases whole, any text survives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from captioner.demo import tokenizer
from scenes.captions import brief, dense
from scenes.graph import sample_scene
from scenes.vocabulary import COLOURS, NOUNS, plural


def ids(words: Any, text: str) -> list[int]:
    return list(words.encode(text, add_special_tokens=False))


def test_every_phrase_noun_and_colour_is_one_token(words: Any) -> None:
    assert all(len(ids(words, phrase)) == 1 for phrase in tokenizer.phrases())
    for noun in NOUNS:
        assert len(ids(words, f" {noun}")) == 1
        assert len(ids(words, f" {plural(noun)}")) == 1
    assert all(len(ids(words, f" {colour}")) == 1 for colour in COLOURS)


def test_captions_are_a_third_as_many_tokens_as_words_and_signs(words: Any) -> None:
    scenes = [sample_scene(np.random.default_rng((5, index))) for index in range(200)]
    texts = [f" {dense(scene)}" for scene in scenes]
    tokens = sum(len(ids(words, text)) for text in texts)
    parts = sum(len(text.replace(".", " .").replace(",", " ,").split()) for text in texts)
    assert tokens < 0.4 * parts


@pytest.mark.parametrize(
    "text",
    [
        "Describe this image and its style in a very detailed manner",
        "IMG_0042.JPG <image> </s> 犬と猫 😍\n\ttabs  and   spaces",
        " at the topmost, in the centrepiece",
        "",
    ],
)
def test_any_text_comes_back_as_it_was(words: Any, text: str) -> None:
    assert words.decode(ids(words, text), clean_up_tokenization_spaces=False) == text


def test_captions_come_back_as_they_were(words: Any) -> None:
    for index in range(50):
        scene = sample_scene(np.random.default_rng((6, index)))
        for text in (f" {dense(scene)}", f" {brief(scene)}"):
            assert words.decode(ids(words, text)) == text
