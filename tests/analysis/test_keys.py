"""Keys files: what curate writes and any table of shard and key is read; whatever else is one sentence."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.keys import CLAIMS, Keys, match, read_keys
from core.errors import BadFieldError
from tests.analysis.make_handoff import keys_file

ONE, TWO = "0123456789abcdef-aaaaaaaaaaaaaaaa", "fedcba9876543210-bbbbbbbbbbbbbbbb"
SHARDS = {ONE: "train-000", TWO: "train-001@12345678"}


def parquet(table: pa.Table, metadata: bytes | None = None) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({b"densify": metadata} if metadata is not None else {}), sink)
    return sink.getvalue()


def matched(keys: Keys) -> dict[str, list[str]]:
    return {stem: sorted(array.to_pylist()) for stem, array in match(keys, SHARDS).items()}


def test_keys_are_read_by_shard_from_bytes_and_from_a_file(tmp_path: Path) -> None:
    data = keys_file([("a", "3"), ("b", "1"), ("a", "1")], cap=10, paths=["/home/anna/x.tar"], shards=[])
    (tmp_path / "keys.parquet").write_bytes(data)
    for source in (data, tmp_path / "keys.parquet"):
        keys = read_keys(source)
        assert keys.count == 3
        assert {name: array.to_pylist() for name, array in keys.by_shard.items()} == {"a": ["3", "1"], "b": ["1"]}
        assert keys.claims == {"cap": 10}, "paths of the machine that curated are not told"


def test_a_table_of_shard_and_key_alone_will_do() -> None:
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        table = pa.table({"key": pa.array(["1", "한국"], kind), "shard": pa.array(["a", "a"], kind), "extra": [1, 2]})
        keys = read_keys(parquet(table))
        assert keys.by_shard["a"].to_pylist() == ["1", "한국"]
        assert keys.claims == {}


def test_keys_of_many_row_groups_are_all_read() -> None:
    rows = [(f"s{n % 3}", f"{n:05d}") for n in range(5000)]
    table = pa.table({"shard": [shard for shard, _ in rows], "key": [key for _, key in rows]})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=700)
    keys = read_keys(sink.getvalue())
    for number in range(3):
        assert keys.by_shard[f"s{number}"].to_pylist() == [key for shard, key in rows if shard == f"s{number}"]


def test_all_that_curate_says_of_the_choice_is_repeated(tmp_path: Path) -> None:
    from analysis.curate import choose
    from analysis.curate_input import caps_of, read_samples
    from analysis.curate_report import Asked, write_keys
    from analysis.tables import Counting

    (tmp_path / "a.jsonl").write_text('{"text": "a dog"}\n{"text": "a cat"}\n')
    read = read_samples([tmp_path / "a.jsonl"], Counting())
    choice = choose(read.samples, caps_of(read.samples, 10, {}), 1)
    asked = Asked(("a.jsonl",), 1, 10, {}, frozenset(), 0, Counting())
    write_keys(tmp_path / "keys.parquet", asked, read, choice)
    keys = read_keys(tmp_path / "keys.parquet")
    assert set(keys.claims) == set(CLAIMS)
    assert keys.claims["guarantee"]["share_of_best"] == pytest.approx(0.632, abs=0.001)


TEXT = pa.table({"shard": ["a"], "key": ["1"]})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cannot be read"),
        (b"PAR1 but no more", "cannot be read"),
        (parquet(TEXT.drop_columns("key")), "no column `key`"),
        (parquet(TEXT.drop_columns("shard")), "no column `shard`"),
        (parquet(pa.table({"shard": ["a"], "key": [1]})), "`key` of the keys file holds int64, not text"),
        (parquet(pa.table({"shard": [["a"]], "key": ["1"]})), "`shard` of the keys file"),
        (parquet(pa.table({"shard": ["a", None], "key": ["1", "2"]})), "a row without a shard"),
        (parquet(pa.table({"shard": ["a", "a"], "key": [None, "2"]})), "a row without a key"),
        (parquet(TEXT.slice(0, 0)), "names no key"),
        (parquet(pa.table({"shard": ["a"], "key": ["x" * 5000]})), "a key that is longer than any name"),
        (parquet(TEXT, b'{"format": "densify.nouns/1"}'), "no keys file of the format densify.keys/1"),
        (parquet(TEXT, b"[1]"), "no keys file"),
        (parquet(TEXT, b"{"), "What the keys file says of itself cannot be read"),
        (parquet(TEXT, b"[" * 100_000), "What the keys file says of itself cannot be read"),
        (parquet(TEXT, b'{"cap": NaN}'), "cannot be read"),
        (parquet(TEXT, b'{"cap": 1e999}'), "cannot be read"),
        (parquet(TEXT, b'{"caps": {"\\ud800": 1}}'), "cannot be read"),
        (parquet(TEXT, json.dumps({"excluded": ["x" * 2_000_000]}).encode()), "bytes long, over 1,048,576"),
    ],
)
def test_what_is_no_keys_file_is_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(BadFieldError) as caught:
        read_keys(data)
    assert says in caught.value.sentence
    assert caught.value.details["field"] == "keep"


# ---- shards ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [ONE, f"{ONE}.tar", f"out/captioned/01/{ONE}.tar", f"C:\\out\\{ONE}.tar", "train-000", "x/train-000.tar"]
)
def test_a_shard_is_found_by_its_tar_or_by_its_name_in_the_data_set(name: str) -> None:
    assert matched(read_keys(keys_file([(name, "2"), (name, "1")]))) == {ONE: ["1", "2"]}


def test_keys_under_two_names_of_one_shard_are_put_together() -> None:
    keys = read_keys(keys_file([("train-000", "2"), (ONE, "1"), ("train-001@12345678", "1")]))
    assert matched(keys) == {ONE: ["1", "2"], TWO: ["1"]}


@pytest.mark.parametrize(
    ("shards", "says"),
    [
        (["train-007", "train-000"], "1 shard of the keys file, 'train-007' the first, cannot be handed off"),
        (["a", "b"], "2 shards of the keys file, 'a' the first"),
        (["captions.jsonl"], "'captions.jsonl'"),
        ([f"{ONE[:16]}-cccccccccccccccc"], "has another edition"),
    ],
)
def test_keys_of_other_shards_are_refused(shards: list[str], says: str) -> None:
    keys = read_keys(keys_file([(shard, "1") for shard in shards]))
    with pytest.raises(BadFieldError) as caught:
        match(keys, SHARDS)
    assert says in caught.value.sentence
    assert caught.value.hint


def test_a_small_file_that_names_a_long_string_often_stays_small() -> None:
    def dictionary(value: str, rows: int) -> Any:
        return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [value])

    data = parquet(pa.table({"shard": dictionary("a" * 4000, 300_000), "key": dictionary("k" * 4000, 300_000)}))
    assert len(data) < 300_000
    before = pa.total_allocated_bytes()
    keys = read_keys(data)
    assert pa.total_allocated_bytes() - before < 30 << 20, "1.2 GB where it were read as text"
    assert keys.count == 300_000
