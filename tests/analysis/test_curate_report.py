"""The report compares with random choices whose interval can be trusted; the keys say how they were made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis.curate import SampleNouns, choose, value
from analysis.curate_input import Read, caps_of, read_samples
from analysis.curate_report import DRAWS, Asked, compare, notes, payload, write_keys
from analysis.tables import Counting

CAPTIONS = ["a dog", "a dog and a cat", "", "a horse on a roof", "a dog"]


def random_samples(count: int, nouns: int) -> SampleNouns:
    """Samples with one to eight nouns of a skewed distribution."""
    draw = np.random.default_rng(1)
    lengths = draw.integers(1, 9, count)
    columns = np.concatenate([np.sort(draw.choice(nouns, length, replace=False)) for length in lengths])
    starts = np.concatenate([[0], lengths.cumsum()])
    names = [str(n) for n in range(nouns)]
    return SampleNouns(names, starts, columns.astype(np.int32), np.ones(len(columns), np.int32))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": caption}) + "\n" for caption in CAPTIONS))
    return read_samples([path], Counting())


def asked(budget: int = 2, **how: object) -> Asked:
    lists = {"by_noun": {"dog": 1, "unicorn": 2}, "excluded": frozenset({"image"})}
    return Asked(("a.jsonl",), budget, 10, seed=0, how=Counting(), **{**lists, **how})  # type: ignore[arg-type]


def test_the_interval_holds_about_95_of_100_further_random_choices() -> None:
    samples = random_samples(400, 300)
    caps = caps_of(samples, 10, {})
    comparison = compare(samples, choose(samples, caps, 100), caps, seed=0, min_count=3)
    draw = np.random.default_rng(99)
    fresh = [value(samples.totals(draw.choice(400, 100, replace=False)), caps) for _ in range(400)]
    inside = np.mean([comparison.low.capped_sum <= each <= comparison.high.capped_sum for each in fresh])
    assert 0.88 <= inside <= 0.99
    assert comparison.low.capped_sum < comparison.mean.capped_sum < comparison.high.capped_sum
    assert np.mean(fresh) == pytest.approx(comparison.mean.capped_sum, rel=0.02)


def test_the_margin_is_what_the_choice_has_more_than_random_ones() -> None:
    samples = random_samples(400, 300)
    caps = caps_of(samples, 3, {})
    comparison = compare(samples, choose(samples, caps, 50), caps, seed=0, min_count=3)
    mean, low, high = comparison.margin("capped_sum")
    assert low <= mean <= high
    assert low > 0
    assert mean == comparison.chosen.capped_sum - comparison.mean.capped_sum


def test_the_same_seed_gives_the_same_comparison_and_another_another() -> None:
    samples = random_samples(200, 100)
    caps = caps_of(samples, 10, {})
    choice = choose(samples, caps, 20)
    first = compare(samples, choice, caps, 0, 10)
    assert first == compare(samples, choice, caps, 0, 10)
    assert first.mean != compare(samples, choice, caps, 1, 10).mean


def test_the_whole_chosen_beats_random_by_nothing() -> None:
    samples = random_samples(30, 20)
    caps = caps_of(samples, 10, {})
    comparison = compare(samples, choose(samples, caps, 30), caps, 0, 10)
    assert comparison.chosen == comparison.whole
    assert comparison.margin("valid_nouns") == (0, 0, 0)


def test_at_least_20_random_choices_are_drawn() -> None:
    assert DRAWS >= 20


# ---- keys -----------------------------------------------------------------------------------------------------------


def test_keys_are_in_the_order_of_the_choice_with_their_gains(read: Read, tmp_path: Path) -> None:
    choice = choose(read.samples, caps_of(read.samples, 10, {}), 3)
    write_keys(tmp_path / "keys.parquet", asked(3), read, choice)
    assert pq.read_table(tmp_path / "keys.parquet").to_pylist() == [
        {"shard": "a.jsonl", "key": "2", "row": 2, "order": 1, "gain": 2},
        {"shard": "a.jsonl", "key": "4", "row": 4, "order": 2, "gain": 2},
        {"shard": "a.jsonl", "key": "1", "row": 1, "order": 3, "gain": 1},
    ]


def test_keys_say_how_they_were_made(read: Read, tmp_path: Path) -> None:
    choice = choose(read.samples, caps_of(read.samples, 10, {}), 2)
    write_keys(tmp_path / "keys.parquet", asked(), read, choice)
    header = json.loads(pq.read_metadata(tmp_path / "keys.parquet").metadata[b"densify"])
    assert header["format"] == "densify.keys/1"
    assert header["paths"] == ["a.jsonl"]
    assert (header["noun_pipeline"], header["folding"], header["names_counted"]) == ("densify-en-2", "lower", True)
    assert (header["cap"], header["caps"]) == (10, {"dog": 1, "unicorn": 2})
    assert (header["excluded"], header["budget"], header["samples"]) == (["image"], 2, 5)
    assert header["capped_sum"] == choice.reached == 4
    assert "63.2 %" in header["guarantee"]["sentence"]
    assert header["shards"] == [{"shard": "a.jsonl", "path": read.origins[0].path, "captions": 5}]


def test_the_same_choice_gives_the_same_bytes(read: Read, tmp_path: Path) -> None:
    choice = choose(read.samples, caps_of(read.samples, 10, {}), 3)
    for name in ("1", "2"):
        write_keys(tmp_path / name, asked(3), read, choice)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


# ---- what is said ---------------------------------------------------------------------------------------------------


def test_the_report_states_the_guarantee_the_filling_and_nouns_that_are_absent(read: Read) -> None:
    caps = caps_of(read.samples, 1, {})
    choice = choose(read.samples, caps, 4)
    said = " ".join(notes(asked(4), read, choice))
    assert "at least 63.2 % (1 - 1/e)" in said
    assert "at least 100.0 % of the best" in said
    assert "After 2 samples nothing raises F." in said
    assert "a cap of their own that no caption has: 1 (unicorn)" in said
    assert "1 captions are empty" in said


def test_json_has_every_figure_with_its_interval(read: Read) -> None:
    caps = caps_of(read.samples, 10, {})
    choice = choose(read.samples, caps, 2)
    report = payload(asked(), read, choice, compare(read.samples, choice, caps, 0, 10), None)
    assert json.loads(json.dumps(report)) == report
    assert report["chosen"]["total_nouns"] == 4
    assert report["whole"]["images"] == 5
    assert report["random"]["draws"] == DRAWS
    assert set(report["margin"]["valid_nouns"]) == {"mean", "low", "high"}
