"""Makes a hand-off from the captioned shards in the store. Serves the workers, the API and `densify handoff`.

Reads manifests, noun counts and sample rows; never a tar. Leaves out: which shards are accepted (the ledger knows).
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analysis.density import table_from_counts, table_from_files
from analysis.gates import Gates
from analysis.handoff import FileRef, Handoff, HandoffShard, SplitRule, build
from analysis.keep_build import Keeping
from analysis.keys import Keys
from analysis.rarefaction import from_counts, from_files
from analysis.sample_counts import sample_keys
from core.errors import CheckFailedError, NothingToHandOffError
from core.spec import CaptionSpec
from core.version import VERSION
from shards.keys import keep_key
from shards.manifest import CaptionedManifest, load_manifest
from shards.store import Store, handoff_key


def make_handoff(
    store: Store,
    dataset: str,
    spec: CaptionSpec,
    manifest_keys: Sequence[str],
    *,
    gates: Gates | None = None,
    splits: SplitRule | None = None,
    released: Mapping[str, str] | None = None,
    min_count: int = 10,
    names: Mapping[str, str] | None = None,
    keys: Keys | None = None,
) -> Handoff:
    """The hand-off of the captioned shards with these manifests' keys.

    `released`: {manifest key: reason} of shards that a person let through a gate. `names`: {manifest key: name in the
    data set} where it differs from the manifest's. `keys`: the samples to keep (none: all); their keep file is then in
    the store. Raises what `build` raises, CheckFailedError for a shard of another spec or without counts or with
    changed ones, StorageError; for `keys` that the shards do not have BadFieldError, NotReadyError.
    """
    if not manifest_keys:
        raise NothingToHandOffError(f"The data set {dataset} has no accepted shard.")
    splits = splits or SplitRule()
    shards = [_Shard.read(store, key, names or {}) for key in manifest_keys]
    keeping = Keeping(keys, {shard.manifest.stem: shard.name for shard in shards}) if keys is not None else None
    entries, counts, cut_off = [], [], 0
    for shard in shards:
        if shard.manifest.spec_hash != spec.hash:
            raise CheckFailedError(f"The shard {shard.name} was captioned by another spec than the data set's.")
        reason = (released or {}).get(shard.key)
        entry = shard_entry(store, shard.key, shard.data, shard.manifest, splits)
        entry = entry.model_copy(update={"name": shard.name, "released": reason})
        counts.append(_counts(store, shard.key, shard.manifest))
        cut_off += shard.manifest.flags.get("cut_off", 0)
        if keeping is not None:
            records, samples = (_checked(store, shard.key, shard.manifest, kind) for kind in ("records", "samples"))
            entry = keeping.take(entry, shard.manifest.stem, records, samples, splits)
        entries.append(entry)
    whole = partial(build, dataset, spec, entries, code_version=VERSION, gates=gates, splits=splits)
    if keeping is None:
        table = table_from_files(counts, min_count=min_count)
        return whole(table, cut_off=cut_off, abundance=partial(from_files, counts))
    keep, file = keeping.finish()
    table = table_from_counts(keeping.counts, min_count=min_count)
    handoff = whole(table, keep=keep, cut_off=keeping.cut_off, abundance=partial(from_counts, keeping.counts))
    store.put_new(keep_key(keep.sha256), file)
    return handoff


@dataclass(frozen=True, slots=True)
class _Shard:
    """A captioned shard to hand off: its manifest's key and bytes, and its name in the data set."""

    key: str
    data: bytes
    manifest: CaptionedManifest
    name: str

    @classmethod
    def read(cls, store: Store, key: str, names: Mapping[str, str]) -> _Shard:
        data = store.read_bytes(key)
        manifest = load_manifest(CaptionedManifest, data)
        return cls(key, data, manifest, names.get(key, manifest.name))


def publish(store: Store, handoff: Handoff) -> str:
    """Writes the manifest into the store under its content-hashed name, and returns the key. Twice is once."""
    key = handoff_key(handoff.dataset, handoff.digest)
    store.put_new(key, handoff.dump())
    return key


def shard_entry(store: Store, key: str, data: bytes, manifest: CaptionedManifest, splits: SplitRule) -> HandoffShard:
    """The manifest's entry for one captioned shard; `key` and `data` are its manifest's key and bytes."""
    folder = posixpath.relpath(posixpath.dirname(key), posixpath.dirname(handoff_key("x", "x")))
    refs = {kind: _ref(folder, manifest, kind) for kind in ("records", "nouns", "samples")}
    keys = sample_keys(_checked(store, key, manifest, "samples"))
    return HandoffShard(
        name=manifest.name,
        path=f"{folder}/{manifest.stem}.tar",
        sha256=manifest.sha256,
        size_bytes=manifest.size_bytes,
        edition=manifest.edition,
        source_sha256=manifest.source.sha256,
        model_identity=manifest.model_identity,
        samples_in=manifest.samples_in,
        captioned=manifest.captioned,
        rejected=manifest.rejected,
        flagged=manifest.flagged,
        rejects=manifest.rejects,
        splits=splits.counts(keys),
        manifest=FileRef(
            path=f"{folder}/{posixpath.basename(key)}", sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)
        ),
        released=None,
        **refs,
    )


def _ref(folder: str, manifest: CaptionedManifest, kind: str) -> FileRef:
    entry = manifest.files.get(kind)
    if entry is None:
        raise CheckFailedError(f"The shard {manifest.name} has no {kind} file: it was never measured.")
    return FileRef(path=f"{folder}/{entry.name}", sha256=entry.sha256, size_bytes=entry.size_bytes)


def _counts(store: Store, key: str, manifest: CaptionedManifest) -> Path | bytes:
    """The shard's noun counts: their path where the store is local (DuckDB reads it), else their bytes."""
    data = _checked(store, key, manifest, "nouns")
    return store.path(f"{posixpath.dirname(key)}/{manifest.files['nouns'].name}") or data


def _checked(store: Store, key: str, manifest: CaptionedManifest, kind: str) -> bytes:
    entry = manifest.files[kind]
    data = store.read_bytes(f"{posixpath.dirname(key)}/{entry.name}")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise CheckFailedError(f"{entry.name} is not what the shard's manifest names: its bytes have changed.")
    return data
