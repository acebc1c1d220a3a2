"""One pass: captions are counted whole and as a trainer reads them, and rare nouns keep their first caption."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analysis.counts import NounCounts, walk
from analysis.tail import FirstSamples
from analysis.tally import Tagged, Tally
from analysis.truncation import Truncation
from tests.analysis.make_tokenizer import word_tokenizer
from tests.analysis.plain_nouns import PlainNouns


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Truncation:
    """Reads three words of a caption."""
    return Truncation(str(word_tokenizer(tmp_path_factory.mktemp("tokenizer"))), 4)


def empty() -> Tally:
    return Tally(NounCounts("plain-1"), NounCounts("plain-1"))


def captions(*texts: str) -> Iterator[Tagged]:
    return walk(((f"k{number}", text) for number, text in enumerate(texts)), PlainNouns())


def first_samples(name: str) -> FirstSamples:
    return FirstSamples(name, "lower", names=True, valid_from=3)


def test_captions_are_walked_through_once_for_both_counts(trainer: Truncation) -> None:
    tally = empty()
    walked = captions("dog cat bird tree", "dog")
    tally.add(walked, trainer, None)
    assert next(walked, None) is None
    assert {noun: row[0] for noun, row in tally.counts.nouns.items()} == {"dog": 2, "cat": 1, "bird": 1, "tree": 1}
    assert {noun: row[0] for noun, row in tally.seen.nouns.items()} == {"dog": 2, "cat": 1, "bird": 1}
    assert tally.cut == 1
    assert tally.counts.totals.images == tally.seen.totals.images == 2


def test_without_a_trainer_nothing_is_seen(trainer: Truncation) -> None:
    tally = empty()
    tally.add(captions("dog"), None, first_samples("a"))
    assert tally.seen == NounCounts("plain-1")
    assert tally.samples["dog"].excerpt == "dog"


def test_merged_tallies_are_those_of_all_captions_and_keep_the_first_sample(trainer: Truncation) -> None:
    one, other, both = empty(), empty(), empty()
    one.add(captions("dog cat bird tree", "dog"), trainer, first_samples("a"))
    other.add(captions("tree tree", "sky sea sand sun"), trainer, first_samples("b"))
    both.add(captions("dog cat bird tree", "dog", "tree tree", "sky sea sand sun"), trainer, None)
    one.merge(other)
    assert (one.counts, one.seen, one.cut) == (both.counts, both.seen, 2)
    assert one.samples["tree"].dataset == "a"
    assert (one.samples["sky"].dataset, one.samples["sky"].index) == ("b", 1)
