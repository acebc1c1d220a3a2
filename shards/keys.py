"""Where everything lies in the store: one function per kind of file. Serves every room that reads or writes there."""

from __future__ import annotations


def source_key(sha256: str, suffix: str = ".tar") -> str:
    """A source shard's tar (`.tar`), member index (`.index.parquet`) or manifest (`.json`)."""
    return f"shards/{sha256[:2]}/{sha256}{suffix}"


def chunk_key(sha256: str, spec16: str, model16: str, start: int, stop: int) -> str:
    """The records of the units [start, stop) of one shard.

    spec16: 16 digits of the spec's hash; model16: 16 digits of the SHA-256 of what the engine calls itself.
    """
    return f"{chunk_folder(sha256, spec16, model16)}/{start:08d}-{stop:08d}.parquet"


def chunk_folder(sha256: str, spec16: str, model16: str) -> str:
    """The folder of all chunk records of one shard, spec and model."""
    return f"chunks/{sha256[:2]}/{sha256}/{spec16}-{model16}"


def captioned_key(sha256: str, edition: str, suffix: str = ".tar") -> str:
    """A captioned shard's `.tar`, `.json` (manifest), `.parquet`, `.nouns.parquet` or `.samples.parquet`."""
    return f"captioned/{sha256[:2]}/{sha256}/{edition}/{sha256[:16]}-{edition}{suffix}"


def keys_key(sha256: str) -> str:
    """Keys of samples to keep, as they were sent; sha256: of the file."""
    return f"keys/{sha256[:2]}/{sha256}.parquet"


def keep_key(sha256: str) -> str:
    """The keep file of hand-offs that hold some samples of their shards alone; sha256: of the file."""
    return f"handoffs/keep/{sha256}.parquet"


def handoff_key(dataset: str, digest: str) -> str:
    """A hand-off manifest."""
    return f"handoffs/{dataset}-{digest[:16]}.json"
