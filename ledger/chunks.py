"""Chunks: results inserted once, failures, halving, and the poison sample that is left alone at the end.

A chunk covers units [start, stop) of its shard, structural rejects included. These were counted when the shard was
stored; a commit reports them among its rejects again (so that captioned + rejected = stop - start, for everyone to
check) and the ledger adds only what is new to the shard's counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from core.errors import CountMismatchError, IllegalTransitionError
from ledger.base import (
    NO_LEASE,
    Base,
    break_lease,
    end_attempt,
    get_chunk_row,
    get_shard_row,
    move_chunk,
    move_shard,
)
from ledger.claims import check_chunk_lease
from ledger.clock import now
from ledger.models import attempts, chunks, rejects, results, shards
from ledger.records import Attempt, ChunkClaim, ChunkResult, Failure, NewReject
from ledger.states import EDITED
from ledger.storing import chunk_id, count_structural, insert_chunks, insert_rejects
from ledger.texts import clean


class Chunks(Base):
    """The methods on chunks after their claim."""

    def commit(
        self,
        claim: ChunkClaim,
        path: str,
        sha256: str,
        captioned: int,
        rejected: int,
        flagged: int,
        rejects: Sequence[NewReject] = (),
    ) -> bool:
        """Enters a chunk's result, once: `path` and `sha256` of its records in the store, and its counts.

        `rejected` and `rejects` cover the whole range, structural rejects included: captioned + rejected = stop -
        start. Structural ones are recorded already and passed over; they may be left out of `rejects`, not of
        `rejected`.
        Returns True when this was the shard's last open chunk: True once, for one caller. The same result again (the
        answer was lost) changes nothing and returns False. Raises LeaseLostError for a stale token, CountMismatchError.
        """

        def work(connection: Connection) -> bool:
            get_shard_row(connection, claim.shard_id, lock=True)
            row = get_chunk_row(connection, claim.chunk_id, lock=True)
            if row.state == "done" and _same_result(connection, row.id, path, sha256, captioned, rejected, flagged):
                return False
            check_chunk_lease(row, claim)
            new = _new_rejects(connection, row, captioned, rejected, rejects)
            counts = {"captioned": captioned, "rejected": rejected, "flagged": flagged}
            return _finish(connection, row, {"path": path, "sha256": sha256, **counts}, new)

        return self._db.write(work)

    def release(self, claim: ChunkClaim, trouble: tuple[str, str] | None = None) -> None:
        """Gives a chunk back untouched (the worker stops, the engine is out): not an attempt. Raises LeaseLostError.

        `trouble`: code and sentence of what kept the work from being done; they stand on the shard until a chunk of it
        is committed, so that whoever waits learns why.
        """

        def work(connection: Connection) -> None:
            get_shard_row(connection, claim.shard_id, lock=True)
            row = get_chunk_row(connection, claim.chunk_id, lock=True)
            check_chunk_lease(row, claim)
            end_attempt(connection, row.id, row.token, "released", clean(trouble[1]) if trouble else None)
            move_chunk(connection, row.id, "pending", only=("leased",), attempts=row.attempts - 1)
            if trouble is not None:
                told = {"code": clean(trouble[0], 64), "sentence": clean(trouble[1])}
                connection.execute(update(shards).where(shards.c.id == row.shard_id).values(**told))

        self._db.write(work)

    def fail(self, claim: ChunkClaim, error: str, max_attempts: int = 3) -> Failure:
        """Enters a failed attempt. After `max_attempts` the chunk is halved; alone, its unit is rejected as `poison`.

        Raises LeaseLostError.
        """

        def work(connection: Connection) -> Failure:
            get_shard_row(connection, claim.shard_id, lock=True)
            row = get_chunk_row(connection, claim.chunk_id, lock=True)
            check_chunk_lease(row, claim)
            return give_back(connection, row, "failed", clean(error), max_attempts)

        return self._db.write(work)

    def reopen_chunk(self, chunk_id: str, why: str) -> None:
        """Takes a result back, as its file is missing or damaged: the chunk is pending again, the shard captioning.

        A lease on finalising the shard is void. Raises NotFoundError, IllegalTransitionError (the chunk is not done).
        """

        def work(connection: Connection) -> None:
            chunk = get_chunk_row(connection, chunk_id)
            shard = get_shard_row(connection, chunk.shard_id, lock=True)
            chunk = get_chunk_row(connection, chunk_id, lock=True)
            if shard.state not in ("captioning", *EDITED):
                raise IllegalTransitionError(f"Shard {shard.name} is {shard.state}: its chunks stay as they are.")
            move_chunk(connection, chunk_id, "pending", only=("done",), attempts=0, error=clean(why))
            break_lease(connection, shard, "superseded", clean(why))
            if shard.state in EDITED:
                move_shard(connection, shard.id, "captioning", only=EDITED, attempts=0, **NO_LEASE)
            _take_back(connection, chunk)

        self._db.write(work)

    def chunk_results(self, shard_id: str) -> list[ChunkResult]:
        """The chunks of a shard that are done, by their start. Raises NoSuchShardError."""
        statement = (
            select(results, chunks.c.stop)
            .join(chunks, chunks.c.id == results.c.chunk_id)
            .where(results.c.shard_id == shard_id)
            .order_by(results.c.start)
        )
        with self._db.read() as connection:
            get_shard_row(connection, shard_id)
            rows = connection.execute(statement).all()
        return [
            ChunkResult(r.chunk_id, r.start, r.stop, r.path, r.sha256, r.captioned, r.rejected, r.flagged) for r in rows
        ]

    def attempts(self, subject_id: str) -> list[Attempt]:
        """Every claim of a chunk or shard, oldest first."""
        statement = select(attempts).where(attempts.c.subject == clean(subject_id)).order_by(attempts.c.token)
        with self._db.read() as connection:
            return [Attempt(**row._mapping) for row in connection.execute(statement)]


# ---- a chunk ends well ----------------------------------------------------------------------------------------------


def _same_result(connection: Connection, chunk: str, *told: Any) -> bool:
    row = connection.execute(select(results).where(results.c.chunk_id == chunk)).one()
    return told == (row.path, row.sha256, row.captioned, row.rejected, row.flagged)


def _new_rejects(
    connection: Connection, row: Row[Any], captioned: int, rejected: int, told: Sequence[NewReject]
) -> list[NewReject]:
    """The rejects that are not recorded yet. Raises CountMismatchError where the counts do not prove every unit."""
    structural = structural_ordinals(connection, row)
    new = {reject[0]: reject for reject in told if reject[0] not in structural}
    units = row.stop - row.start
    inside = all(row.start <= ordinal < row.stop for ordinal in new)
    doubled = len({reject[0] for reject in told}) != len(told)
    if captioned < 0 or captioned + rejected != units or len(new) + row.structural != rejected or doubled or not inside:
        raise CountMismatchError(
            f"Chunk {row.id} has {units} units, {row.structural} of them rejects from the start; its result counts "
            f"{captioned} captioned and {rejected} rejected and names {len(new)} new rejects."
        )
    return list(new.values())


def structural_ordinals(connection: Connection, row: Row[Any]) -> set[int]:
    if row.structural == 0:
        return set()
    inside = (rejects.c.shard_id == row.shard_id) & (rejects.c.ordinal >= row.start) & (rejects.c.ordinal < row.stop)
    return set(connection.scalars(select(rejects.c.ordinal).where(inside, rejects.c.chunk_id.is_(None))))


def _finish(connection: Connection, row: Row[Any], result: dict[str, Any], new: Sequence[NewReject]) -> bool:
    """leased -> done with its result; true when it was the shard's last open chunk."""
    move_chunk(connection, row.id, "done", only=("leased",))
    started_at = connection.scalar(
        select(attempts.c.started_at).where(attempts.c.subject == row.id, attempts.c.token == row.token)
    )
    connection.execute(
        results.insert().values(
            chunk_id=row.id,
            shard_id=row.shard_id,
            dataset_id=row.dataset_id,
            start=row.start,
            token=row.token,
            started_at=started_at,
            finished_at=now(),
            **result,
        )
    )
    insert_rejects(connection, row.shard_id, new, row.id)
    end_attempt(connection, row.id, row.token, "done")
    left = connection.execute(
        update(shards)
        .where(shards.c.id == row.shard_id)
        .values(
            captioned=shards.c.captioned + result["captioned"],
            rejected=shards.c.rejected + len(new),
            flagged=shards.c.flagged + result["flagged"],
            chunks_open=shards.c.chunks_open - 1,
            code=None,
            sentence=None,
        )
        .returning(shards.c.chunks_open)
    ).scalar_one()
    return bool(left == 0)


def _take_back(connection: Connection, row: Row[Any]) -> None:
    result = connection.execute(select(results).where(results.c.chunk_id == row.id)).one()
    connection.execute(delete(results).where(results.c.chunk_id == row.id))
    connection.execute(delete(rejects).where(rejects.c.shard_id == row.shard_id, rejects.c.chunk_id == row.id))
    connection.execute(
        update(shards)
        .where(shards.c.id == row.shard_id)
        .values(
            captioned=shards.c.captioned - result.captioned,
            rejected=shards.c.rejected - (result.rejected - row.structural),
            flagged=shards.c.flagged - result.flagged,
            chunks_open=shards.c.chunks_open + 1,
        )
    )


# ---- a chunk ends badly ---------------------------------------------------------------------------------------------


def give_back(connection: Connection, row: Row[Any], outcome: str, error: str, max_attempts: int) -> Failure:
    """Ends a chunk's lease (its row and its shard's are locked): another attempt, two halves, or a poison sample."""
    end_attempt(connection, row.id, row.token, outcome, error)
    if row.attempts < max_attempts:
        move_chunk(connection, row.id, "pending", only=("leased",), error=error)
        return Failure("retry", (row.id,), last=False)
    if row.stop - row.start > 1:
        return Failure("halved", _halve(connection, row, error), last=False)
    new: list[NewReject] = []
    if row.structural == 0:
        new.append((row.start, "", "poison", f"Every attempt failed, alone too; the last one: {error}"))
    result = {"path": None, "sha256": None, "captioned": 0, "rejected": 1, "flagged": 0}
    return Failure("poison", (), last=_finish(connection, row, result, new))


def _halve(connection: Connection, row: Row[Any], error: str) -> tuple[str, str]:
    middle = (row.start + row.stop) // 2
    move_chunk(connection, row.id, "split", only=("leased",), error=error)
    left = count_structural(connection, row.shard_id, row.start, middle)
    ranges = [(row.start, middle), (middle, row.stop)]
    insert_chunks(
        connection, row.shard_id, row.dataset_id, ranges, Counter({0: left, 1: row.structural - left})
    )  # fmt: skip
    connection.execute(
        update(shards)
        .where(shards.c.id == row.shard_id)
        .values(chunks=shards.c.chunks + 1, chunks_open=shards.c.chunks_open + 1)
    )
    return chunk_id(row.shard_id, row.start, middle), chunk_id(row.shard_id, middle, row.stop)
