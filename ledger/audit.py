"""The audit: makes every count anew from the rows below it and names each place where a kept count disagrees.

It reads all rows of a data set, so it is for checks, tests and doubt; progress.py is for every day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ledger.base import Base, get_dataset_row
from ledger.models import attempts, chunks, rejects, results, shards
from ledger.records import Audit


class Audits(Base):
    """The method that proves the counts."""

    def audit(self, dataset: str) -> Audit:
        """Counts from the rows, in one snapshot; `findings` is empty where all agrees.

        Raises NoSuchDatasetError.
        """
        findings: list[str] = []
        totals: Counter[str] = Counter()
        with self._db.snapshot() as connection:
            dataset_id = get_dataset_row(connection, dataset).id
            rows = connection.execute(select(shards).where(shards.c.dataset_id == dataset_id)).all()
            for row in rows:
                findings += [f"shard {row.name}: {found}" for found in _audit_shard(connection, row, totals)]
        return Audit(
            shards=len(rows),
            units=totals["units"],
            captioned=totals["captioned"],
            rejected=totals["rejected"],
            pending=totals["pending"],
            findings=tuple(findings),
        )


def _audit_shard(connection: Connection, row: Row[Any], totals: Counter[str]) -> Iterator[str]:
    mine = connection.execute(select(chunks).where(chunks.c.shard_id == row.id).order_by(chunks.c.start)).all()
    done = {r.chunk_id: r for r in connection.execute(select(results).where(results.c.shard_id == row.id))}
    refused = connection.execute(
        select(rejects.c.ordinal, rejects.c.chunk_id).where(rejects.c.shard_id == row.id).order_by(rejects.c.ordinal)
    ).all()
    structural = [r.ordinal for r in refused if r.chunk_id is None]
    live = [chunk for chunk in mine if chunk.state != "split"]
    still_open = [chunk for chunk in live if chunk.state != "done"]
    captioned = sum(result.captioned for result in done.values())
    pending = sum(chunk.stop - chunk.start - chunk.structural for chunk in still_open)
    totals.update(units=row.units, captioned=captioned, rejected=len(refused), pending=pending)

    yield from _unequal("units and captioned + rejected + pending", row.units, captioned + len(refused) + pending)
    yield from _unequal("captioned", row.captioned, captioned)
    yield from _unequal("rejected", row.rejected, len(refused))
    yield from _unequal("flagged", row.flagged, sum(result.flagged for result in done.values()))
    yield from _unequal("chunks", row.chunks, len(live))
    yield from _unequal("chunks_open", row.chunks_open, len(still_open))
    yield from _unequal("results and done chunks", set(done), {chunk.id for chunk in live if chunk.state == "done"})
    yield from _ranges(row, live, structural)
    for chunk in live:
        yield from _audit_chunk(connection, row, chunk, done.get(chunk.id), refused)


def _ranges(row: Row[Any], live: list[Row[Any]], structural: list[int]) -> Iterator[str]:
    """The chunks that count cover every unit once; a shard of rejects only has none."""
    if live:
        edges = [(chunk.start, chunk.stop) for chunk in live]
        joined = [0, *(stop for _, stop in edges)]
        if [start for start, _ in edges] != joined[:-1] or joined[-1] != row.units:
            yield f"its chunks do not cover units 0 to {row.units} once: {edges[:20]}"
    elif len(structural) != row.units:
        yield f"it has no chunks, and {len(structural)} structural rejects for {row.units} units"


def _audit_chunk(
    connection: Connection, shard: Row[Any], chunk: Row[Any], result: Row[Any] | None, refused: Any
) -> Iterator[str]:
    inside = [r for r in refused if chunk.start <= r.ordinal < chunk.stop]
    yield from _unequal(f"structural of {chunk.id}", chunk.structural, sum(r.chunk_id is None for r in inside))
    if result is not None:
        units = result.captioned + result.rejected
        yield from _unequal(f"units of the result of {chunk.id}", chunk.stop - chunk.start, units)
        yield from _unequal(f"rejects of {chunk.id}", result.rejected, len(inside))
    if chunk.state in ("pending", "leased") and shard.state != "captioning":
        yield f"chunk {chunk.id} is {chunk.state} though the shard is {shard.state}"
    if chunk.token:
        under_way = select(func.count()).where(attempts.c.subject == chunk.id, attempts.c.ended_at.is_(None))
        yield from _unequal(
            f"attempts under way on {chunk.id}", int(chunk.state == "leased"), connection.scalar(under_way)
        )


def _unequal(what: str, kept: Any, counted: Any) -> Iterator[str]:
    if kept != counted:
        yield f"{what}: kept {kept}, counted {counted}"
