"""A service on SQLite and a folder, and clients for its application."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from starlette.testclient import TestClient

from api.app import create_app
from tests.api.support import Live, live, settings
from workers.service import Service


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No log lines from servers in threads, which pytest cannot catch; a test that wants them configures logging."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """An embedded service without workers: what is submitted stays in the ledger."""
    with Service.embedded(settings(tmp_path, upload_stall_s=5)) as made:
        yield made


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    """The application, its lifetime begun; errors of ours come back as answers."""
    with TestClient(create_app(service), raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def birds(client: TestClient) -> TestClient:
    """The same, with a data set `birds`."""
    assert client.post("/v1/datasets", json={"name": "birds"}).status_code == 201
    return client


@pytest.fixture
def running(service: Service) -> Iterator[Live]:
    """A real server, with a data set `birds`."""
    service.ledger.create_dataset("birds", service.settings.default_spec())
    with live(service) as made:
        yield made
