from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis import rarefaction
from analysis.counts import NounCounts, measure
from analysis.density import table_from_counts, table_from_files
from analysis.nouns import load_pipeline
from analysis.rarefaction import Abundance, Estimate, Figure
from core.errors import BadFieldError, InputError, NothingToReadError
from tests.analysis.plain_nouns import PlainNouns

WORDS = ["dog", "cat", "Rome", "house", "tree", "the", "a"]
captions = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), min_size=1, max_size=7)


def counted(texts: Sequence[str]) -> NounCounts:
    return measure(((str(number), text) for number, text in enumerate(texts)), PlainNouns())[0]


def abundance(texts: Sequence[str]) -> Abundance:
    return rarefaction.from_counts(counted(texts))


def nouns_of(text: str) -> Counter[str]:
    return Counter(word.lower() for word in text.split() if word not in ("the", "a"))


def same(one: Abundance, other: Abundance) -> bool:
    names = ("occurrences", "image_counts", "nouns")
    return one.images == other.images and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in names
    )


def figures(estimate: Estimate) -> list[Figure]:
    return [
        estimate.distinct,
        estimate.valid,
        estimate.valid_over,
        estimate.valid_share,
        estimate.valid_share_over,
    ]


class Corpus:
    """Captions as a matrix, images by nouns, of occurrences: to draw from without counting words again."""

    def __init__(self, matrix: NDArray[np.int64]) -> None:
        self.matrix = matrix

    @classmethod
    def zipf(cls, images: int, nouns: int, bursts: str, *, topics: int = 1, seed: int = 0) -> Corpus:
        """Nouns of frequency 1/rank, about 8 an image, each of one topic; occurrences in an image by `bursts`."""
        rng = np.random.default_rng(seed)
        chance = np.minimum(0.9, 1.2 / np.arange(1, nouns + 1)) * np.ones((images, 1))
        if topics > 1:
            same_topic = rng.integers(topics, size=(images, 1)) == rng.integers(topics, size=nouns)
            chance = np.minimum(0.9, np.where(same_topic, topics, 0.2) * chance)
        present = rng.random((images, nouns)) < chance
        extra = {
            "none": lambda: 0,
            "geometric": lambda: rng.geometric(0.7, present.shape) - 1,
            "poisson": lambda: rng.poisson(0.4, present.shape),
            "even": lambda: 1,
        }[bursts]()
        return cls(present * (1 + extra))

    def abundance(self, rows: NDArray[np.int64] | slice = slice(None)) -> Abundance:
        matrix = self.matrix[rows]
        pairs = np.stack([matrix.sum(0), (matrix > 0).sum(0)])
        pairs, nouns = np.unique(pairs[:, pairs[0] > 0], axis=1, return_counts=True)
        return Abundance(len(matrix), pairs[0], pairs[1], nouns)

    def drawn(self, n: int, times: int, seed: int = 1) -> NDArray[np.int64]:
        """(times, 2): DN and VN (>= 10) of real random choices of n images."""
        rng = np.random.default_rng(seed)
        sums = [self.matrix[rng.choice(len(self.matrix), n, replace=False)].sum(0) for _ in range(times)]
        return np.array([((row > 0).sum(), (row >= 10).sum()) for row in sums])


# ---- the values -----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(texts=captions, data=st.data())
def test_distinct_nouns_equal_the_mean_over_every_choice_of_n_images(texts: list[str], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(texts)))
    choices = list(combinations([set(nouns_of(text)) for text in texts], n))
    expected = sum(len(set().union(*choice)) for choice in choices) / len(choices)
    assert rarefaction.at(abundance(texts), n).distinct.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("total", "images", "occurrences"), [(5, 1, 4), (5, 2, 5), (6, 3, 7), (6, 4, 8), (4, 4, 6), (3, 3, 3)]
)
def test_valid_nouns_equal_the_mean_over_every_placement_of_occurrences(
    total: int, images: int, occurrences: int
) -> None:
    # A placement is m - 1 cuts of the row of c occurrences; the noun's images are the first m of N.
    placements = [
        [end - start for start, end in pairwise((0, *cuts, occurrences))]
        for cuts in combinations(range(1, occurrences), images - 1)
    ]
    one = Abundance(total, np.array([occurrences]), np.array([images]), np.array([1]))
    for n in range(1, total + 1):
        for k in range(1, occurrences + 2):
            hits = [
                sum(placement[image] for image in choice if image < images) >= k
                for placement in placements
                for choice in combinations(range(total), n)
            ]
            value = rarefaction.at(one, n, min_count=k).valid.value
            assert value == pytest.approx(float(Fraction(sum(hits), len(hits))), abs=1e-12)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([20, 5, 2]), topics=st.sampled_from([1, 8]))
def test_distinct_nouns_equal_real_subsampling_within_its_chance_error(seed: int, share: int, topics: int) -> None:
    corpus = Corpus.zipf(400, 300, "geometric", topics=topics, seed=seed)
    drawn = corpus.drawn(400 // share, 100, seed)[:, 0]
    value = rarefaction.at(corpus.abundance(), 400 // share).distinct.value
    assert abs(value - drawn.mean()) <= 6 * drawn.std() / 10 + 1e-9


@pytest.mark.parametrize(("bursts", "bound"), [("none", 0.01), ("geometric", 0.01), ("poisson", 0.02), ("even", 0.05)])
def test_valid_nouns_of_a_zipf_corpus_stay_near_real_subsampling(bursts: str, bound: float) -> None:
    # `even`, exactly two in every image, is the worst case: nothing is further from geometric.
    corpus = Corpus.zipf(4000, 1000, bursts)
    for n in (200, 400, 800, 2000):
        drawn = corpus.drawn(n, 60)[:, 1]
        value = rarefaction.at(corpus.abundance(), n).valid.value
        assert abs(value / drawn.mean() - 1) <= bound + 4 * drawn.std() / math.sqrt(60) / drawn.mean()


@settings(deadline=None, max_examples=40)
@given(texts=captions, min_count=st.integers(1, 4), names=st.booleans())
def test_at_all_images_the_figures_are_the_counts_themselves(texts: list[str], min_count: int, names: bool) -> None:
    counts = counted(texts)
    table = table_from_counts(counts, min_count=min_count, names=names)
    whole = rarefaction.at(rarefaction.from_counts(counts, names=names), len(texts), min_count=min_count)
    assert (whole.images, whole.min_count) == (table.images, min_count)
    assert whole.distinct.value == table.distinct_nouns
    assert (whole.valid.value, whole.valid_over.value) == (table.valid_nouns, table.valid_nouns_over)
    assert (whole.valid_share.value, whole.valid_share_over.value) == (table.valid_share, table.valid_share_over)
    assert all(figure.spread == 0 for figure in figures(whole))


@settings(deadline=None, max_examples=40)
@given(texts=captions, min_count=st.integers(1, 4))
def test_more_images_never_mean_fewer_nouns(texts: list[str], min_count: int) -> None:
    source = abundance(texts)
    grown = [rarefaction.at(source, n, min_count=min_count) for n in range(1, len(texts) + 1)]
    for less, more in pairwise(grown):
        assert less.distinct.value <= more.distinct.value + 1e-12
        assert less.valid.value <= more.valid.value + 1e-12
        assert less.valid_over.value <= less.valid.value + 1e-12 <= less.distinct.value + 2e-12


def test_a_hundred_million_images_lose_no_digits() -> None:
    total = 10**8
    for m, n in [(1, 5 * 10**7), (1, 1), (20, 5 * 10**7), (2000, 10**6), (99_000_000, 3), (5, total - 5)]:
        missed = Decimal(1)
        for step in range(min(m, n)):
            missed *= Decimal(total - max(m, n) - step) / Decimal(total - step)
        one = Abundance(total, np.array([m]), np.array([m]), np.array([1]))
        assert rarefaction.at(one, n).distinct.value == pytest.approx(float(1 - missed), rel=1e-11)


# ---- the intervals --------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(texts=captions, data=st.data())
def test_intervals_hold_their_value_and_are_in_order(texts: list[str], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(texts)))
    estimate = rarefaction.at(abundance(texts), n, min_count=data.draw(st.integers(1, 12)))
    for figure in figures(estimate):
        assert 0 <= figure.low <= figure.value <= figure.high
        assert figure.error >= 0
        assert figure.spread >= 0
        assert all(map(math.isfinite, (figure.high, figure.error, figure.spread)))
    assert estimate.valid_share.high <= 1


@pytest.mark.parametrize("topics", [1, 20])
@pytest.mark.parametrize("n", [400, 100])
def test_intervals_cover_the_mean_of_the_whole_source(topics: int, n: int) -> None:
    # Draws of 400 of 8,000 images; with topics, nouns come together as they do in captions.
    corpus = Corpus.zipf(8000, 600, "geometric", topics=topics)
    truth = corpus.drawn(n, 300).mean(0)
    rng = np.random.default_rng(2)
    covered = np.zeros(2)
    for _ in range(60):
        estimate = rarefaction.at(corpus.abundance(rng.choice(8000, 400, replace=False)), n)
        pair = (estimate.distinct, estimate.valid)
        covered += [figure.low <= mean <= figure.high for figure, mean in zip(pair, truth, strict=True)]
    assert (covered >= 0.9 * 60).all()


def test_the_spread_is_that_of_real_choices_or_wider() -> None:
    corpus = Corpus.zipf(4000, 1000, "geometric", topics=20)
    for n in (400, 2000):
        real = corpus.drawn(n, 200).std(0)
        estimate = rarefaction.at(corpus.abundance(), n)
        assert 0.85 * real[0] <= estimate.distinct.spread <= 2 * real[0]
        assert 0.85 * real[1] <= estimate.valid.spread <= 2 * real[1]


def test_a_difference_is_as_uncertain_as_both_together() -> None:
    ours, theirs = Figure(10.0, 4.1, 15.9, 3.0, 0.6), Figure(12.0, 4.2, 19.8, 4.0, 0.8)
    gap = rarefaction.difference(ours, theirs)
    assert (gap.value, gap.error, gap.spread) == (-2, 5, 1)
    assert (gap.low, gap.high) == pytest.approx((-2 - 1.96 * 5, -2 + 1.96 * 5), abs=1e-3)


def test_nouns_per_image_are_a_mean_with_the_interval_of_a_mean() -> None:
    figure = rarefaction.per_image([2, 4, 6, 8], 2)
    assert figure.value == 5
    assert figure.error == pytest.approx(math.sqrt(20 / 3 / 4))
    assert figure.spread == pytest.approx(math.sqrt(20 / 3 * (1 / 2 - 1 / 4)))
    assert rarefaction.per_image([3], 1) == Figure(3.0, 0.0, 3 + rarefaction.Z95 * 3, 3.0, 0.0)
    with pytest.raises(BadFieldError):
        rarefaction.per_image([], 1)


# ---- in and out -----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(texts=captions, more=captions, names=st.booleans())
def test_merged_counts_give_what_the_merged_captions_give(texts: list[str], more: list[str], names: bool) -> None:
    merged = counted(texts)
    merged.merge(counted(more))
    expected = rarefaction.from_counts(counted(texts + more), names=names)
    assert same(rarefaction.from_counts(merged, names=names), expected)
    files = [counted(texts).to_parquet(), counted(more).to_parquet()]
    assert same(rarefaction.from_files(files, names=names), expected)
    assert table_from_files(files, names=names).distinct_nouns == expected.nouns.sum()


def test_files_by_path_and_by_bytes_give_one_histogram(tmp_path: Path) -> None:
    blobs = [counted([text]).to_parquet() for text in ("dog cat", "dog Rome", "tree tree")]
    folder = tmp_path / "odd [name] *"
    folder.mkdir()
    paths = [tmp_path / "0.nouns.parquet", folder / "1.nouns.parquet", tmp_path / "it's.nouns.parquet"]
    for path, blob in zip(paths, blobs, strict=True):
        path.write_bytes(blob)
    expected = abundance(["dog cat", "dog Rome", "tree tree"])
    assert [expected.occurrences.tolist(), expected.image_counts.tolist()] == [[1, 2, 2], [1, 1, 2]]
    assert expected.nouns.tolist() == [2, 1, 1]
    assert same(rarefaction.from_files(paths), expected)
    assert same(rarefaction.from_files([paths[0], blobs[1], paths[2]]), expected)


def test_files_that_cannot_be_added_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.nouns.parquet").write_bytes(b"not parquet")
    with pytest.raises(NothingToReadError):
        rarefaction.from_files([])
    with pytest.raises(BadFieldError, match="cannot be added"):
        rarefaction.from_files([counted(["dog"]).to_parquet(), NounCounts("other").to_parquet()])
    with pytest.raises(InputError, match="cannot be read"):
        rarefaction.from_files([tmp_path / "x.nouns.parquet"])


@pytest.mark.parametrize("n", [0, -1, 4])
def test_a_size_that_cannot_be_drawn_is_refused_in_one_sentence(n: int) -> None:
    with pytest.raises(BadFieldError, match=rf"^{n} images cannot be drawn from a data set of 3\.$"):
        rarefaction.at(abundance(["dog", "cat", ""]), n)


def test_a_minimum_count_below_one_is_refused() -> None:
    with pytest.raises(BadFieldError, match="cannot be valid from 0 occurrences"):
        rarefaction.at(abundance(["dog"]), 1, min_count=0)


def test_no_image_and_no_noun_are_no_surprise() -> None:
    assert rarefaction.curve(abundance([])) == []
    with pytest.raises(BadFieldError):
        rarefaction.at(abundance([]), 1)
    nothing = rarefaction.at(abundance(["the", "a"]), 1)
    assert all(figure == Figure(0, 0, 0, 0, 0) for figure in figures(nothing))


def test_a_curve_ends_at_all_images_and_equals_the_single_sizes() -> None:
    source = Corpus.zipf(300, 200, "geometric").abundance()
    grown = rarefaction.curve(source, 12)
    sizes = [estimate.images for estimate in grown]
    assert sizes[0] == 1
    assert sizes[-1] == 300
    assert sizes == sorted(set(sizes))
    assert grown == [rarefaction.at(source, n) for n in sizes] == rarefaction.curve(source, 12)


def test_data_sets_are_compared_at_the_size_of_the_smallest() -> None:
    assert rarefaction.common_size([abundance(["dog"] * 3), abundance(["cat"] * 2)]) == 2


@pytest.mark.parametrize(("name", "most"), [("human_short_coco", 3000), ("model_dense_llava", 1000)])
def test_real_captions_subsampled_show_what_the_counts_foretell(real_data: Path, name: str, most: int) -> None:
    file = real_data / "caption-text" / f"{name}.jsonl"
    if not file.is_file():
        pytest.skip(f"the real captions are absent: {file} is no file")
    texts = [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()[:most]]
    found = [[noun.surface.lower() for noun in nouns] for nouns in load_pipeline("en").nouns(texts)]
    forms = {form: number for number, form in enumerate(sorted({form for nouns in found for form in nouns}))}
    matrix = np.zeros((len(texts), len(forms)), np.int64)
    for row, nouns in zip(matrix, found, strict=True):
        np.add.at(row, [forms[form] for form in nouns], 1)
    corpus = Corpus(matrix)
    for share in (10, 5, 2):
        drawn = corpus.drawn(len(texts) // share, 200)
        noise = 4 * drawn.std(0) / math.sqrt(len(drawn))
        estimate = rarefaction.at(corpus.abundance(), len(texts) // share)
        assert abs(estimate.distinct.value - drawn[:, 0].mean()) <= noise[0]
        assert abs(estimate.valid.value - drawn[:, 1].mean()) <= 0.01 * drawn[:, 1].mean() + noise[1]
        assert estimate.valid.low <= drawn[:, 1].mean() <= estimate.valid.high
