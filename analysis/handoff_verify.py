"""Proving a hand-off from files alone: every byte, every count, every split, the density table.

Damage gives findings, never exceptions; only a path that does not exist and a file that is no hand-off raise.
Serves `densify verify`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from analysis.density import Table, table_from_counts, table_from_files
from analysis.gates import check
from analysis.handoff_counts import count_problems, sum_up, tally
from analysis.keep_verify import KeepProof
from analysis.rarefaction import from_counts, from_files
from analysis.sample_counts import sample_keys
from core.errors import DensifyError
from shards.handoff import FileRef, Handoff, HandoffShard, load
from shards.handoff_place import Place
from shards.keep import read_keep
from shards.manifest import CaptionedManifest
from shards.records import read_captioned
from shards.verify import Finding, VerifyReport, verify_captioned


@dataclass(slots=True)
class HandoffReport:
    """What was found. `counts`: shards, samples_in, captioned, rejected, counted in the files, not as declared; with a
    keep also kept and left_out.

    `shards`: (name, proof) of each captioned shard; `findings` holds theirs too.
    """

    handoff: Handoff
    shards: list[tuple[str, VerifyReport]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, code: str, where: str, sentence: str) -> None:
        self.findings.append(Finding(code, where, sentence))


def verify_handoff(location: Path | str) -> HandoffReport:
    """Checks the hand-off at a local path or fsspec URL, and all its shards.

    Raises NoSuchPathError, and BadFieldError for a file that is no hand-off manifest.
    """
    place = Place(str(location))
    data = place.read()
    handoff = load(data)
    report = HandoffReport(handoff)
    _check_manifest(handoff, data, place.name, report)
    keep = _keep(handoff, place, report)
    for shard in handoff.shards:
        _check_shard(shard, handoff, place, report, keep)
    if all(proof.ok for _, proof in report.shards) and len(report.shards) == len(handoff.shards):
        _check_density(handoff, place, report, keep)
    if keep is not None:
        report.counts |= {"kept": keep.kept, "left_out": report.counts["captioned"] - keep.kept}
    return report


def _check_manifest(handoff: Handoff, data: bytes, name: str, report: HandoffReport) -> None:
    if handoff.digest != handoff.content_digest():
        report.add("digest_mismatch", name, "The manifest was changed: its content is not what its digest names.")
    elif data != handoff.dump():
        report.add("digest_mismatch", name, "The manifest's bytes were changed: it is not as Densify wrote it.")
    if name != handoff.file_name:
        report.add("wrong_name", name, f"By its content the file is {handoff.file_name}.")
    if handoff.spec.hash != handoff.spec_hash:
        report.add("spec_hash", name, "The captioning spec is not the one whose hash the manifest names.")
    table = _table(handoff)
    for problem in count_problems(handoff.shards, table.images if table else -1):
        report.add("count_mismatch", name, problem)
    if handoff.totals != sum_up(handoff.shards):
        report.add("count_mismatch", name, "The totals are not the sums over the shards.")
    report.counts = {"shards": len(handoff.shards), "samples_in": 0, "captioned": 0, "rejected": 0}


def _keep(handoff: Handoff, place: Place, report: HandoffReport) -> KeepProof | None:
    """The keep file, its bytes proven; None where there is none, or where it is not what the manifest pins."""
    if handoff.keep is None or not _check_file(handoff.keep, place, report):
        return None
    try:
        keep = KeepProof(handoff, read_keep(_bytes(place, handoff.keep)))
    except (DensifyError, ValueError) as error:
        report.add("keep_differs", handoff.keep.path, str(error))
        return None
    report.findings.extend(keep.file(handoff.keep.path))
    return keep


def _check_shard(
    shard: HandoffShard, handoff: Handoff, place: Place, report: HandoffReport, keep: KeepProof | None
) -> None:
    if not _check_file(shard.manifest, place, report):
        return
    # The shard's manifest is the right one, and pins every other file: those are hashed once, in there.
    inner = verify_captioned(place.url(shard.manifest.path))
    report.shards.append((shard.name, inner))
    report.findings.extend(inner.findings)
    if inner.unlisted:
        report.add("more", shard.name, f"{inner.unlisted} more findings of this shard.")
    for name, count in inner.counts.items():
        report.counts[name] += count
    if inner.manifest is None:
        return
    for problem in _differences(shard, handoff, inner.manifest):
        report.add("wrong_shard", shard.name, problem)
    if inner.ok:
        _check_samples(shard, handoff, place, report, keep)


def _differences(shard: HandoffShard, handoff: Handoff, manifest: CaptionedManifest) -> Iterator[str]:
    """What the hand-off says of a shard and the shard's own manifest does not."""
    if manifest.spec_hash != handoff.spec_hash:
        yield "It was captioned by another spec."
    for name in _SAME:
        if name == "flagged" and handoff.keep is not None:
            continue  # of the kept samples alone: it follows from the records, not from the shard's manifest
        if getattr(shard, name) != getattr(manifest, name):
            yield f"{name} is {getattr(manifest, name)!r}, the hand-off says {getattr(shard, name)!r}."
    if shard.source_sha256 != manifest.source.sha256:
        yield "It was made from another source shard."
    folder = posixpath.dirname(shard.manifest.path)
    if shard.path != f"{folder}/{manifest.stem}.tar":
        yield f"The hand-off's path {shard.path} is not that of the tar."
    for kind in ("records", "nouns", "samples"):
        entry, ref = manifest.files.get(kind), getattr(shard, kind)
        if not entry or (f"{folder}/{entry.name}", entry.sha256, entry.size_bytes) != tuple(ref.model_dump().values()):
            yield f"The {kind} file is not the one that the hand-off names."


_SAME = (
    "sha256",
    "size_bytes",
    "edition",
    "model_identity",
    "samples_in",
    "captioned",
    "rejected",
    "flagged",
    "rejects",
)


def _check_file(ref: FileRef, place: Place, report: HandoffReport) -> bool:
    if ref.path.startswith("/") or "://" in ref.path:
        report.add("wrong_path", ref.path, "The path is not relative to the manifest.")
        return False
    try:
        store, key = place.file(ref.path)
        size = store.size(key)
        if size != ref.size_bytes:
            report.add("wrong_size", ref.path, f"{size} bytes, the hand-off says {ref.size_bytes}.")
        elif store.sha256(key) != ref.sha256:
            report.add("digest_mismatch", ref.path, "The bytes are not those that the hand-off's SHA-256 names.")
        else:
            return True
    except (DensifyError, ValueError) as error:
        code = error.code if isinstance(error, DensifyError) else "wrong_path"
        report.add(code, ref.path, str(error))
    return False


def _check_samples(
    shard: HandoffShard, handoff: Handoff, place: Place, report: HandoffReport, keep: KeepProof | None
) -> None:
    try:
        samples = _bytes(place, shard.samples)
        keys = sample_keys(samples)
        captioned = read_captioned(_bytes(place, shard.records))
        if keys != [sample.key for sample in captioned]:
            report.add("count_mismatch", shard.name, "The measured samples are not the captioned ones.")
        elif keep is not None:
            report.findings.extend(keep.shard(shard, captioned, samples, _counts(place, shard.nouns)))
    except (DensifyError, ValueError) as error:
        report.add(error.code if isinstance(error, DensifyError) else "count_mismatch", shard.name, str(error))
        return
    if handoff.keep is None and handoff.splits.counts(keys) != shard.splits:
        report.add("splits_differ", shard.name, "The splits do not follow from the keys by the manifest's rule.")


def _check_density(handoff: Handoff, place: Place, report: HandoffReport, keep: KeepProof | None) -> None:
    declared = _table(handoff)
    if declared is None:
        report.add("density_differs", place.name, "The density table lacks figures.")
        return
    if handoff.keep is not None and (keep is None or keep.counts is None or not keep.whole):
        return  # what is kept cannot be counted, and that is a finding already
    how = {"min_count": declared.min_count, "names": declared.names_counted}
    try:
        if keep is not None and keep.counts is not None:
            counted = table_from_counts(keep.counts, **how)
            abundance = partial(from_counts, keep.counts, names=declared.names_counted)
            cut_off = keep.cut_off
        else:
            counts = [_counts(place, shard.nouns) for shard in handoff.shards]
            counted = table_from_files(counts, **how)
            abundance = partial(from_files, counts, names=declared.names_counted)
            cut_off = _cut_off(report)
        failures = check(handoff.gates.gates, counted, tally(handoff.totals, cut_off), abundance)
    except (DensifyError, ValueError) as error:
        report.add("density_differs", place.name, f"The density table cannot be counted again: {error}")
        return
    if counted.as_dict() != handoff.density:
        report.add("density_differs", place.name, "The density table is not what the noun counts add up to.")
    if (handoff.gates.failures, handoff.gates.passed) != (failures, not failures):
        report.add("gates_differ", place.name, "The outcome of the gates does not follow from the counts.")


def _cut_off(report: HandoffReport) -> int:
    """Captions that the token limit cut off, as the shards' manifests count them: proven before."""
    manifests = [proof.manifest for _, proof in report.shards]
    return sum(manifest.flags.get("cut_off", 0) for manifest in manifests if manifest is not None)


def _table(handoff: Handoff) -> Table | None:
    try:
        return Table.from_dict(handoff.density)
    except ValueError:
        return None


def _counts(place: Place, ref: FileRef) -> Path | bytes:
    """A count file: its path where it is local (DuckDB reads it from there), else its bytes."""
    store, key = place.file(ref.path)
    return store.path(key) or store.read_bytes(key)


def _bytes(place: Place, ref: FileRef) -> bytes:
    store, key = place.file(ref.path)
    return store.read_bytes(key)
