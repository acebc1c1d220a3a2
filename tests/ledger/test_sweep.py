"""The sweep: what a dead worker held comes back, and the queue can be made anew from the ledger alone."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger import Ledger
from tests.ledger.helpers import (
    GONE_S,
    LONG_S,
    add,
    caption_all,
    claim,
    claim_shard,
    commit,
    proven,
    python,
    ready,
    send_again,
)

HOLDER = """
    import sys, time
    from ledger import Ledger
    ledger = Ledger(sys.argv[1])
    assert ledger.claim_chunk(sys.argv[2], "doomed", 0.5) is not None
    print("held", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_held_comes_back_after_its_lease(ledger: Ledger, ledger_url: str) -> None:
    add(ledger, units=4)
    (chunk_id,) = ledger.claimable("chunk")
    process = python(HOLDER, ledger_url, chunk_id)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert ledger.claimable("chunk") == []
    time.sleep(0.6)
    assert ledger.expire_leases().retried == 1
    assert ledger.claimable("chunk") == [chunk_id]
    (attempt,) = ledger.attempts(chunk_id)
    assert (attempt.worker, attempt.outcome) == ("doomed", "expired")
    assert commit(ledger, claim(ledger, chunk_id)) is True
    assert proven(ledger)


def test_a_shard_that_kills_every_worker_ends_with_its_poison_rejected(ledger: Ledger) -> None:
    shard = add(ledger, units=8, chunk=8)
    for _ in range(100):
        for chunk_id in ledger.claimable("chunk"):
            held = claim(ledger, chunk_id, lease_s=GONE_S if chunk_id.endswith("8") else LONG_S)
            if not held.start <= 7 < held.stop:
                commit(ledger, held)
        ledger.expire_leases(3)
    there = ledger.get_shard_by_id(shard.id)
    assert (there.captioned, there.rejected, there.chunks_open) == (7, 1, 0)
    assert ledger.claimable("finalise") == [shard.id]
    assert proven(ledger)


def test_many_sweepers_take_each_lease_back_once(ledger: Ledger) -> None:
    add(ledger, units=24, chunk=2)
    for chunk_id in ledger.claimable("chunk"):
        claim(ledger, chunk_id, lease_s=GONE_S)
    with ThreadPoolExecutor(6) as pool:
        swept = list(pool.map(lambda _: ledger.expire_leases(1), range(6)))
    assert sum(done.halved for done in swept) == 12
    assert sum(done.total for done in swept) == 12
    assert proven(ledger)


def test_a_finaliser_that_dies_three_times_leaves_the_shard_quarantined(ledger: Ledger) -> None:
    shard = ready(ledger)
    for left in (2, 1, 0):
        claim_shard(ledger, shard.id, lease_s=GONE_S)
        swept = ledger.expire_leases(3)
        assert (swept.shards, swept.quarantined) == (1, int(left == 0))
    there = ledger.get_shard_by_id(shard.id)
    assert (there.state, there.code) == ("quarantined", "finalise_failed")
    assert "3 times" in (there.sentence or "")
    assert ledger.claim_finalise(shard.id, "w", LONG_S) is None
    assert send_again(ledger, there).state == "captioning"
    assert claim_shard(ledger, shard.id).attempt == 1
    assert proven(ledger)


def test_claimable_lists_the_oldest_first_and_counts_agree(ledger: Ledger) -> None:
    ledger_ids = []
    for name in ("b", "a", "c"):
        add(ledger, units=6, chunk=2, name=name)
        ledger_ids += [c for c in ledger.claimable("chunk") if c not in ledger_ids]
    assert ledger.claimable("chunk") == ledger_ids
    assert ledger.claimable("chunk", 4) == ledger_ids[:4]
    assert ledger.count_claimable("chunk") == 9
    claim(ledger, ledger_ids[0])
    assert ledger.count_claimable("chunk") == len(ledger.claimable("chunk")) == 8
    ledger.add_remote("d", "r", "https://host/r.tar")
    assert ledger.count_claimable("ingest") == len(ledger.claimable("ingest")) == 1
    assert ledger.count_claimable("finalise") == 0
    caption_all(ledger)
    assert ledger.count_claimable("chunk") == 0
    assert ledger.count_claimable("finalise") == len(ledger.claimable("finalise")) == 2


@pytest.mark.parametrize("halves", [True, False])
def test_halves_keep_their_parents_place_in_the_queue(ledger: Ledger, halves: bool) -> None:
    first = add(ledger, units=4, name="first")
    add(ledger, units=4, name="second")
    held = claim(ledger, ledger.claimable("chunk")[0])
    ledger.fail(held, "x", 1 if halves else 3)
    assert ledger.claimable("chunk", 1)[0].startswith(first.id)
