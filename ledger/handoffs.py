"""Hand-offs: which manifests were made of a data set, under which content hash, and the shards that they pin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from core.errors import NoSuchHandoffError, NothingToHandOffError, NotReadyError
from ledger.base import Base, get_dataset_row, get_shard_row, move_shard
from ledger.clock import now
from ledger.models import handoffs
from ledger.records import Handoff
from ledger.texts import check_storable, clamp, clean, decode_cursor, from_json, page, to_json

#: A digest may be named by its first digits, this many at least.
_DIGEST = re.compile(r"[0-9a-f]{8,64}")


class Handoffs(Base):
    """The methods on hand-offs."""

    def add_handoff(
        self, dataset: str, digest: str, key: str, summary: dict[str, Any], shards: Mapping[str, str]
    ) -> Handoff:
        """Enters a manifest (`key` in the store) that pins `shards`, {shard id: edition}; they become handed_off.

        The same digest again returns what is there. Raises NotReadyError where a shard is neither accepted nor handed
        off, or has another edition than the manifest says (a correction came in between: make the manifest again),
        NothingToHandOffError without shards, NoSuchDatasetError, NoSuchShardError.
        """
        check_storable("a manifest's key", key)

        def work(connection: Connection) -> Handoff:
            dataset_id = get_dataset_row(connection, dataset).id
            same = select(handoffs).where(handoffs.c.dataset_id == dataset_id, handoffs.c.digest == digest)
            if (there := connection.execute(same).first()) is not None:
                return _record(there, dataset)
            if not shards:
                raise NothingToHandOffError(f"No shard of {dataset} is accepted.")
            for shard_id in sorted(shards):
                _hand_off(connection, dataset_id, shard_id, shards[shard_id])
            values = {"dataset_id": dataset_id, "digest": digest, "key": key, "summary": to_json(summary)}
            insert = handoffs.insert().values(created_at=now(), **values).returning(handoffs)
            return _record(connection.execute(insert).one(), dataset)

        return self._db.write(work)

    def list_handoffs(
        self, dataset: str, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[Handoff], str | None]:
        """A page, oldest first, and the next page's cursor. Raises NoSuchDatasetError, BadCursorError."""
        limit = clamp(limit)
        statement = select(handoffs).order_by(handoffs.c.id).limit(limit + 1)
        if position := decode_cursor(cursor, int):
            statement = statement.where(handoffs.c.id > position[0])
        with self._db.read() as connection:
            dataset_id = get_dataset_row(connection, dataset).id
            rows = list(connection.execute(statement.where(handoffs.c.dataset_id == dataset_id)))
        shown, following = page(rows, limit, lambda row: [row.id])
        return [_record(row, dataset) for row in shown], following

    def get_handoff(self, dataset: str, digest: str) -> Handoff:
        """By its digest, or 8 or more of its first digits where these name one only. Raises NoSuchHandoffError."""
        found: list[Row[Any]] = []
        with self._db.read() as connection:
            dataset_id = get_dataset_row(connection, dataset).id
            if _DIGEST.fullmatch(digest):
                mine = (handoffs.c.dataset_id == dataset_id) & handoffs.c.digest.startswith(digest)
                found = list(connection.execute(select(handoffs).where(mine).limit(2)))
        if len(found) != 1:
            which = "more than one hand-off begins with" if found else "there is no hand-off"
            raise NoSuchHandoffError(f"In data set {dataset}, {which} {clean(digest, 80)!r}.")
        return _record(found[0], dataset)


def _hand_off(connection: Connection, dataset_id: int, shard_id: str, edition: str) -> None:
    row = get_shard_row(connection, shard_id, lock=True)
    if row.dataset_id != dataset_id:
        raise NotReadyError(f"Shard {row.name} belongs to another data set.")
    if row.state not in ("accepted", "handed_off") or row.edition != edition:
        raise NotReadyError(
            f"Shard {row.name} has changed since the manifest was made: it is {row.state}.",
            hint="Make the hand-off again once the shard is accepted.",
        )
    if row.state == "accepted":
        move_shard(connection, shard_id, "handed_off", only=("accepted",))


def _record(row: Row[Any], dataset: str) -> Handoff:
    return Handoff(dataset, row.digest, row.key, from_json(row.summary), row.created_at)
