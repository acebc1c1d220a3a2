"""Building a captioned shard: the original image bytes, new captions, provenance; and the files beside it.

Published in this order: tar, records, the caller's files (nouns, samples), manifest. The manifest's presence means that
all of it is there. The same records, spec, model and corrections give the same bytes. Leaves out: captions (captioner/)
and nouns (analysis/), which come in finished. Serves the workers and `densify caption`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import CountMismatchError, ShardCorruptError, StorageError
from core.files import temporary_path
from core.spec import CaptionSpec, content_hash
from shards.index import ShardIndex, read_all_members
from shards.keys import captioned_key, source_key
from shards.manifest import CaptionedManifest, FileEntry, SourceEntry, load_manifest
from shards.names import IMAGE_EXTENSIONS, is_pickle, show
from shards.provenance import Origin, json_member, provenance
from shards.reader import Unit
from shards.records import Record, final_caption, final_record, write_records
from shards.store import Store
from shards.writer import ShardWriter

__all__ = ["Corrections", "build_captioned", "edition_of", "final_caption", "load_captioned"]

#: {ordinal: (version, text)}
Corrections = Mapping[int, tuple[int, str]]

_SLICE_UNITS = 256
_SUFFIXES = {"nouns": ".nouns.parquet", "samples": ".samples.parquet"}


def edition_of(spec: CaptionSpec, model_identity: str, corrections: Corrections) -> str:
    """16 hexadecimal digits that name what a captioned shard was made by: spec, model and corrections."""
    corrected = [[ordinal, version, text] for ordinal, (version, text) in sorted(corrections.items())]
    return content_hash({"spec": spec.hash, "model": model_identity, "corrections": corrected})[:16]


def build_captioned(
    store: Store,
    index: ShardIndex,
    records: Sequence[Record],
    spec: CaptionSpec,
    model_identity: str,
    name: str,
    corrections: Corrections,
    extra_files: Mapping[str, bytes],
    staging: Path,
    code_version: str,
    density: dict[str, Any] | None = None,
) -> tuple[CaptionedManifest, str]:
    """Builds and publishes the captioned shard of a stored source shard; returns its manifest and the manifest's key.

    `index`: of the source, with its `sha256`. `records`: one per unit, in ordinal order, as the model left them.
    `name`: the shard's name in its data set. `extra_files`: Parquet bytes under "nouns" and "samples", made from the
    final captions (`final_caption`). `staging`: a local folder for the unfinished tar. A whole edition that is there
    already is returned as it is.

    Raises CountMismatchError unless every unit has its one record, ShardCorruptError where the stored source is no
    longer what was captioned, StorageFullError or StorageError.
    """
    assert index.sha256, "the index of a stored shard knows its tar's hash"
    assert set(extra_files) <= set(_SUFFIXES), f"unknown extra files: {set(extra_files) - set(_SUFFIXES)}"
    edition = edition_of(spec, model_identity, corrections)
    manifest_key = captioned_key(index.sha256, edition, ".json")
    existing = load_captioned(store, manifest_key)
    if existing is not None:
        return existing, manifest_key
    _check_counts(index, records)

    origin = Origin(spec, model_identity, index.sha256, code_version)
    tar = temporary_path(staging / f"{index.sha256[:16]}-{edition}.tar")
    try:
        sha256, size = _write_tar(store, index, records, origin, corrections, tar)
        # Replaced, not kept: an equal-named tar without a manifest may be of another version of this code.
        store.put_file(captioned_key(index.sha256, edition), tar, replace=True)
    finally:
        tar.unlink(missing_ok=True)

    final = [final_record(record, corrections) for record in records]
    metadata = {"source_sha256": index.sha256, "spec_hash": spec.hash, "model": model_identity, "edition": edition}
    beside = {"records": (".parquet", write_records(final, metadata))}
    beside.update({kind: (_SUFFIXES[kind], data) for kind, data in sorted(extra_files.items())})
    files = {kind: _publish(store, index.sha256, edition, suffix, data) for kind, (suffix, data) in beside.items()}
    manifest = CaptionedManifest(
        name=name,
        sha256=sha256,
        size_bytes=size,
        edition=edition,
        source=SourceEntry(sha256=index.sha256, size_bytes=index.size_bytes, units=index.units),
        spec=spec.model_dump(mode="json"),
        spec_hash=spec.hash,
        model_identity=model_identity,
        prompt_hash=spec.prompt_hash,
        files=files,
        density=density,
        code_version=code_version,
        **count_records(final),
    )
    store.put_bytes(manifest_key, manifest.dump())
    return manifest, manifest_key


def count_records(records: Sequence[Record]) -> dict[str, Any]:
    """The counts of a captioned manifest, from its published records."""
    captioned = [record for record in records if record.is_captioned]
    return {
        "samples_in": len(records),
        "captioned": len(captioned),
        "rejected": len(records) - len(captioned),
        "flagged": sum(bool(record.flags) for record in captioned),
        "rejects": dict(sorted(Counter(record.reason or "" for record in records if not record.is_captioned).items())),
        "flags": dict(sorted(Counter(flag for record in captioned for flag in record.flags).items())),
        "corrections": sum(record.correction is not None for record in captioned),
    }


def load_captioned(store: Store, manifest_key: str) -> CaptionedManifest | None:
    """The manifest under this key, where it and every file it names are there with the right sizes; else None."""
    folder = manifest_key.rpartition("/")[0]
    try:
        manifest = load_manifest(CaptionedManifest, store.read_bytes(manifest_key))
        sizes = {f"{manifest.stem}.tar": manifest.size_bytes}
        sizes.update({entry.name: entry.size_bytes for entry in manifest.files.values()})
        whole = all(store.size(f"{folder}/{name}") == size for name, size in sizes.items())
    except StorageError:
        return None
    return manifest if whole else None


def _publish(store: Store, sha256: str, edition: str, suffix: str, data: bytes) -> FileEntry:
    key = captioned_key(sha256, edition, suffix)
    store.put_bytes(key, data)
    return FileEntry(name=key.rpartition("/")[2], sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def _check_counts(index: ShardIndex, records: Sequence[Record]) -> None:
    if len(records) != index.units:
        raise CountMismatchError(
            f"The shard has {index.units} units and {len(records)} records.", units=index.units, records=len(records)
        )
    for ordinal, (unit, record) in enumerate(zip(_units(index), records, strict=True)):
        if record.ordinal != ordinal or record.key != unit.key:
            raise CountMismatchError(
                f"Record {ordinal} is of {show(record.key)} ({record.ordinal}), the shard has {show(unit.key)} there."
            )
        if unit.reject is not None and record.is_captioned:
            raise CountMismatchError(f"Unit {ordinal}, {show(unit.key)}, is a reject of the shard, yet has a caption.")


def _units(index: ShardIndex) -> Iterator[Unit]:
    for start in range(0, index.units, _SLICE_UNITS):
        yield from index.slice(start, start + _SLICE_UNITS)


# ---- the tar --------------------------------------------------------------------------------------------------------


def _write_tar(
    store: Store, index: ShardIndex, records: Sequence[Record], origin: Origin, corrections: Corrections, tar: Path
) -> tuple[str, int]:
    key = source_key(index.sha256)
    captioned = (unit for unit in _units(index) if records[unit.ordinal].is_captioned)
    read = read_all_members(lambda offset, size: store.read_range(key, offset, size), captioned, _is_copied)
    with ShardWriter(tar) as writer:
        for unit, data in read:
            _add_sample(writer, unit, data, records[unit.ordinal], origin, corrections)
        return writer.finish()


def _is_copied(extension: str) -> bool:
    # The old text is in the record; the old .json goes into the new one.
    return extension != "txt" and not is_pickle(extension)


def _add_sample(
    writer: ShardWriter,
    unit: Unit,
    data: Mapping[str, bytes],
    record: Record,
    origin: Origin,
    corrections: Corrections,
) -> None:
    """Image, other members in their order, then txt and json."""
    image = unit.image
    assert image is not None, unit.key
    image_sha256 = hashlib.sha256(data[image.extension]).hexdigest()
    if image_sha256 != record.image_sha256:
        raise ShardCorruptError(
            f"The image {show(image.name)} of the stored shard is not the one that was captioned.",
            hint="The stored shard has changed on disk: upload it again.",
        )
    writer.add(image.name, data[image.extension])
    left_out = []
    for member in unit.members:
        if member.extension in ("txt", "json", *IMAGE_EXTENSIONS):
            continue
        if is_pickle(member.extension):
            left_out.append(member.extension)
        else:
            writer.add(member.name, data[member.extension])
    writer.add(f"{unit.key}.txt", final_caption(record, corrections).encode())
    own = provenance(origin, record, left_out, corrections)
    writer.add(f"{unit.key}.json", json_member(data.get("json"), own))
