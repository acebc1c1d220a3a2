"""Samples: captions beside old text in pages, by flag; corrections that are versioned and guarded."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from shards.records import read_records
from tests.api.support import caption_for, finalise, finish, small_tar, tar_of
from tests.api.test_errors import problem
from workers.service import Service

SAMPLES = "/v1/datasets/birds/samples"


def upload(client: TestClient, service: Service, name: str, count: int, **how: object) -> None:
    client.put(f"/v1/datasets/birds/shards/{name}.tar", content=small_tar(count, name))
    finish(service, service.ledger.get_shard("birds", name), **how)  # type: ignore[arg-type]


@pytest.fixture
def captioned(birds: TestClient, service: Service) -> TestClient:
    """Two finished shards of 5 and 4 samples, some flagged, one rejected, and one shard without captions yet."""
    upload(birds, service, "a", 5, flags={1: ["cut_off"], 3: ["cut_off", "loop"]}, rejected=(4,))
    birds.put("/v1/datasets/birds/shards/b.tar", content=small_tar(3, "b"))
    upload(birds, service, "c", 4, flags={0: ["cut_off"]})
    return birds


def walk(client: TestClient, **params: object) -> list[tuple[str, str]]:
    """Every (shard, key) of the list, page by page."""
    found, cursor = [], None
    for _ in range(100):
        page = client.get(SAMPLES, params={**params, **({"cursor": cursor} if cursor else {})}).json()  # type: ignore[dict-item]
        assert len(page["items"]) <= int(str(params.get("limit", 100)))
        found += [(item["shard"], item["key"]) for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return found
    raise AssertionError("the list does not end")


ALL = [("a", f"{n:04d}") for n in range(4)] + [("c", f"{n:04d}") for n in range(4)]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8, 100])
def test_every_captioned_sample_is_listed_once_whatever_the_page(captioned: TestClient, limit: int) -> None:
    assert walk(captioned, limit=limit) == ALL


def test_a_sample_shows_the_caption_beside_the_old_text(captioned: TestClient) -> None:
    sample = captioned.get(SAMPLES).json()["items"][1]
    assert sample["caption"] == caption_for(1)
    assert sample["old_text"] == "old text 1"
    assert sample["flags"] == ["cut_off"]
    assert (sample["ordinal"], sample["version"], sample["finish_reason"], sample["tokens"]) == (1, 0, "stop", 8)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_flag_chooses(captioned: TestClient, limit: int) -> None:
    assert walk(captioned, flag="cut_off", limit=limit) == [("a", "0001"), ("a", "0003"), ("c", "0000")]
    assert walk(captioned, flag="loop", limit=limit) == [("a", "0003")]
    assert walk(captioned, flag="refusal", limit=limit) == []


def test_an_unknown_flag_is_refused(captioned: TestClient) -> None:
    assert problem(captioned.get(SAMPLES, params={"flag": "pretty"}), 422, "bad_field")["field"] == "flag"


def test_one_shard_can_be_asked_for(captioned: TestClient) -> None:
    assert walk(captioned, shard="c", limit=3) == ALL[4:]
    assert walk(captioned, shard="b") == []
    problem(captioned.get(SAMPLES, params={"shard": "none"}), 404, "no_such_shard")


def test_pages_go_on_over_more_shards_than_one_page_looks_through(
    birds: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.samples.SHARDS_PER_PAGE", 2)
    for number in range(5):
        upload(birds, service, f"s{number}", 2, flags={1: ["loop"]} if number == 4 else {})
    assert walk(birds, flag="loop") == [("s4", "0001")]
    assert len(walk(birds, limit=3)) == 10


def test_one_sample_has_its_version_as_etag(captioned: TestClient) -> None:
    answer = captioned.get(f"{SAMPLES}/a/0002")
    assert answer.json()["key"] == "0002"
    assert answer.headers["etag"] == '"0"'


def test_a_key_may_hold_slashes_and_signs(birds: TestClient, service: Service) -> None:
    key = "folder/ä b/0001"
    birds.put("/v1/datasets/birds/shards/a.tar", content=tar_of([(key, {"jpg": b"image"})]))
    finish(service, service.ledger.get_shard("birds", "a"))
    assert birds.get(f"{SAMPLES}/a/folder/%C3%A4%20b/0001").json()["key"] == key
    answer = birds.patch(f"{SAMPLES}/a/folder/%C3%A4%20b/0001", json={"caption": "Better."})
    assert answer.json()["key"] == key


def test_a_correction_is_kept_shown_and_asks_for_a_new_edition(captioned: TestClient, service: Service) -> None:
    answer = captioned.patch(f"{SAMPLES}/a/0001", json={"caption": "A blue branch.", "author": "anna"})
    assert answer.status_code == 200
    assert answer.json() == {"shard": "a", "key": "0001", "caption": "A blue branch.", "version": 1, "author": "anna"}
    assert answer.headers["etag"] == '"1"'
    shown = captioned.get(f"{SAMPLES}/a/0001").json()
    assert (shown["caption"], shown["version"], shown["flags"]) == ("A blue branch.", 1, [])
    assert shown["old_text"] == "old text 1"
    shard = service.ledger.get_shard("birds", "a")
    assert (shard.state, shard.corrections) == ("captioning", 1)
    assert shard.id in service.ledger.claimable("finalise")


def test_the_new_edition_has_the_correction_and_the_old_one_stays(captioned: TestClient, service: Service) -> None:
    before = service.ledger.get_shard("birds", "a")
    captioned.patch(f"{SAMPLES}/a/0001", json={"caption": "A blue branch."})
    results = service.ledger.chunk_results(before.id)
    records = [record for each in results for record in read_records(service.store.read_bytes(each.path or ""))]
    after = finalise(service, before, records)
    assert after.edition != before.edition
    assert captioned.get(f"{SAMPLES}/a/0001").json()["version"] == 1
    assert captioned.get("/v1/datasets/birds/shards/a/manifest").json()["corrections"] == 1
    assert before.manifest_key is not None
    assert service.store.exists(before.manifest_key)


def test_versions_count_up_and_an_outdated_one_is_refused(captioned: TestClient) -> None:
    path = f"{SAMPLES}/a/0001"
    assert captioned.patch(path, json={"caption": "One."}, headers={"If-Match": '"0"'}).json()["version"] == 1
    body = problem(
        captioned.patch(path, json={"caption": "Late."}, headers={"If-Match": '"0"'}), 412, "precondition_failed"
    )
    assert body["version"] == 1
    assert captioned.patch(path, json={"caption": "Two."}, headers={"If-Match": '"1"'}).json()["version"] == 2
    assert captioned.patch(path, json={"caption": "Three."}, headers={"If-Match": "*"}).json()["version"] == 3
    assert captioned.patch(path, json={"caption": "Four."}).json()["version"] == 4
    problem(captioned.patch(path, json={"caption": "x"}, headers={"If-Match": "latest"}), 422, "bad_field")
    sample = captioned.get(path).json()
    assert (sample["caption"], sample["version"]) == ("Four.", 4)


@pytest.mark.parametrize(
    "sent", [{}, {"caption": ""}, {"caption": " \n"}, {"caption": "a\x00b"}, {"caption": "a" * 20_001}]
)
def test_a_caption_that_is_none_is_refused(captioned: TestClient, sent: dict[str, str]) -> None:
    problem(captioned.patch(f"{SAMPLES}/a/0001", json=sent), 422, "bad_field")


def test_what_has_no_caption_cannot_be_corrected(captioned: TestClient) -> None:
    sent = {"caption": "Better."}
    body = problem(captioned.patch(f"{SAMPLES}/a/0004", json=sent), 404, "no_such_sample")
    assert body["reason"] == "image_truncated"
    problem(captioned.patch(f"{SAMPLES}/a/9999", json=sent), 404, "no_such_sample")
    problem(captioned.patch(f"{SAMPLES}/b/0000", json=sent), 409, "not_ready")
    problem(captioned.patch(f"{SAMPLES}/none/0000", json=sent), 404, "no_such_shard")
    problem(captioned.get(f"{SAMPLES}/a/9999"), 404, "no_such_sample")


def test_the_author_is_the_keys_name_when_none_is_given(captioned: TestClient, service: Service) -> None:
    _, text = service.ledger.create_key("anna")
    with TestClient(create_app(service), headers={"Authorization": f"Bearer {text}"}) as client:
        assert client.patch(f"{SAMPLES}/a/0001", json={"caption": "Better."}).json()["author"] == "anna"
