"""The server around the application: limits that a public port needs, and a stop that takes seconds."""

from __future__ import annotations

import time

import httpx

from api.app import create_app
from api.server import make_server
from tests.api.support import live
from workers.service import Service


def test_connections_are_limited_and_stops_are_bounded(service: Service) -> None:
    config = make_server(create_app(service), "127.0.0.1", 0).config
    assert config.limit_concurrency
    assert config.timeout_graceful_shutdown
    assert config.access_log is False
    assert config.server_header is False


def test_an_idle_server_stops_at_once(service: Service) -> None:
    with live(service) as running, httpx.Client(base_url=running.url) as client:
        assert client.get("/healthz").status_code == 200
        started = time.monotonic()
        running.server.should_exit = True
        while running.server.started and time.monotonic() - started < 10 and running.server.servers[0].is_serving():
            time.sleep(0.01)
    assert time.monotonic() - started < 5


def test_a_connection_too_many_is_answered_503(service: Service) -> None:
    with live(service, limit_concurrency=2) as running:
        held = [running.connect() for _ in range(2)]
        time.sleep(0.1)
        assert httpx.get(f"{running.url}/healthz").status_code == 503
        for connection in held:
            connection.close()
