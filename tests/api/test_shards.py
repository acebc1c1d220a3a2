"""Shards by URL, lists, release of what is held, rejects."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from tests.api.support import DownHints, finish, settings, small_tar
from tests.api.test_errors import problem
from workers.service import Service

URLS = "/v1/datasets/birds/shards"


@pytest.fixture
def allowed(birds: TestClient, service: Service) -> TestClient:
    """A service that may read below two prefixes."""
    service.settings.ingest_allow = ["file:///data/", "s3://bucket/pictures/"]
    return birds


def names(client: TestClient) -> list[str]:
    return [item["name"] for item in client.get(URLS).json()["items"]]


def test_urls_become_shards_that_wait_to_be_read(allowed: TestClient, service: Service) -> None:
    answer = allowed.post(URLS, json={"urls": ["s3://bucket/pictures/train-{000..002}.tar", "file:///data/x.tar"]})
    assert answer.status_code == 202
    items = answer.json()["items"]
    assert [item["name"] for item in items] == ["train-000", "train-001", "train-002", "x"]
    assert {item["state"] for item in items} == {"uploading"}
    assert items[0]["url"] == "s3://bucket/pictures/train-000.tar"
    assert items[0]["sha256"] is None
    assert sorted(service.ledger.claimable("ingest")) == sorted(item["id"] for item in items)


def test_the_same_url_again_is_the_same_shard(allowed: TestClient) -> None:
    sent = {"urls": ["file:///data/x.tar", "file:///data/x.tar"]}
    first, again = (allowed.post(URLS, json=sent).json()["items"] for _ in range(2))
    assert len(first) == 1
    assert first == again


def test_two_urls_of_one_name_keep_both(allowed: TestClient) -> None:
    allowed.post(URLS, json={"urls": ["file:///data/a/x.tar", "file:///data/b/x.tar"]})
    one, other = names(allowed)
    assert one == "x"
    assert other.startswith("x@")


def test_by_default_no_url_is_read(birds: TestClient) -> None:
    problem(birds.post(URLS, json={"urls": ["https://example.org/a.tar"]}), 403, "url_refused")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd.tar",
        "file:///data/../etc/x.tar",
        "s3://bucket/other/x.tar",
        "s3://bucket.evil/pictures/x.tar",
        "http://169.254.169.254/x.tar",
        "https://127.0.0.1/x.tar",
        "pipe:cat x.tar",
        "gopher://host/x.tar",
    ],
)
def test_one_refused_url_refuses_all_and_nothing_is_stored(allowed: TestClient, url: str) -> None:
    problem(allowed.post(URLS, json={"urls": ["file:///data/good.tar", url]}), 403, "url_refused")
    assert names(allowed) == []


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("file:///data/x.zip", 400, "bad_name"),
        ("file:///data/.tar", 400, "bad_name"),
        ("file:///data/%2e%2e%2fx y.tar", 403, "url_refused"),
        ("file:///data/x-{000..099999}.tar", 422, "bad_field"),
        ("file:///data/x-{00..01.tar", 422, "bad_field"),
    ],
)
def test_a_url_that_names_no_shard_refuses_all(allowed: TestClient, url: str, status: int, code: str) -> None:
    problem(allowed.post(URLS, json={"urls": ["file:///data/good.tar", url]}), status, code)
    assert names(allowed) == []


def test_many_patterns_together_stay_under_the_limit(allowed: TestClient) -> None:
    sent = {"urls": [f"file:///data/{letter}-{{0000..4999}}.tar" for letter in "abc"]}
    assert problem(allowed.post(URLS, json=sent), 422, "bad_field")["field"] == "urls"
    assert names(allowed) == []


@pytest.mark.parametrize("sent", [{}, {"urls": []}, {"urls": "file:///data/x.tar"}, {"urls": [1]}])
def test_a_body_without_urls_is_refused(allowed: TestClient, sent: dict[str, object]) -> None:
    problem(allowed.post(URLS, json=sent), 422, "bad_field")


def test_an_unknown_data_set_is_refused(allowed: TestClient) -> None:
    problem(allowed.post("/v1/datasets/none/shards", json={"urls": ["file:///data/x.tar"]}), 404, "no_such_dataset")


def test_signatures_in_a_url_are_not_shown(birds: TestClient, service: Service) -> None:
    service.settings.ingest_allow = ["https://files.example.org/"]
    answer = birds.post(URLS, json={"urls": ["https://files.example.org/x.tar?signature=geheim"]})
    assert answer.status_code == 202
    assert "geheim" not in answer.text
    assert service.ledger.get_shard("birds", "x").url == "https://files.example.org/x.tar?signature=geheim"


def test_urls_are_taken_with_redis_down(tmp_path: Path) -> None:
    with Service(settings(tmp_path, ingest_allow=["file:///data/"]), DownHints()) as service:
        service.ledger.create_dataset("birds", service.settings.default_spec())
        with TestClient(create_app(service)) as client:
            assert client.post(URLS, json={"urls": ["file:///data/x.tar"]}).status_code == 202
        assert len(service.ledger.claimable("ingest")) == 1


def test_shards_are_listed_in_pages_and_by_state(allowed: TestClient) -> None:
    for number in range(3):
        allowed.put(f"{URLS}/s{number}.tar", content=small_tar(2, str(number)))
    allowed.post(URLS, json={"urls": ["file:///data/x.tar"]})
    first = allowed.get(URLS, params={"limit": 3}).json()
    rest = allowed.get(URLS, params={"limit": 3, "cursor": first["next"]}).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["s0", "s1", "s2", "x"]
    assert rest["next"] is None
    waiting = allowed.get(URLS, params={"state": "uploading"}).json()["items"]
    assert [item["name"] for item in waiting] == ["x"]


def test_an_unknown_shard_is_a_problem(birds: TestClient) -> None:
    for path in ("", "/manifest", "/captioned.tar"):
        problem(birds.get(f"{URLS}/none{path}"), 404, "no_such_shard")


def test_a_held_shard_is_released_with_a_reason(birds: TestClient, service: Service) -> None:
    birds.put(f"{URLS}/a.tar", content=small_tar())
    finish(service, service.ledger.get_shard("birds", "a"), passed=False)
    held = birds.get(f"{URLS}/a").json()
    assert held["state"] == "held"
    assert held["findings"] == ["The valid share is 0, the gate asks for 1."]
    released = birds.post(f"{URLS}/a/release", json={"reason": "Diagrams only."})
    assert released.status_code == 200
    assert (released.json()["state"], released.json()["release_reason"]) == ("accepted", "Diagrams only.")


def test_only_a_held_shard_can_be_released_and_only_with_a_reason(birds: TestClient) -> None:
    birds.put(f"{URLS}/a.tar", content=small_tar())
    problem(birds.post(f"{URLS}/a/release", json={"reason": "Because."}), 409, "illegal_transition")
    problem(birds.post(f"{URLS}/a/release", json={"reason": "  "}), 422, "bad_field")
    problem(birds.post(f"{URLS}/a/release", json={}), 422, "bad_field")
    problem(birds.post(f"{URLS}/none/release", json={"reason": "Because."}), 404, "no_such_shard")


def test_rejects_are_listed_with_their_reasons(birds: TestClient, service: Service) -> None:
    birds.put(f"{URLS}/a.tar", content=small_tar())
    finish(service, service.ledger.get_shard("birds", "a"), rejected=(1, 4))
    page = birds.get("/v1/datasets/birds/rejects", params={"limit": 1}).json()
    rest = birds.get("/v1/datasets/birds/rejects", params={"cursor": page["next"]}).json()
    assert [(item["key"], item["reason"]) for item in page["items"] + rest["items"]] == [
        ("0001", "image_truncated"),
        ("0004", "image_truncated"),
    ]
    shard = birds.get(f"{URLS}/a").json()
    assert shard["samples"] == shard["captioned"] + shard["rejected"] == 6
