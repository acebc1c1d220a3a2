"""Shards: bytes that are stored, their names, quarantine and the way back from it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from core.errors import LeaseLostError, NoSuchShardError
from ledger.base import (
    NO_LEASE,
    Base,
    break_lease,
    get_dataset_row,
    get_shard_row,
    move_shard,
    read_shard,
    select_shards,
    shard_record,
)
from ledger.models import shards, urls
from ledger.records import NewReject, Shard, ShardClaim
from ledger.storing import bring_back, insert_shard, shard_id, start_captioning, withdraw_chunks
from ledger.texts import check_storable, clamp, clean, decode_cursor, page, storable


class Shards(Base):
    """The methods on shards as a whole."""

    def add_shard(
        self,
        dataset: str,
        name: str,
        sha256: str,
        size_bytes: int,
        units: int,
        rejects: Sequence[NewReject],
        chunk_samples: int,
    ) -> tuple[Shard, bool]:
        """Enters a shard whose bytes are in the store, with its structural rejects and its chunks, ready to caption.

        Bytes that the data set has already (whatever their name) change nothing: the shard that is there comes back
        with False; a quarantined one starts again, as its bytes have just been stored anew. Other bytes under a name
        that is taken are kept beside it as `name@<first 8 digits of sha256>`. `rejects` are the units that the reader
        refused, by ordinal; they are counted here, once. Raises NoSuchDatasetError, BadNameError, CountMismatchError.
        """
        check_storable("a shard's name", name)

        def work(connection: Connection) -> tuple[Shard, bool]:
            dataset_id = get_dataset_row(connection, dataset).id
            values = {
                "id": shard_id(dataset_id, sha256),
                "dataset_id": dataset_id,
                "sha256": sha256,
                "size_bytes": size_bytes,
                "units": units,
                "state": "stored",
            }
            new = insert_shard(connection, values, name, sha256)
            if new is not None:
                start_captioning(connection, new, dataset_id, units, rejects, chunk_samples)
                return read_shard(connection, new), True
            same = select(shards.c.id).where(shards.c.dataset_id == dataset_id, shards.c.sha256 == sha256)
            row = get_shard_row(connection, connection.execute(same).scalar_one(), lock=True)
            if row.state == "quarantined":
                bring_back(connection, row)
            return read_shard(connection, row.id), False

        return self._db.write(work)

    def quarantine(self, shard_id: str, code: str, sentence: str, claim: ShardClaim | None = None) -> Shard:
        """Sets a shard apart with the code and the sentence of what is wrong with it; its chunks leave the queue.

        With a claim, only its holder may (a worker that lost its lease must not condemn what another has just read).
        A shard that is quarantined already keeps its first reason. Raises NoSuchShardError, LeaseLostError.
        """

        def work(connection: Connection) -> Shard:
            row = get_shard_row(connection, shard_id, lock=True)
            if claim is not None and (row.token != claim.token or row.lease_until is None):
                raise LeaseLostError(f"The lease on shard {row.name} went to another worker.")
            if row.state != "quarantined":
                set_apart(connection, shard_id, code, sentence)
            return read_shard(connection, shard_id)

        return self._db.write(work)

    def get_shard(self, dataset: str, name: str) -> Shard:
        """By name, also one given to bytes already there. Raises NoSuchDatasetError, NoSuchShardError."""
        with self._db.read() as connection:
            return read_shard(connection, find_shard(connection, get_dataset_row(connection, dataset).id, name))

    def get_shard_by_id(self, shard_id: str) -> Shard:
        """Raises NoSuchShardError."""
        with self._db.read() as connection:
            return read_shard(connection, shard_id)

    def list_shards(
        self, dataset: str, cursor: str | None = None, limit: int = 100, state: str | None = None
    ) -> tuple[list[Shard], str | None]:
        """A page by name, of one state where given, and the next cursor. Raises NoSuchDatasetError, BadCursorError."""
        limit = clamp(limit)
        statement = select_shards().order_by(shards.c.name).limit(limit + 1)
        if position := decode_cursor(cursor, str):
            statement = statement.where(shards.c.name > position[0])
        if state is not None:
            statement = statement.where(shards.c.state == clean(state))
        with self._db.read() as connection:
            dataset_id = get_dataset_row(connection, dataset).id
            rows = connection.execute(statement.where(shards.c.dataset_id == dataset_id))
            items = [shard_record(row) for row in rows]
        return page(items, limit, lambda shard: [shard.name])


def find_shard(connection: Connection, dataset_id: int, name: str) -> str:
    """The id of the shard of this name. Raises NoSuchShardError."""
    if storable(name):
        for table, column in ((shards, shards.c.id), (urls, urls.c.shard_id)):
            found: str | None = connection.scalar(
                select(column).where(table.c.dataset_id == dataset_id, table.c.name == name).limit(1)
            )
            if found is not None:
                return found
    raise NoSuchShardError(f"There is no shard {clean(name, 100)!r} in this data set.")


def set_apart(connection: Connection, shard_id: str, code: str, sentence: str) -> None:
    """Quarantines a shard whose row is locked."""
    row = get_shard_row(connection, shard_id)
    break_lease(connection, row, "failed", clean(sentence))
    move_shard(connection, shard_id, "quarantined", code=clean(code, 64), sentence=clean(sentence), **NO_LEASE)
    withdraw_chunks(connection, shard_id)
