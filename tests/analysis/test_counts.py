from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counts import NounCounts, SampleCount, measure, read_samples, walk, write_samples
from analysis.density import Table, table_from_counts, table_from_files
from core.errors import BadFieldError, InputError
from tests.analysis.plain_nouns import NOT_NOUNS, PlainNouns

WORDS = ["dog", "Dog", "dogs", "cat", "Rome", "rome", "house", "the", "a", "on", "개", "tree"]
captions = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=30)


def counted(texts: list[str]) -> NounCounts:
    return measure(((str(number), text) for number, text in enumerate(texts)), PlainNouns())[0]


def slow_table(texts: list[str], min_count: int, names: bool) -> Table:
    """The same table from nested loops over plain words, nothing shared with the product's counting."""
    occurrences: Counter[str] = Counter()
    without = words = 0
    for text in texts:
        nouns = [w.lower() for w in text.split() if w.lower() not in NOT_NOUNS and (names or not w[0].isupper())]
        occurrences.update(nouns)
        without += not nouns
        words += len(text.split())
    return Table(
        images=len(texts),
        total_nouns=sum(occurrences.values()),
        distinct_nouns=len(occurrences),
        valid_nouns=len([noun for noun in occurrences if occurrences[noun] >= min_count]),
        valid_nouns_over=len([noun for noun in occurrences if occurrences[noun] > min_count]),
        min_count=min_count,
        noun_pipeline="plain-1",
        names_counted=names,
        words=words,
        images_without_noun=without,
    )


@settings(deadline=None, max_examples=40)
@given(texts=captions, cuts=st.lists(st.integers(0, 30), max_size=4), data=st.data(), names=st.booleans())
def test_any_split_merged_in_any_order_equals_a_slow_recount(
    texts: list[str], cuts: list[int], data: st.DataObject, names: bool
) -> None:
    borders = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    shards = [counted(texts[start:stop]) for start, stop in pairwise(borders)]
    shuffled = data.draw(st.permutations(shards))
    merged = NounCounts("plain-1")
    for shard in shuffled:
        merged.merge(NounCounts.from_parquet(shard.to_parquet()))
    for min_count in (1, 2, 10):
        expected = slow_table(texts, min_count, names)
        assert table_from_counts(merged, min_count=min_count, names=names) == expected
    assert table_from_files([shard.to_parquet() for shard in shuffled], min_count=2, names=names) == slow_table(
        texts, 2, names
    )
    assert merged == counted(texts)


@settings(deadline=None, max_examples=50)
@given(texts=captions)
def test_images_of_a_noun_are_counted_once_each(texts: list[str]) -> None:
    for noun, (occurrences, images, common, common_images) in counted(texts).nouns.items():
        words = [text.split() for text in texts]
        assert images == sum(any(word.lower() == noun for word in caption) for caption in words)
        assert common_images == sum(noun in caption for caption in words)
        assert occurrences == sum(word.lower() == noun for caption in words for word in caption)
        assert common == sum(word == noun for caption in words for word in caption)


def test_a_small_example_by_hand() -> None:
    counts, rows = measure(
        [("k1", "A dog and the dog on Rome"), ("k2", "the red"), ("k3", "Dog rome, 2 cats")], PlainNouns()
    )
    assert counts.nouns == {"dog": [3, 2, 2, 1], "rome": [2, 2, 1, 1], "cats": [1, 1, 1, 1]}
    assert rows == [SampleCount("k1", 7, 3, 2), SampleCount("k2", 2, 0, 0), SampleCount("k3", 4, 3, 3)]
    totals = counts.totals
    assert (totals.images, totals.words, totals.images_without_noun) == (3, 13, 1)
    assert totals.images_without_common_noun == 1


def test_lemma_folding_joins_singular_and_plural() -> None:
    counts, _ = measure([("k", "dog dogs Dogs")], PlainNouns(), "lemma")
    assert counts.nouns == {"dog": [3, 1, 2, 1]}


def test_captions_are_read_lazily_and_paired_with_their_nouns() -> None:
    endless = ((str(number), f"dog{'s' * (number % 3)}") for number in range(10**9))
    pairs = walk(endless, PlainNouns())
    for number in range(50):
        key, text, nouns = next(pairs)
        assert (key, text) == (str(number), nouns[0].surface)


@settings(deadline=None, max_examples=50)
@given(texts=captions)
def test_the_same_counts_give_the_same_bytes_in_any_order(texts: list[str]) -> None:
    assert counted(texts).to_parquet() == counted(texts[::-1]).to_parquet()


def test_count_files_have_the_documented_columns(tmp_path: Path) -> None:
    file = tmp_path / "a.nouns.parquet"
    file.write_bytes(counted(["dog cat", "Dog"]).to_parquet())
    table = pq.read_table(file)
    assert table.column_names == ["noun", "occurrences", "images", "common_occurrences", "common_images"]
    assert table.to_pylist()[1] == {
        "noun": "dog",
        "occurrences": 2,
        "images": 2,
        "common_occurrences": 1,
        "common_images": 1,
    }
    assert NounCounts.from_parquet(file) == counted(["dog cat", "Dog"])


def test_sample_rows_survive_their_file() -> None:
    rows = [SampleCount("a/b", 3, 2, 1), SampleCount("키", 0, 0, 0)]
    assert read_samples(write_samples(rows, "plain-1")) == rows
    assert write_samples(rows, "plain-1") == write_samples(iter(rows), "plain-1")


def test_counts_of_another_pipeline_or_folding_are_not_added() -> None:
    with pytest.raises(BadFieldError, match="cannot be added"):
        counted(["dog"]).merge(NounCounts("densify-en-1"))
    with pytest.raises(BadFieldError, match="cannot be added"):
        counted(["dog"]).merge(NounCounts("plain-1", "lemma"))
    with pytest.raises(BadFieldError, match="cannot be added"):
        table_from_files([counted(["dog"]).to_parquet(), NounCounts("other").to_parquet()])


@pytest.mark.parametrize("data", [b"", b"not parquet", b"PAR1" + bytes(40)])
def test_what_is_no_count_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.nouns.parquet").write_bytes(data)
    for source in (data, tmp_path / "x.nouns.parquet", tmp_path / "absent.nouns.parquet"):
        with pytest.raises(InputError, match="cannot be read"):
            NounCounts.from_parquet(source)


def test_a_parquet_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"noun": ["dog"], "occurrences": [1]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"no count file of the format densify\.nouns/1"):
        NounCounts.from_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"no count file of the format densify\.samples/1"):
        read_samples(counted(["dog"]).to_parquet())
