"""Progress: counts that add up, and a stream that speaks when they change and ends when the client leaves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.testclient import TestClient

from api import events
from tests.api.support import Live, finish, live, small_tar, wait_for
from workers.service import Service

PUT = "/v1/datasets/birds/shards/a.tar"
EVENTS = "/v1/datasets/birds/events"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that looks often."""
    monkeypatch.setattr(events, "POLL_S", 0.02)


def heard(answer: httpx.Response) -> Iterator[tuple[str, str]]:
    """The stream as (field, value) of its lines; comments have an empty field."""
    for line in answer.iter_lines():
        if line:
            field, _, value = line.partition(":")
            yield field, value.strip()


def next_progress(lines: Iterator[tuple[str, str]]) -> dict[str, object]:
    for field, value in lines:
        if field == "data":
            told: dict[str, object] = json.loads(value)
            return told
    raise AssertionError("the stream ended")


def test_progress_adds_up(birds: TestClient, service: Service) -> None:
    birds.put(PUT, content=small_tar(6))
    before = birds.get("/v1/datasets/birds/progress").json()
    assert (before["samples"], before["pending"], before["captioned"], before["eta_s"]) == (6, 6, 0, None)
    assert before["shards"] == {"captioning": 1}
    assert before["chunks"]["pending"] == 2
    assert before["unfinished_shards"] == 1
    finish(service, service.ledger.get_shard("birds", "a"), rejected=(2,), flags={0: ["loop"]})
    after = birds.get("/v1/datasets/birds/progress").json()
    assert after["samples"] == after["captioned"] + after["rejected"] + after["pending"] == 6
    assert (after["captioned"], after["rejected"], after["flagged"], after["unfinished_shards"]) == (5, 1, 1, 0)
    assert after["images_per_s"] > 0


def test_the_stream_begins_with_the_progress_and_sends_each_change(running: Live) -> None:
    with httpx.stream("GET", running.url + EVENTS, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        lines = heard(answer)
        assert next(lines) == ("event", "progress")
        assert next(lines) == ("id", "1")
        assert next_progress(lines)["samples"] == 0
        httpx.put(running.url + PUT, content=small_tar(6))
        assert next_progress(lines)["samples"] == 6
        finish(running.service, running.service.ledger.get_shard("birds", "a"))
        while next_progress(lines)["captioned"] != 6:
            pass


def test_a_silent_stream_sends_heartbeats(running: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.1)
    with httpx.stream("GET", running.url + EVENTS, timeout=20) as answer:
        lines = heard(answer)
        next_progress(lines)
        assert [next(lines) for _ in range(3)] == [("", "still here")] * 3


def test_the_stream_outlives_a_ledger_that_does_not_answer_for_a_while(
    running: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.errors import LedgerError

    failed = threading.Event()

    def fail(*_: object) -> None:
        failed.set()
        raise LedgerError("The ledger does not answer.")

    with httpx.stream("GET", running.url + EVENTS, timeout=20) as answer:
        lines = heard(answer)
        next_progress(lines)
        with monkeypatch.context() as patch:
            patch.setattr(type(running.service.ledger), "progress", fail)
            assert failed.wait(10)
        httpx.put(running.url + PUT, content=small_tar(6))
        assert next_progress(lines)["samples"] == 6


def test_the_stream_ends_when_the_client_leaves(running: Live) -> None:
    with httpx.stream("GET", running.url + EVENTS, timeout=20) as answer:
        lines = heard(answer)
        next_progress(lines)
        assert running.server.server_state.tasks
    wait_for(lambda: not running.server.server_state.tasks)


def test_the_stream_ends_when_the_service_stops(service: Service) -> None:
    service.ledger.create_dataset("birds", service.settings.default_spec())
    with live(service) as running, httpx.stream("GET", running.url + EVENTS, timeout=20) as answer:
        lines = heard(answer)
        next_progress(lines)
        started = time.monotonic()
        running.server.should_exit = True
        assert list(lines) == []
        assert time.monotonic() - started < 5


def test_when_only_the_rate_changes_the_stream_speaks_seldom(running: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    real = events.progress_of
    monkeypatch.setattr(events, "RATE_S", 0.3)

    def always_another_rate(*told: object) -> events.ProgressOut:
        progress = real(*told)  # type: ignore[arg-type]
        return progress.model_copy(update={"images_per_s": time.monotonic()})

    monkeypatch.setattr(events, "progress_of", always_another_rate)
    with httpx.stream("GET", running.url + EVENTS, timeout=20) as answer:
        lines = heard(answer)
        next_progress(lines)
        started = time.monotonic()
        for _ in range(2):
            next_progress(lines)
        assert time.monotonic() - started > 0.5
