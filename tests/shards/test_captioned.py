"""Building captioned shards: original bytes, new captions, provenance; deterministic; complete or absent."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import CountMismatchError, ShardCorruptError, StorageError, StorageFullError
from shards.captioned import edition_of, load_captioned
from shards.keys import captioned_key, source_key
from shards.manifest import load
from shards.records import read_metadata, read_records
from shards.store import Store, open_store
from shards.writer import write_shard
from tests.shards.caption_shards import EXTRA, IDENTITY, SPEC, build, records_for, stored_index
from tests.shards.make_shards import flip, picture, samples, shard_bytes, tar_bytes, walk

GOOD = shard_bytes(samples(5))
MIXED = tar_bytes(
    [
        ("f/a.JPG", picture(1)),
        ("f/a.meta.npy", b"array"),
        ("f/a.pkl", b"cos\nsystem\n(S'false'\ntR."),
        ("f/a.TXT", b"old a"),
        ("b.txt", b"no image"),
        ("c.jpg", b"<html>"),
        ("d.png", picture(2, format="PNG")),
        ("d.json", b"[1]"),
    ]
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "data"))


def tar_of(store: Store, key: str) -> dict[str, bytes]:
    data = store.read_bytes(key.replace(".json", ".tar"))
    return {member.name: data[member.data_offset :][: member.size] for member in walk(data)}


def test_images_stay_and_captions_and_provenance_come(store: Store) -> None:
    index = stored_index(store, GOOD)
    records = records_for(store, index)
    manifest, key = build(store, index, records)
    held = tar_of(store, key)
    assert list(held) == [f"{name}.{end}" for name, _ in samples(5) for end in ("jpg", "txt", "json")]
    for (name, source), record in zip(samples(5), records, strict=True):
        assert held[f"{name}.jpg"] == source["jpg"]
        assert held[f"{name}.txt"].decode() == record.caption
        value = json.loads(held[f"{name}.json"])
        assert value["number"] == record.ordinal
        assert value["densify"]["old_text"] == f"old text {record.ordinal}"
        assert value["densify"]["image_sha256"] == hashlib.sha256(source["jpg"]).hexdigest()
        assert value["densify"]["source"] == {"shard_sha256": index.sha256, "ordinal": record.ordinal}
    assert (manifest.samples_in, manifest.captioned, manifest.rejected, manifest.flagged) == (5, 5, 0, 1)
    assert manifest.flags == {"cut_off": 1}


def test_members_stand_in_their_fixed_order_without_pickles(store: Store) -> None:
    manifest, key = build(store, stored_index(store, MIXED))
    held = tar_of(store, key)
    assert list(held) == ["f/a.JPG", "f/a.meta.npy", "f/a.txt", "f/a.json", "d.png", "d.txt", "d.json"]
    assert json.loads(held["f/a.json"])["densify"]["members_left_out"] == ["pkl"]
    assert json.loads(held["f/a.json"])["densify"]["old_text"] == "old a"
    assert json.loads(held["d.json"])["original"] == [1]
    assert json.loads(held["d.json"])["densify"]["old_text"] is None
    assert (manifest.samples_in, manifest.captioned, manifest.rejected) == (4, 2, 2)
    assert manifest.rejects == {"no_image": 1, "not_an_image": 1}


def test_everything_is_published_and_pinned(store: Store) -> None:
    index = stored_index(store, GOOD)
    density = {"images": 5}
    manifest, key = build(store, index, density=density)
    assert key == captioned_key(index.sha256, manifest.edition, ".json")
    folder = key.rpartition("/")[0]
    assert {name.rpartition("/")[2] for name in store.list(folder)} == {
        f"{manifest.stem}{end}" for end in (".tar", ".json", ".parquet", ".nouns.parquet", ".samples.parquet")
    }
    for entry in manifest.files.values():
        assert store.sha256(f"{folder}/{entry.name}") == entry.sha256
    assert store.sha256(f"{folder}/{manifest.stem}.tar") == manifest.sha256
    assert store.read_bytes(f"{folder}/{manifest.files['nouns'].name}") == EXTRA["nouns"]
    assert load(store.read_bytes(key)) == manifest
    assert load_captioned(store, key) == manifest
    assert (manifest.name, manifest.density, manifest.spec_hash) == ("train-000", density, SPEC.hash)
    assert manifest.source.sha256 == index.sha256
    assert read_metadata(store.read_bytes(f"{folder}/{manifest.stem}.parquet"))["edition"] == manifest.edition
    assert list(store.staging().iterdir()) == []


def test_the_same_work_gives_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        store = open_store(str(tmp_path / name))
        _, key = build(store, stored_index(store, MIXED), corrections={0: (1, "x")})
        found.append({name: store.read_bytes(name) for name in store.list(key.rpartition("/")[0])})
    assert found[0] == found[1]


def test_a_whole_edition_is_not_built_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    index = stored_index(store, GOOD)
    records = records_for(store, index)
    first = build(store, index, records)
    monkeypatch.setattr(Store, "put_bytes", lambda *_: pytest.fail("written again"))
    monkeypatch.setattr(Store, "put_file", lambda *_, **__: pytest.fail("written again"))
    assert build(store, index, records, code_version="9.9.9") == first


@pytest.mark.parametrize("suffix", [".tar", ".parquet", ".nouns.parquet", ".json"])
def test_an_edition_that_lost_a_file_is_built_again(store: Store, suffix: str) -> None:
    index = stored_index(store, GOOD)
    manifest, key = build(store, index)
    before = {name: store.read_bytes(name) for name in store.list("captioned")}
    store.delete(captioned_key(index.sha256, manifest.edition, suffix))
    assert load_captioned(store, key) is None
    assert build(store, index) == (manifest, key)
    assert {name: store.read_bytes(name) for name in store.list("captioned")} == before


def test_spec_model_and_corrections_name_the_edition(store: Store) -> None:
    editions = {
        edition_of(SPEC, IDENTITY, {}),
        edition_of(SPEC, "other", {}),
        edition_of(SPEC.model_copy(update={"prompt": "x"}), IDENTITY, {}),
        edition_of(SPEC, IDENTITY, {0: (1, "x")}),
        edition_of(SPEC, IDENTITY, {0: (2, "x")}),
    }
    assert len(editions) == 5
    assert edition_of(SPEC, IDENTITY, {2: (1, "b"), 0: (1, "a")}) == edition_of(
        SPEC, IDENTITY, {0: (1, "a"), 2: (1, "b")}
    )
    index = stored_index(store, GOOD)
    first, _ = build(store, index)
    second, key = build(store, index, corrections={2: (4, "By a person.")})
    assert first.edition != second.edition
    held = tar_of(store, key)
    assert held["000002.txt"] == b"By a person."
    own = json.loads(held["000002.json"])["densify"]
    assert own["correction"] == {"version": 4, "model_caption": "A gradient, number 2. 그림."}
    assert (second.corrections, second.flagged, first.flagged) == (1, 0, 1)
    record = read_records(store.read_bytes(key.replace(".json", ".parquet")))[2]
    assert (record.caption, record.correction, record.flags) == ("By a person.", 4, ())


def test_counts_that_do_not_add_up_are_refused(store: Store) -> None:
    index = stored_index(store, MIXED)
    records = records_for(store, index)
    wrong: list[list[Any]] = [
        records[:-1],
        [*records, records[-1]],
        [records[0], records[0], *records[2:]],
        [*reversed(records)],
        [replace(records[0], key="else"), *records[1:]],
        [records[0], replace(records[0], ordinal=1, key="b"), *records[2:]],
    ]
    for changed in wrong:
        with pytest.raises(CountMismatchError):
            build(store, index, changed)
    assert list(store.list("captioned")) == []


def test_a_stored_image_that_changed_is_not_passed_on(store: Store) -> None:
    index = stored_index(store, GOOD)
    records = records_for(store, index)
    image = index.unit(3).image
    assert image is not None
    store.put_bytes(source_key(index.sha256), flip(GOOD, image.offset + 30))
    with pytest.raises(ShardCorruptError, match=r"000003\.jpg"):
        build(store, index, records)
    assert list(store.list("captioned")) == []
    assert list(store.staging().iterdir()) == []


def test_a_shard_of_rejects_only_is_an_empty_tar_with_records(store: Store) -> None:
    manifest, key = build(store, stored_index(store, tar_bytes([("a.txt", b"x"), ("b.json", b"y")])))
    assert (manifest.samples_in, manifest.captioned, manifest.rejected) == (2, 0, 2)
    assert store.read_bytes(key.replace(".json", ".tar")) == bytes(1024)


@pytest.mark.parametrize("fail_at", range(1, 6))
def test_an_interruption_at_any_publication_leaves_no_manifest(
    store: Store, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    index = stored_index(store, GOOD)
    records = records_for(store, index)
    done = 0

    def counted(name: str) -> Any:
        real = getattr(Store, name)

        def call(self: Store, *arguments: Any, **named: Any) -> Any:
            nonlocal done
            done += 1
            if done == fail_at:
                raise StorageError("The power went out.")
            return real(self, *arguments, **named)

        return call

    for name in ("put_bytes", "put_file"):
        monkeypatch.setattr(Store, name, counted(name))
    with pytest.raises(StorageError):
        build(store, index, records)
    monkeypatch.undo()
    assert not [key for key in store.list("captioned") if key.endswith(".json")]
    manifest, key = build(store, index, records)
    assert load_captioned(store, key) == manifest


def test_a_full_disk_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    index = stored_index(store, GOOD)
    records = records_for(store, index)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFullError):
        build(store, index, records)
    assert list(store.staging().iterdir()) == []


def test_it_works_on_a_store_without_a_folder() -> None:
    store = open_store("memory://captioned")
    manifest, key = build(store, stored_index(store, GOOD))
    assert load_captioned(store, key) == manifest
    assert len(tar_of(store, key)) == 15


def test_memory_stays_far_below_the_size_of_the_shard(store: Store, tmp_path: Path) -> None:
    image = picture(1) + bytes(1_000_000)
    sha256, _ = write_shard(tmp_path / "large.tar", ((f"{number:03d}", {"jpg": image}) for number in range(100)))
    index = stored_index(store, (tmp_path / "large.tar").read_bytes())
    records = records_for(store, index)
    tracemalloc.start()
    build(store, index, records)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert index.sha256 == sha256
    assert peak < 60 << 20, peak
