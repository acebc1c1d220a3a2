"""The HTTP client: the service's errors come back as themselves, lists are followed, uploads are announced."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from cli.client import Client, error_from, repr_digest
from core.errors import (
    BadNameError,
    DigestMismatchError,
    InputError,
    NoSuchDatasetError,
    ServiceError,
    ShardCorruptError,
    StorageFullError,
    UnreachableError,
    tree,
)


def client_of(handler: object) -> Client:
    return Client("http://service", "secret", transport=httpx.MockTransport(handler))  # type: ignore[arg-type]


def problem(status: int, code: str, **more: object) -> httpx.Response:
    body = {"type": f"urn:densify:problem:{code}", "status": status, "detail": "It is so.", "code": code, **more}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


@pytest.mark.parametrize("kind", [kind for kind in tree() if kind.code not in ("shard_corrupt",)])
def test_every_error_comes_back_as_its_own_class(kind: type) -> None:
    error = error_from(problem(kind.status, kind.code, hint="Do this."))  # type: ignore[attr-defined]
    assert error.code == kind.code  # type: ignore[attr-defined]
    assert error.exit_code == kind.exit_code  # type: ignore[attr-defined]
    assert (error.sentence, error.hint) == ("It is so.", "Do this.")


def test_details_of_a_problem_are_kept() -> None:
    error = error_from(problem(422, "shard_corrupt", offset=51200, members=50, sentence="x"))
    assert isinstance(error, ShardCorruptError) or error.code == "shard_corrupt"
    assert error.details == {"offset": 51200, "members": 50}


def test_an_unknown_code_is_told_by_its_status() -> None:
    assert isinstance(error_from(problem(418, "teapot")), InputError)
    assert isinstance(error_from(problem(599, "teapot")), ServiceError)
    assert error_from(httpx.Response(502, text="<html>Bad gateway</html>")).sentence == "The service answered 502."


def test_a_service_that_is_not_there_is_unreachable() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    with client_of(handler) as client, pytest.raises(UnreachableError) as caught:
        client.dataset("shop")
    assert caught.value.sentence == "The service at http://service cannot be reached: Connection refused."
    assert caught.value.exit_code == 1


def test_something_else_at_the_address_is_told() -> None:
    with client_of(lambda request: httpx.Response(200, text="hello")) as client, pytest.raises(UnreachableError):
        client.dataset("shop")


def test_the_key_is_sent_and_lists_are_followed_to_their_end() -> None:
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["authorization"], request.url.query))
        following = {"": "two", "cursor=two": None}[request.url.query.decode()]
        return httpx.Response(200, json={"items": [{"name": str(len(seen))}], "next": following})

    with client_of(handler) as client:
        assert [item["name"] for item in client.datasets()] == ["1", "2"]
    assert seen == [("Bearer secret", b""), ("Bearer secret", b"cursor=two")]


def test_an_upload_announces_length_and_digest(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(b"x" * 3_000_000)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    sent: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        body = request.read()
        assert request.url.path == "/v1/datasets/shop/shards/a.tar"
        assert request.headers["content-length"] == str(len(body)) == "3000000"
        assert "transfer-encoding" not in request.headers
        assert request.headers["repr-digest"] == repr_digest(hashlib.sha256(body).hexdigest())
        return httpx.Response(201, json={"name": "a", "sha256": sha256})

    with client_of(handler) as client:
        shard, new = client.put_shard("shop", "a", file, sha256, sent.append)
    assert (shard["name"], new, sum(sent)) == ("a", True, 3_000_000)


def test_other_bytes_at_the_service_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(b"x")
    answer = {"name": "a", "sha256": "0" * 64}
    with client_of(lambda request: httpx.Response(201, json=answer)) as client, pytest.raises(DigestMismatchError):
        client.put_shard("shop", "a", file, hashlib.sha256(b"x").hexdigest(), lambda _: None)


def test_names_cannot_leave_their_place_in_a_path() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.raw_path == b"/v1/datasets/..%2Fother%3Fx/progress"
        return problem(400, "bad_name")

    with client_of(handler) as client, pytest.raises(BadNameError):
        client.progress("../other?x")


def test_a_download_that_fails_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "out" / "a.tar"
    with client_of(lambda request: problem(404, "no_such_dataset")) as client, pytest.raises(NoSuchDatasetError):
        client.download("/v1/x", target, lambda _: None)
    assert not target.exists()
    with client_of(lambda request: httpx.Response(200, content=b"abc")) as client:
        client.download("/v1/x", target, lambda _: None)
    assert target.read_bytes() == b"abc"
    assert list(target.parent.iterdir()) == [target]


def test_a_full_disk_at_the_service_keeps_its_hint() -> None:
    error = error_from(problem(507, "storage_full"))
    assert isinstance(error, StorageFullError)
    assert error.hint == StorageFullError.hint
    assert json.dumps(error.details) == "{}"
