"""Files of a hand-off over HTTP: each one that it names, provable, and no other."""

from __future__ import annotations

import posixpath

import pytest
from starlette.testclient import TestClient

from api.handoff_files import files_of
from tests.analysis.make_handoff import keys_file
from tests.api.support import finish, sha256_of, small_tar
from tests.api.test_errors import problem
from workers.service import Service

HANDOFFS = "/v1/datasets/birds/handoffs"


@pytest.fixture
def files(birds: TestClient, service: Service) -> dict[str, str]:
    """{path below the hand-off's own: sha256} of a hand-off of two shards."""
    for name in ("a", "b"):
        birds.put(f"/v1/datasets/birds/shards/{name}.tar", content=small_tar(4, name))
        finish(service, service.ledger.get_shard("birds", name))
    made = birds.post(HANDOFFS).json()
    found = files_of(made["manifest"], posixpath.dirname(made["key"]))
    return {f"{HANDOFFS}/{made['digest']}/files/{path}": entry["sha256"] for path, entry in found.items()}


def test_every_file_that_is_named_comes_as_it_was_pinned(birds: TestClient, files: dict[str, str]) -> None:
    assert len(files) == 10
    for url, sha256 in files.items():
        answer = birds.get(url)
        assert (answer.status_code, sha256_of(answer.content)) == (200, sha256)
        assert answer.headers["etag"] == f'"{sha256}"'
        part = birds.get(url, headers={"Range": "bytes=3-8"})
        assert (part.status_code, part.content) == (206, answer.content[3:9])


def test_the_keep_file_is_one_of_them(birds: TestClient, files: dict[str, str], service: Service) -> None:
    data = keys_file([("a", "0001"), ("b", "0003")])
    sha256 = sha256_of(data)
    assert birds.put(f"/v1/datasets/birds/keeps/{sha256}", content=data).status_code == 201
    made = birds.post(HANDOFFS, json={"keep": sha256}).json()
    found = files_of(made["manifest"], posixpath.dirname(made["key"]))
    assert len(found) == 11
    keep = f"handoffs/{made['manifest']['keep']['path']}"
    answer = birds.get(f"{HANDOFFS}/{made['digest']}/files/{keep}")
    assert (answer.status_code, sha256_of(answer.content)) == (200, found[keep]["sha256"])
    problem(birds.get(f"{HANDOFFS}/{made['digest']}/files/keys/{sha256[:2]}/{sha256}.parquet"), 404, "not_found")


def test_nothing_else_of_the_store_is_served(birds: TestClient, service: Service, files: dict[str, str]) -> None:
    base = next(iter(files)).partition("/captioned/")[0]
    others = [key for key in service.store.list() if f"{base}/{key}" not in files]
    assert any(key.startswith("shards/") for key in others)
    hostile = ["ledger.sqlite", "%2e%2e/ledger.sqlite", "..%2f..%2fetc%2fpasswd", "%00", "captioned"]
    for path in [*others, *hostile]:
        problem(birds.get(f"{base}/{path}"), 404, "not_found")


def test_a_file_that_changed_its_length_is_not_sent(birds: TestClient, service: Service, files: dict[str, str]) -> None:
    url = next(iter(files))
    key = url.partition("/files/")[2]
    service.store.put_bytes(key, service.store.read_bytes(key) + b"x")
    problem(birds.get(url), 503, "storage_failed")


def test_an_unknown_hand_off_has_no_files(birds: TestClient, files: dict[str, str]) -> None:
    problem(birds.get(f"{HANDOFFS}/{'0' * 64}/files/x"), 404, "no_such_handoff")
