"""Where everything lies in the store: one function per kind of file. Serves every room that reads or writes there."""

from __future__ import annotations

import hashlib


def source_key(sha256: str, suffix: str = ".tar") -> str:
    """A source shard's tar (`.tar`), member index (`.index.parquet`) or manifest (`.json`)."""
    return f"shards/{sha256[:2]}/{sha256}{suffix}"


def chunk_key(sha256: str, spec_hash: str, model_identity: str, start: int, stop: int) -> str:
    """The records of the units [start, stop) of one shard, captioned by one spec and model."""
    return f"{chunk_folder(sha256, spec_hash, model_identity)}/{start:08d}-{stop:08d}.parquet"


def chunk_folder(sha256: str, spec_hash: str, model_identity: str) -> str:
    """The folder of all chunk records of one shard, spec (its hash) and model (what its engine calls itself)."""
    model16 = hashlib.sha256(model_identity.encode()).hexdigest()[:16]
    return f"chunks/{sha256[:2]}/{sha256}/{spec_hash[:16]}-{model16}"


def captioned_key(sha256: str, edition: str, suffix: str = ".tar") -> str:
    """A captioned shard's `.tar`, `.json` (manifest), `.parquet`, `.nouns.parquet` or `.samples.parquet`."""
    return f"captioned/{sha256[:2]}/{sha256}/{edition}/{sha256[:16]}-{edition}{suffix}"


def handoff_key(dataset: str, digest: str) -> str:
    """A hand-off manifest."""
    return f"handoffs/{dataset}-{digest[:16]}.json"
