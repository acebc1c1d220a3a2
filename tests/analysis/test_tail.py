"""The long tail: every noun below the threshold is in one band, and has the first caption that holds it."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counts import NounCounts, walk
from analysis.tail import AROUND, FirstSamples, RareNoun, Sample, Tail, bands_below, excerpt, tail_of
from tests.analysis.plain_nouns import PlainNouns


def counted(texts: list[str], valid_from: int = 10, *, names: bool = True) -> tuple[NounCounts, FirstSamples]:
    counts = NounCounts("plain-1")
    first = FirstSamples("a.txt", "lower", names=names, valid_from=valid_from)
    for key, text, nouns in walk(((f"k{number}", text) for number, text in enumerate(texts)), PlainNouns()):
        counts.add(text, nouns)
        first.add(key, text, nouns, counts)
    return counts, first


def tail(texts: list[str], valid_from: int = 10, examples: int = 3, *, names: bool = True) -> Tail:
    counts, first = counted(texts, valid_from, names=names)
    return tail_of(counts, first.found, names=names, valid_from=valid_from, examples=examples)


@pytest.mark.parametrize(
    ("valid_from", "bands"),
    [
        (10, [(1, 1), (2, 4), (5, 9)]),
        (11, [(1, 1), (2, 4), (5, 9), (10, 10)]),
        (1, []),
        (2, [(1, 1)]),
        (4, [(1, 1), (2, 3)]),
        (5000, [(1, 1), (2, 4), (5, 9), (10, 99), (100, 999), (1000, 4999)]),
    ],
)
def test_the_bands_hold_every_count_below_the_threshold_once(valid_from: int, bands: list[tuple[int, int]]) -> None:
    assert list(bands_below(valid_from)) == bands
    assert [count for low, high in bands for count in range(low, high + 1)] == list(range(1, valid_from))


def test_nouns_below_the_threshold_stand_in_their_band_with_the_first_caption_that_has_them() -> None:
    found = tail(["a cat", "the dog and the dog", "dog " * 8, "a boat is red", "Boat"])
    bands = [(band.label, band.nouns, band.occurrences) for band in found.bands]
    assert bands == [("1", 1, 1), ("2-4", 1, 2), ("5-9", 0, 0)]
    assert found.bands[0].examples == (RareNoun("cat", 1, Sample("a.txt", 0, "k0", "a cat")),)
    assert found.bands[1].examples == (RareNoun("boat", 2, Sample("a.txt", 3, "k3", "a boat is red")),)
    assert (found.nouns, found.occurrences, found.distinct_nouns, found.total_nouns) == (2, 3, 3, 13)


def test_a_noun_that_becomes_valid_gives_its_sample_back() -> None:
    _, first = counted(["a cat", "a dog", "a dog"], valid_from=2)
    assert set(first.found) == {"cat"}
    _, first = counted(["dog dog cat"], valid_from=2)
    assert set(first.found) == {"cat"}


def test_without_names_the_first_use_as_a_common_noun_is_the_sample() -> None:
    found = tail(["Rome is red", "two rome", "Rome and Paris"], names=False)
    assert found.bands[0].examples == (RareNoun("rome", 1, Sample("a.txt", 1, "k1", "two rome")),)
    assert found.nouns == 1


def test_counts_that_were_read_from_a_file_have_nouns_without_samples() -> None:
    counts, _ = counted(["a cat"])
    found = tail_of(NounCounts.from_parquet(counts.to_parquet()), {}, names=True, valid_from=10, examples=1)
    assert found.bands[0].examples == (RareNoun("cat", 1, None),)
    assert found.as_dict()["bands"][0]["examples"][0] == {
        "noun": "cat",
        "occurrences": 1,
        "dataset": None,
        "index": None,
        "key": None,
        "excerpt": None,
    }


def test_the_nouns_shown_come_from_all_over_the_data_set() -> None:
    letters = "abcdefghij"
    found = tail([f"x{one}{other}" for one in letters for other in letters], examples=4)
    shown = [rare.sample.index for rare in found.bands[0].examples if rare.sample]
    assert shown == [0, 25, 50, 75]


def test_shares_are_of_the_tail_and_of_all_nouns() -> None:
    report = tail(["dog " * 16 + "cat cat bird"]).as_dict()
    assert (report["nouns"], report["occurrences"], report["valid_from"]) == (2, 3, 10)
    assert (report["share_of_distinct"], report["share_of_total"]) == (2 / 3, 3 / 19)
    bands = [(band["from"], band["to"], band["share"]) for band in report["bands"]]
    assert bands == [(1, 1, 0.5), (2, 4, 0.5), (5, 9, 0.0)]


def test_no_noun_at_all_is_no_surprise() -> None:
    report = tail(["", "the red"]).as_dict()
    assert (report["nouns"], report["share_of_distinct"], report["share_of_total"]) == (0, 0.0, 0.0)


captions = st.lists(st.sampled_from(["dog", "Dog", "cat", "the", "Rome"]), max_size=5).map(" ".join)


@settings(deadline=None, max_examples=30)
@given(texts=st.lists(captions, max_size=8), valid_from=st.integers(1, 6), names=st.booleans())
def test_every_rare_noun_has_the_first_caption_that_a_slow_search_finds(
    texts: list[str], valid_from: int, names: bool
) -> None:
    words = [
        [word.lower() for word in text.split() if word != "the" and (names or word[0].islower())] for text in texts
    ]
    rare = {noun for caption in words for noun in caption if sum(each.count(noun) for each in words) < valid_from}
    found = tail(texts, valid_from, examples=10, names=names)
    shown = {rare.noun: rare.sample for band in found.bands for rare in band.examples}
    assert shown.keys() == rare
    for noun, sample in shown.items():
        assert sample is not None
        assert sample.index == next(index for index, caption in enumerate(words) if noun in caption)
        assert sample.key == f"k{sample.index}"


# ---- excerpts -------------------------------------------------------------------------------------------------------


def around(text: str, noun: str) -> str:
    start = text.index(noun)
    return excerpt(text, start, start + len(noun))


def test_an_excerpt_has_whole_words_around_the_noun() -> None:
    text = "The image shows a very large room in which a small cat sleeps on a green sofa near the window."
    assert around(text, "cat") == "…large room in which a small cat sleeps on a green sofa near the…"
    assert around("a  cat\n sleeps", "cat") == "a cat sleeps"
    assert around("cat", "cat") == "cat"


def test_a_long_run_without_a_space_is_cut_at_its_length() -> None:
    found = around("猫" * 100 + "犬" + "猫" * 100, "犬")
    assert found == "…" + "猫" * AROUND + "犬" + "猫" * AROUND + "…"


def test_an_excerpt_can_be_printed_and_written() -> None:
    found = around("\x1b[31m red \ud800 cat \x00 here", "cat")
    assert found == "[31m red cat here"
    found.encode()


@settings(deadline=None)
@given(text=st.text(max_size=200), data=st.data())
def test_an_excerpt_is_short_and_holds_its_noun(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 10)))
    found = excerpt(text, start, end)
    assert len(found) <= end - start + 2 * AROUND + 3
    assert all(word in found for word in text[start:end].split() if word.isalpha())


def test_a_sample_takes_some_hundred_bytes() -> None:
    text = "The image shows a very large room in which a small cat sleeps on a green sofa near the window."
    sample = Sample("a.txt", 5_000_000, "000123456", around(text, "cat"))
    assert sum(map(sys.getsizeof, (sample, sample.index, sample.key, sample.excerpt))) < 400
