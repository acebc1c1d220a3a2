from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import spacy

from analysis import chunks as module
from analysis.chunks import Chunks, Piece, chunks_of
from analysis.english import load_english
from analysis.lexicon import lexicon_of
from analysis.nouns import ENGLISH_FOLDER

GOLD = Path(__file__).parent / "caption_gold.jsonl"


@pytest.fixture(scope="module")
def nlp() -> Any:
    return spacy.blank("en")


def read(chunks: Chunks, texts: list[str]) -> list[list[tuple[str, int]]]:
    """The tokens of each text, with where they begin."""
    divided = [chunks_of(text) for text in texts]
    chunks.learn(chunk for each in divided for chunk in each)
    pieces = [Piece(n, 0, texts[n], chunks.numbers_of_clean(each)) for n, each in enumerate(divided) if each]
    found: list[list[tuple[str, int]]] = [[] for _ in texts]
    if pieces:
        tokens = chunks.tokens(pieces)
        for kind, number, start in zip(*(column.tolist() for column in tokens), strict=True):
            found[pieces[number].owner].append((chunks.surfaces[kind], start))
    return found


TEXTS = [
    "a dog",
    "",
    " ",
    "   a  dog ",
    "\n\na dog\n \n and\t\ta cat \n",
    "a\u00a0dog \u3000 a\u2003cat",
    "don't can't cannot gonna I'm we'd've it's dog's dogs' DON’T",
    "a.m. 10am 5km U.S. U.S.A. Dr. Smith e.g., i.e. Ph.D. St. Louis, Inc.",
    "(close-up) of a well-known T-shirt/blouse; red,white...and 'blue' \"quote\"",
    "dog.It ran.Then www.example.org/a?b=c mail@example.org $5 £3.50 20% 3-4 #tag",
    "smile :) :-) 8-) <3 ^_^ (: o_O ...)",
    "개고양이 猫と犬 café naïve 🐶🐶 👩‍👩‍👧 x²",
    "abc:) abc:) ) ) abc:( (",
    ": ) 8 -) co . St . a . m .",
    ")" * 700,
    "'ll" * 200,
]


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_those_of_spacy(nlp: Any, text: str) -> None:
    with nlp.memory_zone():
        assert read(Chunks(nlp), [text]) == [[(token.text, token.idx) for token in nlp.tokenizer(text)]]


def test_tokens_are_those_of_spacy_however_texts_come_together(nlp: Any) -> None:
    captions = [json.loads(line)["text"] for line in GOLD.read_text(encoding="utf-8").splitlines()]
    texts = [*captions, *TEXTS, *reversed(captions)]
    with nlp.memory_zone():
        chunks = Chunks(nlp)
        expected = [[(token.text, token.idx) for token in nlp.tokenizer(text)] for text in texts]
        assert read(chunks, texts) == expected
        assert [read(chunks, [text])[0] for text in texts] == expected


def test_tokens_that_spacy_joins_across_a_space_are_told_apart(nlp: Any) -> None:
    # By itself the first part ends in a smile; with the sign that follows, spaCy leaves it in pieces.
    with nlp.memory_zone():
        alone, followed = read(Chunks(nlp), ["abc:)", "abc:) )"])
    assert [surface for surface, _ in alone] == ["abc", ":)"]
    assert [surface for surface, _ in followed] == ["abc", ":", ")", ")"]


def test_words_that_are_not_shown_to_spacy_are_tokens_to_it_too(nlp: Any) -> None:
    # Words of letters alone are taken as they are: here all of the dictionary, however they are written.
    words = lexicon_of(load_english(ENGLISH_FOLDER).get_pipe("tagger").model)._kinds
    texts = [" ".join(map(write, words)) for write in (str.lower, str.title, str.upper)]
    assert all(len(text) > 500_000 for text in texts)
    with nlp.memory_zone():
        for text in texts:
            (ours,) = read(Chunks(nlp), [text])
            assert [surface for surface, _ in ours] == [token.text for token in nlp.tokenizer(text)]


def test_what_has_to_be_cleaned_is_told(nlp: Any) -> None:
    with nlp.memory_zone():
        chunks = Chunks(nlp)
        chunks.learn(["a ", "dog ", "IMG_2034.jpg ", "cat"])
        assert chunks.numbers(["a ", "dog ", "cat"]) == [0, 1, 2]
        assert chunks.numbers(["a ", "IMG_2034.jpg "]) is None


def test_a_chunk_is_tokenised_once(nlp: Any) -> None:
    with nlp.memory_zone():
        chunks = Chunks(nlp)
        read(chunks, ["a dog, a dog, a dog"] * 3)
        assert chunks.surfaces == ["", "a", "dog", ","]


@pytest.mark.parametrize("limit", ["MOST_TYPES", "MOST_CHUNKS", "MOST_CHARACTERS"])
def test_it_is_full_when_any_of_its_measures_is(nlp: Any, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, limit, 50)
    with nlp.memory_zone():
        chunks = Chunks(nlp)
        read(chunks, ["a dog and a cat"])
        assert not chunks.full
        read(chunks, [f"thing{number} " for number in range(60)])
        assert chunks.full
        chunks.clear()
        assert not chunks.full
        assert read(chunks, ["a dog"]) == [[("a", 0), ("dog", 2)]]
