"""`Ledger`: the one way in. Each method stands in the module of its noun; here they are joined over one database."""

from __future__ import annotations

from types import TracebackType

from sqlalchemy import select

from ledger.audit import Audits
from ledger.chunks import Chunks
from ledger.claims import Claims
from ledger.clock import now
from ledger.corrections import Corrections
from ledger.datasets import Datasets
from ledger.db import Database
from ledger.finalising import Finalising
from ledger.handoffs import Handoffs
from ledger.keys import Keys
from ledger.progress import Progress
from ledger.rejected import Rejected
from ledger.remotes import Remotes
from ledger.shards import Shards
from ledger.sweep import Sweep


class Ledger(
    Datasets,
    Shards,
    Remotes,
    Rejected,
    Claims,
    Chunks,
    Finalising,
    Sweep,
    Corrections,
    Handoffs,
    Keys,
    Progress,
    Audits,
):
    """The truth, in SQL. One object serves many threads; each process makes its own (none survives a fork).

    Every method is one transaction, or one for each thing that it goes through; every one may raise LedgerError, when
    the database cannot be reached or was locked too long, and StorageFullError.
    """

    def __init__(self, url: str) -> None:
        """Opens nothing yet. `url` is SQLAlchemy's: sqlite:///path or postgresql+psycopg://… Raises SettingError."""
        self._db = Database(url)

    def create(self) -> None:
        """Makes the schema or brings it up to date; safe when several processes start at once."""
        from ledger.migrate import upgrade  # alembic is needed here only, and takes a while to import

        upgrade(self._db)

    def close(self) -> None:
        """Closes the connections."""
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the ledger is, the password masked."""
        return self._db.shown_url

    def now(self) -> float:
        """The database's clock, epoch seconds."""
        with self._db.read() as connection:
            return float(connection.scalar(select(now())) or 0.0)

    def ping(self) -> None:
        """Returns when the database answers. Raises LedgerError."""
        self.now()
