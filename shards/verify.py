"""Proving a captioned shard from its files alone: in = captioned + rejected, hashes, every sample, its provenance.

Damage gives findings, never exceptions. Leaves out: hand-offs (analysis/), which call this for each of their shards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from core.errors import DensifyError, ShardEmptyError, StorageError
from core.spec import CaptionSpec
from shards.captioned import count_records
from shards.index import read_all_members
from shards.manifest import CaptionedManifest, FileEntry, load_manifest
from shards.names import show
from shards.provenance import FIELD
from shards.reader import Unit, read_units
from shards.records import Record, read_records
from shards.store import Store, open_store
from shards.tar import TarLimits

_MOST_FINDINGS = 1000
#: The limits of a server are for strangers' shards; a captioned shard has more members than its source.
_OWN_LIMITS = TarLimits(max_shard_bytes=1 << 60, max_member_bytes=1 << 40, max_members=1 << 30)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as the manifest says. `where`: a file's name, or a sample's key."""

    code: str
    where: str
    sentence: str


@dataclass(slots=True)
class VerifyReport:
    """What was found. `counts`: samples_in, captioned, rejected, as counted in the files, not as declared."""

    manifest: CaptionedManifest | None = None
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    unlisted: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, code: str, where: str, sentence: str) -> None:
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(Finding(code, where, sentence))
        else:
            self.unlisted += 1


def verify_captioned(location: Path | str, limits: TarLimits | None = None) -> VerifyReport:
    """Checks a captioned shard, named by its manifest (.json) or its tar: a local path or any fsspec URL."""
    text = str(location)
    if "://" not in text:
        text = str(Path(text).absolute())
    folder, _, name = text.rpartition("/")
    stem = name.removesuffix(".tar").removesuffix(".json")
    report = VerifyReport()
    try:
        store = open_store(folder)
        data = store.read_bytes(f"{stem}.json")
        report.manifest = load_manifest(CaptionedManifest, data)
    except DensifyError as error:
        report.add(error.code, f"{stem}.json", error.sentence)
        return report
    _check_manifest(report.manifest, stem, report)
    _check_file(
        store,
        FileEntry.model_construct(
            name=f"{stem}.tar", sha256=report.manifest.sha256, size_bytes=report.manifest.size_bytes
        ),
        report,
    )
    for entry in report.manifest.files.values():
        _check_file(store, entry, report)
    records = _records(store, report.manifest, report)
    if records is not None:
        _check_records(report.manifest, records, report)
        _check_tar(store, f"{stem}.tar", report.manifest, records, limits or _OWN_LIMITS, report)
    return report


def _check_manifest(manifest: CaptionedManifest, stem: str, report: VerifyReport) -> None:
    where = f"{stem}.json"
    if manifest.stem != stem:
        report.add("wrong_name", where, f"The manifest is of {manifest.stem}.")
    if manifest.samples_in != manifest.captioned + manifest.rejected:
        report.add(
            "count_mismatch",
            where,
            f"samples in = {manifest.samples_in}, captioned + rejected = {manifest.captioned + manifest.rejected}.",
        )
    if manifest.samples_in != manifest.source.units:
        report.add(
            "count_mismatch",
            where,
            f"samples in = {manifest.samples_in}, the source has {manifest.source.units} units.",
        )
    try:
        spec = CaptionSpec.model_validate(manifest.spec)
        if (spec.hash, spec.prompt_hash) != (manifest.spec_hash, manifest.prompt_hash):
            report.add("spec_hash", where, "The spec is not the one whose hash the manifest names.")
    except ValueError:
        report.add("spec_hash", where, "The manifest's spec is no captioning spec.")
    if "records" not in manifest.files:
        report.add("not_stored", where, "The manifest names no records file.")


def _check_file(store: Store, entry: FileEntry, report: VerifyReport) -> None:
    try:
        size = store.size(entry.name)
        if size != entry.size_bytes:
            report.add("wrong_size", entry.name, f"{size} bytes, the manifest says {entry.size_bytes}.")
        elif store.sha256(entry.name) != entry.sha256:
            report.add("digest_mismatch", entry.name, "The bytes are not those that the manifest's SHA-256 names.")
    except StorageError as error:
        report.add(error.code, entry.name, error.sentence)


# ---- records --------------------------------------------------------------------------------------------------------


def _records(store: Store, manifest: CaptionedManifest, report: VerifyReport) -> list[Record] | None:
    entry = manifest.files.get("records")
    if entry is None:
        return None
    try:
        return read_records(store.read_bytes(entry.name))
    except DensifyError as error:
        report.add(error.code, entry.name, error.sentence)
        return None


def _check_records(manifest: CaptionedManifest, records: list[Record], report: VerifyReport) -> None:
    where = manifest.files["records"].name
    counted = count_records(records)
    report.counts = {name: counted[name] for name in ("samples_in", "captioned", "rejected")}
    for name, value in counted.items():
        declared = getattr(manifest, name)
        if declared != value:
            report.add("count_mismatch", where, f"{name}: the records have {value}, the manifest says {declared}.")
    if [record.ordinal for record in records] != list(range(len(records))):
        report.add("count_mismatch", where, "The ordinals of the records do not run from 0 without a gap.")
    for record in records:
        if not record.is_captioned and not record.reason:
            report.add("no_reason", record.key, "The sample is neither captioned nor rejected with a reason.")


# ---- the tar --------------------------------------------------------------------------------------------------------


def _check_tar(
    store: Store, name: str, manifest: CaptionedManifest, records: list[Record], limits: TarLimits, report: VerifyReport
) -> None:
    captioned = [record for record in records if record.is_captioned]
    try:
        with store.open(name) as file:
            units = _units(file, store.size(name), limits)
            read = read_all_members(lambda offset, size: _range(file, offset, size), units)
            _check_samples(read, captioned, manifest, name, report)
    except (DensifyError, OSError) as error:
        code = error.code if isinstance(error, DensifyError) else "storage_failed"
        report.add(code, name, str(error))


def _units(file: IO[bytes], size: int, limits: TarLimits) -> list[Unit]:
    try:
        return list(read_units(cast(Any, file), size, limits))
    except ShardEmptyError:
        # Right where every sample was rejected; the comparison with the records decides.
        return []


def _range(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _check_samples(
    read: Iterator[tuple[Unit, dict[str, bytes]]],
    captioned: list[Record],
    manifest: CaptionedManifest,
    name: str,
    report: VerifyReport,
) -> None:
    expected = {record.key: record for record in captioned}
    in_tar: list[str] = []
    for unit, data in read:
        in_tar.append(unit.key)
        record = expected.get(unit.key)
        if unit.reject is not None:
            report.add(unit.reject.reason, unit.key, unit.reject.sentence)
        elif record is None:
            report.add("count_mismatch", unit.key, "The sample is in the shard, but no record has it captioned.")
        else:
            for code, sentence in _sample_problems(unit, data, record, manifest):
                report.add(code, unit.key, sentence)
    missing = expected.keys() - set(in_tar)
    for key in sorted(missing):
        report.add("count_mismatch", key, "The sample is captioned in the records, but not in the shard.")
    if not missing and len(in_tar) == len(captioned) and in_tar != [record.key for record in captioned]:
        report.add("wrong_order", name, "The samples do not stand in the order of the records.")


def _sample_problems(
    unit: Unit, data: dict[str, bytes], record: Record, manifest: CaptionedManifest
) -> Iterator[tuple[str, str]]:
    image = unit.image
    if image is None or "txt" not in data or "json" not in data:
        yield "member_missing", f"{show(unit.key)} lacks its image, .txt or .json."
        return
    if data["txt"] != (record.caption or "").encode():
        yield "caption_differs", "The .txt is not the caption of the records."
    image_sha256 = hashlib.sha256(data[image.extension]).hexdigest()
    if image_sha256 != record.image_sha256:
        yield "image_differs", "The image bytes are not those whose SHA-256 the records name."
    try:
        own = json.loads(data["json"])[FIELD]
        found = {
            "image_sha256": own["image_sha256"],
            "width": own["width"],
            "height": own["height"],
            "old_text": own["old_text"],
            "finish_reason": own["caption"]["finish_reason"],
            "shard_sha256": own["source"]["shard_sha256"],
            "ordinal": own["source"]["ordinal"],
            "spec_hash": own["spec_hash"],
            "model_identity": own["model_identity"],
            "correction": own["correction"]["version"] if "correction" in own else None,
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        yield "provenance_missing", "The .json lacks its densify object, or a field of it."
        return
    right = {
        "image_sha256": image_sha256,
        "width": record.width,
        "height": record.height,
        "old_text": record.old_text,
        "finish_reason": record.finish_reason,
        "shard_sha256": manifest.source.sha256,
        "ordinal": record.ordinal,
        "spec_hash": manifest.spec_hash,
        "model_identity": manifest.model_identity,
        "correction": record.correction,
    }
    wrong = [name for name, value in right.items() if found[name] != value]
    if wrong:
        yield "provenance_differs", f"The .json and the records or the manifest differ in {', '.join(wrong)}."
