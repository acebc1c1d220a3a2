"""Chunks: a result enters once, counts stay exact, failures halve a chunk until the poison sample stands alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import CountMismatchError, IllegalTransitionError, LeaseLostError, NotFoundError
from ledger import Ledger
from ledger.records import NewReject
from tests.ledger.helpers import (
    GONE_S,
    LONG_S,
    add,
    caption_all,
    captioned,
    claim,
    claim_shard,
    commit,
    finalise,
    proven,
    ready,
    reject,
    sha,
)


def test_a_commit_counts_captions_rejects_and_flags(ledger: Ledger) -> None:
    shard = add(ledger, units=10, chunk=4, rejected=[1])
    first, second, third = ledger.claimable("chunk")
    assert commit(ledger, claim(ledger, first), bad=[0], flagged=1) is False
    assert commit(ledger, claim(ledger, third)) is False
    there = ledger.get_shard_by_id(shard.id)
    assert (there.captioned, there.rejected, there.flagged, there.pending, there.chunks_open) == (4, 2, 1, 4, 1)
    assert commit(ledger, claim(ledger, second)) is True
    there = ledger.get_shard_by_id(shard.id)
    assert (there.captioned, there.rejected, there.pending, there.chunks_open) == (8, 2, 0, 0)
    assert [(row.ordinal, row.structural) for row in ledger.shard_rejects(shard.id)] == [(0, False), (1, True)]
    results = ledger.chunk_results(shard.id)
    assert [(r.start, r.stop, r.captioned, r.rejected) for r in results] == [(0, 4, 2, 2), (4, 8, 4, 0), (8, 10, 2, 0)]
    assert [r.path for r in results] == [f"chunks/{chunk_id}" for chunk_id in (first, second, third)]
    assert proven(ledger)


def test_structural_rejects_may_be_told_again_and_are_counted_once(ledger: Ledger) -> None:
    shard = add(ledger, units=4, rejected=[1, 2])
    held = claim(ledger, ledger.claimable("chunk")[0])
    assert ledger.commit(held, "p", sha("p"), 1, 3, 0, [reject(1), reject(2), reject(3, "image_corrupt")])
    assert ledger.get_shard_by_id(shard.id).rejected == 3
    assert proven(ledger)


def test_the_same_result_twice_changes_nothing(ledger: Ledger) -> None:
    add(ledger, units=4)
    held = claim(ledger, ledger.claimable("chunk")[0])
    assert commit(ledger, held, bad=[2]) is True
    before = ledger.get_shard("d", "shard")
    assert commit(ledger, held, bad=[2]) is False
    assert ledger.get_shard("d", "shard") == before
    with pytest.raises(LeaseLostError):  # another result is not the same one
        commit(ledger, held)
    assert proven(ledger)


@pytest.mark.parametrize(
    ("captioned_units", "rejected", "rejects"),
    [
        (4, 0, []),  # forgets the structural reject
        (3, 2, [reject(0)]),  # one too many
        (2, 1, []),  # one too few
        (2, 2, []),  # a reject that is not named
        (3, 1, [reject(0)]),  # one named that is not counted
        (2, 2, [reject(7)]),  # outside the range
        (1, 3, [reject(0), reject(0)]),  # named twice
        (-1, 5, [reject(n) for n in (0, 2, 3)]),
    ],
)
def test_a_result_whose_counts_do_not_prove_every_unit_is_refused(
    ledger: Ledger, captioned_units: int, rejected: int, rejects: list[NewReject]
) -> None:
    add(ledger, units=4, rejected=[1])
    held = claim(ledger, ledger.claimable("chunk")[0])
    with pytest.raises(CountMismatchError):
        ledger.commit(held, "p", sha("p"), captioned_units, rejected, 0, rejects)
    assert proven(ledger)
    assert commit(ledger, held) is True  # the lease was not lost by it


def test_the_last_commit_is_told_exactly_once_under_concurrency(ledger: Ledger) -> None:
    for round_number in range(3):
        add(ledger, units=16, chunk=1, name=f"shard{round_number}")
        claims = [claim(ledger, chunk_id) for chunk_id in ledger.claimable("chunk")]
        with ThreadPoolExecutor(8) as pool:
            last = list(pool.map(lambda held: commit(ledger, held), claims))
        assert sum(last) == 1
    assert proven(ledger)


def test_after_three_failures_a_chunk_is_halved(ledger: Ledger) -> None:
    shard = add(ledger, units=7, chunk=7, rejected=[1, 5])
    (chunk_id,) = ledger.claimable("chunk")
    for attempt in (1, 2):
        held = claim(ledger, chunk_id)
        assert held.attempt == attempt
        failure = ledger.fail(held, "a crash", 3)
        assert (failure.outcome, failure.chunk_ids, failure.last) == ("retry", (chunk_id,), False)
    failure = ledger.fail(claim(ledger, chunk_id), "a crash", 3)
    assert failure.outcome == "halved"
    assert list(failure.chunk_ids) == ledger.claimable("chunk")
    halves = [claim(ledger, half) for half in failure.chunk_ids]
    assert [(h.start, h.stop, h.structural, h.attempt) for h in halves] == [(0, 3, 1, 1), (3, 7, 1, 1)]
    assert ledger.get_shard_by_id(shard.id).chunks == 2
    assert ledger.claim_chunk(chunk_id, "w", LONG_S) is None
    assert [attempt.outcome for attempt in ledger.attempts(chunk_id)] == ["failed"] * 3
    assert proven(ledger)


def test_the_poison_sample_ends_alone_as_a_reject_and_all_others_go_through(ledger: Ledger) -> None:
    shard = add(ledger, units=8, chunk=8)
    lasts = []
    while ids := ledger.claimable("chunk"):
        held = claim(ledger, ids[0])
        if held.start <= 5 < held.stop:
            lasts.append(ledger.fail(held, "signal 9\x00", 2).last)
        else:
            lasts.append(commit(ledger, held))
    assert sum(lasts) == 1
    there = ledger.get_shard_by_id(shard.id)
    assert (there.captioned, there.rejected, there.pending) == (7, 1, 0)
    (row,) = ledger.shard_rejects(shard.id)
    assert (row.ordinal, row.reason, row.key, row.structural) == (5, "poison", "", False)
    assert "signal 9" in row.sentence
    (alone,) = [result for result in ledger.chunk_results(shard.id) if result.path is None]
    assert (alone.start, alone.stop, alone.sha256, alone.captioned, alone.rejected) == (5, 6, None, 0, 1)
    assert ledger.name_rejects(shard.id, {5: "the key", 0: "no reject"}) == 1
    assert ledger.name_rejects(shard.id, {5: "another"}) == 0
    assert ledger.shard_rejects(shard.id)[0].key == "the key"
    assert proven(ledger)


def test_a_lone_structural_reject_that_fails_is_not_rejected_again(ledger: Ledger) -> None:
    shard = add(ledger, units=2, chunk=1, rejected=[0])
    held = claim(ledger, ledger.claimable("chunk")[0])
    assert ledger.fail(held, "x", 1).outcome == "poison"
    caption_all(ledger)
    assert [row.reason for row in ledger.shard_rejects(shard.id)] == ["no_image"]
    assert proven(ledger)


def test_a_missing_result_is_done_again_and_counted_anew(ledger: Ledger) -> None:
    shard = add(ledger, units=8, rejected=[0])
    first, second = ledger.claimable("chunk")
    commit(ledger, claim(ledger, first), bad=[2], flagged=1)
    with pytest.raises(IllegalTransitionError):
        ledger.reopen_chunk(second, "not done yet")
    with pytest.raises(NotFoundError):
        ledger.reopen_chunk("nothing", "why")
    commit(ledger, claim(ledger, second))
    late = claim_shard(ledger, shard.id)
    ledger.reopen_chunk(first, "the file is gone")
    with pytest.raises(LeaseLostError):  # the finaliser that was at work is out
        captioned(ledger, late)
    there = ledger.get_shard_by_id(shard.id)
    assert (there.captioned, there.rejected, there.flagged, there.pending) == (4, 1, 0, 3)
    assert proven(ledger)
    held = claim(ledger, first)
    assert held.attempt == 1
    assert commit(ledger, held) is True
    assert finalise(ledger, shard.id).state == "accepted"
    assert proven(ledger)


def test_a_reopened_chunk_takes_an_accepted_shard_back_to_captioning(ledger: Ledger) -> None:
    shard = ready(ledger)
    finalise(ledger, shard.id)
    chunk_id = ledger.chunk_results(shard.id)[0].chunk_id
    ledger.reopen_chunk(chunk_id, "damaged")
    assert ledger.get_shard_by_id(shard.id).state == "captioning"
    assert ledger.get_shard_by_id(shard.id).edition == "e1"  # still there until the next one
    caption_all(ledger)
    assert finalise(ledger, shard.id).state == "accepted"
    assert proven(ledger)


def test_an_expired_attempt_counts_like_a_failed_one(ledger: Ledger) -> None:
    add(ledger, units=1)
    (chunk_id,) = ledger.claimable("chunk")
    ledger.fail(claim(ledger, chunk_id), "first", 3)
    claim(ledger, chunk_id, lease_s=GONE_S)
    assert ledger.expire_leases(3).retried == 1
    claim(ledger, chunk_id, lease_s=GONE_S)
    assert ledger.expire_leases(3).poisoned == 1
    assert [attempt.outcome for attempt in ledger.attempts(chunk_id)] == ["failed", "expired", "expired"]
    assert proven(ledger)


def test_what_kept_a_chunk_from_being_done_is_told_until_one_is(ledger: Ledger) -> None:
    shard = add(ledger, units=4, chunk=2)
    first, second = ledger.claimable("chunk")
    ledger.release(claim(ledger, first), ("engine_out", "The endpoint is down."))
    told = ledger.get_shard_by_id(shard.id)
    assert (told.state, told.code, told.sentence) == ("captioning", "engine_out", "The endpoint is down.")
    assert ledger.progress(shard.dataset)["trouble"] == "The endpoint is down."
    assert [attempt.error for attempt in ledger.attempts(first)] == ["The endpoint is down."]
    commit(ledger, claim(ledger, second))
    assert ledger.get_shard_by_id(shard.id).sentence is None
    assert ledger.progress(shard.dataset)["trouble"] is None
    assert proven(ledger)
