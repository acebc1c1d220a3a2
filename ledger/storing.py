"""How bytes become a shard in the ledger: its row, its structural rejects and its chunks, in one transaction.

Serves shards.py (uploaded bytes) and remotes.py (bytes that a worker fetched).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.errors import CountMismatchError
from ledger.base import BATCH_ROWS, NO_LEASE, move_shard
from ledger.clock import now
from ledger.models import attempts, chunks, rejects, shards, urls
from ledger.records import NewReject
from ledger.texts import clean


def shard_id(dataset_id: int, mark: str) -> str:
    """16 hexadecimal digits. `mark` is the sha256 of the bytes, or `url:<url>` while they are not known."""
    return hashlib.sha256(f"{dataset_id}:{mark}".encode()).hexdigest()[:16]


def chunk_id(shard: str, start: int, stop: int) -> str:
    """The shard and the range, so that ids sort as the ranges do."""
    return f"{shard}-{start:08d}-{stop:08d}"


def insert_shard(connection: Connection, values: dict[str, Any], name: str, mark: str) -> str | None:
    """Inserts a row under `name`, or where another shard has it under `name@<first digits of mark>`.

    Returns its id, or None when these bytes (or this URL) have a row already.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    names = [name, *(f"{name}@{mark[:digits]}" for digits in (8, 16, 64))]
    for candidate in names:
        row = values | {"name": candidate, "created_at": now(), "changed_at": now()}
        # RETURNING tells whether a row was inserted; the count of rows is not told by every driver.
        new = insert(shards).values(row).on_conflict_do_nothing().returning(shards.c.id)
        if (identity := connection.scalar(new)) is not None:
            return str(identity)
        if not connection.scalar(_taken(values["dataset_id"], candidate)) or _there(connection, values):
            return None
    return None


def _taken(dataset_id: int, name: str) -> Any:
    return select(exists().where(shards.c.dataset_id == dataset_id, shards.c.name == name))


def _there(connection: Connection, values: dict[str, Any]) -> bool:
    same = shards.c.id == values["id"]
    if values.get("sha256"):
        same |= (shards.c.dataset_id == values["dataset_id"]) & (shards.c.sha256 == values["sha256"])
    return bool(connection.scalar(select(exists().where(same))))


def start_captioning(
    connection: Connection, shard: str, dataset_id: int, units: int, new: Sequence[NewReject], chunk_samples: int
) -> None:
    """stored -> captioning, with the shard's structural rejects and chunks. Raises CountMismatchError."""
    ordinals = sorted(ordinal for ordinal, *_ in new)
    if len(set(ordinals)) != len(ordinals) or (ordinals and not 0 <= ordinals[0] <= ordinals[-1] < units) or units < 1:
        raise CountMismatchError(f"Shard {shard}: {len(ordinals)} structural rejects do not fit into {units} units.")
    insert_rejects(connection, shard, new, None)
    ranges = [] if len(ordinals) == units else cut(0, units, chunk_samples)
    insert_chunks(connection, shard, dataset_id, ranges, Counter(ordinal // chunk_samples for ordinal in ordinals))
    open_chunks = len(ranges)
    move_shard(
        connection, shard, "captioning", only=("stored",), rejected=len(ordinals), chunks=open_chunks,
        chunks_open=open_chunks,
    )  # fmt: skip


def cut(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """[start, stop) in ranges of `size` units, the last one shorter."""
    return [(at, min(at + size, stop)) for at in range(start, stop, size)]


def insert_chunks(
    connection: Connection, shard: str, dataset_id: int, ranges: Iterable[tuple[int, int]], structural: Counter[int]
) -> None:
    """Pending chunks; `structural` counts the rejects of the n-th range. Their age in the queue is the shard's."""
    created_at = connection.scalar(select(shards.c.created_at).where(shards.c.id == shard))
    rows = (
        {
            "id": chunk_id(shard, start, stop),
            "shard_id": shard,
            "dataset_id": dataset_id,
            "start": start,
            "stop": stop,
            "structural": structural[number],
            "state": "pending",
            "created_at": created_at,
        }
        for number, (start, stop) in enumerate(ranges)
    )
    for batch in in_batches(rows):
        connection.execute(chunks.insert(), batch)


def insert_rejects(connection: Connection, shard: str, new: Iterable[NewReject], chunk: str | None) -> None:
    rows = (
        {
            "shard_id": shard,
            "ordinal": ordinal,
            "key": clean(key),
            "reason": reason,
            "sentence": clean(sentence),
            "chunk_id": chunk,
        }
        for ordinal, key, reason, sentence in new
    )
    for batch in in_batches(rows):
        connection.execute(rejects.insert(), batch)


def in_batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def withdraw_chunks(connection: Connection, shard: str) -> None:
    """Takes a quarantined shard's unfinished chunks out of the queue; leases on them are void."""
    mine = (chunks.c.shard_id == shard) & chunks.c.state.in_(("pending", "leased"))
    connection.execute(update(chunks).where(mine).values(state="withdrawn", lease_until=None, worker=None))
    # Only now: a claim may have come in until the chunks were withdrawn, and its attempt ends here too.
    withdrawn = select(chunks.c.id).where(chunks.c.shard_id == shard, chunks.c.state == "withdrawn")
    connection.execute(
        update(attempts)
        .where(attempts.c.subject.in_(withdrawn), attempts.c.ended_at.is_(None))
        .values(ended_at=now(), outcome="withdrawn")
    )


def bring_back(connection: Connection, row: Row[Any]) -> None:
    """A quarantined shard starts again where it was: at its URL, or with the chunks that are not done yet."""
    fresh: dict[str, Any] = {"code": None, "sentence": None, "attempts": 0, **NO_LEASE}
    if row.sha256 is None:
        move_shard(connection, row.id, "uploading", only=("quarantined",), **fresh)
        return
    move_shard(connection, row.id, "stored", only=("quarantined",), **fresh)
    connection.execute(
        update(chunks)
        .where(chunks.c.shard_id == row.id, chunks.c.state == "withdrawn")
        .values(state="pending", attempts=0)
    )
    move_shard(connection, row.id, "captioning", only=("stored",))


def shard_by_url(connection: Connection, dataset_id: int, url: str) -> str | None:
    """The id of the shard that this URL was folded into, if it was."""
    found: str | None = connection.scalar(
        select(urls.c.shard_id).where(urls.c.dataset_id == dataset_id, urls.c.url == url)
    )
    return found


def count_structural(connection: Connection, shard: str, start: int, stop: int) -> int:
    """Structural rejects among units [start, stop)."""
    inside = (rejects.c.shard_id == shard) & (rejects.c.ordinal >= start) & (rejects.c.ordinal < stop)
    counted = connection.scalar(select(func.count()).where(inside, rejects.c.chunk_id.is_(None)))
    return int(counted or 0)
