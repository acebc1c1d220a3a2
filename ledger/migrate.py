"""Brings a database to the newest schema, with the packaged migrations; no alembic.ini and no shell needed.

Safe when several processes start at once: all of it is one transaction under one lock, and whoever comes second finds
nothing left to do.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from core.errors import LedgerError
from ledger.db import Database

#: The advisory lock of PostgreSQL under which the schema changes; any number that others are unlikely to take.
LOCK = 7_302_519_846

_FOLDER = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Upgrades from whatever is there, or from nothing. Raises LedgerError, also for a newer schema than ours."""

    def work(connection: Connection) -> None:
        if not database.sqlite:  # SQLite's BEGIN IMMEDIATE is the lock
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        try:
            command.upgrade(alembic_config(connection), "head")
        except CommandError as error:
            raise LedgerError(
                f"The ledger at {database.shown_url} has a schema that this version does not know: {error}",
                hint="It was made by a newer Densify: upgrade this one.",
            ) from error

    database.write(work)


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration of the packaged migrations; `connection` is what env.py works on."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The revision that `upgrade` leads to."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head
