"""Hand-offs over HTTP: made of what is accepted, once, and pinned."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.api.support import finish, small_tar
from tests.api.test_errors import problem
from workers.service import Service

HANDOFFS = "/v1/datasets/birds/handoffs"


def upload(client: TestClient, service: Service, name: str, passed: bool = True) -> None:
    client.put(f"/v1/datasets/birds/shards/{name}.tar", content=small_tar(4, name))
    finish(service, service.ledger.get_shard("birds", name), passed)


@pytest.fixture
def accepted(birds: TestClient, service: Service) -> TestClient:
    """Two accepted shards, one that is held, one without captions."""
    upload(birds, service, "a")
    upload(birds, service, "b")
    upload(birds, service, "held", passed=False)
    birds.put("/v1/datasets/birds/shards/waiting.tar", content=small_tar(4, "waiting"))
    return birds


def test_a_hand_off_pins_the_accepted_shards(accepted: TestClient, service: Service) -> None:
    answer = accepted.post(HANDOFFS, json={})
    assert answer.status_code == 201
    made = answer.json()
    assert [shard["name"] for shard in made["manifest"]["shards"]] == ["a", "b"]
    assert made["manifest"]["digest"] == made["digest"]
    assert made["summary"]["samples_in"] == made["summary"]["captioned"] + made["summary"]["rejected"] == 8
    assert made["summary"]["density"]["images"] == 8
    assert made["summary"]["gates_passed"] is True
    assert service.store.exists(made["key"])
    assert service.ledger.get_shard("birds", "a").state == "handed_off"
    assert service.ledger.get_shard("birds", "held").state == "held"
    assert accepted.get(answer.headers["location"]).json() == made


def test_asked_again_without_a_change_it_is_the_same_hand_off(accepted: TestClient) -> None:
    first, again = accepted.post(HANDOFFS), accepted.post(HANDOFFS)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert len(accepted.get(HANDOFFS).json()["items"]) == 1


def test_a_shard_that_was_released_joins_the_next_hand_off_with_its_reason(accepted: TestClient) -> None:
    accepted.post(HANDOFFS)
    accepted.post("/v1/datasets/birds/shards/held/release", json={"reason": "Diagrams."})
    made = accepted.post(HANDOFFS).json()
    assert [(shard["name"], shard["released"]) for shard in made["manifest"]["shards"]] == [
        ("a", None),
        ("b", None),
        ("held", "Diagrams."),
    ]
    page = accepted.get(HANDOFFS, params={"limit": 1}).json()
    rest = accepted.get(HANDOFFS, params={"cursor": page["next"]}).json()
    assert [item["summary"]["shards"] for item in page["items"] + rest["items"]] == [2, 3]


def test_a_later_correction_does_not_change_a_hand_off(accepted: TestClient) -> None:
    made = accepted.post(HANDOFFS).json()
    accepted.patch("/v1/datasets/birds/samples/a/0001", json={"caption": "Better."})
    assert accepted.get(f"{HANDOFFS}/{made['digest'][:8]}").json() == made
    assert [shard["name"] for shard in accepted.post(HANDOFFS).json()["manifest"]["shards"]] == ["b"]


def test_counts_that_do_not_add_up_are_refused(accepted: TestClient, service: Service) -> None:
    key = service.ledger.get_shard("birds", "a").manifest_key
    assert key is not None
    text = service.store.read_bytes(key).replace(b'"captioned": 4', b'"captioned": 3')
    service.store.put_bytes(key, text)
    answer = accepted.post(HANDOFFS)
    assert "4 samples in, but 3 captioned" in str(problem(answer, 422, "count_mismatch")["detail"])
    assert service.ledger.get_shard("birds", "a").state == "accepted"


def test_changed_noun_counts_are_refused(accepted: TestClient, service: Service) -> None:
    key = service.ledger.get_shard("birds", "a").manifest_key
    assert key is not None
    counts = key.removesuffix(".json") + ".nouns.parquet"
    service.store.put_bytes(counts, service.store.read_bytes(counts) + b"x")
    problem(accepted.post(HANDOFFS), 422, "check_failed")


def test_without_an_accepted_shard_there_is_nothing_to_hand_off(birds: TestClient) -> None:
    problem(birds.post(HANDOFFS), 409, "nothing_to_hand_off")


def test_an_unknown_hand_off_is_a_problem(birds: TestClient) -> None:
    for digest in ("0" * 64, "abc", "%00", "a%2Fb"):
        answer = birds.get(f"{HANDOFFS}/{digest}")
        assert answer.status_code in (400, 404)
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_field_that_means_nothing_is_refused(birds: TestClient) -> None:
    assert problem(birds.post(HANDOFFS, json={"shards": ["a"]}), 422, "bad_field")["field"] == "shards"
