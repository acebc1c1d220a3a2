"""PUT of a shard, every case that needs no broken connection: kept once, named right, or refused with nothing kept."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from typing import Any, NamedTuple

import pytest
from starlette.testclient import TestClient

from api import parts
from api.app import create_app
from core.errors import LedgerError
from tests.api.support import DownHints, digest_of, part_files, settings, sha256_of, small_tar, tar_of
from tests.api.test_errors import problem
from workers.service import Service

PATH = "/v1/datasets/birds/shards/train-000.tar"


def nothing_kept(service: Service) -> bool:
    """No part file, no bytes in the store, no shard in the ledger."""
    shards, _ = service.ledger.list_shards("birds")
    return not shards and not part_files(service) and not list(service.store.list("shards"))


def test_a_shard_is_stored_entered_and_answered(birds: TestClient, service: Service) -> None:
    data = small_tar(6)
    answer = birds.put(PATH, content=data, headers={"Repr-Digest": digest_of(data)})
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/datasets/birds/shards/train-000"
    shard = answer.json()
    assert (shard["name"], shard["sha256"], shard["size_bytes"]) == ("train-000", sha256_of(data), len(data))
    assert (shard["samples"], shard["captioned"], shard["rejected"], shard["pending"]) == (6, 0, 0, 6)
    assert service.store.read_bytes(f"shards/{sha256_of(data)[:2]}/{sha256_of(data)}.tar") == data
    assert birds.get("/v1/datasets/birds/shards/train-000").json() == shard
    assert part_files(service) == []
    assert len(service.ledger.claimable("chunk")) == 2


def test_structural_rejects_are_counted_from_the_start(birds: TestClient) -> None:
    data = tar_of([("a", {"jpg": b"1"}), ("b", {"txt": b"no image"}), ("c", {"jpg": b"3"})])
    shard = birds.put(PATH, content=data).json()
    assert (shard["samples"], shard["rejected"], shard["pending"]) == (3, 1, 2)
    (reject,) = birds.get("/v1/datasets/birds/rejects").json()["items"]
    assert (reject["shard"], reject["ordinal"], reject["key"], reject["reason"]) == ("train-000", 1, "b", "no_image")


def test_the_same_bytes_twice_are_one_shard(birds: TestClient) -> None:
    data = small_tar()
    first = birds.put(PATH, content=data)
    again = birds.put("/v1/datasets/birds/shards/other-name.tar", content=data)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert len(birds.get("/v1/datasets/birds/shards").json()["items"]) == 1


def test_the_same_name_with_other_bytes_keeps_both(birds: TestClient, service: Service) -> None:
    one, other = small_tar(6), small_tar(6, salt="other")
    birds.put(PATH, content=one)
    answer = birds.put(PATH, content=other)
    assert answer.status_code == 201
    assert answer.json()["name"] == f"train-000@{sha256_of(other)[:8]}"
    assert birds.get(answer.headers["location"]).json() == answer.json()
    for data in (one, other):
        assert service.store.read_bytes(f"shards/{sha256_of(data)[:2]}/{sha256_of(data)}.tar") == data


def test_the_same_bytes_in_two_data_sets_are_two_shards_stored_once(birds: TestClient, service: Service) -> None:
    birds.post("/v1/datasets", json={"name": "fish"})
    data = small_tar()
    ids = {birds.put(f"/v1/datasets/{name}/shards/a.tar", content=data).json()["id"] for name in ("birds", "fish")}
    assert len(ids) == 2
    assert len([key for key in service.store.list("shards") if key.endswith(".tar")]) == 1


def test_with_redis_down_the_answer_is_201_and_the_work_waits_in_the_ledger(tmp_path: Any) -> None:
    hints = DownHints()
    with Service(settings(tmp_path), hints) as service:
        service.ledger.create_dataset("birds", service.settings.default_spec())
        with TestClient(create_app(service)) as client:
            assert client.put(PATH, content=small_tar()).status_code == 201
        assert service.sweeper.sweep()["sent"] == 0
        assert hints.asked
        assert len(service.ledger.claimable("chunk")) == 2


class Damage(NamedTuple):
    """Bytes, and what must be said of them."""

    data: bytes
    code: str
    details: dict[str, int]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


TAR = small_tar(4)  # a header and one block of data for each of 8 members: 1024 bytes apart
DAMAGE = {
    "cut-inside-a-header": Damage(TAR[: 3 * 1024 + 100], "shard_truncated", {"offset": 3072, "members": 3}),
    "cut-at-a-member's-border": Damage(TAR[: 4 * 1024], "shard_truncated", {"offset": 4096, "members": 4}),
    "cut-inside-data": Damage(TAR[: 2 * 1024 + 600], "shard_truncated", {"offset": 2048, "members": 2}),
    "one-end-block-missing": Damage(TAR[:-512], "shard_truncated", {"members": 8}),
    "header-bit-flip": Damage(flipped(TAR, 5 * 1024 + 3), "shard_corrupt", {"offset": 5120, "members": 5}),
    "bytes-behind-the-end": Damage(TAR + b"x", "shard_corrupt", {"members": 8}),
    "gzip": Damage(gzip.compress(TAR), "unsupported_format", {}),
    "html": Damage(b"<!doctype html><html>" + b" " * 2000, "unsupported_format", {}),
    "zip": Damage(b"PK\x03\x04" + b"\0" * 2000, "unsupported_format", {}),
    "zeros": Damage(bytes(10240), "shard_empty", {}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_shard_is_refused_with_the_place_and_nothing_is_kept(
    birds: TestClient, service: Service, damage: Damage
) -> None:
    body = problem(birds.put(PATH, content=damage.data), 422, damage.code)
    assert {name: body[name] for name in damage.details} == damage.details
    assert nothing_kept(service)


def test_zero_bytes_are_an_empty_shard(birds: TestClient, service: Service) -> None:
    problem(birds.put(PATH, content=b"", headers={"Content-Length": "0"}), 422, "shard_empty")
    assert nothing_kept(service)


def test_a_good_shard_is_taken_after_a_damaged_one_of_its_name(birds: TestClient) -> None:
    birds.put(PATH, content=TAR[:3000])
    answer = birds.put(PATH, content=TAR)
    assert (answer.status_code, answer.json()["name"]) == (201, "train-000")


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
def test_a_wrong_digest_keeps_nothing(birds: TestClient, service: Service, field: str) -> None:
    body = problem(birds.put(PATH, content=TAR, headers={field: digest_of(b"others")}), 422, "digest_mismatch")
    assert (body["sha256"], body["announced"]) == (sha256_of(TAR), sha256_of(b"others"))
    assert nothing_kept(service)


def test_an_unreadable_digest_is_refused(birds: TestClient, service: Service) -> None:
    problem(birds.put(PATH, content=TAR, headers={"Repr-Digest": "sha-256=abc"}), 400, "bad_digest")
    assert nothing_kept(service)


def test_an_unknown_data_set_is_refused(birds: TestClient, service: Service) -> None:
    problem(birds.put("/v1/datasets/fish/shards/a.tar", content=TAR), 404, "no_such_dataset")
    assert nothing_kept(service)


HOSTILE = "%2E%2E%2F%2E%2E%2Fevil ..%2fevil a/b %00 a%00b .hidden a%20b %E2%80%AEgnp a%0Ab c:%5Cevil a@0badcafe %FF -rf"


@pytest.mark.parametrize("name", [*HOSTILE.split(), "x" * 201, "x" * 10_000], ids=lambda name: name[:24])
def test_a_hostile_name_is_refused(birds: TestClient, service: Service, name: str) -> None:
    answer = birds.put(f"/v1/datasets/birds/shards/{name}.tar", content=TAR)
    problem(answer, 400, "bad_name")
    assert len(answer.text) < 2000
    assert nothing_kept(service)


@pytest.mark.parametrize("name", ["%2E%2E", "a%00b", "x" * 10_000, "%E2%80%AEgnp"], ids=lambda name: name[:9])
def test_a_hostile_data_set_name_is_refused(birds: TestClient, name: str) -> None:
    problem(birds.put(f"/v1/datasets/{name}/shards/a.tar", content=TAR), 400, "bad_name")


def test_a_form_is_not_taken(birds: TestClient, service: Service) -> None:
    problem(birds.put(PATH, files={"file": ("a.tar", TAR)}), 415, "unsupported_media")
    assert nothing_kept(service)


def test_a_compressed_body_is_not_taken(birds: TestClient) -> None:
    sent = {"Content-Encoding": "gzip"}
    problem(birds.put(PATH, content=gzip.compress(TAR), headers=sent), 415, "unsupported_media")


def test_a_part_of_a_file_is_not_taken(birds: TestClient) -> None:
    problem(birds.put(PATH, content=TAR, headers={"Content-Range": "bytes 0-9/100"}), 400, "bad_input")


@pytest.mark.parametrize("kind", ["application/x-tar", "application/octet-stream", ""])
def test_any_other_type_is_taken(birds: TestClient, kind: str) -> None:
    assert birds.put(PATH, content=TAR, headers={"Content-Type": kind}).status_code == 201


def test_an_announced_length_over_the_limit_is_refused(birds: TestClient, service: Service) -> None:
    service.settings.max_shard_bytes = len(TAR) - 1
    body = problem(birds.put(PATH, content=TAR), 413, "body_too_long")
    assert body["limit_bytes"] == len(TAR) - 1
    assert nothing_kept(service)


def test_a_body_of_unstated_length_is_counted_against_the_limit(birds: TestClient, service: Service) -> None:
    def chunked() -> Any:
        yield TAR

    assert birds.put(PATH, content=chunked()).status_code == 201
    service.settings.max_shard_bytes = len(TAR) - 1
    problem(birds.put("/v1/datasets/birds/shards/b.tar", content=chunked()), 413, "body_too_long")
    assert part_files(service) == []


def test_a_body_longer_than_announced_is_refused(birds: TestClient, service: Service) -> None:
    problem(birds.put(PATH, content=TAR, headers={"Content-Length": "100"}), 413, "body_too_long")
    assert nothing_kept(service)


def test_a_body_shorter_than_announced_is_refused(birds: TestClient, service: Service) -> None:
    body = problem(birds.put(PATH, content=TAR, headers={"Content-Length": str(len(TAR) + 1)}), 400, "body_too_short")
    assert body["received"] == len(TAR)
    assert nothing_kept(service)


def test_a_length_that_is_no_number_is_refused(birds: TestClient) -> None:
    problem(birds.put(PATH, content=TAR, headers={"Content-Length": "-5"}), 400, "bad_input")


def test_a_put_without_any_length_is_refused(birds: TestClient) -> None:
    request = birds.build_request("PUT", PATH)
    request.headers.pop("content-length", None)
    problem(birds.send(request), 411, "length_required")


def test_a_full_disk_is_507_and_the_service_still_answers(
    birds: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(parts.os, "writev", full)
        problem(birds.put(PATH, content=TAR), 507, "storage_full")
    assert nothing_kept(service)
    assert birds.put(PATH, content=TAR).status_code == 201


def test_what_cannot_fit_is_refused_before_it_is_sent(birds: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    problem(birds.put(PATH, content=TAR), 507, "storage_full")


def test_uploads_are_counted_by_outcome(birds: TestClient) -> None:
    birds.put(PATH, content=TAR)
    birds.put(PATH, content=TAR)
    birds.put(PATH, content=TAR[:3000])
    text = birds.get("/metrics").text
    for outcome in ("created", "existing", "shard_truncated"):
        assert f'densify_uploads_total{{outcome="{outcome}"}} 1.0' in text
    assert f"densify_upload_bytes_total {2 * len(TAR) + 3000:.1f}" in text


def test_a_ledger_that_fails_at_the_end_is_told_and_the_next_try_succeeds(
    birds: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise LedgerError("The ledger does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(service.ledger, "add_shard", fail)
        answer = birds.put(PATH, content=TAR)
    problem(answer, 503, "ledger_failed")
    assert answer.headers["retry-after"]
    assert (part_files(service), birds.get("/v1/datasets/birds/shards").json()["items"]) == ([], [])
    assert birds.put(PATH, content=TAR).status_code == 201
