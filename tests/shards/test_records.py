"""Records: what became of every unit, as deterministic Parquet."""

from __future__ import annotations

import io
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import StorageError
from core.reasons import FLAGS, REJECT_REASONS
from shards.records import (
    FORMAT,
    Captioned,
    Record,
    final_caption,
    final_record,
    read_captioned,
    read_metadata,
    read_records,
    write_records,
)

CAPTIONED = Record(
    0,
    "a/0",
    "captioned",
    caption="A red bus. 빨간 버스.",
    finish_reason="stop",
    tokens=9,
    flags=("boilerplate", "cut_off"),
    width=640,
    height=480,
    image_sha256="ab" * 32,
    old_text="bus",
)
REJECTED = Record.rejected(1, "a/1", "no_image", "The sample has no image.", old_text="text")

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
RECORDS = st.lists(
    st.one_of(
        st.builds(
            Record,
            st.integers(0, 1 << 40),
            TEXT,
            st.just("captioned"),
            caption=TEXT,
            finish_reason=st.sampled_from(["stop", "length", "watchdog"]),
            tokens=st.integers(0, 9999),
            flags=st.lists(st.sampled_from(sorted(FLAGS)), max_size=3).map(tuple),
            width=st.integers(1, 9999),
            height=st.integers(1, 9999),
            image_sha256=TEXT,
            old_text=st.none() | TEXT,
        ),
        st.builds(Record.rejected, st.integers(0, 99), TEXT, st.sampled_from(sorted(REJECT_REASONS)), TEXT),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_what_is_written_is_read(records: list[Record]) -> None:
    data = write_records(records, {"k": "v"})
    assert read_records(data) == records
    assert write_records(records, {"k": "v"}) == data


@settings(deadline=None)
@given(records=RECORDS)
def test_captioned_samples_are_read_without_their_captions(records: list[Record]) -> None:
    captioned = [record for record in records if record.is_captioned]
    expected = [Captioned(record.ordinal, record.key, record.flags) for record in captioned]
    assert read_captioned(write_records(records)) == expected


def test_bytes_paths_and_files_are_read_alike(tmp_path: Path) -> None:
    data = write_records([CAPTIONED, REJECTED], {"spec": "abc"})
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    for source in (data, path, str(path), io.BytesIO(data)):
        assert read_records(source) == [CAPTIONED, REJECTED]
        if isinstance(source, io.BytesIO):
            source.seek(0)
        assert read_metadata(source) == {"spec": "abc", "format": FORMAT}


def test_other_tools_read_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(write_records([CAPTIONED, REJECTED]))
    query = f"select key, caption, flags, reason from read_parquet('{path}') order by ordinal"
    with duckdb.connect() as connection:
        rows = connection.execute(query).fetchall()
    assert rows == [("a/0", CAPTIONED.caption, ["boilerplate", "cut_off"], None), ("a/1", None, [], "no_image")]


@pytest.mark.parametrize("data", [b"", b"PAR1PAR1", b"words", write_records([CAPTIONED])[:-30]])
def test_damaged_records_are_a_storage_error(data: bytes) -> None:
    with pytest.raises(StorageError):
        read_records(data)


@pytest.mark.parametrize(
    "columns", [{"key": ["x"]}, {"ordinal": ["x"], "key": ["x"], "flags": [[]], "status": ["captioned"]}]
)
def test_captioned_samples_of_another_table_are_a_storage_error(columns: dict[str, list[object]]) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    with pytest.raises(StorageError, match="Records cannot be read"):
        read_captioned(sink.getvalue())


def test_another_table_is_a_storage_error() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"key": ["a"]}), sink)
    with pytest.raises(StorageError):
        read_records(sink.getvalue())
    with pytest.raises(StorageError):
        read_metadata(b"nothing")


@pytest.mark.parametrize(
    "record",
    [
        Record(0, "a", "pending"),
        Record(0, "a", "captioned"),
        Record(0, "a", "rejected"),
        Record(0, "a", "rejected", reason="because", sentence="x"),
        Record(0, "a", "captioned", caption="x", flags=("odd",)),
        Record(0, "a", "captioned", caption="x", reason="poison"),
    ],
)
def test_a_record_that_is_neither_captioned_nor_rejected_is_not_written(record: Record) -> None:
    with pytest.raises(AssertionError):
        write_records([record])


def test_a_correction_takes_the_captions_place_and_its_flags_away() -> None:
    corrections = {0: (3, "A blue bus.")}
    assert final_caption(CAPTIONED, {}) == CAPTIONED.caption
    assert final_caption(CAPTIONED, corrections) == "A blue bus."
    assert final_caption(REJECTED, {1: (1, "x")}) == ""
    final = final_record(CAPTIONED, corrections)
    assert (final.caption, final.flags, final.correction) == ("A blue bus.", (), 3)
    assert final_record(CAPTIONED, {1: (1, "x")}) is CAPTIONED
    assert final_record(REJECTED, {1: (1, "x")}) is REJECTED


def test_half_a_surrogate_pair_does_not_stop_a_shard() -> None:
    assert final_caption(CAPTIONED, {0: (1, "a\ud800b")}) == "a?b"
    assert write_records([final_record(CAPTIONED, {0: (1, "a\ud800b")})])
