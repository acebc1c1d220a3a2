"""The way to the database: engine, transactions, and its errors turned into the error tree.

SQLite: WAL, full fsync, foreign keys, a busy timeout, and every writing transaction opened by BEGIN IMMEDIATE, so that
it never has to turn from reader into writer half way. PostgreSQL: psycopg 3, READ COMMITTED, a lock timeout. Writing
transactions are functions, so that one that lost a deadlock is run again from its start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from core.errors import LedgerError, MissingPackageError, SettingError, StorageFullError
from core.logs import mask_url

#: Seconds that a statement waits for another's lock before it gives up.
LOCK_WAIT_S = 30.0
#: Seconds that PostgreSQL may take to accept a connection.
CONNECT_WAIT_S = 10
#: Connections kept, and most connections, of one process.
POOL_SIZE, POOL_MOST = 8, 32
#: Runs of a transaction that lost a deadlock or a serialisation conflict.
CONFLICT_RUNS = 5

#: serialization_failure, deadlock_detected, unique_violation (another inserted the same row first: look again).
_CONFLICTS = frozenset({"40001", "40P01", "23505"})
_DISK_FULL = frozenset({"53100"})
_SECRET_QUERY = frozenset({"password", "sslpassword", "passfile"})

T = TypeVar("T")


class Database:
    """One engine. Safe for many threads; each call takes a connection of its own from the pool."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.shown_url = _shown(self.url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        # One writer at a time is SQLite's rule: threads of this process queue here instead of polling the file's lock.
        self._writer = threading.Lock() if self.sqlite else nullcontext()
        self.engine = self._engine()

    def close(self) -> None:
        self.engine.dispose()

    def _engine(self) -> Engine:
        options: dict[str, Any] = {"pool_size": POOL_SIZE, "max_overflow": POOL_MOST - POOL_SIZE}
        if self.sqlite:
            self._make_folder()
            options |= {"connect_args": {"timeout": LOCK_WAIT_S, "check_same_thread": False}}
        else:
            arguments = {
                "connect_timeout": CONNECT_WAIT_S,
                "application_name": "densify",
                "options": f"-c lock_timeout={int(LOCK_WAIT_S * 1000)} -c TimeZone=UTC",
            }
            options |= {"connect_args": arguments, "pool_pre_ping": True}
        try:
            engine = create_engine(self.url, **options)
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"The ledger {self.shown_url} needs the package {error.name}.",
                hint="pip install 'densify[postgres]'",
            ) from error
        if self.sqlite:
            event.listen(engine, "connect", _sqlite_connect)
            event.listen(engine, "begin", _sqlite_begin)
        return engine

    def _make_folder(self) -> None:
        try:
            Path(self.url.database or "").absolute().parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"The folder of the ledger {self.shown_url} cannot be made: {error.strerror}.") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection in a reading transaction. Raises LedgerError."""
        with self.errors(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A reading transaction in which all statements see the same moment. Raises LedgerError."""
        with self.errors(), self.engine.connect() as connection:
            if not self.sqlite:  # there a reader has its snapshot anyway
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a writing transaction and commits; after a deadlock, again from the start. Raises LedgerError.

        `work` must have no effect outside the database. Whatever it raises rolls the transaction back.
        """
        for run in range(1, CONFLICT_RUNS + 1):
            try:
                with self.errors(), self._turn(), self.engine.connect() as connection:
                    writing = connection.execution_options(densify_write=True)
                    with writing.begin():
                        return work(writing)
            except LedgerError as error:
                if run == CONFLICT_RUNS or _sqlstate(error.__cause__) not in _CONFLICTS:
                    raise
                time.sleep(0.01 * run)
        raise AssertionError("unreachable")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if isinstance(self._writer, nullcontext):
            yield
            return
        if not self._writer.acquire(timeout=LOCK_WAIT_S):
            raise LedgerError(f"The ledger at {self.shown_url} was locked for {LOCK_WAIT_S:.0f} s.")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns SQLAlchemy's errors into LedgerError (a full disk: StorageFullError), the password masked."""
        try:
            yield
        except SQLAlchemyError as error:
            reason = _reason(error)
            if _sqlstate(error) in _DISK_FULL or "disk is full" in reason:
                raise StorageFullError(f"The disk of the ledger at {self.shown_url} is full.") from error
            raise LedgerError(f"The ledger at {self.shown_url} failed: {reason}.") from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
            return parsed.set(drivername="postgresql+psycopg")
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise SettingError(f"DENSIFY_LEDGER is no database URL: {mask_url(url)}.", hint=_URL_HINT) from error
    if backend != "sqlite":
        raise SettingError(f"The ledger cannot be kept in {parsed.drivername}.", hint=_URL_HINT)
    if not parsed.database or parsed.database == ":memory:" or "mode=memory" in parsed.database:
        raise SettingError("The ledger must be a file: a database in memory is gone with its process.", hint=_URL_HINT)
    return parsed


_URL_HINT = "Use sqlite:////absolute/path/ledger.sqlite or postgresql+psycopg://user:password@host/database."


def _shown(url: URL) -> str:
    query = {name: "***" if name in _SECRET_QUERY else value for name, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)


def _reason(error: SQLAlchemyError) -> str:
    """The database's own words, one line, without the statement and its parameters."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(cause).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(cause).__name__


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are opened by _sqlite_begin, not guessed by the driver
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT_S * 1000)}")
        _switch_to_wal(cursor)
        cursor.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
        cursor.execute("PRAGMA foreign_keys = ON")
    finally:
        cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """The switch itself ignores the busy timeout, so two processes that make the file at once take turns here."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
            return
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _sqlite_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("densify_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
