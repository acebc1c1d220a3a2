"""The database: what goes wrong with it becomes one named error, and no password is in it."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import LedgerError, SettingError, StorageFullError
from ledger import Ledger
from ledger import db as database
from tests.ledger.helpers import SPEC, add, claim, commit, proven
from tests.services import PostgresServer, free_port


def test_an_unreachable_database_is_a_ledger_error_without_its_password() -> None:
    with Ledger(f"postgresql://ann:hidden-word@127.0.0.1:{free_port()}/db?sslpassword=hidden-word") as ledger:
        for call in (ledger.create, ledger.ping, lambda: ledger.claim_chunk("c", "w", 1.0)):
            with pytest.raises(LedgerError) as failed:
                call()
            assert failed.value.code == "ledger_failed"
            assert "hidden-word" not in failed.value.sentence
            assert "ann:***@" in failed.value.sentence
        assert "hidden-word" not in ledger.url


def test_a_wrong_password_is_not_shown(postgres_server: PostgresServer) -> None:
    url = postgres_server.new_database().replace(PostgresServer.PASSWORD, "wrong-word")
    with Ledger(url) as ledger, pytest.raises(LedgerError) as failed:
        ledger.create()
    assert "wrong-word" not in failed.value.sentence


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://ann:hidden-word@host/db", "sqlite://", "sqlite:///:memory:", "x://ann:hidden@h:p"]
)
def test_what_cannot_hold_a_ledger_is_a_bad_setting(url: str) -> None:
    with pytest.raises(SettingError) as refused:
        Ledger(url)
    assert "hidden" not in refused.value.sentence


def test_a_file_that_is_no_database_is_a_ledger_error(tmp_path: Path) -> None:
    (tmp_path / "l.sqlite").write_bytes(b"this is no database, but it is long enough to be looked at" * 100)
    with Ledger(f"sqlite:///{tmp_path / 'l.sqlite'}") as ledger, pytest.raises(LedgerError, match="not a database"):
        ledger.create()


def test_a_folder_that_cannot_be_made_is_a_ledger_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError):
        Ledger(f"sqlite:///{tmp_path / 'file' / 'l.sqlite'}")


def test_a_database_that_is_locked_too_long_is_a_ledger_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.2)
    path = tmp_path / "l.sqlite"
    with Ledger(f"sqlite:///{path}") as ledger:
        ledger.create()
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            ledger.create_dataset("d", SPEC)
        assert ledger.list_datasets() == ([], None)  # readers go on
        blocker.rollback()
        blocker.close()
        ledger.create_dataset("d", SPEC)


def test_a_thread_that_writes_too_long_does_not_hang_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.1)
    with Ledger(f"sqlite:///{tmp_path / 'l.sqlite'}") as ledger:
        ledger.create()
        inside, leave = threading.Event(), threading.Event()

        def slow(_connection: object) -> bool:
            inside.set()
            return leave.wait(10)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(ledger._db.write, slow)
            inside.wait(10)
            with pytest.raises(LedgerError, match="locked"):
                ledger.create_dataset("d", SPEC)
            leave.set()
            assert writing.result()


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'l.sqlite'}") as ledger:
        ledger.create()

        def fill(connection: object) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()  # type: ignore[attr-defined]
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]
            for number in range(1000):
                connection.exec_driver_sql(  # type: ignore[attr-defined]
                    "INSERT INTO datasets (name, spec, spec_hash, created_at) VALUES (?, ?, '', 0)",
                    (str(number), "x" * 9000),
                )

        with pytest.raises(StorageFullError):
            ledger._db.write(fill)


def test_sqlite_is_opened_for_safety(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'new' / 'l.sqlite'}") as ledger:
        ledger.create()
        with ledger._db.read() as connection:
            asked = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_postgresql_that_goes_away_and_comes_back_is_used_again(postgres_server: PostgresServer) -> None:
    with Ledger(postgres_server.new_database()) as ledger:
        ledger.create()
        add(ledger, units=4)
        held = claim(ledger, ledger.claimable("chunk")[0])
        postgres_server.stop()
        try:
            with pytest.raises(LedgerError):
                commit(ledger, held)
        finally:
            postgres_server.start()
        assert commit(ledger, held) is True
        assert proven(ledger)


def test_a_transaction_that_loses_a_deadlock_is_run_again(postgres_server: PostgresServer) -> None:
    with Ledger(postgres_server.new_database()) as ledger:
        ledger.create()
        for name in ("a", "b"):
            ledger.create_dataset(name, SPEC)
        barrier = threading.Barrier(2)

        def cross(first: str, second: str) -> int:
            runs = []

            def work(connection: object) -> int:
                runs.append(1)
                for name in (first, second):
                    connection.exec_driver_sql(f"UPDATE datasets SET gates = '1' WHERE name = '{name}'")  # type: ignore[attr-defined]
                    if len(runs) == 1 and name == first:
                        barrier.wait(10)
                return len(runs)

            return ledger._db.write(work)

        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(cross, *pair) for pair in (("a", "b"), ("b", "a"))]
            assert sorted(run.result() for run in runs) == [1, 2]


def test_many_threads_share_one_ledger(ledger: Ledger) -> None:
    add(ledger, units=64, chunk=2)
    ids = ledger.claimable("chunk")
    started = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        last = list(pool.map(lambda chunk_id: commit(ledger, claim(ledger, chunk_id)), ids))
    assert sum(last) == 1
    assert proven(ledger)
    assert time.monotonic() - started < 20
