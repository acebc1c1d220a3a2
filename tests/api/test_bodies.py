"""Request bodies: bounded, with a deadline, and an early answer that reaches the client."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from api.bodies import LEAST_BYTES, MAX_JSON_BYTES, BodyReader
from core.errors import BodyStalledError, BodyTooShortError, ShuttingDownError
from tests.api.support import Live, live, read_all, settings
from tests.api.test_errors import problem
from workers.service import Service


class Sender:
    """A client that sends pieces after pauses (seconds), then nothing."""

    def __init__(self, *steps: tuple[float, bytes]) -> None:
        self._steps = list(steps)

    async def receive(self) -> Message:
        if not self._steps:
            await asyncio.sleep(60)
        pause_s, data = self._steps.pop(0)
        await asyncio.sleep(pause_s)
        return {"type": "http.request", "body": data, "more_body": True}


async def drain(reader: BodyReader) -> None:
    while await reader.read():
        pass


def test_a_silent_client_stalls() -> None:
    reader = BodyReader(Sender((0, b"a")).receive, 0.1)
    with pytest.raises(BodyStalledError):
        asyncio.run(drain(reader))
    assert reader.received == 1


def test_a_client_that_drips_bytes_stalls_too() -> None:
    reader = BodyReader(Sender(*[(0.02, b"a")] * 1000).receive, 0.2)
    with pytest.raises(BodyStalledError):
        asyncio.run(drain(reader))
    assert reader.received < LEAST_BYTES


def test_a_slow_client_that_keeps_sending_does_not_stall() -> None:
    steps = [(0.05, b"a" * LEAST_BYTES)] * 8
    reader = BodyReader(Sender(*steps).receive, 0.2)
    with pytest.raises(BodyStalledError):
        asyncio.run(drain(reader))
    assert reader.received == 8 * LEAST_BYTES


def test_time_that_our_own_side_takes_is_not_the_clients() -> None:
    async def run() -> int:
        reader = BodyReader(Sender((0, b"a"), (0.01, b"b")).receive, 0.15)
        await reader.read()
        await asyncio.sleep(0.3)
        await reader.read()
        return reader.received

    assert asyncio.run(run()) == 2


def test_a_client_that_leaves_is_told_from_the_end() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(BodyTooShortError):
        asyncio.run(BodyReader(gone, 1).read())


def test_a_service_that_stops_reads_no_further() -> None:
    async def run() -> None:
        stopping = asyncio.Event()
        reader = BodyReader(Sender((0, b"a"), (0, b"b")).receive, 1, stopping)
        await reader.read()
        stopping.set()
        await reader.read()

    with pytest.raises(ShuttingDownError):
        asyncio.run(run())


def test_json_over_the_limit_is_refused(client: TestClient) -> None:
    sent = b'{"name": "' + b"a" * MAX_JSON_BYTES + b'"}'
    body = problem(client.post("/v1/datasets", content=sent), 413, "body_too_long")
    assert body["limit_bytes"] == MAX_JSON_BYTES


def test_json_of_unstated_length_over_the_limit_is_refused(running: Live) -> None:
    answer = httpx.post(f"{running.url}/v1/datasets", content=(b"a" * 65536 for _ in range(100)))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_long")


def test_a_json_body_that_stalls_is_answered_and_others_are_served_meanwhile(tmp_path: Path) -> None:
    with Service.embedded(settings(tmp_path, upload_stall_s=0.5)) as service, live(service) as running:
        with running.connect() as connection:
            head = (
                "POST /v1/datasets HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
            )
            connection.sendall(head.encode() + b'{"na')
            assert httpx.get(f"{running.url}/healthz").status_code == 200
            answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"body_stalled" in answer
        assert b"connection: close" in answer


def test_an_early_answer_reaches_a_client_that_sends_everything_first(running: Live) -> None:
    started = time.monotonic()
    answer = httpx.put(f"{running.url}/v1/datasets/fish/shards/a.tar", content=bytes(40 << 20), timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_dataset")
    assert answer.headers["connection"] == "close"
    assert time.monotonic() - started < 10


def test_a_client_that_waits_to_be_asked_is_refused_without_sending(running: Live) -> None:
    with running.begin_put("/v1/datasets/fish/shards/a.tar", 10 << 30, "Expect: 100-continue") as connection:
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"100 Continue" not in answer


def test_a_read_body_leaves_the_connection_open(running: Live) -> None:
    with httpx.Client(base_url=running.url) as client:
        for _ in range(3):
            assert client.post("/v1/datasets", json={"name": "a"}).headers.get("connection") != "close"
