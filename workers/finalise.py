"""Finalising a shard whose chunks are all done: write the captioned shard, measure it, ask its gates.

Each step ends in a commit of its own (captioned, measured, then accepted or held), so a finaliser that dies is followed
by one that goes on where it stopped; what was published already is found under its name and not made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from analysis.counts import measure, write_samples
from analysis.density import Table, table_from_counts
from analysis.gates import Tally, check
from analysis.nouns import load_pipeline
from core.errors import NotStoredError
from core.gates import Gates
from core.logs import get_logger
from core.spec import CaptionSpec
from core.version import VERSION
from ledger import ShardClaim
from ledger.records import ChunkResult
from shards.captioned import build_captioned
from shards.index import ShardIndex
from shards.manifest import CaptionedManifest
from shards.records import Record, final_caption, read_metadata, read_records
from shards.store import Store
from workers.service import Service

log = get_logger(__name__)

Corrections = dict[int, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class ShardRecords:
    """The records of all chunks in tar order, and the model that wrote them (empty: every unit was rejected)."""

    records: list[Record]
    model_identity: str


@dataclass(frozen=True, slots=True)
class Edition:
    """A captioned shard in the store and its density table."""

    manifest: CaptionedManifest
    manifest_key: str
    table: Table


def finalise_shard(
    service: Service, claim: ShardClaim, index: Callable[[str], ShardIndex], progress: Callable[[], None]
) -> None:
    """Brings one shard from `captioning` to `accepted` or `held`, from whichever step it stands at.

    `progress` is called between steps. Raises LeaseLostError when the shard went to another meanwhile.
    """
    shard, ledger = claim.shard, service.ledger
    assert shard.sha256 is not None, "a shard with chunks is stored"
    collected = _collect(service, claim, index)
    if collected is None:
        service.wake()  # a chunk is pending again; the claim on the shard ended with that
        return
    progress()
    corrections = _corrections(service, shard.id, collected.records)
    edition = write_edition(service.store, index(shard.sha256), collected, claim.dataset.spec, shard.name, corrections)
    progress()
    if shard.state == "captioning":
        manifest = edition.manifest
        counts = (manifest.captioned, manifest.rejected, manifest.flagged)
        shard = ledger.complete_captioned(
            claim, edition.manifest_key, manifest.edition, manifest.sha256, manifest.size_bytes, *counts
        )
    if shard.state == "captioned":
        shard = ledger.complete_measured(claim, edition.table.as_dict())
    _judge(service, claim, edition)


def write_edition(
    store: Store, index: ShardIndex, shard: ShardRecords, spec: CaptionSpec, name: str, corrections: Corrections
) -> Edition:
    """Counts the nouns of the final captions and publishes the captioned shard with all files beside it."""
    captions = [(record.key, final_caption(record, corrections)) for record in shard.records if record.is_captioned]
    counts, samples = measure(captions, load_pipeline())
    table = table_from_counts(counts)
    manifest, key = build_captioned(
        store,
        index,
        shard.records,
        spec=spec,
        model_identity=shard.model_identity,
        name=name,
        corrections=corrections,
        extra_files={"nouns": counts.to_parquet(), "samples": write_samples(samples, counts.noun_pipeline)},
        staging=store.staging(),
        code_version=VERSION,
        density=table.as_dict(),
    )
    return Edition(manifest, key, table)


def _judge(service: Service, claim: ShardClaim, edition: Edition) -> None:
    manifest = edition.manifest
    tally = Tally(
        samples_in=manifest.samples_in,
        rejected=manifest.rejected,
        captions=manifest.captioned,
        flagged=manifest.flagged,
        cut_off=manifest.flags.get("cut_off", 0),
    )
    failures = check(Gates.model_validate(claim.dataset.gates or {}).of_shard(), edition.table, tally)
    service.ledger.complete_gated(claim, not failures, [failure.sentence for failure in failures])
    log.info(
        "shard_finished",
        dataset=claim.dataset.name,
        shard=claim.shard.name,
        captioned=manifest.captioned,
        rejected=manifest.rejected,
        accepted=not failures,
    )


def _corrections(service: Service, shard_id: str, records: list[Record]) -> Corrections:
    by_key = service.ledger.corrections_for(shard_id)
    return {record.ordinal: by_key[record.key] for record in records if record.is_captioned and record.key in by_key}


def _collect(service: Service, claim: ShardClaim, index: Callable[[str], ShardIndex]) -> ShardRecords | None:
    """All records of the shard; None after a chunk whose file is missing, damaged or of another model was reopened."""
    assert claim.shard.sha256 is not None
    results = service.ledger.chunk_results(claim.shard_id)
    poison = _poison(service, claim.shard_id, index(claim.shard.sha256), results)
    records: list[Record] = []
    identities: dict[str, list[ChunkResult]] = {}
    for result in results:
        if result.path is None:
            records.append(poison[result.start])
            continue
        data = _chunk_file(service, result)
        if data is None:
            return None
        records.extend(read_records(data))
        identities.setdefault(read_metadata(data)["model_identity"], []).append(result)
    if len(identities) > 1:
        return _reopen_minority(service, identities)
    return ShardRecords(records, next(iter(identities), ""))


def _poison(service: Service, shard_id: str, index: ShardIndex, results: list[ChunkResult]) -> dict[int, Record]:
    """Records of the units that failed in every attempt. The ledger knows their place only: here they get their key."""
    keys = {result.start: index.unit(result.start).key for result in results if result.path is None}
    if not keys:
        return {}
    service.ledger.name_rejects(shard_id, keys)
    rows = [row for row in service.ledger.shard_rejects(shard_id) if row.ordinal in keys]
    return {row.ordinal: Record.rejected(row.ordinal, row.key, row.reason, row.sentence) for row in rows}


def _chunk_file(service: Service, result: ChunkResult) -> bytes | None:
    assert result.path is not None
    try:
        data = service.store.read_bytes(result.path)
    except NotStoredError:
        why = f"The records {result.path} are gone."
    else:
        if hashlib.sha256(data).hexdigest() == result.sha256:
            return data
        why = f"The records {result.path} are not those that were written."
        service.store.delete(result.path)
    log.warning("chunk_reopened", chunk=result.chunk_id, why=why)
    service.ledger.reopen_chunk(result.chunk_id, why)
    return None


def _reopen_minority(service: Service, identities: dict[str, list[ChunkResult]]) -> None:
    """A shard is one model's work: chunks of any but the most common model are done again (by the model of today)."""
    common = max(identities, key=lambda identity: len(identities[identity]))
    for identity, results in identities.items():
        for result in results if identity != common else ():
            why = f"It was captioned by {identity}, most of the shard by {common}."
            log.warning("chunk_reopened", chunk=result.chunk_id, why=why)
            service.ledger.reopen_chunk(result.chunk_id, why)
