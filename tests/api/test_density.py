"""Density over HTTP: one table over all shards that have captions."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.api.support import finish, small_tar
from tests.api.test_errors import problem
from workers.service import Service

DENSITY = "/v1/datasets/birds/density"


def test_the_table_sums_over_all_finished_shards(birds: TestClient, service: Service) -> None:
    for name, count in (("a", 7), ("b", 5)):
        birds.put(f"/v1/datasets/birds/shards/{name}.tar", content=small_tar(count, name))
        finish(service, service.ledger.get_shard("birds", name), passed=name == "a")
    birds.put("/v1/datasets/birds/shards/c.tar", content=small_tar(3, "c"))
    table = birds.get(DENSITY).json()
    assert (table["dataset"], table["shards"], table["images"]) == ("birds", 2, 12)
    assert (table["total_nouns"], table["distinct_nouns"], table["valid_nouns"]) == (24, 2, 2)
    assert (table["valid_share"], table["nouns_per_image"]) == (1, 2)
    assert (table["min_count"], table["noun_pipeline"]) == (10, "test-words-1")


def test_the_threshold_and_names_can_be_chosen(birds: TestClient, service: Service) -> None:
    birds.put("/v1/datasets/birds/shards/a.tar", content=small_tar(5))
    finish(service, service.ledger.get_shard("birds", "a"))
    assert birds.get(DENSITY).json()["valid_nouns"] == 0
    assert birds.get(DENSITY, params={"min_count": 5, "propn": False}).json()["valid_nouns"] == 2
    assert problem(birds.get(DENSITY, params={"min_count": 0}), 422, "bad_field")["field"] == "min_count"


def test_a_correction_does_not_take_the_shard_out_of_the_table(birds: TestClient, service: Service) -> None:
    birds.put("/v1/datasets/birds/shards/a.tar", content=small_tar(5))
    finish(service, service.ledger.get_shard("birds", "a"))
    birds.patch("/v1/datasets/birds/samples/a/0001", json={"caption": "Better."})
    assert birds.get(DENSITY).json()["images"] == 5


def test_before_any_shard_is_captioned_there_is_no_table(birds: TestClient) -> None:
    birds.put("/v1/datasets/birds/shards/a.tar", content=small_tar())
    problem(birds.get(DENSITY), 409, "not_ready")
