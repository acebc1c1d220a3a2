"""Shards that are given by URL: a placeholder in state `uploading` until a worker has fetched the bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from core.errors import LeaseLostError
from ledger.base import NO_LEASE, Base, end_attempt, get_dataset_row, get_shard_row, move_shard, read_shard
from ledger.claims import claim_shard
from ledger.models import shards, urls
from ledger.records import NewReject, Shard, ShardClaim
from ledger.storing import bring_back, insert_shard, shard_by_url, shard_id, start_captioning
from ledger.texts import check_storable


class Remotes(Base):
    """The methods on shards by URL."""

    def add_remote(self, dataset: str, name: str, url: str) -> Shard:
        """Enters a URL for a worker to read. The same URL again returns what is there (quarantined: it is tried anew).

        A name that is taken becomes `name@<first 8 digits of the URL's sha256>`. Raises NoSuchDatasetError,
        BadNameError.
        """
        check_storable("a shard's name", name)
        check_storable("a URL", url)

        def work(connection: Connection) -> Shard:
            dataset_id = get_dataset_row(connection, dataset).id
            folded = shard_by_url(connection, dataset_id, url)
            identity = folded or shard_id(dataset_id, f"url:{url}")
            values = {"id": identity, "dataset_id": dataset_id, "url": url, "state": "uploading"}
            digest = hashlib.sha256(url.encode()).hexdigest()
            if folded or insert_shard(connection, values, name, digest) is None:
                row = get_shard_row(connection, identity, lock=True)
                if row.state == "quarantined":
                    bring_back(connection, row)
            return read_shard(connection, identity)

        return self._db.write(work)

    def claim_ingest(self, shard_id: str, worker: str, lease_s: float) -> ShardClaim | None:
        """The right to read an uploading shard for `lease_s` seconds, or None when there is none to have."""
        free = shards.c.state == "uploading"
        return self._db.write(lambda connection: claim_shard(connection, "ingest", shard_id, worker, lease_s, free))

    def complete_ingest(
        self,
        claim: ShardClaim,
        sha256: str,
        size_bytes: int,
        units: int,
        rejects: Sequence[NewReject],
        chunk_samples: int,
    ) -> Shard:
        """Enters what was read, as `add_shard` does, and ends the lease. The same call again changes nothing.

        Where the data set has these bytes already, the placeholder is folded into that shard, which is returned (its
        id is then not the claim's; the placeholder's name and URL find it from now on).
        Raises LeaseLostError, CountMismatchError.
        """

        def work(connection: Connection) -> Shard:
            row = _ingested(connection, claim, sha256)
            if isinstance(row, str):
                return read_shard(connection, row)
            end_attempt(connection, row.id, claim.token, "done")
            same = select(shards.c.id).where(shards.c.dataset_id == row.dataset_id, shards.c.sha256 == sha256)
            if (other := connection.scalar(same)) is not None:
                return _fold(connection, row, other)
            stored = {"sha256": sha256, "size_bytes": size_bytes, "units": units, "attempts": 0, **NO_LEASE}
            move_shard(connection, row.id, "stored", only=("uploading",), **stored)
            start_captioning(connection, row.id, row.dataset_id, units, rejects, chunk_samples)
            return read_shard(connection, row.id)

        return self._db.write(work)


def _ingested(connection: Connection, claim: ShardClaim, sha256: str) -> Row[Any] | str:
    """The placeholder's row, locked; or the id of the shard that an earlier run of the same call has made."""
    there = connection.scalar(select(shards.c.id).where(shards.c.id == claim.shard_id))
    if there is None:
        folded = shard_by_url(connection, claim.dataset.id, claim.shard.url or "")
        if folded is not None and get_shard_row(connection, folded).sha256 == sha256:
            return folded
        raise LeaseLostError(f"The lease on shard {claim.shard.name} went to another worker.")
    row = get_shard_row(connection, claim.shard_id, lock=True)
    if row.token == claim.token and row.state == "uploading" and row.lease_until is not None:
        return row
    if row.token == claim.token and row.sha256 == sha256:
        return str(row.id)
    raise LeaseLostError(f"The lease on shard {row.name} went to another worker.")


def _fold(connection: Connection, row: Row[Any], other: str) -> Shard:
    connection.execute(urls.insert().values(dataset_id=row.dataset_id, url=row.url, name=row.name, shard_id=other))
    connection.execute(delete(shards).where(shards.c.id == row.id))
    there = get_shard_row(connection, other, lock=True)
    if there.state == "quarantined":
        bring_back(connection, there)
    return read_shard(connection, other)
