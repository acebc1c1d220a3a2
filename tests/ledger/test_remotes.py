"""Shards by URL: a placeholder, one worker that reads it, and bytes that may be there already."""

from __future__ import annotations

import pytest

from core.errors import LeaseLostError
from ledger import Ledger, ShardClaim
from ledger.records import Shard
from tests.ledger.helpers import GONE_S, LONG_S, SPEC, add, proven, reject, sha

URL = "https://host/train-000.tar"


def ingest(ledger: Ledger, shard_id: str, lease_s: float = LONG_S) -> ShardClaim:
    held = ledger.claim_ingest(shard_id, "w", lease_s)
    assert held is not None
    return held


def remote(ledger: Ledger, name: str = "train-000", url: str = URL) -> Shard:
    ledger.create_dataset("d", SPEC)
    return ledger.add_remote("d", name, url)


def test_a_url_waits_as_uploading_until_a_worker_has_read_it(ledger: Ledger) -> None:
    shard = remote(ledger)
    assert (shard.state, shard.url, shard.sha256, shard.units) == ("uploading", URL, None, 0)
    assert ledger.claimable("ingest") == [shard.id]
    held = ingest(ledger, shard.id)
    assert (held.kind, held.shard.url, held.dataset.name) == ("ingest", URL, "d")
    assert ledger.claim_ingest(shard.id, "other", LONG_S) is None
    assert ledger.claimable("ingest") == []
    there = ledger.complete_ingest(held, sha("x"), 99, 10, [reject(2)], 4)
    assert (there.id, there.state, there.sha256, there.units, there.rejected) == (
        shard.id, "captioning", sha("x"), 10, 1,
    )  # fmt: skip
    assert len(ledger.claimable("chunk")) == 3
    assert ledger.complete_ingest(held, sha("x"), 99, 10, [reject(2)], 4) == there  # told again
    assert proven(ledger)


def test_the_same_url_again_is_the_same_shard(ledger: Ledger) -> None:
    assert remote(ledger) == remote(ledger, name="other")


def test_two_urls_with_one_name_are_two_shards(ledger: Ledger) -> None:
    assert remote(ledger).name == "train-000"
    other = remote(ledger, url=URL + "?v=2")
    assert other.name.startswith("train-000@")


def test_bytes_that_are_there_already_are_folded_into_their_shard(ledger: Ledger) -> None:
    there = add(ledger, name="uploaded")
    held = ingest(ledger, remote(ledger).id)
    folded = ledger.complete_ingest(held, sha("uploaded"), 1000, 10, [], 4)
    assert folded == there
    assert ledger.complete_ingest(held, sha("uploaded"), 1000, 10, [], 4) == there  # told again
    assert ledger.get_shard("d", "train-000") == there  # the name that was given still finds it
    assert ledger.add_remote("d", "train-000", URL) == there  # and so does the URL
    assert [shard.name for shard in ledger.list_shards("d")[0]] == ["uploaded"]
    assert proven(ledger)


def test_a_reader_that_lost_its_lease_can_neither_complete_nor_condemn(ledger: Ledger) -> None:
    shard = remote(ledger)
    zombie = ingest(ledger, shard.id, GONE_S)
    ledger.expire_leases()
    heir = ingest(ledger, shard.id)
    with pytest.raises(LeaseLostError):
        ledger.complete_ingest(zombie, sha("x"), 1, 1, [], 1)
    with pytest.raises(LeaseLostError):
        ledger.quarantine(shard.id, "shard_truncated", "cut", zombie)
    ledger.complete_ingest(heir, sha("x"), 1, 1, [], 1)
    with pytest.raises(LeaseLostError):
        ledger.complete_ingest(zombie, sha("y"), 1, 1, [], 1)


def test_a_broken_shard_is_quarantined_and_asking_again_tries_again(ledger: Ledger) -> None:
    shard = remote(ledger)
    held = ingest(ledger, shard.id)
    there = ledger.quarantine(shard.id, "shard_truncated", "The tar lacks its end.", held)
    assert (there.state, there.code) == ("quarantined", "shard_truncated")
    assert ledger.claimable("ingest") == []
    again = remote(ledger)
    assert (again.id, again.state, again.code) == (shard.id, "uploading", None)
    assert ingest(ledger, shard.id).attempt == 1


def test_a_url_whose_bytes_lie_in_a_quarantined_shard_brings_it_back(ledger: Ledger) -> None:
    there = add(ledger, name="uploaded")
    ledger.complete_ingest(ingest(ledger, remote(ledger).id), sha("uploaded"), 1000, 10, [], 4)
    ledger.quarantine(there.id, "source_lost", "The bytes are gone.")
    again = ledger.add_remote("d", "train-000", URL)
    assert (again.id, again.state) == (there.id, "captioning")


def test_a_url_that_fails_three_times_is_quarantined(ledger: Ledger) -> None:
    shard = remote(ledger)
    for _ in range(3):
        there = ledger.fail_shard(ingest(ledger, shard.id), "connection reset", 3)
    assert (there.state, there.code) == ("quarantined", "ingest_failed")
    assert "connection reset" in (there.sentence or "")
    assert proven(ledger)
