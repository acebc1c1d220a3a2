from __future__ import annotations

import random

import pytest

from analysis.lexicon import Lexicon, lexicon_text
from analysis.train_captions import SLOTS, TAGS, TEMPLATES, Captions
from analysis.treebank import Sentence

TREEBANK = [Sentence(("Ada", "saw", "odd", "tree", "dogs"), (True,) * 5, ("PROPN", "VERB", "ADJ", "NOUN", "NOUN"))] * 2


@pytest.fixture(scope="module")
def captions() -> Captions:
    return Captions(TREEBANK, Lexicon(lexicon_text({"tree": "N", "dogs": "n"}, [])))


def test_the_same_seed_makes_the_same_sentences(captions: Captions) -> None:
    assert list(captions.sentences(50, random.Random(1))) == list(captions.sentences(50, random.Random(1)))


def test_sentences_are_tagged_word_by_word(captions: Captions) -> None:
    for sentence in captions.sentences(1000, random.Random(2)):
        assert len(sentence.words) == len(sentence.spaces) == len(sentence.tags)
        assert set(sentence.tags) <= {*TAGS.values(), "PROPN"}
        assert sentence.words[0][0].isupper()
        assert not {"adj", "noun", "nouns", "pic", "who", "whos", "things", "doest"} & set(sentence.words) - {"who"}
        assert not any("/" in word for word in sentence.words)


def test_an_article_suits_the_next_word(captions: Captions) -> None:
    sentences = [" ".join(sentence.words).lower() for sentence in captions.sentences(1000, random.Random(3))]
    assert any("an odd" in sentence for sentence in sentences)
    assert not any(" a odd" in sentence or "an tree" in sentence for sentence in sentences)


def test_a_verb_of_captions_is_seen_as_a_verb_and_as_a_noun(captions: Captions) -> None:
    seen = {
        (word, tag)
        for sentence in captions.sentences(5000, random.Random(4))
        for word, tag in zip(sentence.words, sentence.tags, strict=True)
    }
    assert {(word, tag) for word in ("features", "leaves", "waves", "drops") for tag in ("VERB", "NOUN")} <= seen


def test_every_slot_of_a_template_can_be_filled() -> None:
    slots = {item for item in TEMPLATES.split() if item.rpartition("/")[2] not in TAGS}
    assert slots <= {*SLOTS, "adj", "noun", "nouns", "name"}
