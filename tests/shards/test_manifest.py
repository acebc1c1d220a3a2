"""Manifests: canonical JSON that is read back, or refused with what is wrong."""

from __future__ import annotations

import json

import pytest

from core.errors import StorageError
from shards.manifest import CaptionedManifest, SourceManifest, load, load_manifest

SOURCE = SourceManifest(sha256="ab" * 32, size_bytes=10, units=3, samples=2, rejected=1)


def test_a_manifest_is_read_back_and_always_written_alike() -> None:
    data = SOURCE.dump()
    assert load(data) == SOURCE
    assert load_manifest(SourceManifest, data).dump() == data
    assert data.endswith(b"\n}\n") or data.endswith(b"}\n")
    assert list(json.loads(data)) == sorted(json.loads(data))
    assert json.loads(data)["format"] == "densify.source/1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": "densify.source/2"}',
        SOURCE.dump()[:-10],
        SOURCE.dump().replace(b'"units": 3', b'"units": "three"'),
        SOURCE.dump().replace(b'"units": 3', b'"units": 3, "more": 1'),
        SOURCE.dump().replace(b"ab" * 32, b"../../etc/passwd"),
    ],
)
def test_what_is_no_manifest_is_a_storage_error(data: bytes) -> None:
    with pytest.raises(StorageError):
        load(data)


def test_a_manifest_of_the_other_kind_is_refused() -> None:
    with pytest.raises(StorageError):
        load_manifest(CaptionedManifest, SOURCE.dump())
