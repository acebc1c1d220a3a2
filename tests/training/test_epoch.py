"""The order of an epoch: nothing twice, the same everywhere, another one each time, and resumed exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import NothingToReadError
from training.epoch import Cursor, Epochs, share


def epochs(samples: int = 1000, *, shards: int = 10, buckets: int = 1, batch: int = 8, window: int = 64) -> Epochs:
    of_shard = [place * shards // samples for place in range(samples)]
    return Epochs(of_shard, [place % buckets for place in range(samples)], batch=batch, window=window, seed=3)


@settings(deadline=None)
@given(
    samples=st.integers(1, 400),
    shards=st.integers(1, 9),
    buckets=st.integers(1, 5),
    batch=st.integers(1, 12),
    window=st.integers(1, 500),
    epoch=st.integers(0, 3),
)
def test_batches_hold_one_bucket_and_no_sample_twice(
    samples: int, shards: int, buckets: int, batch: int, window: int, epoch: int
) -> None:
    of_bucket = np.arange(samples) % buckets
    full = sum(int((of_bucket == bucket).sum()) // batch for bucket in range(buckets))
    if not full:
        with pytest.raises(NothingToReadError, match="fill no batch"):
            epochs(samples, shards=shards, buckets=buckets, batch=batch, window=window)
        return
    plan = epochs(samples, shards=shards, buckets=buckets, batch=batch, window=window)
    order = plan.order(epoch)
    assert len(order) == plan.batches == full
    assert all(len(places) == batch and len(set(of_bucket[places])) == 1 for places in order)
    read = np.concatenate(order)
    assert len(set(read.tolist())) == len(read)


def test_epochs_differ_and_each_is_the_same_whenever_it_is_asked_for() -> None:
    plan, again = epochs(), epochs()
    first, second = np.concatenate(plan.order(0)), np.concatenate(plan.order(1))
    assert not np.array_equal(first, second)
    assert sorted(first) == sorted(second) == list(range(1000))
    assert np.array_equal(second, np.concatenate(again.order(1)))


def test_a_run_that_goes_on_reads_what_it_would_have_read() -> None:
    plan = epochs(200, batch=16)
    assert plan.batches == 12
    whole = [(cursor, places.tolist()) for _, cursor, places in plan.read(0, 40)]
    later = [(cursor, places.tolist()) for _, cursor, places in epochs(200, batch=16).read(17, 40)]
    assert whole[17:] == later
    assert later[0][0] == Cursor(1, 5)


def test_processes_share_a_batch_without_overlap() -> None:
    places = epochs().order(0)[0]
    parts = [share(places, rank, 4) for rank in range(4)]
    assert np.array_equal(np.concatenate(parts), places)
    with pytest.raises(ValueError, match="among 3"):
        share(places, 0, 3)


def test_reading_stays_within_a_window_of_neighbouring_shards() -> None:
    plan = epochs(1000, shards=100, batch=10, window=50)
    shards = np.arange(1000) * 100 // 1000
    spread = [len(set(shards[places].tolist())) for places in plan.order(0)]
    assert max(spread) <= 11, "a window of 50 samples spans five shards of ten, a batch lies in two windows at most"


def test_what_is_left_over_is_read_in_another_epoch() -> None:
    plan = epochs(13, shards=1, batch=4)
    read = [set(np.concatenate(plan.order(epoch)).tolist()) for epoch in range(12)]
    assert all(len(each) == 12 for each in read)
    assert set.union(*read) == set(range(13))
    assert len({frozenset(each) for each in read}) > 3
