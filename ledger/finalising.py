"""Finalising: from all chunks done to accepted or held, under one lease.

The holder of one claim takes the shard through captioned, measured and the gates. If it dies in between, the next claim
shows the state that was reached (`claim.shard.state`) and goes on from there. Each step told twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from core.errors import CountMismatchError
from ledger import states
from ledger.base import NO_LEASE, Base, break_lease, end_attempt, get_shard_row, move_shard, read_shard
from ledger.claims import check_shard_lease, claim_shard
from ledger.models import shards
from ledger.records import Shard, ShardClaim
from ledger.shards import set_apart
from ledger.texts import clean, to_json


class Finalising(Base):
    """The methods on a shard whose chunks are done; `release_shard` and `fail_shard` serve claims to ingest too."""

    def claim_finalise(self, shard_id: str, worker: str, lease_s: float) -> ShardClaim | None:
        """The right to finalise a shard for `lease_s` seconds, or None: chunks are open, it is taken, or settled."""
        free = shards.c.state.in_(states.FINALISABLE) & (shards.c.chunks_open == 0) & (shards.c.units > 0)
        return self._db.write(lambda connection: claim_shard(connection, "finalise", shard_id, worker, lease_s, free))

    def complete_captioned(
        self,
        claim: ShardClaim,
        manifest_key: str,
        edition: str,
        sha256: str,
        size_bytes: int,
        captioned: int,
        rejected: int,
        flagged: int,
    ) -> Shard:
        """captioning -> captioned: names the captioned shard that is now in the store. The lease goes on.

        Raises CountMismatchError unless captioned and rejected are the ledger's own counts and make up all units,
        LeaseLostError (also when a correction arrived after the claim: another edition is due), IllegalTransitionError.
        """

        def work(connection: Connection) -> Shard:
            row = _held_by(connection, claim)
            told = row.state == "captioned" and row.edition == edition and row.captioned_sha256 == sha256
            if not told:
                _check_counts(row, captioned, rejected)
                move_shard(
                    connection,
                    row.id,
                    "captioned",
                    only=("captioning",),
                    manifest_key=manifest_key,
                    edition=edition,
                    captioned_sha256=sha256,
                    captioned_size_bytes=size_bytes,
                    edition_flagged=flagged,
                    density=None,
                    passed=None,
                    findings=None,
                    release_reason=None,
                )
            return read_shard(connection, row.id)

        return self._db.write(work)

    def complete_measured(self, claim: ShardClaim, density: dict[str, Any]) -> Shard:
        """captioned -> measured, with the shard's density table. The lease goes on.

        Raises LeaseLostError, IllegalTransitionError.
        """
        text = to_json(density)

        def work(connection: Connection) -> Shard:
            row = _held_by(connection, claim)
            if not (row.state == "measured" and row.density == text):
                move_shard(connection, row.id, "measured", only=("captioned",), density=text)
            return read_shard(connection, row.id)

        return self._db.write(work)

    def complete_gated(self, claim: ShardClaim, passed: bool, findings: Sequence[str] = ()) -> Shard:
        """measured -> accepted, or held with what the gates found. Ends the lease.

        Raises LeaseLostError, IllegalTransitionError.
        """
        text = to_json([clean(finding) for finding in findings])

        def work(connection: Connection) -> Shard:
            row = get_shard_row(connection, claim.shard_id, lock=True)
            new = "accepted" if passed else "held"
            if not (row.token == claim.token and row.state == new and row.findings == text):
                check_shard_lease(row, claim)
                end_attempt(connection, row.id, row.token, "done")
                move_shard(
                    connection, row.id, new, only=("measured",), passed=passed, findings=text, attempts=0, **NO_LEASE
                )
            return read_shard(connection, row.id)

        return self._db.write(work)

    def release_shard(self, claim: ShardClaim) -> None:
        """Gives a shard back (the worker stops, a part is out): not an attempt. Raises LeaseLostError."""

        def work(connection: Connection) -> None:
            row = _held_by(connection, claim)
            break_lease(connection, row, "released")
            connection.execute(shards.update().where(shards.c.id == row.id).values(attempts=row.attempts - 1))

        self._db.write(work)

    def fail_shard(self, claim: ShardClaim, error: str, max_attempts: int = 3) -> Shard:
        """Enters a failed attempt; after `max_attempts` the shard is quarantined with the last error.

        Raises LeaseLostError.
        """

        def work(connection: Connection) -> Shard:
            give_back_shard(connection, _held_by(connection, claim), "failed", clean(error), max_attempts)
            return read_shard(connection, claim.shard_id)

        return self._db.write(work)

    def release_held(self, shard_id: str, reason: str) -> Shard:
        """held -> accepted by a person, whose reason is kept. Raises IllegalTransitionError, NoSuchShardError."""

        def work(connection: Connection) -> Shard:
            move_shard(connection, shard_id, "accepted", only=("held",), release_reason=clean(reason))
            return read_shard(connection, shard_id)

        return self._db.write(work)


def give_back_shard(connection: Connection, row: Row[Any], outcome: str, error: str, max_attempts: int) -> bool:
    """Ends a shard's lease (its row is locked) after a failed attempt; true when the shard is quarantined now."""
    break_lease(connection, row, outcome, error)
    if row.attempts < max_attempts:
        return False
    what = "Reading" if row.lease_kind == "ingest" else "Finalising"
    sentence = f"{what} it failed {row.attempts} times; the last one: {error}"
    set_apart(connection, row.id, f"{row.lease_kind}_failed", sentence)
    return True


def _held_by(connection: Connection, claim: ShardClaim) -> Row[Any]:
    row = get_shard_row(connection, claim.shard_id, lock=True)
    check_shard_lease(row, claim)
    return row


def _check_counts(row: Row[Any], captioned: int, rejected: int) -> None:
    if (captioned, rejected) != (row.captioned, row.rejected) or captioned + rejected != row.units:
        raise CountMismatchError(
            f"Shard {row.name} has {row.units} units; the ledger counts {row.captioned} captioned and {row.rejected} "
            f"rejected, its captioned shard {captioned} and {rejected}."
        )
