"""Taking shards in: whole and plain ones once, all others not at all."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from core.errors import (
    ShardCorruptError,
    ShardEmptyError,
    ShardError,
    ShardTruncatedError,
    StorageError,
    StorageFullError,
    UnsupportedFormatError,
)
from shards.ingest import StoredShard, find_shard, load_index, load_source_manifest, store_shard
from shards.keys import source_key
from shards.reader import read_units
from shards.store import Store, open_store
from tests.shards.make_shards import LIMITS, flip, openstax_shards, samples, shard_bytes, tar_bytes

GOOD = shard_bytes(samples(3))


def take(store: Store, data: bytes) -> StoredShard:
    path = store.staging() / "incoming.tar"
    path.write_bytes(data)
    return store_shard(store, path, hashlib.sha256(data).hexdigest(), len(data), LIMITS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_a_good_shard_is_stored_with_index_and_manifest(store: Store) -> None:
    stored = take(store, GOOD)
    sha256 = hashlib.sha256(GOOD).hexdigest()
    assert stored == StoredShard(sha256, len(GOOD), 3, 0, existed=False)
    assert store.read_bytes(source_key(sha256)) == GOOD
    assert load_index(store, sha256).units == 3
    assert load_source_manifest(store, sha256).samples == 3
    assert len(list(store.list())) == 3
    assert list(store.staging().iterdir()) == []


def test_the_same_shard_twice_is_stored_once(store: Store) -> None:
    first = take(store, GOOD)
    again = take(store, GOOD)
    assert again.existed
    assert (again.sha256, again.units) == (first.sha256, first.units)
    assert len(list(store.list())) == 3
    assert list(store.staging().iterdir()) == []


def test_a_shard_of_other_bytes_is_another_shard(store: Store) -> None:
    take(store, GOOD)
    take(store, shard_bytes(samples(2)))
    assert len(list(store.list("shards"))) == 6


def test_structural_rejects_are_told(store: Store) -> None:
    data = tar_bytes([("a.txt", b"x"), ("b.jpg", b"y"), ("../c.jpg", b"z")])
    stored = take(store, data)
    assert (stored.units, stored.rejected) == (3, 2)
    assert [(ordinal, key, reason) for ordinal, key, reason, _ in stored.rejects] == [
        (0, "a", "no_image"),
        (2, "../c.jpg", "unsafe_name"),
    ]
    found = find_shard(store, stored.sha256)
    assert found is not None
    assert found.rejects == stored.rejects


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (GOOD[:-1024], ShardTruncatedError),
        (GOOD[:-3000], ShardTruncatedError),
        (flip(GOOD, 3), ShardCorruptError),
        (gzip.compress(GOOD), UnsupportedFormatError),
        (b"", ShardEmptyError),
        (bytes(10_240), ShardEmptyError),
    ],
)
def test_a_shard_that_is_not_whole_leaves_nothing_in_the_store(
    store: Store, data: bytes, error: type[ShardError]
) -> None:
    with pytest.raises(error):
        take(store, data)
    assert list(store.list()) == []
    assert (store.staging() / "incoming.tar").exists()


def test_a_full_disk_is_told_and_the_shard_can_be_sent_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFullError):
        take(store, GOOD)
    monkeypatch.undo()
    assert find_shard(store, hashlib.sha256(GOOD).hexdigest()) is None
    assert not take(store, GOOD).existed


def test_a_shard_is_complete_only_with_its_manifest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256(GOOD).hexdigest()
    puts = 0
    real = Store.put_bytes

    def put_bytes(self: Store, key: str, data: bytes) -> None:
        nonlocal puts
        puts += 1
        if puts == 2:
            raise StorageError("The power went out.")
        real(self, key, data)

    monkeypatch.setattr(Store, "put_bytes", put_bytes)
    with pytest.raises(StorageError):
        take(store, GOOD)
    assert store.exists(source_key(sha256))
    assert find_shard(store, sha256) is None
    assert not take(store, GOOD).existed
    assert find_shard(store, sha256) is not None


@pytest.mark.parametrize("suffix", [".tar", ".index.parquet", ".json"])
def test_a_shard_that_lost_a_file_is_mended_by_sending_it_again(store: Store, suffix: str) -> None:
    stored = take(store, GOOD)
    store.put_bytes(source_key(stored.sha256, suffix), b"rubbish")
    assert find_shard(store, stored.sha256) is None
    assert not take(store, GOOD).existed
    assert find_shard(store, stored.sha256) is not None
    assert store.sha256(source_key(stored.sha256)) == stored.sha256


def test_a_stored_shard_that_decayed_is_mended_by_sending_it_again(store: Store) -> None:
    stored = take(store, GOOD)
    store.put_bytes(source_key(stored.sha256), flip(GOOD, 2000))
    assert take(store, GOOD).existed
    assert store.read_bytes(source_key(stored.sha256)) == GOOD


def test_real_pictures_are_taken_in_whole(store: Store, real_data: Path, tmp_path: Path) -> None:
    for path in openstax_shards(real_data, tmp_path / "packed", shards=2, limit=40):
        data = path.read_bytes()
        stored = take(store, data)
        assert (stored.units, stored.rejected) == (20, 0)
        with path.open("rb") as file:
            units = list(read_units(file, len(data), LIMITS))
        assert load_index(store, stored.sha256).slice(0, 99) == units
        assert all(unit.text and unit.json for unit in units)
