"""Captioned shards and manifests: whole, in ranges, provable, and only when they are there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import fsspec
import httpx
import pytest
from starlette.testclient import TestClient

from api.app import create_app
from tests.api.support import Live, digest_of, finish, sha256_of, small_tar
from tests.api.test_errors import problem
from workers.service import Service

SHARD = "/v1/datasets/birds/shards/a"
TAR = f"{SHARD}/captioned.tar"


@pytest.fixture
def captioned(birds: TestClient, service: Service) -> bytes:
    """The bytes of the captioned shard of `a`."""
    birds.put(f"{SHARD}.tar", content=small_tar(40))
    key = finish(service, service.ledger.get_shard("birds", "a")).manifest_key
    assert key is not None
    return service.store.read_bytes(key.removesuffix(".json") + ".tar")


def test_the_whole_shard_comes_with_its_digest(birds: TestClient, captioned: bytes) -> None:
    answer = birds.get(TAR)
    assert answer.status_code == 200
    assert answer.content == captioned
    assert answer.headers["etag"] == f'"{sha256_of(captioned)}"'
    assert answer.headers["repr-digest"] == digest_of(captioned)
    assert answer.headers["content-length"] == str(len(captioned))
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.headers["accept-ranges"] == "bytes"


def test_head_tells_the_same_without_bytes(birds: TestClient, captioned: bytes) -> None:
    answer = birds.head(TAR)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(captioned))
    assert answer.headers["etag"] == f'"{sha256_of(captioned)}"'


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("0-0", 0, 1), ("10-19", 10, 20), ("100-", 100, None), ("-7", -7, None), ("5-999999999", 5, None)],
)
def test_a_range_is_answered_206(birds: TestClient, captioned: bytes, asked: str, start: int, stop: int | None) -> None:
    answer = birds.get(TAR, headers={"Range": f"bytes={asked}"})
    wanted = captioned[start:stop]
    first = start % len(captioned)
    assert (answer.status_code, answer.content) == (206, wanted)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(wanted) - 1}/{len(captioned)}"
    assert answer.headers["content-length"] == str(len(wanted))


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-3", "bytes=-", "bytes=a-b", "lines=0-5", "bytes"])
def test_a_range_that_cannot_be_read_is_passed_over(birds: TestClient, captioned: bytes, asked: str) -> None:
    answer = birds.get(TAR, headers={"Range": asked})
    assert (answer.status_code, answer.content == captioned) == (200, True)


@pytest.mark.parametrize("asked", ["999999999-", "-0"])
def test_a_range_behind_the_end_is_refused_with_the_size(birds: TestClient, captioned: bytes, asked: str) -> None:
    answer = birds.get(TAR, headers={"Range": f"bytes={asked}"})
    problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(captioned)}"


def test_a_range_of_another_edition_is_answered_whole(birds: TestClient, captioned: bytes) -> None:
    mine = {"Range": "bytes=0-9", "If-Range": f'"{sha256_of(captioned)}"'}
    assert birds.get(TAR, headers=mine).status_code == 206
    assert birds.get(TAR, headers={**mine, "If-Range": '"older"'}).status_code == 200


def test_what_the_client_has_is_not_sent_again(birds: TestClient, captioned: bytes) -> None:
    tag = f'"{sha256_of(captioned)}"'
    for value in (tag, f'"x", W/{tag}', "*"):
        answer = birds.get(TAR, headers={"If-None-Match": value})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
    assert birds.get(TAR, headers={"If-None-Match": '"older"'}).status_code == 200


def test_the_manifest_comes_byte_for_byte(birds: TestClient, service: Service, captioned: bytes) -> None:
    answer = birds.get(f"{SHARD}/manifest")
    key = service.ledger.get_shard("birds", "a").manifest_key
    assert key is not None
    assert answer.content == service.store.read_bytes(key)
    assert answer.json()["sha256"] == sha256_of(captioned)
    assert answer.json()["samples_in"] == answer.json()["captioned"] + answer.json()["rejected"] == 40


def test_before_there_are_captions_it_is_not_ready(birds: TestClient) -> None:
    birds.put(f"{SHARD}.tar", content=small_tar())
    for path in ("captioned.tar", "manifest"):
        assert problem(birds.get(f"{SHARD}/{path}"), 409, "not_ready")["state"] == "captioning"


def test_a_missing_file_is_a_problem_and_not_a_broken_answer(
    birds: TestClient, service: Service, captioned: bytes
) -> None:
    key = service.ledger.get_shard("birds", "a").manifest_key
    assert key is not None
    service.store.delete(key.removesuffix(".json") + ".tar")
    problem(birds.get(TAR), 503, "not_stored")


def test_a_file_of_another_length_is_not_sent(birds: TestClient, service: Service, captioned: bytes) -> None:
    key = service.ledger.get_shard("birds", "a").manifest_key
    assert key is not None
    service.store.put_bytes(key.removesuffix(".json") + ".tar", captioned[:-512])
    problem(birds.get(TAR), 503, "storage_failed")


def test_a_remote_store_serves_whole_and_ranges(birds: TestClient, service: Service, captioned: bytes) -> None:
    from shards.store import open_store

    local = service.store
    remote = open_store("memory://downloads")
    for key in local.list("captioned"):
        remote.put_bytes(key, local.read_bytes(key))
    service.store = remote
    try:
        with TestClient(create_app(service)) as client:
            assert client.get(TAR).content == captioned
            assert client.get(TAR, headers={"Range": "bytes=7-21"}).content == captioned[7:22]
            assert json.loads(client.get(f"{SHARD}/manifest").content)["sha256"] == sha256_of(captioned)
            assert len(client.get("/v1/datasets/birds/samples").json()["items"]) == 40
            assert client.get("/v1/datasets/birds/density").json()["images"] == 40
    finally:
        service.store = local
        fsspec.filesystem("memory").store.clear()


def test_a_large_shard_is_streamed_and_a_client_may_leave(running: Live, tmp_path: Path) -> None:
    from shards.writer import write_shard

    service = running.service
    image = bytes(range(256)) * 40_000
    write_shard(tmp_path / "big.tar", ((f"{n:03d}", {"jpg": image}) for n in range(4)))
    with (tmp_path / "big.tar").open("rb") as file:
        httpx.put(f"{running.url}{SHARD}.tar", content=file, timeout=60)
    shard = finish(service, service.ledger.get_shard("birds", "a"))
    digest = hashlib.sha256()
    with httpx.stream("GET", running.url + TAR) as answer:
        for block in answer.iter_bytes():
            digest.update(block)
    assert digest.hexdigest() == shard.captioned_sha256
    with httpx.stream("GET", running.url + TAR) as answer:
        next(answer.iter_bytes())
    assert httpx.get(f"{running.url}/healthz").status_code == 200
