"""/metrics: counters, gauges from the ledger, few labels, and an answer even when the ledger is silent."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from core.errors import LedgerError
from tests.api.support import finish, small_tar
from workers.service import Service


def scrape(client: TestClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_gauges_sum_over_all_data_sets(birds: TestClient, service: Service) -> None:
    birds.post("/v1/datasets", json={"name": "fish"})
    birds.put("/v1/datasets/birds/shards/a.tar", content=small_tar(6, "a"))
    finish(service, service.ledger.get_shard("birds", "a"), rejected=(1,), flags={0: ["loop"]})
    birds.put("/v1/datasets/fish/shards/b.tar", content=small_tar(6, "b"))
    found = scrape(birds)

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    assert value("densify_ledger_up") == 1
    assert (value("densify_shards", state="accepted"), value("densify_shards", state="captioning")) == (1, 1)
    assert (value("densify_chunks", state="done"), value("densify_chunks", state="pending")) == (2, 2)
    assert [value("densify_samples", outcome=name) for name in ("captioned", "rejected", "pending", "flagged")] == [
        5,
        1,
        6,
        1,
    ]
    assert value("densify_claimable", kind="chunk") == 2
    assert value("densify_images_per_second") > 0
    assert value("densify_hints_waiting") == 0
    assert value("densify_uploads_total", outcome="created") == 2


def test_requests_are_counted_by_route_and_not_by_path(birds: TestClient) -> None:
    for number in range(3):
        birds.get(f"/v1/datasets/set-{number}")
        birds.get(f"/no/such/path/{number}")
        birds.request(f"INVENTED{number}", "/v1/datasets")
    found = {labels: value for (name, labels), value in scrape(birds).items() if name == "densify_http_requests_total"}

    def value(**labels: str) -> float:
        return found[frozenset(labels.items())]

    assert value(method="GET", route="/v1/datasets/{name}", status="404") == 3
    assert value(method="GET", route="none", status="404") == 3
    assert sum(count for labels, count in found.items() if ("method", "other") in labels) == 3


def test_no_name_of_a_data_set_or_shard_is_told(birds: TestClient) -> None:
    birds.put("/v1/datasets/birds/shards/secret-name.tar", content=small_tar())
    text = birds.get("/metrics").text
    assert "birds" not in text
    assert "secret-name" not in text


def test_without_the_ledger_the_counters_still_come(
    birds: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LedgerError("The ledger does not answer.")

    monkeypatch.setattr(service.ledger, "list_datasets", fail)
    found = scrape(birds)
    assert found["densify_ledger_up", frozenset()] == 0
    assert any(name == "densify_http_requests_total" for name, _ in found)
    assert not any(name == "densify_shards" for name, _ in found)


def test_an_empty_ledger_is_up(client: TestClient) -> None:
    assert scrape(client)["densify_ledger_up", frozenset()] == 1
