"""The captions whose nouns are known, caption_gold.jsonl: that the file is whole and fits the words of today.

How it was made is in caption_gold.md. How well a tagger does on it is measured elsewhere.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import spacy

from analysis.words import clean, is_noun_form

FILE = Path(__file__).parent / "caption_gold.jsonl"


@pytest.fixture(scope="module")
def gold() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def test_the_gold_holds_enough_captions_of_every_kind(gold: list[dict[str, Any]]) -> None:
    kinds = Counter(caption["source"] for caption in gold)
    assert len(gold) >= 240
    assert kinds["alt_text_noisy"] >= 90
    assert len(kinds) == 7
    assert min(kinds.values()) >= 15
    assert len({(caption["source"], caption["id"]) for caption in gold}) == len(gold)


def test_nouns_are_words_of_their_caption_that_can_be_counted(gold: list[dict[str, Any]]) -> None:
    for caption in gold:
        for field in ("nouns", "either"):
            indices = caption[field]
            assert indices == sorted(set(indices)), caption["id"]
            assert all(0 <= index < len(caption["tokens"]) for index in indices), caption["id"]
        assert all(is_noun_form(caption["tokens"][index]) for index in caption["nouns"]), caption["id"]


def test_words_are_those_that_a_tagger_is_shown_today(gold: list[dict[str, Any]]) -> None:
    tokenise = spacy.blank("en")
    for caption in gold:
        words = [token for token in tokenise(clean(caption["text"])) if not token.is_space]
        assert caption["tokens"] == [word.text for word in words], caption["id"]
        assert caption["starts"] == [word.idx for word in words], caption["id"]
