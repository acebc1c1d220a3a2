"""Rejects: which units do not go on, and why. storing.py and chunks.py make the rows; here they are read and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from ledger.base import Base, get_dataset_row, get_shard_row
from ledger.models import rejects, shards
from ledger.records import RejectRow
from ledger.texts import clamp, clean, decode_cursor, page


class Rejected(Base):
    """The methods on rejects."""

    def list_rejects(
        self, dataset: str, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[RejectRow], str | None]:
        """A page by shard name and ordinal, and the next page's cursor. Raises NoSuchDatasetError, BadCursorError."""
        limit = clamp(limit)
        statement = _select().order_by(shards.c.name, rejects.c.ordinal).limit(limit + 1)
        if position := decode_cursor(cursor, str, int):
            name, ordinal = position
            statement = statement.where(
                shards.c.name >= name, (shards.c.name > name) | (rejects.c.ordinal > ordinal)
            )  # fmt: skip
        with self._db.read() as connection:
            dataset_id = get_dataset_row(connection, dataset).id
            rows = connection.execute(statement.where(shards.c.dataset_id == dataset_id))
            items = [_record(row) for row in rows]
        return page(items, limit, lambda reject: [reject.shard, reject.ordinal])

    def shard_rejects(self, shard_id: str) -> list[RejectRow]:
        """All rejects of a shard by ordinal. Raises NoSuchShardError."""
        with self._db.read() as connection:
            get_shard_row(connection, shard_id)
            statement = _select().where(shards.c.id == shard_id).order_by(rejects.c.ordinal)
            return [_record(row) for row in connection.execute(statement)]

    def name_rejects(self, shard_id: str, keys: Mapping[int, str]) -> int:
        """Gives poison samples their keys, {ordinal: key}: the ledger counts units, only the shard's index names them.

        Keys that are there already stay. Returns how many were named.
        """

        def work(connection: Connection) -> int:
            named = 0
            for ordinal, key in keys.items():
                unnamed = (rejects.c.shard_id == shard_id) & (rejects.c.ordinal == ordinal) & (rejects.c.key == "")
                named += connection.execute(update(rejects).where(unnamed).values(key=clean(key))).rowcount
            return named

        return self._db.write(work)


def _select() -> Select[Any]:
    return select(rejects, shards.c.name.label("shard")).join(shards, shards.c.id == rejects.c.shard_id)


def _record(row: Row[Any]) -> RejectRow:
    return RejectRow(
        row.shard_id, row.shard, row.ordinal, row.key, row.reason, row.sentence, structural=row.chunk_id is None
    )
