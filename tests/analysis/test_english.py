"""The shipped pipeline against the spaCy pipeline in the same folder: the same tokens and tags, in any company."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from analysis import chunks
from analysis.english import EnglishNouns, load_english
from analysis.nouns import ENGLISH_FOLDER, Noun, english_lemma
from analysis.treebank import NOUN_TAGS, read_conllu
from analysis.words import clean, is_noun_form

GOLD = Path(__file__).parent / "caption_gold.jsonl"
CAPTIONS = [json.loads(line)["text"] for line in GOLD.read_text(encoding="utf-8").splitlines()]
ODD = [
    "",
    " ",
    "\n",
    "a  dog\n\non a roof",
    "<b>A dog</b> &amp; a cat",
    "a\x00dog",
    "abc:) )",
    "Photo|Stock dress_watch @x_@y",
]


@pytest.fixture(scope="module")
def nlp() -> Any:
    return load_english(ENGLISH_FOLDER)


@pytest.fixture
def english() -> EnglishNouns:
    return EnglishNouns("en", load_english(ENGLISH_FOLDER))


def by_spacy(nlp: Any, texts: list[str]) -> list[list[Noun]]:
    found = []
    for doc in nlp.pipe(map(clean, texts)):
        nouns = (token for token in doc if token.tag_ in NOUN_TAGS and is_noun_form(token.text))
        found.append([Noun(t.text, english_lemma(t.text, t.tag_), t.tag_, t.idx, t.idx + len(t)) for t in nouns])
    return found


def test_nouns_are_those_of_the_spacy_pipeline(english: EnglishNouns, nlp: Any) -> None:
    texts = CAPTIONS + ODD
    assert list(english.nouns(texts)) == by_spacy(nlp, texts)


def test_nouns_of_a_treebank_are_those_of_the_spacy_pipeline(english: EnglishNouns, nlp: Any, real_data: Path) -> None:
    sentences = list(read_conllu(real_data / "ud-treebanks" / "UD_English-EWT" / "en_ewt-ud-test.conllu"))
    texts = ["".join(word + " " * space for word, space in zip(s.words, s.spaces, strict=True)) for s in sentences]
    assert sum(len(sentence.words) for sentence in sentences) > 25_000
    assert list(english.nouns(texts)) == by_spacy(nlp, texts)


def test_a_caption_has_the_same_nouns_alone_and_in_any_company(english: EnglishNouns) -> None:
    texts = CAPTIONS + ODD
    alone = [next(EnglishNouns.nouns(english, [text])) for text in texts]
    dice = random.Random(5)
    for size in (1, 7, 64, len(texts)):
        numbers = dice.sample(range(len(texts)), size)
        other = EnglishNouns("en", load_english(ENGLISH_FOLDER))
        assert list(other.nouns(texts[n] for n in numbers)) == [alone[n] for n in numbers]


def test_memory_is_bounded_and_forgetting_changes_nothing(
    english: EnglishNouns, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(english.nouns(CAPTIONS))
    monkeypatch.setattr(chunks, "MOST_TYPES", 100)
    seen = 0
    for start in range(0, len(CAPTIONS), 10):
        assert list(english.nouns(CAPTIONS[start : start + 10])) == expected[start : start + 10]
        seen = max(seen, len(english._chunks.surfaces))
    assert seen <= 100
    assert english._forward.types == len(english._chunks.surfaces)


def test_the_vocabulary_does_not_grow(english: EnglishNouns) -> None:
    list(english.nouns(CAPTIONS))
    before = len(english._nlp.vocab.strings)
    list(english.nouns(f"a zyz{number} on a flib{number}" for number in range(1000)))
    assert len(english._nlp.vocab.strings) == before
