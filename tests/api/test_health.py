"""healthz lives; readyz says which part does not work, and does not hide the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from core.errors import LedgerError, StorageFullError
from tests.api.support import DownHints, finish, settings, small_tar
from workers.service import Service

PUT = "/v1/datasets/birds/shards/a.tar"


def test_healthz_answers(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_when_all_works_it_is_ready_and_leaves_nothing_behind(client: TestClient, service: Service) -> None:
    folder = service.settings.data_folder
    assert folder is not None
    before = {path for path in folder.rglob("*") if path.is_file() and "sqlite" not in path.name}
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    assert {name: check["ok"] for name, check in answer.json()["checks"].items()} == dict.fromkeys(
        ("ledger", "store", "broker", "progress"), True
    )
    assert {path for path in folder.rglob("*") if path.is_file() and "sqlite" not in path.name} == before


def refused(client: TestClient, part: str) -> str:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["ready"] is False
    assert [name for name, check in body["checks"].items() if not check["ok"]] == [part]
    return str(body["checks"][part]["sentence"])


def test_a_silent_ledger_is_named(client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise LedgerError("The ledger does not answer.")

    monkeypatch.setattr(service.ledger, "ping", fail)
    assert refused(client, "ledger") == "The ledger does not answer."


def test_a_store_that_cannot_be_written_is_named(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageFullError("The disk is full.")

    monkeypatch.setattr(service.store, "put_bytes", full)
    assert refused(client, "store") == "The disk is full."


def test_a_broker_that_is_down_is_named(tmp_path: Path) -> None:
    with Service(settings(tmp_path), DownHints()) as service, TestClient(create_app(service)) as client:
        assert "Redis" in refused(client, "broker")


def test_work_that_waits_and_does_not_move_is_named(birds: TestClient, service: Service) -> None:
    service.settings.stall_s = 0.001
    birds.put(PUT, content=small_tar())
    assert birds.get("/readyz").status_code == 200
    assert refused(birds, "progress").startswith("6 samples wait and none was finished for")
    finish(service, service.ledger.get_shard("birds", "a"))
    assert birds.get("/readyz").json()["checks"]["progress"] == {"ok": True, "sentence": "Nothing waits."}


def test_quarantined_samples_do_not_wait(birds: TestClient, service: Service) -> None:
    service.settings.stall_s = 0.001
    birds.put(PUT, content=small_tar())
    service.ledger.quarantine(service.ledger.get_shard("birds", "a").id, "shard_corrupt", "It is damaged.")
    for _ in range(2):
        assert birds.get("/readyz").status_code == 200
