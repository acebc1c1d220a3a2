"""A hand-off of demo scenes with their true dense captions, made as the service makes one, without captioning.

For benchmarks that need a hand-off of any size in minutes. Leaves out: a hand-off of model captions (`densify demo`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from analysis.counts import measure, write_samples
from analysis.density import table_from_counts
from analysis.handoff_build import make_handoff, publish
from analysis.nouns import load_pipeline
from core.spec import DEMO_MODEL, CaptionSpec
from core.version import VERSION
from scenes.dataset import samples
from shards.captioned import build_captioned
from shards.ingest import load_index, store_shard
from shards.records import Record
from shards.store import Store, open_store
from shards.tar import TarLimits
from shards.writer import write_shard

SPEC = CaptionSpec(model=DEMO_MODEL)
#: What stands in the manifest for the model: nobody shall take these captions for LLaVA's.
TRUTH = "truth:scenes"


def hand_off_scenes(folder: Path, images: int, shards: int, seed: int, **ranges: Any) -> Path:
    """Draws `images` scenes into `shards` shards, stores and hands them off below `folder`; returns the manifest.

    `ranges`: of scenes.dataset.samples (`sides`, `aspects`, `things`).
    """
    store = open_store(str(folder))
    each = images // shards
    keys = [_shard(store, number, each, seed, ranges) for number in range(shards)]
    path = store.path(publish(store, make_handoff(store, "scenes", SPEC, keys)))
    assert path is not None, "a store in a folder has paths"
    return path


def _shard(store: Store, number: int, images: int, seed: int, ranges: dict[str, Any]) -> str:
    """The key of a captioned shard's manifest."""
    name = f"scenes-{number:04d}"
    drawn = list(samples(images, seed, start=number * images, **ranges))
    local = store.staging() / f"{name}.tar"
    sha256, size = write_shard(local, drawn)
    stored = store_shard(store, local, sha256, size, TarLimits())
    records = []
    for ordinal, (key, members) in enumerate(drawn):
        truth = json.loads(members["json"])
        records.append(
            Record(
                ordinal,
                key,
                "captioned",
                caption=truth["dense"],
                finish_reason="stop",
                tokens=len(truth["dense"].split()),
                width=truth["width"],
                height=truth["height"],
                image_sha256=hashlib.sha256(members["jpg"]).hexdigest(),
                old_text=members["txt"].decode(),
            )
        )
    captions = ((record.key, record.caption or "") for record in records)
    counts, rows = measure(captions, load_pipeline())
    _, key = build_captioned(
        store,
        load_index(store, stored.sha256),
        records,
        SPEC,
        TRUTH,
        name,
        {},
        {"nouns": counts.to_parquet(), "samples": write_samples(rows, counts.noun_pipeline)},
        store.staging(),
        VERSION,
        density=table_from_counts(counts).as_dict(),
    )
    return key
