"""Claims, leases and fencing tokens: of many who try, one gets the work; who comes back late is refused."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import LeaseLostError
from ledger import Ledger
from tests.ledger.helpers import (
    GONE_S,
    LONG_S,
    add,
    captioned,
    claim,
    claim_shard,
    commit,
    output,
    proven,
    python,
    ready,
    sha,
)

CLAIMER = """
    import sys
    from ledger import Ledger
    from concurrent.futures import ThreadPoolExecutor

    with Ledger(sys.argv[1]) as ledger, ThreadPoolExecutor(4) as pool:
        ids = ledger.claimable("chunk")
        take = lambda _: [i for i in ids if ledger.claim_chunk(i, sys.argv[2], 600) is not None]
        for taken in pool.map(take, range(4)):
            print(*taken)
"""


def test_eight_threads_never_get_the_same_chunk(ledger: Ledger) -> None:
    add(ledger, units=40, chunk=1)
    ids = ledger.claimable("chunk")

    def take_all(worker: int) -> list[str]:
        claims = [ledger.claim_chunk(chunk_id, f"w{worker}", LONG_S) for chunk_id in ids]
        return [taken.chunk_id for taken in claims if taken is not None]

    with ThreadPoolExecutor(8) as pool:
        taken = [chunk_id for mine in pool.map(take_all, range(8)) for chunk_id in mine]
    assert sorted(taken) == sorted(ids)


def test_two_processes_of_four_threads_never_get_the_same_chunk(ledger: Ledger, ledger_url: str) -> None:
    add(ledger, units=60, chunk=1)
    ids = ledger.claimable("chunk")
    running = [python(CLAIMER, ledger_url, f"w{number}") for number in range(2)]
    taken = [chunk_id for process in running for chunk_id in output(process).split()]
    assert len(ids) == 60
    assert Counter(taken) == Counter(ids)
    assert proven(ledger)


def test_a_chunk_that_is_held_done_or_unknown_gives_no_claim(ledger: Ledger) -> None:
    add(ledger, units=4)
    (chunk_id,) = ledger.claimable("chunk")
    held = claim(ledger, chunk_id)
    assert ledger.claim_chunk(chunk_id, "other", LONG_S) is None
    commit(ledger, held)
    assert ledger.claim_chunk(chunk_id, "other", LONG_S) is None
    for unknown in ("nothing", "", "nul\x00", "\ud800"):
        assert ledger.claim_chunk(unknown, "w", LONG_S) is None
        assert ledger.claim_finalise(unknown, "w", LONG_S) is None


def test_a_claim_says_all_that_the_work_needs(ledger: Ledger) -> None:
    shard = add(ledger, units=10, chunk=4, rejected=[5, 6])
    held = claim(ledger, ledger.claimable("chunk")[1], "me")
    assert (held.dataset, held.shard, held.shard_id, held.sha256) == ("d", "shard", shard.id, sha("shard"))
    assert (held.start, held.stop, held.units, held.structural) == (4, 8, 4, 2)
    assert (held.attempt, held.token, held.worker, held.spec.model) == (1, 1, "me", "some/model")
    assert {held: 1}[held] == 1  # claims can stand in sets


def test_after_the_lease_another_takes_the_chunk_and_the_zombie_is_refused(ledger: Ledger) -> None:
    add(ledger, units=4)
    (chunk_id,) = ledger.claimable("chunk")
    zombie = claim(ledger, chunk_id, "zombie", 0.05)
    time.sleep(0.1)
    assert ledger.expire_leases().retried == 1
    heir = claim(ledger, chunk_id, "heir")
    assert heir.token > zombie.token
    for act in (
        lambda: commit(ledger, zombie, bad=[0]),
        lambda: ledger.fail(zombie, "late"),
        lambda: ledger.release(zombie),
    ):
        with pytest.raises(LeaseLostError):
            act()
    assert ledger.renew([zombie, heir], LONG_S) == [zombie]
    assert commit(ledger, heir) is True
    with pytest.raises(LeaseLostError):
        commit(ledger, zombie, bad=[0])
    assert proven(ledger)


def test_a_zombie_is_refused_even_before_another_took_the_chunk(ledger: Ledger) -> None:
    add(ledger, units=4)
    zombie = claim(ledger, ledger.claimable("chunk")[0], lease_s=GONE_S)
    ledger.expire_leases()
    with pytest.raises(LeaseLostError):
        commit(ledger, zombie)


def test_a_late_commit_counts_while_nobody_took_the_lease_back(ledger: Ledger) -> None:
    add(ledger, units=4)
    held = claim(ledger, ledger.claimable("chunk")[0], lease_s=GONE_S)
    assert commit(ledger, held) is True


def test_renewed_leases_do_not_run_out(ledger: Ledger) -> None:
    ready(ledger, name="second")  # a shard's lease is renewed beside a chunk's
    add(ledger, units=8)
    held = claim(ledger, ledger.claimable("chunk")[0], lease_s=GONE_S)
    whole = claim_shard(ledger, ledger.get_shard("d", "second").id, lease_s=GONE_S)
    assert ledger.renew([held, whole], LONG_S) == []
    assert ledger.expire_leases().total == 0
    assert ledger.renew([], LONG_S) == []


def test_the_workers_clock_has_no_influence(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    add(ledger, units=8)
    true_now = time.time()
    for jump_s in (-86_400.0, 86_400.0):
        monkeypatch.setattr(time, "time", lambda jump_s=jump_s: true_now + jump_s)
        held = claim(ledger, ledger.claimable("chunk")[0], lease_s=30.0)
        assert ledger.expire_leases().total == 0
        assert abs(ledger.now() - true_now) < 60
        ledger.release(held)


def test_a_release_does_not_count_as_an_attempt_but_the_token_grows(ledger: Ledger) -> None:
    add(ledger, units=4)
    (chunk_id,) = ledger.claimable("chunk")
    for number in range(1, 6):
        held = claim(ledger, chunk_id)
        assert (held.attempt, held.token) == (1, number)
        ledger.release(held)
    assert [attempt.outcome for attempt in ledger.attempts(chunk_id)] == ["released"] * 5
    assert proven(ledger)


def test_eight_threads_get_one_lease_on_a_shard(ledger: Ledger) -> None:
    shard = ready(ledger)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: ledger.claim_finalise(shard.id, f"w{n}", LONG_S), range(8)))
    held = [taken for taken in claims if taken is not None]
    assert len(held) == 1
    assert captioned(ledger, held[0]).state == "captioned"
