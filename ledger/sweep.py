"""The sweep: leases that ran out are taken back, and what can be claimed is listed, oldest first.

Safe to run in many processes at once: each lease is taken back in a transaction of its own that looks again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from ledger import states
from ledger.base import Base, get_chunk_row, get_shard_row
from ledger.chunks import give_back
from ledger.clock import now
from ledger.finalising import give_back_shard
from ledger.models import chunks, shards
from ledger.records import Kind, Swept

#: Leases that one round takes back at most; what is left is the next round's.
ROUND_MOST = 1000

#: Stands in rejects that become part of the output, so it names no worker; the attempts table does.
EXPIRED = "its worker died or stalled, and the lease ran out"


class Sweep(Base):
    """The methods of the sweeper."""

    def expire_leases(self, max_attempts: int = 3) -> Swept:
        """Takes back every lease that ran out by the database's clock, as a failed attempt with outcome `expired`.

        Chunks are retried, halved or end as `poison`, as after `fail`; shards are retried or quarantined.
        """
        with self._db.read() as connection:
            late_chunks = connection.execute(
                select(chunks.c.id, chunks.c.shard_id)
                .where(chunks.c.state == "leased", chunks.c.lease_until < now())
                .limit(ROUND_MOST)
            ).all()
            late_shards = connection.scalars(select(shards.c.id).where(_late_shard()).limit(ROUND_MOST)).all()
        swept = Swept()
        for chunk_id, shard_id in late_chunks:
            swept = self._expire_chunk(swept, chunk_id, shard_id, max_attempts)
        for shard_id in late_shards:
            swept = self._expire_shard(swept, shard_id, max_attempts)
        return swept

    def claimable(self, kind: Kind, limit: int = 100) -> list[str]:
        """Ids of shards (ingest, finalise) or chunks that anyone may claim now, the oldest first."""
        table = chunks if kind == "chunk" else shards
        statement = select(table.c.id).where(_free(kind)).order_by(table.c.created_at, table.c.id).limit(limit)
        with self._db.read() as connection:
            return list(connection.scalars(statement))

    def count_claimable(self, kind: Kind) -> int:
        """How many there are; for chunks from the shards' counts and the few leases, not by counting chunks."""
        with self._db.snapshot() as connection:
            if kind != "chunk":
                return int(connection.scalar(select(func.count()).select_from(shards).where(_free(kind))) or 0)
            still_open: Select[Any] = select(func.coalesce(func.sum(shards.c.chunks_open), 0))
            leased = select(func.count()).select_from(chunks).where(chunks.c.state == "leased")
            total = connection.scalar(still_open.where(shards.c.state == "captioning")) or 0
            return int(total) - int(connection.scalar(leased) or 0)

    def _expire_chunk(self, swept: Swept, chunk_id: str, shard_id: str, max_attempts: int) -> Swept:
        def work(connection: Connection) -> Swept:
            get_shard_row(connection, shard_id, lock=True)
            row = get_chunk_row(connection, chunk_id, lock=True)
            if row.state != "leased" or not _ran_out(connection, chunks, chunk_id):
                return swept  # renewed, done, or swept by another meanwhile
            outcome = give_back(connection, row, "expired", EXPIRED, max_attempts).outcome
            name = {"retry": "retried", "halved": "halved", "poison": "poisoned"}[outcome]
            return replace(swept, **{name: getattr(swept, name) + 1})

        return self._db.write(work)

    def _expire_shard(self, swept: Swept, shard_id: str, max_attempts: int) -> Swept:
        def work(connection: Connection) -> Swept:
            row = get_shard_row(connection, shard_id, lock=True)
            if not _ran_out(connection, shards, shard_id):
                return swept
            quarantined = give_back_shard(connection, row, "expired", EXPIRED, max_attempts)
            return replace(swept, shards=swept.shards + 1, quarantined=swept.quarantined + quarantined)

        return self._db.write(work)


def _free(kind: Kind) -> ColumnElement[bool]:
    if kind == "chunk":
        return chunks.c.state == "pending"
    if kind == "ingest":
        return (shards.c.state == "uploading") & shards.c.lease_until.is_(None)
    finished = (shards.c.chunks_open == 0) & (shards.c.units > 0)
    return shards.c.state.in_(states.FINALISABLE) & finished & shards.c.lease_until.is_(None)


def _late_shard() -> ColumnElement[bool]:
    return shards.c.lease_until.isnot(None) & (shards.c.lease_until < now())


def _ran_out(connection: Connection, table: Any, identity: str) -> bool:
    """Asked again under the row's lock: a renewal may have come in between."""
    statement = select(table.c.id).where(table.c.id == identity, table.c.lease_until < now())
    return connection.scalar(statement) is not None
