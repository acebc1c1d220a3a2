"""Verify: a good captioned shard has no finding; any change to any file of it has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shards.manifest import CaptionedManifest
from shards.records import read_records, write_records
from shards.store import Store, open_store
from shards.verify import VerifyReport, verify_captioned
from shards.writer import write_shard
from tests.shards.caption_shards import build, built, stored_index
from tests.shards.make_shards import flip, openstax_shards, samples, shard_bytes, tar_bytes, walk

MIXED = shard_bytes(samples(4))[:-1024] + tar_bytes([("x.txt", b"no image")])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "data"))


def codes(report: VerifyReport) -> set[str]:
    return {finding.code for finding in report.findings}


def tamper(manifest: CaptionedManifest, path: Path, **changes: Any) -> None:
    path.write_bytes(manifest.model_copy(update=changes).dump())


def repack(path: Path, change: Any) -> None:
    """Rewrites the tar beside a manifest, each sample's members passed through `change`, and pins the new hash."""
    tar = path.with_suffix(".tar")
    data = tar.read_bytes()
    held: dict[str, dict[str, bytes]] = {}
    for member in walk(data):
        key, _, extension = member.name.partition(".")
        held.setdefault(key, {})[extension] = data[member.data_offset :][: member.size]
    sha256, size = write_shard(tar, ((key, members) for key, members in change(held).items()))
    value = json.loads(path.read_bytes())
    path.write_bytes(json.dumps(value | {"sha256": sha256, "size_bytes": size}).encode())


def test_a_good_shard_has_no_finding_by_either_name(store: Store) -> None:
    manifest, path = built(store, MIXED)
    for location in (path, str(path), path.with_suffix(".tar"), f"file://{path}"):
        report = verify_captioned(location)
        assert report.findings == []
        assert report.ok
        assert report.manifest == manifest
        assert report.counts == {"samples_in": 5, "captioned": 4, "rejected": 1}


def test_a_shard_of_rejects_only_and_one_with_corrections_are_good(store: Store) -> None:
    _, path = built(store, tar_bytes([("a.txt", b"x")]))
    assert verify_captioned(path).ok
    _, key = build(store, stored_index(store, MIXED), corrections={1: (2, "By a person.")})
    assert verify_captioned(store.url(key)).ok


def test_it_reads_any_file_system() -> None:
    store = open_store("memory://verify")
    _, key = build(store, stored_index(store, MIXED))
    assert verify_captioned(store.url(key)).ok


@pytest.mark.parametrize("suffix", [".tar", ".parquet", ".nouns.parquet", ".samples.parquet"])
def test_any_flipped_bit_in_any_file_is_found(store: Store, suffix: str) -> None:
    _, path = built(store, MIXED)
    file = path.with_suffix(suffix)
    data = file.read_bytes()
    for position in (0, 700, len(data) // 2, len(data) - 1):
        file.write_bytes(flip(data, position % len(data)))
        assert "digest_mismatch" in codes(verify_captioned(path))
    file.write_bytes(data[:-1])
    assert "wrong_size" in codes(verify_captioned(path))
    file.unlink()
    assert "not_stored" in codes(verify_captioned(path))


@pytest.mark.parametrize("data", [b"", b"{}", b"not json"])
def test_a_broken_manifest_is_a_finding(store: Store, data: bytes) -> None:
    _, path = built(store, MIXED)
    path.write_bytes(data)
    assert codes(verify_captioned(path)) == {"storage_failed"}
    path.unlink()
    assert codes(verify_captioned(path)) == {"not_stored"}
    assert not verify_captioned(path.parent / "none" / "x.json").ok


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"captioned": 5}, "count_mismatch"),
        ({"samples_in": 6, "captioned": 5}, "count_mismatch"),
        ({"rejects": {"bad_name": 1}}, "count_mismatch"),
        ({"flags": {}}, "count_mismatch"),
        ({"flagged": 0}, "count_mismatch"),
        ({"spec_hash": "0" * 64}, "spec_hash"),
        ({"spec": {"model": "other"}}, "spec_hash"),
        ({"edition": "0" * 16}, "wrong_name"),
        ({"model_identity": "other"}, "provenance_differs"),
        ({"files": {}}, "not_stored"),
    ],
)
def test_a_manifest_that_says_otherwise_is_a_finding(store: Store, changes: dict[str, Any], code: str) -> None:
    manifest, path = built(store, MIXED)
    tamper(manifest, path, **changes)
    assert code in codes(verify_captioned(path))


def _without(held: dict[str, dict[str, bytes]]) -> dict[str, dict[str, bytes]]:
    return {key: members for key, members in held.items() if key != "000001"}


def _more(held: dict[str, dict[str, bytes]]) -> dict[str, dict[str, bytes]]:
    return held | {"zzz": held["000000"]}


def _each(extension: str, change: Any) -> Any:
    return lambda held: {key: members | {extension: change(members[extension])} for key, members in held.items()}


def _reordered(held: dict[str, dict[str, bytes]]) -> dict[str, dict[str, bytes]]:
    return dict(reversed(held.items()))


def _no_json(held: dict[str, dict[str, bytes]]) -> dict[str, dict[str, bytes]]:
    return {key: {name: members[name] for name in ("jpg", "txt")} for key, members in held.items()}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_without, "count_mismatch"),
        (_more, "count_mismatch"),
        (_reordered, "wrong_order"),
        (_no_json, "member_missing"),
        (_each("txt", lambda data: data + b"\n"), "caption_differs"),
        (_each("jpg", lambda data: data + b"\0"), "image_differs"),
        (_each("json", lambda data: b"{}"), "provenance_missing"),
        (_each("json", lambda data: b'{"densify": []}'), "provenance_missing"),
        (_each("json", lambda data: data.replace(b'"width": 32', b'"width": 33')), "provenance_differs"),
        (_each("json", lambda data: data.replace(b"old text", b"new text")), "provenance_differs"),
    ],
)
def test_a_repacked_tar_with_right_hash_is_still_found_out(store: Store, change: Any, code: str) -> None:
    _, path = built(store, MIXED)
    repack(path, change)
    assert code in codes(verify_captioned(path))


def test_an_unchanged_repack_is_good(store: Store) -> None:
    _, path = built(store, MIXED)
    repack(path, lambda held: held)
    assert verify_captioned(path).ok


def test_records_that_miss_a_sample_are_found_out(store: Store) -> None:
    manifest, path = built(store, MIXED)
    file = path.with_suffix(".parquet")
    file.write_bytes(write_records(read_records(file)[1:]))
    found = codes(verify_captioned(path))
    assert {"digest_mismatch", "count_mismatch"} <= found or "wrong_size" in found
    assert "count_mismatch" in found
    assert manifest.samples_in == 5


def test_findings_are_capped_and_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = built(store, MIXED)
    repack(path, _each("txt", lambda data: b"x"))
    monkeypatch.setattr("shards.verify._MOST_FINDINGS", 2)
    report = verify_captioned(path)
    assert (len(report.findings), report.unlisted, report.ok) == (2, 2, False)


def test_real_pictures_are_proven(store: Store, real_data: Path, tmp_path: Path) -> None:
    (path,) = openstax_shards(real_data, tmp_path / "packed", shards=1, limit=30)
    manifest, manifest_path = built(store, path.read_bytes())
    report = verify_captioned(manifest_path)
    assert report.findings == []
    assert (manifest.samples_in, manifest.captioned) == (30, 30)
