"""`densify serve`: a real process that starts, says where, refuses what is unsafe, and ends well."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from cli.client import Client
from cli.serve import listen, url_of
from core.errors import SettingError, UnauthorizedError
from tests.cli.conftest import Densify, Server, start_server


def test_the_embedded_service_is_ready_without_redis(server: Server) -> None:
    ready = httpx.get(f"{server.url}/readyz").json()
    assert ready["ready"] is True
    assert "no broker is needed" in ready["checks"]["broker"]["sentence"]


def test_sigterm_ends_it_with_0_while_events_are_watched(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--embedded", DENSIFY_LOG_LEVEL="WARNING")
    with Client(server.url) as client:
        client.create_dataset("shop", {"model": "none"})
    opened = threading.Event()

    def watch() -> None:
        try:
            with httpx.stream("GET", f"{server.url}/v1/datasets/shop/events", timeout=30) as stream:
                for _ in stream.iter_raw():
                    opened.set()
        except httpx.HTTPError:
            pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    opened.wait(10)
    assert server.stop(signal.SIGTERM) == 0
    watcher.join(10)
    assert not watcher.is_alive()


def test_without_redis_the_service_takes_uploads_all_the_same(tmp_path: Path, shard_files: list[Path]) -> None:
    server = start_server(
        tmp_path / "data", DENSIFY_BROKER="redis://127.0.0.1:9/0", DENSIFY_MODEL="none", wait_for="/healthz"
    )
    try:
        command = [sys.executable, "-m", "cli.main", "upload", "shop", str(shard_files[0])]
        answer = subprocess.run(command, env=server.environment, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
        with Client(server.url) as client:
            assert client.progress("shop")["pending"] == 6
    finally:
        assert server.stop(signal.SIGINT) == 0


def test_a_public_address_without_a_key_is_refused(densify: Densify) -> None:
    result = densify("serve", "--embedded", "--host", "0.0.0.0", "--port", "0")
    assert result.exit_code == 2
    assert "there is no API key" in result.stderr
    assert "densify key create" in result.stderr


def test_keys_are_wanted_once_there_is_one(tmp_path: Path) -> None:
    key_text = "a-key-of-more-than-20-letters"
    server = start_server(tmp_path / "data", "--host", "127.0.0.1", "--embedded", DENSIFY_API_KEYS=key_text)
    try:
        with Client(server.url) as client, pytest.raises(UnauthorizedError):
            list(client.datasets())
        with Client(server.url, key_text) as client:
            assert list(client.datasets()) == []
        log = (tmp_path / "data.log").read_text()
        assert key_text not in log
    finally:
        server.stop()


def test_a_port_that_is_taken_is_told(densify: Densify) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ear:
        result = densify("serve", "--embedded", "--port", ear.getsockname()[1])
    assert result.exit_code == 2
    assert "cannot be listened on" in result.stderr


def test_a_model_that_is_not_there_stops_the_start(densify: Densify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSIFY_MODEL", "/no/such/folder")
    result = densify("serve", "--embedded", "--port", "0")
    assert result.exit_code == 2
    assert "/no/such/folder" in result.stderr


def test_urls_of_both_address_families() -> None:
    with listen("127.0.0.1", 0) as ear:
        assert url_of(ear) == f"http://127.0.0.1:{ear.getsockname()[1]}"
    try:
        six = listen("::1", 0)
    except SettingError:
        return  # this machine has no IPv6 loopback
    with six as ear:
        assert url_of(ear).startswith("http://[::1]:")
