"""Corrections are versioned, and each one makes its shard finalisable again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from core.errors import BadFieldError, BadNameError, LeaseLostError, NoSuchShardError, NotReadyError
from ledger import Ledger
from ledger.models import corrections
from tests.ledger.helpers import SPEC, add, captioned, claim_shard, finalise, proven, ready


def test_a_correction_asks_for_a_new_edition(ledger: Ledger) -> None:
    shard = finalise(ledger, ready(ledger).id, "e1")
    assert ledger.correct("d", "shard", "k1", "a red ball", "ann") == 1
    there = ledger.get_shard_by_id(shard.id)
    assert (there.state, there.corrections, there.edition, there.chunks_open) == ("captioning", 1, "e1", 0)
    assert ledger.claimable("finalise") == [shard.id]
    there = finalise(ledger, shard.id, "e2")
    assert (there.state, there.edition) == ("accepted", "e2")
    assert proven(ledger)


def test_the_newest_version_counts_and_all_are_kept(ledger: Ledger) -> None:
    shard = ready(ledger)
    for text, version in (("one", 1), ("two", 2), ("three", 3)):
        assert ledger.correct("d", "shard", "k1", text, "ann") == version
    assert ledger.correct("d", "shard", "k2", "other", "bob") == 1
    assert ledger.corrections_for(shard.id) == {"k1": (3, "three"), "k2": (1, "other")}
    columns = (corrections.c.key, corrections.c.version, corrections.c.text, corrections.c.author)
    with ledger._db.read() as connection:
        assert [tuple(row) for row in connection.execute(select(*columns).order_by(corrections.c.id))] == [
            ("k1", 1, "one", "ann"), ("k1", 2, "two", "ann"), ("k1", 3, "three", "ann"), ("k2", 1, "other", "bob"),
        ]  # fmt: skip


def test_a_finaliser_that_read_the_corrections_too_early_is_refused(ledger: Ledger) -> None:
    shard = ready(ledger)
    early = claim_shard(ledger, shard.id)
    ledger.correct("d", "shard", "k", "text", "ann")
    with pytest.raises(LeaseLostError):
        captioned(ledger, early)
    assert finalise(ledger, shard.id).state == "accepted"


def test_a_correction_while_chunks_are_open_waits_for_them(ledger: Ledger) -> None:
    shard = add(ledger)
    assert ledger.correct("d", "shard", "k", "text", "ann") == 1
    assert ledger.get_shard_by_id(shard.id).state == "captioning"
    assert ledger.claimable("finalise") == []


def test_corrections_at_once_get_versions_of_their_own(ledger: Ledger) -> None:
    shard = ready(ledger)
    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(lambda n: ledger.correct("d", "shard", "k", f"t{n}", "ann"), range(12)))
    assert sorted(versions) == list(range(1, 13))
    assert ledger.get_shard_by_id(shard.id).corrections == 12


def test_what_cannot_be_corrected_is_refused(ledger: Ledger) -> None:
    ledger.create_dataset("d", SPEC)
    ledger.add_remote("d", "remote", "https://host/x.tar")
    with pytest.raises(NotReadyError):
        ledger.correct("d", "remote", "k", "text", "ann")
    shard = ready(ledger)
    with pytest.raises(BadNameError):
        ledger.correct("d", "shard", "nul\x00", "text", "ann")
    with pytest.raises(BadFieldError):
        ledger.correct("d", "shard", "k", "nul\x00", "ann")
    with pytest.raises(BadFieldError):
        ledger.correct("d", "shard", "k", "x" * 100_001, "ann")
    with pytest.raises(NoSuchShardError):
        ledger.correct("d", "other", "k", "text", "ann")
    ledger.quarantine(shard.id, "shard_corrupt", "broken")
    with pytest.raises(NotReadyError):
        ledger.correct("d", "shard", "k", "text", "ann")
