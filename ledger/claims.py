"""Leases: how a shard or a chunk is claimed, and how a claim is kept alive.

A claim is one conditional UPDATE: of many processes that try, the database lets one through. It counts the attempt and
raises the fencing token; whoever comes later with an older token is refused. Only work without a lease is claimable:
leases that ran out are given back by the sweep (sweep.py) and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, select, update

from core.errors import LeaseLostError
from ledger import states
from ledger.base import Base, begin_attempt, dataset_record, parse_spec, read_shard
from ledger.clock import now
from ledger.models import chunks, datasets, shards
from ledger.records import ChunkClaim, Claim, ShardClaim
from ledger.texts import clean, storable


class Claims(Base):
    """The methods on chunk claims and on leases of both kinds."""

    def claim_chunk(self, chunk_id: str, worker: str, lease_s: float) -> ChunkClaim | None:
        """The right to caption a pending chunk for `lease_s` seconds, or None: done, held by another, or unknown.

        The attempt is counted here, before the work, so that work which kills its worker is counted too.
        """
        return self._db.write(lambda connection: _claim_chunk(connection, chunk_id, clean(worker, 200), lease_s))

    def renew(self, claims: Iterable[Claim], lease_s: float) -> list[Claim]:
        """Gives each lease `lease_s` seconds from now, and returns the claims that are lost (the very objects)."""
        ordered = sorted(claims, key=_lock_order)
        if not ordered:
            return []
        return self._db.write(lambda connection: [c for c in ordered if not _renew(connection, c, lease_s)])


def claim_shard(
    connection: Connection,
    kind: Literal["ingest", "finalise"],
    shard_id: str,
    worker: str,
    lease_s: float,
    free: ColumnElement[bool],
) -> ShardClaim | None:
    """Leases a shard where `free` holds and nobody has a lease on it."""
    if not storable(shard_id):
        return None
    worker = clean(worker, 200)
    row = connection.execute(
        update(shards)
        .where(shards.c.id == shard_id, shards.c.lease_until.is_(None), free)
        .values(
            lease_kind=kind,
            lease_until=now() + lease_s,
            worker=worker,
            token=shards.c.token + 1,
            attempts=shards.c.attempts + 1,
        )
        .returning(shards.c.token, shards.c.attempts, shards.c.dataset_id)
    ).first()
    if row is None:
        return None
    begin_attempt(connection, shard_id, kind, row.token, worker)
    dataset = dataset_record(connection.execute(select(datasets).where(datasets.c.id == row.dataset_id)).one())
    return ShardClaim(kind, read_shard(connection, shard_id), dataset, row.token, row.attempts, worker)


def check_chunk_lease(row: Row[Any], claim: ChunkClaim) -> None:
    """Raises LeaseLostError unless the claim's token is the newest and its lease was not taken back."""
    if row.state != "leased" or row.token != claim.token:
        raise LeaseLostError(f"The lease on chunk {claim.chunk_id} is no longer this worker's.", chunk=claim.chunk_id)


def check_shard_lease(row: Row[Any], claim: ShardClaim) -> None:
    """The same for a shard."""
    if row.lease_until is None or row.lease_kind != claim.kind or row.token != claim.token:
        raise LeaseLostError(f"The lease on shard {row.name} is no longer this worker's.", shard=claim.shard_id)


def _claim_chunk(connection: Connection, chunk_id: str, worker: str, lease_s: float) -> ChunkClaim | None:
    if not storable(chunk_id):
        return None
    row = connection.execute(
        update(chunks)
        .where(chunks.c.id == chunk_id, chunks.c.state.in_(states.sources("chunk", "leased")))
        .values(
            state="leased",
            lease_until=now() + lease_s,
            worker=worker,
            token=chunks.c.token + 1,
            attempts=chunks.c.attempts + 1,
        )
        .returning(chunks)
    ).first()
    if row is None:
        return None
    begin_attempt(connection, chunk_id, "chunk", row.token, worker)
    shard = connection.execute(
        select(shards.c.name, shards.c.sha256, datasets.c.name.label("dataset"), datasets.c.spec)
        .join(datasets, datasets.c.id == shards.c.dataset_id)
        .where(shards.c.id == row.shard_id)
    ).one()
    return ChunkClaim(
        chunk_id=chunk_id,
        shard_id=row.shard_id,
        dataset=shard.dataset,
        shard=shard.name,
        sha256=shard.sha256,
        start=row.start,
        stop=row.stop,
        structural=row.structural,
        token=row.token,
        attempt=row.attempts,
        worker=worker,
        spec=parse_spec(shard.spec),
    )


def _lock_order(claim: Claim) -> tuple[bool, str]:
    return (True, claim.chunk_id) if isinstance(claim, ChunkClaim) else (False, claim.shard_id)


def _renew(connection: Connection, claim: Claim, lease_s: float) -> bool:
    # A lease that ran out but was not taken back is still its holder's: the token is the newest.
    if isinstance(claim, ChunkClaim):
        mine = (chunks.c.id == claim.chunk_id) & (chunks.c.token == claim.token) & (chunks.c.state == "leased")
        renewal = update(chunks).where(mine)
    else:
        mine = (shards.c.id == claim.shard_id) & (shards.c.token == claim.token) & shards.c.lease_until.isnot(None)
        renewal = update(shards).where(mine)
    return connection.execute(renewal.values(lease_until=now() + lease_s)).rowcount == 1
