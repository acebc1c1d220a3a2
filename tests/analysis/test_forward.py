from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from spacy.tokens import Doc

from analysis.english import load_english
from analysis.forward import BLOCK, FRAME, TILE, Forward
from analysis.lexicon import lexicon_of
from analysis.nouns import ENGLISH_FOLDER

GOLD = Path(__file__).parent / "caption_gold.jsonl"
CAPTIONS = [tuple(json.loads(line)["tokens"]) for line in GOLD.read_text(encoding="utf-8").splitlines()]


class Tagged:
    """Forward, with texts given as words."""

    def __init__(self) -> None:
        self.nlp = load_english(ENGLISH_FOLDER)
        self.tagger: Any = self.nlp.get_pipe("tagger")
        self.forward = Forward(self.tagger)
        self.features = lexicon_of(self.tagger.model).features
        self.types: dict[str, int] = {}

    def scores(self, texts: list[tuple[str, ...]]) -> list[NDArray[np.float32]]:
        new = [word for word in dict.fromkeys(word for text in texts for word in text) if word not in self.types]
        self.forward.add(np.array([self.features(word) for word in new], np.uint64))
        self.types |= {word: len(self.types) + number for number, word in enumerate(new, start=1)}
        framed, places = [0] * FRAME, []
        for text in texts:
            places.append(slice(len(framed), len(framed) + len(text)))
            framed += [self.types[word] for word in text] + [0] * FRAME
        scores = self.forward.scores(np.array(framed))
        assert (self.forward.best(np.array(framed)) == scores.argmax(axis=1)).all()
        return [scores[place] for place in places]


@pytest.fixture(scope="module")
def tagged() -> Tagged:
    return Tagged()


def test_scores_are_those_of_spacy(tagged: Tagged) -> None:
    docs = [Doc(tagged.nlp.vocab, words=list(words)) for words in CAPTIONS]
    for ours, theirs in zip(tagged.scores(CAPTIONS), tagged.tagger.model.predict(docs), strict=True):
        assert np.abs(ours - theirs).max() < 1e-4
        assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).all()


def test_a_text_has_the_same_scores_to_the_bit_alone_and_in_any_company() -> None:
    alone = [Tagged().scores([words])[0] for words in CAPTIONS[:20]]
    dice = random.Random(1)
    for _ in range(5):
        numbers = dice.sample(range(len(CAPTIONS)), 120)
        tagged = Tagged()
        company = dict(zip(numbers, tagged.scores([CAPTIONS[number] for number in numbers]), strict=True))
        for number in set(numbers) & set(range(20)):
            assert (company[number] == alone[number]).all()


def test_a_matrix_product_gives_a_row_the_same_bits_in_every_place_of_a_tile(tagged: Tagged) -> None:
    dice = np.random.default_rng(3)
    row, weights = dice.normal(size=192).astype(np.float32), tagged.forward._second.weights
    tile = dice.normal(size=(1, TILE, 192)).astype(np.float32)
    products = []
    for place in range(TILE):
        tile[0, place] = row
        products.append(np.matmul(tile, weights)[:, 0, place].tobytes())
    assert len(set(products)) == 1


@pytest.mark.parametrize("length", [1, 2, TILE - 1, TILE, TILE + 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_texts_of_any_length_are_tagged(tagged: Tagged, length: int) -> None:
    words = tuple(word for caption in CAPTIONS for word in caption)[:length]
    (ours,) = tagged.scores([words])
    (theirs,) = tagged.tagger.model.predict([Doc(tagged.nlp.vocab, words=list(words))])
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-4


def test_no_text_has_no_scores(tagged: Tagged) -> None:
    assert tagged.forward.best(np.zeros(0, np.intp)).shape == (0,)
    assert tagged.forward.scores(np.zeros(0, np.intp)).shape == (0, len(tagged.forward.labels))


def test_types_are_forgotten(tagged: Tagged) -> None:
    forward = Forward(tagged.tagger)
    forward.add(np.array([tagged.features(f"word{number}") for number in range(1000)], np.uint64))
    assert forward.types == 1001
    forward.clear()
    assert forward.types == 1
