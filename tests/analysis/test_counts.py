"""Counts that merge: however captions are split, merged and read back, their table is that of a slow recount."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counts import Folding, NounCounts, SampleCount, measure, read_samples, walk, write_samples
from analysis.density import table_from_counts, table_from_files
from analysis.nouns import NounPipeline, load_pipeline
from core.errors import BadFieldError, InputError
from tests.analysis.old_samples import samples_of_the_first_version
from tests.analysis.plain_nouns import PlainNouns, SpacedNouns
from tests.analysis.slow_count import slow_rows, slow_table

#: Small words come often: repeated nouns, a name and a common noun of one form, singular and plural, letters in parts.
COMMON = ["dog", "Dog", "DOG", "dogs", "Rome", "rome", "cafe\u0301", "Café", "개", "강아지", "'dog,", "dog-dog", "--"]
#: Any words at all: letters of every alphabet, marks, digits, signs, emoji; no lone surrogate, which no tagger lets by.
words = st.sampled_from(COMMON) | st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=1, max_size=6)
captions = st.lists(st.lists(words, max_size=8).map(" ".join), max_size=24)
foldings: st.SearchStrategy[Folding] = st.sampled_from(["lower", "lemma"])


def counted(texts: Sequence[str], pipeline: NounPipeline | None = None, folding: Folding = "lower") -> NounCounts:
    pairs = ((str(number), text) for number, text in enumerate(texts))
    return measure(pairs, pipeline or PlainNouns(), folding)[0]


# ---- any split, any order -------------------------------------------------------------------------------------------


def split(texts: list[str], data: st.DataObject) -> list[list[str]]:
    """Up to five shards, some perhaps empty, every caption in one of them, in any order."""
    shards: list[list[str]] = [[] for _ in range(data.draw(st.integers(1, 5)))]
    for text in texts:
        data.draw(st.sampled_from(shards)).append(text)
    return shards


@settings(deadline=None, max_examples=60)
@given(texts=captions, data=st.data(), folding=foldings, names=st.booleans(), min_count=st.integers(1, 4))
def test_any_split_merged_in_any_order_and_way_equals_a_slow_recount(
    texts: list[str],
    data: st.DataObject,
    folding: Folding,
    names: bool,
    min_count: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    pipeline = SpacedNouns()
    shards = [counted(shard, pipeline, folding) for shard in split(texts, data)]
    known = list(zip(texts, pipeline.nouns(texts), strict=True))
    expected = slow_table(known, pipeline.name, folding=folding, names=names, min_count=min_count)

    in_memory, through_parquet = NounCounts(pipeline.name, folding), NounCounts(pipeline.name, folding)
    for shard in data.draw(st.permutations(shards)):
        in_memory.merge(shard)
    for shard in data.draw(st.permutations(shards)):
        through_parquet.merge(NounCounts.from_parquet(shard.to_parquet()))
    assert in_memory.nouns == slow_rows(known, folding)
    assert in_memory == through_parquet == counted(texts, pipeline, folding)
    assert table_from_counts(in_memory, min_count=min_count, names=names) == expected

    folder = tmp_path_factory.mktemp("shards")
    files: list[Path | bytes] = []
    for number, shard in enumerate(data.draw(st.permutations(shards))):
        files.append(shard.to_parquet())
        if data.draw(st.booleans()):
            file = folder / f"{number}.nouns.parquet"
            file.write_bytes(shard.to_parquet())
            files[-1] = file
    assert table_from_files(files, min_count=min_count, names=names) == expected


@settings(deadline=None, max_examples=20)
@given(texts=captions, again=captions, data=st.data(), names=st.booleans())
def test_a_shard_that_is_measured_again_counts_once(
    texts: list[str], again: list[str], data: st.DataObject, names: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its count file takes the place of the older one: the same captions change nothing, others count instead."""
    pipeline = SpacedNouns()
    folder = tmp_path_factory.mktemp("shards")
    shards = split(texts, data)
    for number, shard in enumerate(shards):
        (folder / f"{number}.nouns.parquet").write_bytes(counted(shard, pipeline).to_parquet())
    number = data.draw(st.integers(0, len(shards) - 1))
    for later in (shards[number], again):
        shards[number] = later
        (folder / f"{number}.nouns.parquet").write_bytes(counted(later, pipeline).to_parquet())
        left = [text for shard in shards for text in shard]
        known = list(zip(left, pipeline.nouns(left), strict=True))
        expected = slow_table(known, pipeline.name, folding="lower", names=names, min_count=2)
        assert table_from_files(sorted(folder.iterdir()), min_count=2, names=names) == expected


REAL = [
    "Two dogs and a Dog sleep near the café in Rome; the dogs dream of Rome.",
    "",
    "STOCK PHOTO - dog_house|Dog House, IMG_2034.jpg, http://example.org/dog",
    "A cafe\u0301's owner – “the dog” – waits, 5 children's toys beside her.",
    "개와 dog \x00 🐶 🐶 \ud800 in the park, parks",
]


@pytest.mark.parametrize("folding", ["lower", "lemma"])
@pytest.mark.parametrize("names", [True, False])
def test_the_shipped_pipelines_counts_equal_a_slow_recount(folding: Folding, names: bool) -> None:
    english = load_pipeline("en")
    known = [(text, next(english.nouns([text]))) for text in REAL * 3]
    expected = slow_table(known, english.name, folding=folding, names=names, min_count=4)
    assert expected.valid_nouns >= 2
    assert table_from_counts(counted(REAL * 3, english, folding), min_count=4, names=names) == expected
    parts = [counted(REAL[:2] * 3, english, folding), counted(REAL[2:] * 3, english, folding)]
    assert table_from_files([part.to_parquet() for part in parts], min_count=4, names=names) == expected


# ---- counts and their files -----------------------------------------------------------------------------------------


def test_a_small_example_by_hand() -> None:
    counts, rows = measure(
        [("k1", "A dog and the dog on Rome"), ("k2", "the red"), ("k3", "Dog rome, 2 cats")], PlainNouns()
    )
    assert counts.nouns == {"dog": [3, 2, 2, 1], "rome": [2, 2, 1, 1], "cats": [1, 1, 1, 1]}
    assert rows == [
        SampleCount("k1", 7, 3, 2, (("dog", 2, 2), ("rome", 1, 0))),
        SampleCount("k2", 2, 0, 0, ()),
        SampleCount("k3", 4, 3, 3, (("dog", 1, 0), ("rome", 1, 1), ("cats", 1, 1))),
    ]
    totals = counts.totals
    assert (totals.images, totals.words, totals.images_without_noun) == (3, 13, 1)
    assert totals.images_without_common_noun == 1


def test_lemma_folding_joins_singular_and_plural() -> None:
    counts, _ = measure([("k", "dog dogs Dogs")], PlainNouns(), "lemma")
    assert counts.nouns == {"dog": [3, 1, 2, 1]}


def test_forms_as_written_are_counted_apart() -> None:
    counts, _ = measure([("k", "dog dogs Dogs 'dog'")], PlainNouns(), "raw")
    assert counts.nouns == {"dog": [2, 1, 2, 1], "dogs": [1, 1, 1, 1], "Dogs": [1, 1, 0, 0]}
    assert NounCounts.from_parquet(counts.to_parquet()) == counts
    with pytest.raises(BadFieldError, match=r"\(lower\) cannot be added to counts of plain-1 \(raw\)"):
        counts.merge(NounCounts("plain-1"))


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
    rows = [SampleCount("a/b", 3, 2, 1, (("개", 2, 1),)), SampleCount("키", 0, 0, 0, ())]
    assert read_samples(write_samples(rows, "plain-1")) == rows
    assert write_samples(rows, "plain-1") == write_samples(iter(rows), "plain-1")
    assert read_samples(write_samples([], "plain-1")) == []


def test_sample_rows_have_the_documented_columns() -> None:
    rows = measure([("k", "dog Dog")], PlainNouns())[1]
    table = pq.read_table(io.BytesIO(write_samples(rows, "plain-1")))
    forms = [{"noun": "dog", "occurrences": 2, "common": 1}]
    assert table.to_pylist() == [{"key": "k", "words": 2, "nouns": 2, "distinct": 1, "forms": forms}]
    assert json.loads(table.schema.metadata[b"densify"]) == {
        "format": "densify.samples/2",
        "noun_pipeline": "plain-1",
        "folding": "lower",
    }


def test_sample_rows_of_the_first_version_are_read() -> None:
    rows = [SampleCount("a", 3, 2, 1), SampleCount("b", 0, 0, 0)]
    assert read_samples(samples_of_the_first_version(rows)) == rows


def test_counts_of_another_pipeline_or_folding_are_not_added() -> None:
    with pytest.raises(BadFieldError, match="cannot be added"):
        counted(["dog"]).merge(NounCounts("densify-en-2"))
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
    with pytest.raises(InputError, match=r"no count file of the format densify\.samples/2"):
        read_samples(counted(["dog"]).to_parquet())
