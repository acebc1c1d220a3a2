"""Finalising: one holder, resumable between its steps, each step told once or twice with the same effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from core.errors import ConflictError, CountMismatchError, IllegalTransitionError, LeaseLostError
from ledger import Ledger, states
from ledger.models import shards
from tests.ledger.helpers import (
    GONE_S,
    LONG_S,
    add,
    captioned,
    claim,
    claim_shard,
    commit,
    finalise,
    proven,
    ready,
    sha,
)


def test_a_shard_goes_through_all_states_under_one_claim(ledger: Ledger) -> None:
    shard = ready(ledger)
    held = claim_shard(ledger, shard.id)
    assert (held.kind, held.shard.state, held.dataset.name, held.attempt) == ("finalise", "captioning", "d", 1)
    there = captioned(ledger, held)
    assert (there.state, there.edition, there.captioned_sha256) == ("captioned", "e1", sha("e1"))
    there = ledger.complete_measured(held, {"images": 10, "valid_share": 0.5})
    assert (there.state, there.density) == ("measured", {"images": 10, "valid_share": 0.5})
    there = ledger.complete_gated(held, True)
    assert (there.state, there.passed, there.findings) == ("accepted", True, [])
    assert ledger.claim_finalise(shard.id, "w", LONG_S) is None


def test_nobody_finalises_while_a_chunk_is_open(ledger: Ledger) -> None:
    shard = add(ledger, units=8)
    first, second = ledger.claimable("chunk")
    commit(ledger, claim(ledger, first))
    held = claim(ledger, second)
    assert ledger.claim_finalise(shard.id, "w", LONG_S) is None
    commit(ledger, held)
    assert ledger.claim_finalise(shard.id, "w", LONG_S) is not None


def test_a_shard_of_rejects_only_has_no_chunk_and_goes_on_to_finalise(ledger: Ledger) -> None:
    shard = add(ledger, units=3, rejected=[0, 1, 2])
    assert ledger.claimable("chunk") == []
    assert ledger.claimable("finalise") == [shard.id]
    there = finalise(ledger, shard.id)
    assert (there.state, there.captioned, there.rejected) == ("accepted", 0, 3)
    assert proven(ledger)


def test_another_goes_on_where_a_dead_finaliser_stopped(ledger: Ledger) -> None:
    shard = ready(ledger)
    dead = claim_shard(ledger, shard.id, "dead", GONE_S)
    captioned(ledger, dead)
    ledger.expire_leases()
    heir = claim_shard(ledger, shard.id, "heir")
    assert (heir.shard.state, heir.attempt) == ("captioned", 2)
    with pytest.raises(LeaseLostError):
        ledger.complete_measured(dead, {})
    ledger.complete_measured(heir, {})
    assert ledger.complete_gated(heir, True).state == "accepted"


def test_each_step_told_twice_changes_nothing(ledger: Ledger) -> None:
    held = claim_shard(ledger, ready(ledger).id)
    assert captioned(ledger, held) == captioned(ledger, held)
    assert ledger.complete_measured(held, {"a": 1}) == ledger.complete_measured(held, {"a": 1})
    assert ledger.complete_gated(held, False, ["few"]) == ledger.complete_gated(held, False, ["few"])
    with pytest.raises(LeaseLostError):
        ledger.complete_gated(held, True)


def test_steps_out_of_order_are_refused(ledger: Ledger) -> None:
    held = claim_shard(ledger, ready(ledger).id)
    with pytest.raises(IllegalTransitionError):
        ledger.complete_measured(held, {})
    with pytest.raises(IllegalTransitionError):
        ledger.complete_gated(held, True)
    captioned(ledger, held)
    with pytest.raises(IllegalTransitionError):
        captioned(ledger, held, "e2")


def test_counts_that_are_not_the_ledgers_are_refused(ledger: Ledger) -> None:
    held = claim_shard(ledger, ready(ledger, units=10).id)
    for told in ((9, 1), (10, 1), (9, 0)):
        with pytest.raises(CountMismatchError):
            ledger.complete_captioned(held, "k", "e", sha("e"), 1, *told, 0)
    assert captioned(ledger, held).state == "captioned"


def test_a_held_shard_is_released_by_a_person_with_a_reason(ledger: Ledger) -> None:
    shard = finalise(ledger, ready(ledger).id, passed=False)
    assert (shard.state, shard.passed, shard.findings) == ("held", False, ["too few nouns"])
    assert ledger.claimable("finalise") == []
    shard = ledger.release_held(shard.id, "looked at it")
    assert (shard.state, shard.release_reason) == ("accepted", "looked at it")
    with pytest.raises(IllegalTransitionError):
        ledger.release_held(shard.id, "again")


def test_a_released_shard_is_claimable_and_the_attempt_not_counted(ledger: Ledger) -> None:
    shard = ready(ledger)
    for _ in range(5):
        held = claim_shard(ledger, shard.id)
        assert held.attempt == 1
        ledger.release_shard(held)
    with pytest.raises(LeaseLostError):
        ledger.release_shard(held)


def test_a_shard_that_cannot_be_finalised_is_quarantined_with_the_last_error(ledger: Ledger) -> None:
    shard = ready(ledger)
    for attempt in (1, 2):
        assert ledger.fail_shard(claim_shard(ledger, shard.id), f"error {attempt}", 2).code == (
            None if attempt == 1 else "finalise_failed"
        )
    there = ledger.get_shard_by_id(shard.id)
    assert there.state == "quarantined"
    assert "error 2" in (there.sentence or "")
    assert proven(ledger)


ACTS: dict[str, tuple[set[str], Callable[[Ledger, str], Any]]] = {
    "claim_finalise": (set(states.FINALISABLE), lambda ledger, shard: claim_shard(ledger, shard)),
    "claim_ingest": ({"uploading"}, lambda ledger, shard: _not_none(ledger.claim_ingest(shard, "w", LONG_S))),
    "release_held": ({"held"}, lambda ledger, shard: ledger.release_held(shard, "why")),
    "correct": (
        {"captioning", *states.EDITED},
        lambda ledger, shard: ledger.correct("d", ledger.get_shard_by_id(shard).name, "k", "text", "me"),
    ),
    "add_handoff": (
        {"accepted", "handed_off"},
        lambda ledger, shard: ledger.add_handoff("d", sha(shard), "k", {}, {shard: "e1"}),
    ),
    "reopen_chunk": (
        {"captioning", *states.EDITED},
        lambda ledger, shard: ledger.reopen_chunk(ledger.chunk_results(shard)[0].chunk_id, "gone"),
    ),
}


def _not_none(value: object) -> object:
    assert value is not None
    return value


@pytest.mark.parametrize("act", ACTS)
def test_every_method_is_refused_in_every_state_that_it_is_not_for(ledger: Ledger, act: str) -> None:
    fits, call = ACTS[act]
    for number, state in enumerate(states.SHARD):
        shard = finalise(ledger, ready(ledger, name=f"shard{number}").id)
        ledger._db.write(
            lambda c, state=state, shard=shard: (
                c.execute(update(shards).where(shards.c.id == shard.id).values(state=state)).rowcount
            )
        )
        if state in fits:
            call(ledger, shard.id)
        else:
            with pytest.raises((ConflictError, AssertionError)):
                call(ledger, shard.id)
            assert ledger.get_shard_by_id(shard.id).state == state
