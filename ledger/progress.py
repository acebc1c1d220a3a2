"""Progress: a data set's counts, from the counts kept on its shards; no query here walks over its chunks.

Only leases (few at any time) and the results of the last minute are looked at row by row, each through an index.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select

from ledger import states
from ledger.base import Base, get_dataset_row
from ledger.clock import now
from ledger.models import chunks, results, shards

#: The speed is that of the last so many seconds.
WINDOW_S = 60.0

_SUMS = ("units", "captioned", "rejected", "flagged", "chunks", "chunks_open")


class Progress(Base):
    """The method that API, events and status share."""

    def progress(self, dataset: str) -> dict[str, Any]:
        """Counts of a data set; units = captioned + rejected + pending.

        Keys: shards {state: n}, chunks {pending, leased, done, withdrawn: n}, units, captioned, rejected, flagged,
        pending, pending_quarantined (the part of `pending` that nobody works on), images_per_s (last minute), eta_s
        (None without speed), unfinished_shards, trouble (a sentence on what keeps a shard from going on, or None).
        Raises NoSuchDatasetError.
        """
        with self._db.snapshot() as connection:
            dataset_id = get_dataset_row(connection, dataset).id
            rows = _by_state(connection, dataset_id)
            leased_now = (chunks.c.state == "leased") & (chunks.c.dataset_id == dataset_id)
            leased = int(connection.scalar(select(func.count()).select_from(chunks).where(leased_now)) or 0)
            images_per_s = _speed(connection, dataset_id)
            trouble = _trouble(connection, dataset_id)
        total = {name: sum(getattr(row, name) for row in rows) for name in _SUMS}
        apart = [row for row in rows if row.state == "quarantined"]
        withdrawn = sum(row.chunks_open for row in apart)
        pending = total["units"] - total["captioned"] - total["rejected"]
        idle = sum(row.units - row.captioned - row.rejected for row in apart)
        return {
            "shards": {row.state: row.shards for row in rows},
            "chunks": {
                "pending": total["chunks_open"] - withdrawn - leased,
                "leased": leased,
                "done": total["chunks"] - total["chunks_open"],
                "withdrawn": withdrawn,
            },
            **{name: total[name] for name in ("units", "captioned", "rejected", "flagged")},
            "pending": pending,
            "pending_quarantined": idle,
            "images_per_s": round(images_per_s, 3),
            "eta_s": round((pending - idle) / images_per_s, 1) if images_per_s > 0 else None,
            "unfinished_shards": sum(row.shards for row in rows if row.state not in states.SETTLED),
            "trouble": trouble,
        }


def _by_state(connection: Connection, dataset_id: int) -> list[Row[Any]]:
    sums = [func.sum(shards.c[name]).label(name) for name in _SUMS]
    statement = select(shards.c.state, func.count().label("shards"), *sums).where(shards.c.dataset_id == dataset_id)
    return list(connection.execute(statement.group_by(shards.c.state).order_by(shards.c.state)))


def _trouble(connection: Connection, dataset_id: int) -> str | None:
    """The sentence of a shard whose work was given back for a reason."""
    waiting = (shards.c.dataset_id == dataset_id) & (shards.c.state == "captioning") & shards.c.sentence.is_not(None)
    return connection.scalar(select(shards.c.sentence).where(waiting).order_by(shards.c.id).limit(1))


def _speed(connection: Connection, dataset_id: int) -> float:
    """Units of the results of the window, over the part of the window in which there was work."""
    row = connection.execute(
        select(
            func.coalesce(func.sum(results.c.captioned + results.c.rejected), 0).label("units"),
            (now() - func.min(results.c.started_at)).label("span_s"),
        ).where(results.c.dataset_id == dataset_id, results.c.finished_at > now() - WINDOW_S)
    ).one()
    return float(row.units) / min(max(float(row.span_s), 0.001), WINDOW_S) if row.units else 0.0
