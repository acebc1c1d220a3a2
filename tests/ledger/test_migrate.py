"""Migrations: from nothing, twice, two processes at once; and they make exactly the tables that the code names."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from core.errors import LedgerError
from ledger import Ledger
from ledger.migrate import alembic_config, newest
from ledger.models import metadata
from tests.ledger.helpers import SPEC, output, python

CREATE = """
    import sys
    from ledger import Ledger
    with Ledger(sys.argv[1]) as ledger:
        ledger.create()
        ledger.list_datasets()
"""


def version(ledger: Ledger) -> str | None:
    with ledger._db.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def test_an_empty_database_is_upgraded_and_a_second_time_is_a_no_op(empty_ledger_url: str) -> None:
    with Ledger(empty_ledger_url) as ledger:
        assert version(ledger) is None
        ledger.create()
        ledger.create_dataset("d", SPEC)
        ledger.create()
        assert version(ledger) == newest()
        assert ledger.get_dataset("d").name == "d"


def test_two_processes_may_upgrade_at_once(empty_ledger_url: str) -> None:
    running = [python(CREATE, empty_ledger_url) for _ in range(2)]
    assert [output(process) for process in running] == ["", ""]


def test_the_migrations_make_what_the_models_say(ledger: Ledger) -> None:
    with ledger._db.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_make_the_models_checks(ledger: Ledger) -> None:
    with ledger._db.read() as connection:
        looker = inspect(connection)
        for table in metadata.tables.values():
            made = {found["name"] for found in looker.get_check_constraints(table.name)}
            named = {str(c.name) for c in table.constraints if type(c).__name__ == "CheckConstraint"}
            assert made == named, table.name


def test_a_schema_can_be_taken_down_and_made_again(ledger: Ledger) -> None:
    ledger._db.write(lambda connection: command.downgrade(alembic_config(connection), "base"))
    assert version(ledger) is None
    ledger.create()
    assert version(ledger) == newest()


def test_a_schema_of_a_newer_version_is_refused(ledger: Ledger) -> None:
    ledger._db.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'").rowcount)
    with pytest.raises(LedgerError, match="9999") as refused:
        ledger.create()
    assert "newer" in refused.value.hint
