"""Keys of samples to keep over HTTP: taken whole or not at all, and hand-offs of just these samples."""

from __future__ import annotations

import hashlib
import posixpath
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from analysis.handoff_verify import verify_handoff
from api import keeps
from api.receiving import Kind
from shards.keys import keys_key
from tests.analysis.make_handoff import keys_file
from tests.api.support import Live, digest_of, finish, part_files, read_all, sha256_of, small_tar
from tests.api.test_errors import problem
from tests.api.test_handoffs import upload
from workers.service import Service

HANDOFFS = "/v1/datasets/birds/handoffs"
KEYS = [("a", "0001"), ("a", "0003"), ("b", "0000")]


def url(data: bytes, dataset: str = "birds") -> str:
    return f"/v1/datasets/{dataset}/keeps/{sha256_of(data)}"


def send(client: TestClient, rows: list[tuple[str, str]]) -> str:
    """Sends keys and returns the name by which a hand-off asks for them."""
    data = keys_file(rows)
    assert client.put(url(data), content=data).status_code in (200, 201)
    return sha256_of(data)


@pytest.fixture
def accepted(birds: TestClient, service: Service) -> TestClient:
    """Two accepted shards of four samples; b has a reject and a flag."""
    upload(birds, service, "a")
    birds.put("/v1/datasets/birds/shards/b.tar", content=small_tar(4, "b"))
    finish(service, service.ledger.get_shard("birds", "b"), flags={0: ["cut_off"]}, rejected=[2])
    return birds


# ---- the keys -------------------------------------------------------------------------------------------------------


def test_keys_are_taken_once_under_their_digest(birds: TestClient, service: Service) -> None:
    data = keys_file(KEYS)
    first = birds.put(url(data), content=data, headers={"Repr-Digest": digest_of(data)})
    assert first.status_code == 201
    assert first.json() == {"sha256": sha256_of(data), "size_bytes": len(data), "samples": 3}
    again = birds.put(url(data), content=data)
    assert (again.status_code, again.json()) == (200, first.json())
    assert service.store.read_bytes(keys_key(sha256_of(data))) == data
    assert part_files(service) == []


def test_what_is_no_keys_file_is_refused_and_not_kept(birds: TestClient, service: Service) -> None:
    for data in (b"", b"not parquet", small_tar(2)):
        answer = problem(birds.put(url(data), content=data), 422, "bad_field")
        assert answer["field"] == "keep"
    assert not list(service.store.list("keys"))
    assert part_files(service) == []


def test_other_bytes_than_the_path_or_the_digest_say_are_refused(birds: TestClient, service: Service) -> None:
    data, other = keys_file(KEYS), keys_file(KEYS[:1])
    answer = problem(birds.put(url(other), content=data), 422, "digest_mismatch")
    assert (answer["sha256"], answer["announced"]) == (sha256_of(data), sha256_of(other))
    problem(birds.put(url(data), content=data, headers={"Repr-Digest": digest_of(other)}), 422, "digest_mismatch")
    assert not list(service.store.list("keys"))


def test_more_bytes_than_keys_may_have_are_refused(birds: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeps, "KEYS", Kind("A keys file", "the Parquet file", 100, "Keep fewer samples."))
    data = keys_file(KEYS)
    answer = problem(birds.put(url(data), content=data), 413, "body_too_long")
    assert (answer["limit_bytes"], answer["hint"]) == (100, "Keep fewer samples.")
    problem(birds.put(url(data), content=iter([data])), 413, "body_too_long")


@pytest.mark.parametrize("sha256", ["x" * 64, "0" * 63, "0" * 65, "A" * 64, "..%2f..%2fledger.sqlite"])
def test_a_name_that_is_no_digest_is_refused(birds: TestClient, sha256: str) -> None:
    answer = birds.put(f"/v1/datasets/birds/keeps/{sha256}", content=b"x")
    assert answer.status_code in (400, 404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_data_set_must_be_there(birds: TestClient) -> None:
    data = keys_file(KEYS)
    problem(birds.put(url(data, "nobody"), content=data), 404, "no_such_dataset")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"content-type": "multipart/form-data; boundary=x"}, 415, "unsupported_media"),
        ({"content-encoding": "gzip"}, 415, "unsupported_media"),
        ({"content-range": "bytes 0-1/2"}, 400, "bad_input"),
    ],
)
def test_forms_compressed_bodies_and_ranges_are_refused(
    birds: TestClient, headers: dict[str, str], status: int, code: str
) -> None:
    data = keys_file(KEYS)
    answer = problem(birds.put(url(data), content=data, headers=headers), status, code)
    assert "shard" not in str(answer["detail"])


def test_a_client_that_leaves_leaves_nothing(running: Live) -> None:
    data = keys_file(KEYS)
    connection = running.begin_put(url(data), len(data))
    connection.sendall(data[:100])
    connection.shutdown(1)
    read_all(connection)
    connection.close()
    assert not list(running.service.store.list("keys"))


# ---- hand-offs ------------------------------------------------------------------------------------------------------


def test_a_hand_off_keeps_the_samples_that_were_named(accepted: TestClient, service: Service) -> None:
    answer = accepted.post(HANDOFFS, json={"keep": send(accepted, KEYS)})
    assert answer.status_code == 201
    made = answer.json()
    totals = made["manifest"]["totals"]
    assert (totals["samples_in"], totals["kept"], totals["left_out"], totals["rejected"]) == (8, 3, 4, 1)
    assert {name: made["summary"][name] for name in ("captioned", "kept", "left_out", "flagged")} == {
        "captioned": 7,
        "kept": 3,
        "left_out": 4,
        "flagged": 1,
    }
    assert made["summary"]["density"]["images"] == 3
    assert {service.ledger.get_shard("birds", name).state for name in "ab"} == {"handed_off"}
    assert accepted.get(answer.headers["location"]).json() == made
    path = service.store.path(made["key"])
    assert path is not None
    assert verify_handoff(path).ok


def test_equal_choices_are_one_hand_off_and_others_are_others(accepted: TestClient) -> None:
    first = accepted.post(HANDOFFS, json={"keep": send(accepted, KEYS)})
    same = accepted.post(HANDOFFS, json={"keep": send(accepted, KEYS[::-1])})
    assert (first.status_code, same.status_code) == (201, 200)
    assert same.json() == first.json()
    assert accepted.post(HANDOFFS, json={"keep": send(accepted, KEYS[:2])}).status_code == 201
    assert accepted.post(HANDOFFS).status_code == 201
    kept = [item["summary"].get("kept") for item in accepted.get(HANDOFFS).json()["items"]]
    assert kept == [3, 2, None]


def test_keys_that_were_not_sent_are_not_found(accepted: TestClient, service: Service) -> None:
    problem(accepted.post(HANDOFFS, json={"keep": "0" * 64}), 404, "not_found")
    for wrong in ("0" * 63, "../x", "", 7):
        assert problem(accepted.post(HANDOFFS, json={"keep": wrong}), 422, "bad_field")["field"] == "keep"
    assert service.ledger.get_shard("birds", "a").state == "accepted"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("a", "0001"), ("a", "0009")], "1 of the 2 keys have no captioned sample; the first is '0009' of a."),
        ([("b", "0002")], "'0002' of b"),
        ([("a", "0001"), ("a", "0001")], "stand there twice"),
        ([("held", "0001")], "'held' the first, cannot be handed off"),
    ],
)
def test_keys_that_the_accepted_shards_do_not_have_are_refused(
    accepted: TestClient, service: Service, rows: list[tuple[str, str]], says: str
) -> None:
    upload(accepted, service, "held", passed=False)
    answer = problem(accepted.post(HANDOFFS, json={"keep": send(accepted, rows)}), 422, "bad_field")
    assert says in str(answer["detail"])
    assert service.ledger.get_shard("birds", "a").state == "accepted"
    assert not list(service.store.list("handoffs"))


def test_keys_of_an_edition_that_was_corrected_since_are_refused(accepted: TestClient, service: Service) -> None:
    made = accepted.post(HANDOFFS).json()
    stems = [Path(shard["path"]).stem for shard in made["manifest"]["shards"]]
    accepted.patch("/v1/datasets/birds/samples/a/0001", json={"caption": "A better bird."})
    # The shard is being made anew: it is not part of a hand-off meanwhile.
    rows = [(stems[0], "0001"), (stems[1], "0000")]
    problem(accepted.post(HANDOFFS, json={"keep": send(accepted, rows)}), 422, "bad_field")


def test_a_held_back_data_set_as_a_whole_is_told_for_what_is_kept(client: TestClient, service: Service) -> None:
    gates = {"min_valid_share": 0.1, "valid_share_images": 3}
    assert client.post("/v1/datasets", json={"name": "birds", "gates": gates}).status_code == 201
    upload(client, service, "a")
    for rows, failing in (([("a", "0000"), ("a", "0001")], "valid_share_images"), ([], "min_valid_share")):
        made = client.post(HANDOFFS, json={"keep": send(client, rows)} if rows else {}).json()
        assert made["summary"]["gates_passed"] is False
        assert [failure["gate"] for failure in made["manifest"]["gates"]["failures"]] == [failing]


def test_the_pinned_keep_file_has_the_digest_in_its_name(accepted: TestClient, service: Service) -> None:
    made = accepted.post(HANDOFFS, json={"keep": send(accepted, KEYS)}).json()
    keep = made["manifest"]["keep"]
    key = posixpath.normpath(posixpath.join(posixpath.dirname(made["key"]), keep["path"]))
    data = service.store.read_bytes(key)
    assert key == f"handoffs/keep/{hashlib.sha256(data).hexdigest()}.parquet"
    assert (keep["sha256"], keep["size_bytes"]) == (sha256_of(data), len(data))
