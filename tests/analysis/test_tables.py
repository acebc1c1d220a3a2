from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.counts import measure
from analysis.nouns import load_pipeline
from analysis.tables import Counting, group_paths, measure_paths
from analysis.truncation import Truncation
from core.errors import BadFieldError, NoSuchPathError, NothingToReadError
from shards.writer import write_shard
from tests.analysis.make_tokenizer import word_tokenizer
from tests.shards.make_shards import picture


def lines(path: Path, *captions: str) -> Path:
    path.write_text("".join(json.dumps({"text": caption}) + "\n" for caption in captions))
    return path


def shard(path: Path, *captions: str) -> Path:
    samples = [(f"{n:04d}", {"jpg": picture(n), "txt": text.encode()}) for n, text in enumerate(captions)]
    write_shard(path, samples)
    return path


def test_shards_named_together_are_one_data_set_and_other_paths_their_own() -> None:
    paths = ["x/a.jsonl", "s/1.tar", "y/a.jsonl", "s/2.tar", "n/1.nouns.parquet", "-"]
    assert group_paths(paths) == [
        ("x/a.jsonl", ["x/a.jsonl"]),
        ("1.tar and 1 more", ["s/1.tar", "s/2.tar"]),
        ("y/a.jsonl", ["y/a.jsonl"]),
        ("1.nouns.parquet", ["n/1.nouns.parquet"]),
        ("standard input", ["-"]),
    ]


def test_every_path_has_a_row_and_all_together_one(tmp_path: Path) -> None:
    measured = measure_paths(
        [lines(tmp_path / "a.jsonl", "a dog and a cat", "a dog"), lines(tmp_path / "b.jsonl", "a dog on the roof")],
        Counting(min_count=2),
    )
    assert [row.name for row in measured.rows] == ["a.jsonl", "b.jsonl"]
    assert [row.table.total_nouns for row in measured.rows] == [3, 2]
    whole = measured.whole.table
    assert (whole.images, whole.total_nouns, whole.distinct_nouns, whole.valid_nouns) == (3, 5, 3, 1)
    assert measured.whole.reading.captions == 3


def test_a_single_path_is_its_own_whole(tmp_path: Path) -> None:
    measured = measure_paths([lines(tmp_path / "a.jsonl", "a dog")])
    assert measured.rows == (measured.whole,)


def test_counting_options_reach_the_table(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", "two dogs and a dog in Paris")
    plain = measure_paths([path]).whole.table
    lemma = measure_paths([path], Counting(folding="lemma", names=False, min_count=2)).whole.table
    assert (plain.distinct_nouns, plain.folding, plain.names_counted) == (3, "lower", True)
    assert (lemma.distinct_nouns, lemma.valid_nouns, lemma.total_nouns) == (1, 1, 2)
    assert (lemma.folding, lemma.names_counted) == ("lemma", False)


def test_a_captioned_shard_and_the_counts_it_left_give_one_table(tmp_path: Path) -> None:
    texts = ["a dog on a roof", "a cat"]
    tar = shard(tmp_path / "a.tar", *texts)
    counts = tmp_path / "a.nouns.parquet"
    counts.write_bytes(measure(enumerate_keys(texts), load_pipeline())[0].to_parquet())
    assert measure_paths([tar]).whole.table == measure_paths([counts]).whole.table


def enumerate_keys(texts: list[str]) -> list[tuple[str, str]]:
    return [(str(number), text) for number, text in enumerate(texts)]


def test_a_row_has_its_nouns_with_their_occurrences(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", "two dogs and a dog in Paris", "a dog")
    assert measure_paths([path]).whole.occurrences == {"dogs": 1, "dog": 2, "paris": 1}
    assert measure_paths([path], Counting(folding="raw")).whole.occurrences == {"dogs": 1, "dog": 2, "Paris": 1}
    assert measure_paths([path], Counting(folding="lemma", names=False)).whole.occurrences == {"dog": 3}


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Truncation:
    """Reads five words of a caption."""
    return Truncation(str(word_tokenizer(tmp_path_factory.mktemp("tokenizer"))), 6)


def test_every_data_set_is_counted_as_it_is_and_as_a_trainer_reads_it(tmp_path: Path, trainer: Truncation) -> None:
    text = "A dog chases a ball near the old house in Paris."
    paths = [lines(tmp_path / "a.jsonl", text, text), lines(tmp_path / "b.jsonl", "a house", text)]
    measured = measure_paths(paths, Counting(min_count=2, trainer=trainer))
    plain = measure_paths(paths, Counting(min_count=2))
    assert [row.table for row in measured.rows] == [row.table for row in plain.rows]
    assert measured.whole.table == plain.whole.table
    assert plain.seen is None
    seen = measured.seen
    assert seen is not None
    assert [row.occurrences for row in seen.rows] == [{"dog": 2, "ball": 2}, {"house": 1, "dog": 1, "ball": 1}]
    assert seen.whole.occurrences == {"dog": 3, "ball": 3, "house": 1}
    loss = [row.loss for row in (*measured.rows, measured.whole)]
    assert [(each.captions, each.cut, each.nouns, each.lost, each.valid_lost) for each in loss if each] == [
        (2, 2, 8, 4, 2),
        (2, 1, 5, 2, 1),
        (4, 3, 13, 6, 2),
    ]


def test_nouns_that_do_not_count_are_not_lost(tmp_path: Path, trainer: Truncation) -> None:
    path = lines(tmp_path / "a.jsonl", "A dog chases a ball in Paris.")
    loss = measure_paths([path], Counting(names=False, trainer=trainer)).whole.loss
    assert loss is not None
    assert (loss.nouns, loss.lost, loss.cut) == (2, 0, 1)


def test_counts_cannot_be_cut(tmp_path: Path, trainer: Truncation) -> None:
    counts = tmp_path / "a.nouns.parquet"
    counts.write_bytes(measure([("k", "a dog")], load_pipeline())[0].to_parquet())
    with pytest.raises(BadFieldError, match="holds counts of whole captions") as raised:
        measure_paths([counts], Counting(trainer=trainer))
    assert "shards" in raised.value.hint


def test_the_tail_of_each_data_set_and_of_all_names_its_captions(tmp_path: Path) -> None:
    paths = [lines(tmp_path / "a.jsonl", "a dog", "a cat"), lines(tmp_path / "b.jsonl", "a dog", "a boat and a dog")]
    measured = measure_paths(paths, Counting(min_count=3, tail=5))
    tails = [row.tail for row in (*measured.rows, measured.whole)]
    found = [
        {
            rare.noun: (rare.occurrences, rare.sample.dataset, rare.sample.index)
            for band in tail.bands
            for rare in band.examples
            if rare.sample
        }
        for tail in tails
        if tail
    ]
    assert found == [
        {"dog": (1, "a.jsonl", 0), "cat": (1, "a.jsonl", 1)},
        {"dog": (2, "b.jsonl", 0), "boat": (1, "b.jsonl", 1)},
        {"cat": (1, "a.jsonl", 1), "boat": (1, "b.jsonl", 1)},
    ]
    assert measure_paths(paths).whole.tail is None


def test_the_papers_profile_takes_more_than_the_threshold(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *["a dog"] * 10, *["a cat"] * 11)
    measured = measure_paths([path], Counting(folding="raw", profile="paper", tail=1))
    assert measured.valid.least == 11
    assert measured.whole.tail is not None
    assert [(band.label, band.nouns) for band in measured.whole.tail.bands] == [
        ("1", 0),
        ("2-4", 0),
        ("5-9", 0),
        ("10", 1),
    ]


def test_a_row_knows_how_often_each_noun_that_counts_occurs(tmp_path: Path) -> None:
    paths = [lines(tmp_path / "a.jsonl", "a dog and a cat", "a dog in Paris"), lines(tmp_path / "b.jsonl", "a dog")]
    measured = measure_paths(paths)
    assert measured.rows[0].occurrences == {"dog": 2, "cat": 1, "paris": 1}
    assert measured.whole.occurrences == {"dog": 3, "cat": 1, "paris": 1}
    assert measure_paths(paths, Counting(names=False)).whole.occurrences == {"dog": 3, "cat": 1}


def test_progress_adds_up_to_the_captions(tmp_path: Path) -> None:
    steps: list[int] = []
    measure_paths([lines(tmp_path / "a.jsonl", *["a dog"] * 600)], Counting(progress=steps.append))
    assert sum(steps) == 600
    assert len(steps) == 3


def test_wrong_calls_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(NothingToReadError):
        measure_paths([])
    with pytest.raises(NoSuchPathError):
        measure_paths([lines(tmp_path / "a.jsonl", "a dog"), tmp_path / "nope.jsonl"])
    with pytest.raises(BadFieldError):
        measure_paths([tmp_path / "a.jsonl"], Counting(pipeline="nope"))


def test_a_baseline_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NothingToReadError, match="holds no caption"):
        measure_paths([lines(tmp_path / "empty.jsonl")])


def test_real_dense_captions_have_more_nouns_and_a_higher_valid_share_than_alt_text(
    real_data: Path, tmp_path: Path
) -> None:
    """At equal numbers of images: 800 captions of each."""
    folder = real_data / "caption-text"
    tables = {}
    for name in ("model_dense_llava", "alt_text_noisy", "human_short_coco"):
        part = tmp_path / f"{name}.jsonl"
        part.write_text("".join((folder / f"{name}.jsonl").read_text().splitlines(keepends=True)[:800]))
        tables[name] = measure_paths([part]).whole.table
    llava, alt, coco = tables.values()
    assert llava.images == alt.images == coco.images == 800
    assert llava.nouns_per_image > 3 * alt.nouns_per_image
    assert llava.nouns_per_image > 3 * coco.nouns_per_image
    assert llava.valid_share > 2 * alt.valid_share
    assert 4 < alt.nouns_per_image < 7
    assert 20 < llava.nouns_per_image < 28
