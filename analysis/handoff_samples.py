"""Samples of a hand-off to choose from: the nouns of each as its shard was measured, so that nothing is tagged again.

Serves curate_input.py. Leaves out: samples that the hand-off does not keep, and other ways of counting than the shards'
own (their captions are then read and tagged as any others).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from analysis.counts import SAMPLES_FORMATS, Folding, SampleCount, read_header, read_samples
from analysis.sample_counts import has_forms
from core.errors import CheckFailedError
from shards.handoff import HandoffShard, load
from shards.handoff_place import Place
from shards.handoff_read import Wanted, shards_to_read

SUFFIX = ".json"


@dataclass(frozen=True)
class Part:
    """One shard of a hand-off: its tar, its sample rows, and whether the sample with a key is one of the hand-off's."""

    tar: Path
    rows: Path
    shard: HandoffShard
    wanted: Wanted

    def was_measured_by(self, noun_pipeline: str, folding: Folding) -> bool:
        """Whether its sample rows tell what counting in this way would find."""
        if not has_forms(self.rows):
            return False
        header = read_header(self.rows, SAMPLES_FORMATS)
        return bool((header["noun_pipeline"], header["folding"]) == (noun_pipeline, folding))

    def samples(self) -> Iterator[SampleCount]:
        """The hand-off's samples of this shard, in its order. Raises CheckFailedError for rows that have changed."""
        data = self.rows.read_bytes()
        if sha256(data).hexdigest() != self.shard.samples.sha256:
            raise CheckFailedError(
                f"{self.rows} is not what the hand-off names: its bytes have changed.",
                hint="`densify verify` says what else has.",
            )
        return (row for row in read_samples(data) if self.wanted(row.key))


def is_handoff(path: Path) -> bool:
    """Whether this is the manifest of a hand-off."""
    if path.suffix != SUFFIX or not path.is_file():
        return False
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and str(value.get("format", "")).startswith("densify.handoff/")


def parts_of(manifest: Path) -> list[Part]:
    """The shards of a hand-off that hold one of its samples. Raises BadFieldError, CheckFailedError, NotStoredError."""
    place = Place(str(manifest))
    return [
        Part(_local(place, shard.path), _local(place, shard.samples.path), shard, wanted)
        for shard, wanted in shards_to_read(load(place.read()), place)
    ]


def _local(place: Place, path: str) -> Path:
    store, key = place.file(path)
    local = store.path(key)
    assert local is not None, "a manifest on this machine lies beside its shards"
    return local
