"""Captioned shards and hand-offs for tests, made by the same code that makes them in the service."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.counts import measure, write_samples
from analysis.density import table_from_counts
from analysis.handoff_build import make_handoff, publish
from analysis.keys import read_keys
from core.gates import Gates
from core.spec import CaptionSpec
from shards.captioned import build_captioned
from shards.handoff import Handoff
from shards.ingest import load_index, store_shard
from shards.records import Record
from shards.store import Store, open_store
from shards.tar import TarLimits
from shards.writer import write_shard
from tests.analysis.plain_nouns import PlainNouns
from tests.shards.make_shards import picture

SPEC = CaptionSpec(model="test/llava")
MODEL = "transformers:test"
CAPTION = "A red dog and two cats\n\non the roof of house {}, Rome."


def captioned_shard(
    store: Store,
    name: str,
    keys: Sequence[str],
    *,
    first: int = 0,
    rejected: Sequence[int] = (),
    flagged: Sequence[int] = (),
    cut_off: Sequence[int] = (),
    extension: str = "jpg",
    spec: CaptionSpec = SPEC,
    labels: Sequence[str] = (),
    sizes: Sequence[tuple[int, int]] = (),
    caption: str = CAPTION,
) -> str:
    """Stores a source shard of these keys, captions it, and returns its manifest's key.

    `labels`: of each sample, a field of its `.json`; `sizes`: of each picture, (width, height) in pixels.
    """
    sizes = sizes or [(32, 24)] * len(keys)
    kind = "PNG" if extension == "png" else "JPEG"
    pictures = {key: picture(first + n, sizes[n], kind) for n, key in enumerate(keys)}
    local = store.staging() / f"{name}.tar"
    fields = [{"json": json.dumps({"label": label}).encode()} for label in labels] or [{}] * len(keys)
    units = zip(keys, fields, strict=True)
    write_shard(local, [(key, {extension: pictures[key], "txt": b"old", **more}) for key, more in units])
    data = local.read_bytes()
    stored = store_shard(store, local, hashlib.sha256(data).hexdigest(), len(data), TarLimits())
    records = []
    for ordinal, key in enumerate(keys):
        if ordinal in rejected:
            records.append(Record.rejected(ordinal, key, "image_corrupt", "It does not decode."))
            continue
        records.append(
            Record(
                ordinal,
                key,
                "captioned",
                caption=caption.format(key),
                finish_reason="length" if ordinal in cut_off else "stop",
                tokens=12,
                flags=("boilerplate",) * (ordinal in flagged) + ("cut_off",) * (ordinal in cut_off),
                width=sizes[ordinal][0],
                height=sizes[ordinal][1],
                image_sha256=hashlib.sha256(pictures[key]).hexdigest(),
                old_text="old",
            )
        )
    captions = [(record.key, record.caption or "") for record in records if record.is_captioned]
    counts, rows = measure(captions, PlainNouns())
    _, key = build_captioned(
        store,
        load_index(store, stored.sha256),
        records,
        spec,
        MODEL,
        name,
        {},
        {"nouns": counts.to_parquet(), "samples": write_samples(rows, counts.noun_pipeline)},
        store.staging(),
        "0.0.test",
        density=table_from_counts(counts).as_dict(),
    )
    return key


def handed_off(
    folder: Path, keep: Sequence[tuple[str, str]] = (), gates: Gates | None = None
) -> tuple[Store, Handoff, Path]:
    """A store with a hand-off of three shards (one JPEG, one PNG, one with rejects), and the manifest's path.

    `keep`: (shard, key) of the samples to keep, where not all are.
    """
    store = open_store(str(folder))
    keys = [
        captioned_shard(store, "a", [f"a/{n:04d}" for n in range(6)], flagged=[1], cut_off=[1]),
        captioned_shard(store, "b", [f"{n:04d}" for n in range(5)], first=100, rejected=[0, 3]),
        captioned_shard(store, "c", ["0001", "multiply", "x y", "X Y"], first=200, extension="png"),
    ]
    handoff = make_handoff(store, "birds", SPEC, keys, gates=gates, keys=read_keys(keys_file(keep)) if keep else None)
    path = store.path(publish(store, handoff))
    assert path is not None
    return store, handoff, path


def keys_file(rows: Sequence[tuple[str, str]], **claims: Any) -> bytes:
    """A keys file of (shard, key), as `densify curate --out` writes it; `claims` go into its metadata."""
    columns = {"shard": [shard for shard, _ in rows], "key": [key for _, key in rows], "order": range(1, len(rows) + 1)}
    header = json.dumps({"format": "densify.keys/1", **claims}).encode()
    sink = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata({b"densify": header}), sink, compression="zstd")
    return sink.getvalue()
