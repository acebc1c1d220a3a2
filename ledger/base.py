"""What every noun of the ledger stands on: the database, moves between states, and look-ups that others share.

A move is one UPDATE whose WHERE names the legal old states. Order of locks everywhere: the shard's row, then a chunk's;
so two transactions never wait for each other in a ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from core.errors import IllegalTransitionError, NoSuchDatasetError, NoSuchShardError, NotFoundError
from core.spec import CaptionSpec
from ledger import states
from ledger.clock import now
from ledger.db import Database
from ledger.models import attempts, chunks, datasets, shards
from ledger.records import Dataset, Shard
from ledger.texts import clean, from_json, storable

#: Rows that one statement of a large insert carries.
BATCH_ROWS = 5000


class Base:
    """Holds the database; each noun's class adds its methods, and `Ledger` joins them."""

    _db: Database


# ---- moves between states -------------------------------------------------------------------------------------------


def move_shard(
    connection: Connection, shard_id: str, new: str, *, only: Sequence[str] | None = None, **values: Any
) -> None:
    """Takes a shard into state `new` (from one of `only`, where given) and sets `values` with it.

    Raises IllegalTransitionError, NoSuchShardError; nothing is changed then.
    """
    old = [state for state in states.sources("shard", new) if only is None or state in only]
    moved = connection.execute(
        update(shards)
        .where(shards.c.id == shard_id, shards.c.state.in_(old))
        .values(state=new, changed_at=now(), **values)
    )
    if moved.rowcount == 0:
        row = get_shard_row(connection, shard_id)
        raise IllegalTransitionError(
            f"Shard {row.name} is {row.state} and cannot become {new}.", old=row.state, new=new
        )


def move_chunk(
    connection: Connection, chunk_id: str, new: str, *, only: Sequence[str] | None = None, **values: Any
) -> None:
    """The same for a chunk; its lease ends with the move, unless `new` is leased.

    Raises IllegalTransitionError, NotFoundError.
    """
    old = [state for state in states.sources("chunk", new) if only is None or state in only]
    if new != "leased":
        values |= {"lease_until": None, "worker": None}
    moved = connection.execute(
        update(chunks).where(chunks.c.id == chunk_id, chunks.c.state.in_(old)).values(state=new, **values)
    )
    if moved.rowcount == 0:
        state = get_chunk_row(connection, chunk_id).state
        raise IllegalTransitionError(f"Chunk {chunk_id} is {state} and cannot become {new}.", old=state, new=new)


# ---- rows -----------------------------------------------------------------------------------------------------------


def get_dataset_row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(datasets).where(datasets.c.name == name)).first() if storable(name) else None
    if row is None:
        raise NoSuchDatasetError(f"There is no data set {clean(name, 100)!r}.")
    return row


def get_shard_row(connection: Connection, shard_id: str, lock: bool = False) -> Row[Any]:
    """The shard's row; `lock`: no other transaction changes it until this one ends. Raises NoSuchShardError."""
    statement = select(shards).where(shards.c.id == shard_id)
    row = connection.execute(_locked(statement, lock)).first() if storable(shard_id) else None
    if row is None:
        raise NoSuchShardError(f"There is no shard with the id {clean(shard_id, 100)!r}.")
    return row


def get_chunk_row(connection: Connection, chunk_id: str, lock: bool = False) -> Row[Any]:
    """The chunk's row. Lock the shard's row before. Raises NotFoundError."""
    statement = select(chunks).where(chunks.c.id == chunk_id)
    row = connection.execute(_locked(statement, lock)).first() if storable(chunk_id) else None
    if row is None:
        raise NotFoundError(f"There is no chunk with the id {clean(chunk_id, 100)!r}.")
    return row


def _locked(statement: Select[Any], lock: bool) -> Select[Any]:
    # FOR NO KEY UPDATE: rows that refer to this one can still be inserted meanwhile. SQLite leaves the clause out:
    # its writing transactions are alone anyway.
    return statement.with_for_update(key_share=True) if lock else statement


# ---- records --------------------------------------------------------------------------------------------------------


def dataset_record(row: Row[Any]) -> Dataset:
    return Dataset(row.id, row.name, parse_spec(row.spec), from_json(row.gates), row.created_at)


@lru_cache(maxsize=256)
def parse_spec(text: str) -> CaptionSpec:
    """A claim needs its spec each time; specs are few."""
    return CaptionSpec.model_validate_json(text)


def select_shards() -> Select[Any]:
    """Shards with their data set's name, for `shard_record`."""
    return select(shards, datasets.c.name.label("dataset")).join(datasets, datasets.c.id == shards.c.dataset_id)


def read_shard(connection: Connection, shard_id: str) -> Shard:
    row = connection.execute(select_shards().where(shards.c.id == shard_id)).first() if storable(shard_id) else None
    if row is None:
        raise NoSuchShardError(f"There is no shard with the id {clean(shard_id, 100)!r}.")
    return shard_record(row)


def shard_record(row: Row[Any]) -> Shard:
    return Shard(
        id=row.id,
        dataset=row.dataset,
        name=row.name,
        state=row.state,
        url=row.url,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        units=row.units,
        captioned=row.captioned,
        rejected=row.rejected,
        flagged=row.flagged,
        chunks=row.chunks,
        chunks_open=row.chunks_open,
        corrections=row.corrections,
        edition=row.edition,
        manifest_key=row.manifest_key,
        captioned_sha256=row.captioned_sha256,
        captioned_size_bytes=row.captioned_size_bytes,
        edition_flagged=row.edition_flagged,
        density=from_json(row.density),
        passed=row.passed,
        findings=from_json(row.findings) or [],
        release_reason=row.release_reason,
        code=row.code,
        sentence=row.sentence,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


# ---- attempts -------------------------------------------------------------------------------------------------------


def begin_attempt(connection: Connection, subject: str, kind: str, token: int, worker: str) -> None:
    connection.execute(
        attempts.insert().values(subject=subject, kind=kind, token=token, worker=worker, started_at=now())
    )


def end_attempt(connection: Connection, subject: str, token: int, outcome: str, error: str | None = None) -> None:
    connection.execute(
        update(attempts)
        .where(attempts.c.subject == subject, attempts.c.token == token, attempts.c.ended_at.is_(None))
        .values(ended_at=now(), outcome=outcome, error=error)
    )


#: Values that end a shard's lease.
NO_LEASE: dict[str, Any] = {"lease_kind": None, "lease_until": None, "worker": None}


def break_lease(connection: Connection, row: Row[Any], outcome: str, error: str | None = None) -> None:
    """Ends the lease that a shard's row shows, if it shows one: its holder's completion will be refused."""
    if row.lease_until is not None:
        end_attempt(connection, row.id, row.token, outcome, error)
        connection.execute(update(shards).where(shards.c.id == row.id).values(**NO_LEASE))
