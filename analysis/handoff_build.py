"""Makes a hand-off from the captioned shards in the store. Serves the workers, the API and `densify handoff`.

Reads manifests, noun counts and sample rows; never a tar. Leaves out: which shards are accepted (the ledger knows).
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analysis.density import Table, table_from_counts, table_from_files
from analysis.gates import check
from analysis.handoff_counts import count_problems, sum_up, tally
from analysis.keep_build import Keeping
from analysis.keys import Keys
from analysis.rarefaction import Abundance, from_counts, from_files
from analysis.sample_counts import sample_keys
from core.errors import CheckFailedError, CountMismatchError, NothingToHandOffError
from core.gates import Gates
from core.spec import CaptionSpec
from core.version import VERSION
from shards.handoff import FORMAT, KEEP_FORMAT, FileRef, GateOutcome, Handoff, HandoffShard, KeepRef, SplitRule
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


def build(
    dataset: str,
    spec: CaptionSpec,
    shards: Sequence[HandoffShard],
    table: Table,
    *,
    code_version: str,
    gates: Gates | None = None,
    splits: SplitRule | None = None,
    keep: KeepRef | None = None,
    cut_off: int = 0,
    abundance: Callable[[], Abundance] | None = None,
) -> Handoff:
    """The hand-off of these shards; their order does not matter. `table` is the density of all of them together.

    `keep`: the file that says which samples are kept; `table` and the shards' counts are then of these. For the gates:
    `cut_off` captions that the token limit cut off, and what makes the histogram behind the table.

    Raises NothingToHandOffError without a shard, CountMismatchError where counts do not add up (the difference is in
    the sentence), CheckFailedError for a shard that stands there twice.
    """
    if not shards:
        raise NothingToHandOffError(f"The data set {dataset} has no accepted shard.")
    shards = sorted(shards, key=lambda shard: (shard.name, shard.sha256))
    for problem in count_problems(shards, table.images):
        raise CountMismatchError(problem)
    twice = [source for source, count in Counter(shard.source_sha256 for shard in shards).items() if count > 1]
    if twice:
        names = ", ".join(shard.name for shard in shards if shard.source_sha256 == twice[0])
        raise CheckFailedError(f"The source shard {twice[0][:16]} would be handed off twice: {names}.")
    totals = sum_up(shards)
    gates = gates or Gates()
    failures = check(gates, table, tally(totals, cut_off), abundance)
    handoff = Handoff(
        format=FORMAT if keep is None else KEEP_FORMAT,
        keep=keep,
        dataset=dataset,
        spec=spec,
        spec_hash=spec.hash,
        shards=shards,
        totals=totals,
        density=table.as_dict(),
        gates=GateOutcome(gates=gates, passed=not failures, failures=failures),
        splits=splits or SplitRule(),
        code_version=code_version,
    )
    return handoff.model_copy(update={"digest": handoff.content_digest()})
