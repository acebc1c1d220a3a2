"""Captioned shards for tests: a stored source, records as a captioner would leave them, a built edition."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.spec import CaptionSpec
from shards.captioned import build_captioned
from shards.images import ImageLimits, ImageRejected, decode_image
from shards.index import ShardIndex, read_members
from shards.ingest import load_index, store_shard
from shards.keys import source_key
from shards.manifest import CaptionedManifest
from shards.records import Record
from shards.store import Store
from tests.shards.make_shards import LIMITS

SPEC = CaptionSpec(model="tests/model", prompt="Describe this image.")
IDENTITY = "transformers:sha256:0123"
EXTRA = {"nouns": b"nouns parquet", "samples": b"samples parquet"}


def stored_index(store: Store, data: bytes) -> ShardIndex:
    """Takes the bytes of a shard into the store and returns its index."""
    path = store.staging() / "incoming.tar"
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    store_shard(store, path, sha256, len(data), LIMITS)
    return load_index(store, sha256)


def records_for(store: Store, index: ShardIndex) -> list[Record]:
    """Records for every unit: images are really decoded, captions are made up."""
    key = source_key(index.sha256)
    read = read_members(lambda offset, size: store.read_range(key, offset, size), index.slice(0, index.units))
    records = []
    for unit, data in read:
        if unit.reject is not None:
            records.append(Record.rejected(unit.ordinal, unit.key, unit.reject.reason, unit.reject.sentence))
            continue
        try:
            image = decode_image(data["image"], ImageLimits())
        except ImageRejected as error:
            records.append(Record.rejected(unit.ordinal, unit.key, error.reason, error.sentence))
            continue
        records.append(
            Record(
                unit.ordinal,
                unit.key,
                "captioned",
                caption=f"A gradient, number {unit.ordinal}. 그림.",
                finish_reason="stop",
                tokens=7,
                flags=("cut_off",) if unit.ordinal % 3 == 2 else (),
                width=image.width,
                height=image.height,
                image_sha256=hashlib.sha256(data["image"]).hexdigest(),
                old_text=data["text"].decode() if "text" in data else None,
            )
        )
    return records


def build(
    store: Store,
    index: ShardIndex,
    records: list[Record] | None = None,
    corrections: Mapping[int, tuple[int, str]] | None = None,
    **changes: Any,
) -> tuple[CaptionedManifest, str]:
    """Builds the captioned shard of a stored source, with made-up nouns."""
    arguments: dict[str, Any] = {
        "spec": SPEC,
        "model_identity": IDENTITY,
        "name": "train-000",
        "corrections": corrections or {},
        "extra_files": EXTRA,
        "staging": store.staging(),
        "code_version": "0.0.0",
        "density": None,
    }
    return build_captioned(
        store, index, records_for(store, index) if records is None else records, **(arguments | changes)
    )


def built(store: Store, data: bytes) -> tuple[CaptionedManifest, Path]:
    """From the bytes of a source shard to a captioned one in a local store: its manifest, and the manifest's path."""
    manifest, key = build(store, stored_index(store, data))
    path = store.path(key)
    assert path is not None
    return manifest, path
