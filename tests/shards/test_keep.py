"""The keep file: sorted, none twice, equal choices in equal bytes; anything else is refused."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import BadFieldError, CheckFailedError
from shards.handoff_place import Place
from shards.keep import Kept, load_keep, read_keep, write_keep
from tests.analysis.make_handoff import handed_off

ROWS = [("b" * 64, 3, "k3"), ("a" * 64, 10, "x"), ("a" * 64, 9, "y"), ("b" * 64, 0, "한국")]


def test_rows_are_sorted_and_equal_choices_give_equal_bytes() -> None:
    data = write_keep(ROWS)
    table = pq.read_table(io.BytesIO(data))
    assert [tuple(row.values()) for row in table.to_pylist()] == sorted(ROWS)
    for seed in range(5):
        assert write_keep(random.Random(seed).sample(ROWS, len(ROWS))) == data


def test_a_keep_file_is_read_by_source_shard() -> None:
    keep = read_keep(write_keep(ROWS))
    assert keep.of("a" * 64) == [Kept(9, "y"), Kept(10, "x")]
    assert keep.of("b" * 64) == [Kept(0, "한국"), Kept(3, "k3")]
    assert keep.of("c" * 64) == []
    assert list(read_keep(write_keep([])).by_source) == []


def changed(*rows: tuple[str, int | None, str], **other: object) -> bytes:
    table = pa.table(
        {
            "source_sha256": [row[0] for row in rows],
            "ordinal": pa.array([row[1] for row in rows], pa.int64()),
            "key": [row[2] for row in rows],
        }
    )
    for name, column in other.items():
        table = table.append_column(name, column)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({b"densify": b'{"format": "densify.keep/1"}'}), sink)
    return sink.getvalue()


A = "a" * 64


@pytest.mark.parametrize(
    "data",
    [
        changed((A, 2, "x"), (A, 1, "y")),
        changed((A, 1, "x"), (A, 1, "x")),
        changed((A, 1, "x"), (A, 1, "y")),
        changed(("b" * 64, 1, "x"), (A, 1, "y")),
        changed((A, 1, "x"), ("b" * 64, 1, "y"), (A, 2, "y")),
        changed((A, None, "x")),
        changed((A, 1, "x"), extra=pa.array([1])),
        write_keep(ROWS)[:-1],
        b"",
    ],
)
def test_rows_out_of_order_twice_or_of_another_kind_are_refused(data: bytes) -> None:
    with pytest.raises(BadFieldError, match="keep file"):
        read_keep(data)


def test_rows_in_order_are_taken_as_they_stand() -> None:
    assert read_keep(changed((A, 1, "x"), (A, 2, "x"), ("b" * 64, 1, "x"))).of(A) == [Kept(1, "x"), Kept(2, "x")]


def test_the_keep_file_of_a_hand_off_is_loaded_only_as_it_was_pinned(tmp_path: Path) -> None:
    store, handoff, path = handed_off(tmp_path, [("a", "a/0001"), ("b", "0001")])
    keep = load_keep(handoff, Place(str(path)))
    assert keep is not None
    assert keep.of(handoff.shards[0].source_sha256) == [Kept(1, "a/0001")]
    assert handoff.keep is not None
    store.put_bytes(f"handoffs/{handoff.keep.path}", write_keep([]))
    with pytest.raises(CheckFailedError, match="bytes have changed"):
        load_keep(handoff, Place(str(path)))
    _, whole, path = handed_off(tmp_path / "whole")
    assert load_keep(whole, Place(str(path))) is None
