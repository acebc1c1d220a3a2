"""Fixtures for every room: real data when it is there, real servers, and a machine that is left as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import Ledger
from tests.services import PostgresServer, RedisServer

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pictures, captions and treebanks: DENSIFY_REAL_DATA, or ../shared/data beside the clone."""
    folder = Path(os.environ.get("DENSIFY_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data is absent: {folder} is no folder; name it with DENSIFY_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis of this test run; a test that kills it starts it again."""
    if RedisServer.find() is None:
        pytest.skip("redis-server is not installed; scripts/services.sh installs it")
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test run; a test that kills it starts it again."""
    if PostgresServer.find() is None:
        pytest.skip("PostgreSQL is not installed; scripts/services.sh installs it")
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def ledger_templates() -> dict[str, str]:
    """Databases with the ledger's schema, made once, copied for each test: {kind: SQLite file or PostgreSQL name}."""
    return {}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: SQLite, then PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    ledger_templates: dict[str, str],
) -> str:
    """The URL of a database with the ledger's schema and nothing in it: SQLite, then PostgreSQL."""
    if request.param == "sqlite":
        if "sqlite" not in ledger_templates:
            template = tmp_path_factory.mktemp("template") / "ledger.sqlite"
            _make_schema(f"sqlite:///{template}")
            ledger_templates["sqlite"] = str(template)
        target = tmp_path / "ledger.sqlite"
        shutil.copyfile(ledger_templates["sqlite"], target)
        return f"sqlite:///{target}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    if "postgresql" not in ledger_templates:
        url = server.new_database()
        _make_schema(url)
        ledger_templates["postgresql"] = url.rpartition("/")[2]
    return server.new_database(ledger_templates["postgresql"])


def _make_schema(url: str) -> None:
    with Ledger(url) as ledger:
        ledger.create()


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """A ledger with its schema, on SQLite, then on PostgreSQL."""
    with Ledger(ledger_url) as ledger:
        yield ledger
