from __future__ import annotations

import numpy as np
import pytest
from spacy.lang.lex_attrs import word_shape

from analysis.english import load_english
from analysis.lexicon import FEATURES, Lexicon, LexiconEmbed, _shape, lexicon_of, lexicon_text
from analysis.nouns import ENGLISH_FOLDER
from analysis.train_lexicon import build_lexicon
from analysis.treebank import Sentence

KINDS = {"dog": "NV", "leaves": "nv", "top": "ANV", "red": "AN", "paris": "NP"}


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon(lexicon_text(KINDS, ["dog", "the"]))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("dog", "NV"),
        ("Dog", "NV"),
        ("LEAVES", "nv"),
        ("Paris", "NP"),
        ("tabletop", "?xANV"),
        ("Tabletop", "?XANV"),
        ("frisbee", "?x"),
        ("Frisbee", "?X"),
        ("XQZ", "?XX"),
        ("A", "?X"),
        ("hotdog", "?xNV"),
        ("hedog", "?x"),
        ("23", "0"),
        ("…", "."),
        ("", "."),
    ],
)
def test_the_kind_of_a_word_is_its_entry_or_a_mark(lexicon: Lexicon, word: str, kind: str) -> None:
    assert lexicon.kind(word) == kind


def test_case_shows_in_the_shape_alone(lexicon: Lexicon) -> None:
    lower, title = lexicon.features("leaves"), lexicon.features("Leaves")
    assert [a == b for a, b in zip(lower, title, strict=True)] == [True, True, False, True]


def test_typographic_signs_are_the_plain_ones(lexicon: Lexicon) -> None:
    assert lexicon.features("’s")[:2] == lexicon.features("'s")[:2]
    assert lexicon.features("“")[0] == lexicon.features('"')[0]


def test_words_that_training_did_not_see_are_one_word(lexicon: Lexicon) -> None:
    assert lexicon.features("leaves")[0] == lexicon.features("flibbertywidget")[0]
    assert lexicon.features("the")[0] != lexicon.features("dog")[0] != lexicon.features("leaves")[0]


@pytest.mark.parametrize(
    "word", ["dog", "a", "A", "Dog", "DOG", "dogS", "Caterpillar", "x" * 120, "café", "3D", "e-mail", "개", ":)"]
)
def test_shapes_are_those_of_spacy(word: str) -> None:
    assert _shape(word) == word_shape(word)


def test_a_lexicon_is_made_of_the_dictionary_and_of_what_training_saw_twice() -> None:
    words = ("The", "dog", "leaves", ".")
    once = ("Paris",)
    sentences = [Sentence(words, (True,) * 4, ("DET", "NOUN", "VERB", "PUNCT"))] * 2 + [Sentence(once, (True,), ("X",))]
    text = build_lexicon(sentences)
    assert text == build_lexicon(list(reversed(sentences)))
    assert text.splitlines()[0] == "+ . dog leaves the"
    made = Lexicon(text)
    assert [made.kind(word) for word in ("dog", "Leaves", "paris", "beautiful")] == ["NV", "nv", "NP", "A"]


def test_the_shipped_model_carries_its_lexicon() -> None:
    model = load_english(ENGLISH_FOLDER).get_pipe("tagger").model
    assert lexicon_of(model).kind("leaves") == "nv"
    (features,) = model.get_ref("tok2vec").get_ref("embed").layers[0].predict([load_english(ENGLISH_FOLDER)("leaves")])
    assert (features == np.array([lexicon_of(model).features("leaves")], np.uint64)).all()


def test_a_table_is_needed_for_every_feature() -> None:
    with pytest.raises(ValueError, match=f"{FEATURES} tables are needed, not 2"):
        LexiconEmbed(64, [100, 100])
