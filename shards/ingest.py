"""Taking a shard in: strict scan, member index, and all three files into the store, the manifest last.

A source shard is complete when its manifest is there. Leaves out: where the bytes came from (the API's uploads,
shards/fetch.py) and the ledger. Serves the API, the workers and `densify caption`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import NotStoredError, StorageError
from shards.index import ShardIndex, build_index
from shards.keys import source_key
from shards.manifest import SourceManifest, load_manifest
from shards.store import Store
from shards.tar import TarLimits


@dataclass(frozen=True, slots=True)
class StoredShard:
    """A source shard in the store. `rejects`: (ordinal, key, reason, sentence) of every structural reject.

    `existed`: it was complete before this call.
    """

    sha256: str
    size_bytes: int
    units: int
    rejected: int
    existed: bool
    rejects: tuple[tuple[int, str, str, str], ...] = ()


def store_shard(store: Store, local_file: Path, sha256: str, size: int, limits: TarLimits) -> StoredShard:
    """Scans a local tar and moves it into the store under its SHA-256, which the caller has counted.

    `local_file` is used up: moved, or deleted. After an error it is still there.
    Raises the ShardError tree for a tar that is not whole and plain, StorageFullError or StorageError otherwise.
    """
    known = find_shard(store, sha256)
    if known is not None:
        # The bytes that have just been hashed replace those on disk: a rename, and it mends a copy that has decayed.
        # An object store guards its objects by itself, and sending them again is not free.
        store.put_file(source_key(sha256), local_file, replace=store.folder is not None)
        return known
    with local_file.open("rb", buffering=0) as file:
        index = build_index(file, size, limits, sha256)
    manifest = SourceManifest(
        sha256=sha256,
        size_bytes=size,
        units=index.units,
        samples=index.units - index.rejected,
        rejected=index.rejected,
    )
    store.put_bytes(source_key(sha256, ".index.parquet"), index.to_parquet())
    store.put_file(source_key(sha256), local_file)
    store.put_bytes(source_key(sha256, ".json"), manifest.dump())
    return _stored(manifest, index, existed=False)


def find_shard(store: Store, sha256: str) -> StoredShard | None:
    """The source shard of this SHA-256, or None where it is not there or not complete."""
    try:
        manifest = load_source_manifest(store, sha256)
        if store.size(source_key(sha256)) != manifest.size_bytes:
            return None
        return _stored(manifest, load_index(store, sha256), existed=True)
    except StorageError:
        # Missing, half or unreadable: the shard is taken in again, which mends it.
        return None


def load_index(store: Store, sha256: str) -> ShardIndex:
    """The member index of a stored source shard. Raises NotStoredError or StorageError."""
    index = ShardIndex.from_parquet(store.read_bytes(source_key(sha256, ".index.parquet")))
    if index.sha256 != sha256:
        raise NotStoredError(f"The index under {sha256[:16]}… belongs to another shard.")
    return index


def load_source_manifest(store: Store, sha256: str) -> SourceManifest:
    """The manifest of a stored source shard. Raises NotStoredError or StorageError."""
    return load_manifest(SourceManifest, store.read_bytes(source_key(sha256, ".json")))


def _stored(manifest: SourceManifest, index: ShardIndex, existed: bool) -> StoredShard:
    return StoredShard(
        manifest.sha256, manifest.size_bytes, manifest.units, manifest.rejected, existed, tuple(index.rejects())
    )
