"""The member index: any unit by offset, in few reads, the same bytes for the same shard."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import pytest

from core.errors import StorageError
from shards.index import GAP_BYTES, ShardIndex, build_index, read_all_members, read_members
from shards.reader import read_units
from shards.store import open_store
from shards.tar import TarLimits
from shards.writer import member_header
from tests.shards.make_shards import LIMITS, samples, shard_bytes, special, tar_bytes

SAMPLES = list(samples(20))
DATA = shard_bytes(SAMPLES)
MIXED = tar_bytes(
    [
        ("a.jpg", b"image a"),
        special("link.jpg", tarfile.SYMTYPE, "a.jpg"),
        ("b.txt", b"alone"),
        ("c.png", b"image c"),
        ("c.txt", b"text c"),
        ("c.npy", b"array"),
    ]
)


def index_of(data: bytes, limits: TarLimits = LIMITS) -> ShardIndex:
    return build_index(io.BytesIO(data), len(data), limits, "ab" * 32)


class Ranges:
    """A tar in memory that counts the reads."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads: list[tuple[int, int]] = []

    def __call__(self, offset: int, size: int) -> bytes:
        self.reads.append((offset, size))
        return self.data[offset : offset + size]


def test_the_index_holds_the_units_of_the_reader() -> None:
    for data in (DATA, MIXED):
        index = index_of(data)
        expected = list(read_units(io.BytesIO(data), len(data), LIMITS))
        assert index.slice(0, index.units) == expected
        assert [index.unit(number) for number in range(index.units)] == expected
        assert index.rejected == sum(unit.reject is not None for unit in expected)


def test_slices_are_cut_to_what_is_there() -> None:
    index = index_of(DATA)
    assert [unit.ordinal for unit in index.slice(18, 99)] == [18, 19]
    assert index.slice(5, 5) == []
    for ordinal in (-1, 20):
        with pytest.raises(IndexError):
            index.unit(ordinal)


def test_it_survives_parquet_unchanged_and_is_deterministic() -> None:
    index = index_of(MIXED)
    data = index.to_parquet()
    assert data == index_of(MIXED).to_parquet()
    again = ShardIndex.from_parquet(data)
    assert again.slice(0, 9) == index.slice(0, 9)
    assert (again.sha256, again.size_bytes, again.units, again.rejected) == ("ab" * 32, len(MIXED), 4, 2)
    assert again.rejects() == [
        (unit.ordinal, unit.key, unit.reject.reason, unit.reject.sentence)
        for unit in index.slice(0, 9)
        if unit.reject is not None
    ]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no parquet", index_of(DATA).to_parquet()[:-20]])
def test_what_is_no_index_is_a_storage_error(data: bytes) -> None:
    with pytest.raises(StorageError):
        ShardIndex.from_parquet(data)


def test_members_come_with_their_bytes_in_one_read() -> None:
    ranges = Ranges(DATA)
    found = list(read_members(ranges, index_of(DATA).slice(3, 9)))
    assert [(unit.key, data) for unit, data in found] == [
        (key, {"image": held["jpg"], "text": held["txt"], "json": held["json"]}) for key, held in SAMPLES[3:9]
    ]
    assert len(ranges.reads) == 1


def test_only_what_is_wanted_is_given_and_rejects_carry_nothing() -> None:
    units = index_of(MIXED).slice(0, 9)
    found = {unit.key: data for unit, data in read_members(Ranges(MIXED), units, want=("image",))}
    assert found == {"a": {"image": b"image a"}, "link.jpg": {}, "b": {}, "c": {"image": b"image c"}}
    every = {unit.key: data for unit, data in read_all_members(Ranges(MIXED), units)}
    assert every["c"] == {"png": b"image c", "txt": b"text c", "npy": b"array"}
    some = {unit.key: data for unit, data in read_all_members(Ranges(MIXED), units, lambda ext: ext != "npy")}
    assert some["c"] == {"png": b"image c", "txt": b"text c"}


@pytest.mark.parametrize("span", [1, 700, 3000, 10_000])
def test_a_smaller_span_means_more_reads_of_the_same_bytes(span: int) -> None:
    ranges = Ranges(DATA)
    found = list(read_members(ranges, index_of(DATA).slice(0, 20), max_span_bytes=span))
    assert [data["image"] for _, data in found] == [held["jpg"] for _, held in SAMPLES]
    largest = max(len(data) for _, held in SAMPLES for data in held.values())
    assert all(size <= max(span, largest) for _, size in ranges.reads)


def test_far_members_are_not_pulled_through_the_gap() -> None:
    data = tar_bytes([("a.jpg", b"1"), ("a.bin", bytes(GAP_BYTES + 1)), ("a.txt", b"2"), ("b.jpg", b"3")])
    ranges = Ranges(data)
    found = [held for _, held in read_members(ranges, index_of(data).slice(0, 2))]
    assert found == [{"image": b"1", "text": b"2"}, {"image": b"3"}]
    assert len(ranges.reads) == 2
    assert sum(size for _, size in ranges.reads) < 4096


def test_a_shard_that_became_shorter_is_an_error() -> None:
    with pytest.raises(StorageError, match="shorter"):
        list(read_members(Ranges(DATA[:2000]), index_of(DATA).slice(0, 20)))


def test_ranged_reads_work_on_any_fsspec_file_system() -> None:
    store = open_store("memory://densify-index")
    store.put_bytes("shards/x.tar", DATA)
    with store.open("shards/x.tar") as file:
        index = build_index(file, store.size("shards/x.tar"), LIMITS)
    found = list(read_members(lambda offset, size: store.read_range("shards/x.tar", offset, size), index.slice(15, 20)))
    assert [data["image"] for _, data in found] == [held["jpg"] for _, held in SAMPLES[15:]]


def test_building_takes_well_below_a_second_for_ten_thousand_members(tmp_path: Path) -> None:
    path = tmp_path / "many.tar"
    size = 100_000
    with path.open("wb") as file:
        for number in range(10_000):
            file.write(member_header(f"{number // 2:06d}.{('jpg', 'txt')[number % 2]}", size))
            file.seek(size + -size % 512, 1)
        file.truncate(file.tell() + 1024)
    start = time.process_time()
    with path.open("rb", buffering=0) as file:
        index = build_index(file, path.stat().st_size, LIMITS)
    spent_s = time.process_time() - start
    assert index.units == 5000
    assert spent_s < 1.0, spent_s
