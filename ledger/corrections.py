"""Corrections: a person's captions, versioned, each asking for a new edition of its shard."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from core.errors import BadFieldError, NotReadyError
from ledger.base import NO_LEASE, Base, break_lease, get_dataset_row, get_shard_row, move_shard
from ledger.clock import now
from ledger.models import corrections, shards
from ledger.shards import find_shard
from ledger.states import EDITED
from ledger.texts import check_storable, clean, storable

#: Longest corrected caption, in characters.
MOST_CAPTION = 100_000


class Corrections(Base):
    """The methods on corrections."""

    def correct(self, dataset: str, shard: str, key: str, text: str, author: str) -> int:
        """Enters a caption for a sample and returns its version, 1 for the first.

        A shard that has an edition goes back to captioning, its chunks still done, so that a new edition is made. A
        finaliser at work loses its lease: it may have read the corrections before this one came. Whether the shard has
        such a sample is the caller's to check. Raises NoSuchDatasetError, NoSuchShardError, BadNameError,
        BadFieldError, NotReadyError (not stored yet, or quarantined).
        """
        check_storable("a sample's key", key)
        if len(text) > MOST_CAPTION or not storable(text):
            raise BadFieldError(f"A caption has at most {MOST_CAPTION} characters, and no NUL.")

        def work(connection: Connection) -> int:
            identity = find_shard(connection, get_dataset_row(connection, dataset).id, shard)
            row = get_shard_row(connection, identity, lock=True)
            if row.state not in ("captioning", *EDITED):
                raise NotReadyError(f"Shard {row.name} is {row.state}: it has no captions to correct.")
            break_lease(connection, row, "superseded", "a correction arrived")
            if row.state in EDITED:
                move_shard(connection, row.id, "captioning", only=EDITED, **NO_LEASE)
            connection.execute(
                update(shards).where(shards.c.id == row.id).values(corrections=shards.c.corrections + 1, attempts=0)
            )
            return _insert(connection, row.id, key, text, clean(author, 200))

        return self._db.write(work)

    def corrections_for(self, shard_id: str) -> dict[str, tuple[int, str]]:
        """{key: (version, text)}: the newest correction of every corrected sample of a shard."""
        columns = select(corrections.c.key, corrections.c.version, corrections.c.text)
        statement = columns.where(corrections.c.shard_id == clean(shard_id)).order_by(corrections.c.version)
        with self._db.read() as connection:
            return {row.key: (row.version, row.text) for row in connection.execute(statement)}


def _insert(connection: Connection, shard_id: str, key: str, text: str, author: str) -> int:
    same = (corrections.c.shard_id == shard_id) & (corrections.c.key == key)
    version = int(connection.scalar(select(func.coalesce(func.max(corrections.c.version), 0)).where(same)) or 0) + 1
    values = {"shard_id": shard_id, "key": key, "version": version, "text": text, "author": author}
    connection.execute(corrections.insert().values(created_at=now(), **values))
    return version
