"""A service on a temporary folder, and ways to run it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.settings import Settings
from core.spec import CaptionSpec
from tests.workers.doubles import FakeEngine
from workers.embedded import EmbeddedWorkers
from workers.service import Service

SPEC = CaptionSpec(model="fake")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # No model: engines are loaded for the data sets alone, none at the start.
    return Settings(data=str(tmp_path / "data"), model="", chunk_samples=4, lease_s=30.0, sweep_s=0.1)


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    with Service.embedded(settings) as service:
        service.ledger.create_dataset("birds", SPEC)
        yield service


@contextmanager
def running(service: Service, engine: FakeEngine) -> Iterator[EmbeddedWorkers]:
    """Embedded workers around a double of an engine."""
    workers = EmbeddedWorkers(service, engine.load)
    workers.start()
    try:
        yield workers
    finally:
        workers.stop()


def wait_for(done: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits until `done()`; fails the test when it never is."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def states(service: Service, dataset: str = "birds") -> set[str]:
    return {shard.state for shard in service.ledger.list_shards(dataset)[0]}
