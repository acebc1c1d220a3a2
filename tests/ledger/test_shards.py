"""Shards: the same bytes are one shard, other bytes under one name are two, and quarantine can be left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import (
    BadCursorError,
    BadNameError,
    CountMismatchError,
    LeaseLostError,
    NoSuchDatasetError,
    NoSuchShardError,
)
from ledger import Ledger
from ledger.storing import shard_id
from tests.ledger.helpers import SPEC, add, caption_all, claim, commit, finalise, proven, ready, reject, send_again, sha


def test_a_new_shard_has_chunks_over_all_its_units(ledger: Ledger) -> None:
    shard = add(ledger, units=10, chunk=4, rejected=[0, 9])
    assert (shard.state, shard.units, shard.rejected, shard.pending) == ("captioning", 10, 2, 8)
    assert (shard.chunks, shard.chunks_open) == (3, 3)
    assert shard.id == shard_id(ledger.get_dataset("d").id, sha("shard"))
    assert ledger.claimable("chunk") == [f"{shard.id}-{a:08d}-{b:08d}" for a, b in ((0, 4), (4, 8), (8, 10))]
    assert ledger.get_shard("d", "shard") == ledger.get_shard_by_id(shard.id) == shard
    assert proven(ledger)


def test_the_same_bytes_twice_are_one_shard(ledger: Ledger) -> None:
    shard = add(ledger)
    again, created = ledger.add_shard("d", "other-name", sha("shard"), 1000, 10, [], 4)
    assert (again, created) == (shard, False)


def test_the_same_bytes_in_two_data_sets_are_two_shards(ledger: Ledger) -> None:
    assert add(ledger, data="d").id != add(ledger, data="e").id


def test_other_bytes_under_a_name_that_is_taken_are_kept_beside_it(ledger: Ledger) -> None:
    add(ledger)
    newcomer, created = ledger.add_shard("d", "shard", sha("other"), 1000, 10, [], 4)
    assert created
    assert newcomer.name == f"shard@{sha('other')[:8]}"
    assert ledger.get_shard("d", newcomer.name) == newcomer
    assert len(ledger.list_shards("d")[0]) == 2


def test_the_same_upload_eight_times_at_once_is_one_shard(ledger: Ledger) -> None:
    ledger.create_dataset("d", SPEC)

    def upload(number: int) -> tuple[str, bool]:
        shard, created = ledger.add_shard("d", f"name{number}", sha("x"), 1000, 50, [reject(3)], 5)
        return shard.id, created

    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(upload, range(8)))
    assert len({identity for identity, _ in added}) == 1
    assert sum(created for _, created in added) == 1
    assert ledger.count_claimable("chunk") == 10
    assert proven(ledger)


def test_one_name_for_eight_uploads_at_once_names_eight_shards(ledger: Ledger) -> None:
    ledger.create_dataset("d", SPEC)
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda n: ledger.add_shard("d", "s", sha(str(n)), 1, 5, [], 5)[0].name, range(8)))
    assert len(set(added)) == 8
    assert "s" in added
    assert proven(ledger)


def test_rejects_that_do_not_fit_the_units_are_refused(ledger: Ledger) -> None:
    ledger.create_dataset("d", SPEC)
    for units, rejects in ((3, [reject(3)]), (3, [reject(-1)]), (3, [reject(1), reject(1)]), (0, [])):
        with pytest.raises(CountMismatchError):
            ledger.add_shard("d", "s", sha("s"), 1, units, rejects, 4)
    assert ledger.list_shards("d") == ([], None)  # nothing stays of it


def test_names_that_no_database_holds_are_refused_or_not_found(ledger: Ledger) -> None:
    add(ledger)
    for name in ("nul\x00", "\ud800", "", "x" * 3000):
        with pytest.raises(BadNameError):
            ledger.add_shard("d", name, sha("y"), 1, 1, [], 1)
        with pytest.raises(NoSuchShardError):
            ledger.get_shard("d", name)
        with pytest.raises(NoSuchShardError):
            ledger.get_shard_by_id(name)
        with pytest.raises(NoSuchDatasetError):
            ledger.get_dataset(name)


def test_texts_of_rejects_are_kept_as_far_as_a_database_can(ledger: Ledger) -> None:
    ledger.create_dataset("d", SPEC)
    rejects = [(0, "a\x00b\udcff", "bad_name", "s\x00" + "x" * 5000)]
    shard, _ = ledger.add_shard("d", "s", sha("s"), 1, 2, rejects, 4)
    (row,) = ledger.shard_rejects(shard.id)
    assert row.key == "a\N{REPLACEMENT CHARACTER}b?"
    assert len(row.sentence) == 2000


def test_pages_show_every_shard_once(ledger: Ledger) -> None:
    names = [f"Shard-{n}" if n % 2 else f"shard-{n}" for n in range(7)]
    for name in names:
        add(ledger, name=name, units=1)
    seen: list[str] = []
    cursor = None
    while True:
        items, cursor = ledger.list_shards("d", cursor, 3)
        seen += [shard.name for shard in items]
        if cursor is None:
            break
    assert seen == sorted(names)  # by bytes, on both databases
    assert ledger.list_shards("d", state="captioning", limit=100)[0]
    assert ledger.list_shards("d", state="accepted") == ([], None)
    for bad in ("", "!!!", "bnVsbA", "WzFd", "W10", "\ud800", "WyJcdTAwMDAiXQ"):
        with pytest.raises(BadCursorError):
            ledger.list_shards("d", bad)


def test_quarantine_takes_a_shards_chunks_out_of_the_queue(ledger: Ledger) -> None:
    shard = add(ledger, units=12)
    first, second, _ = ledger.claimable("chunk")
    commit(ledger, claim(ledger, first))
    held = claim(ledger, second)
    there = ledger.quarantine(shard.id, "hash_mismatch", "The bytes changed on the disk.")
    assert (there.state, there.code, there.sentence) == (
        "quarantined", "hash_mismatch", "The bytes changed on the disk.",
    )  # fmt: skip
    assert ledger.claimable("chunk") == []
    assert ledger.count_claimable("chunk") == 0
    with pytest.raises(LeaseLostError):
        commit(ledger, held)
    assert ledger.quarantine(shard.id, "other", "other").code == "hash_mismatch"
    assert proven(ledger)


def test_a_quarantined_shard_that_is_sent_again_does_only_what_was_not_done(ledger: Ledger) -> None:
    shard = add(ledger, units=12)
    commit(ledger, claim(ledger, ledger.claimable("chunk")[0]))
    ledger.quarantine(shard.id, "x", "y")
    there = send_again(ledger, shard)
    assert (there.id, there.state, there.code, there.captioned, there.chunks_open) == (
        shard.id, "captioning", None, 4, 2,
    )  # fmt: skip
    assert send_again(ledger, shard) == there
    caption_all(ledger)
    assert finalise(ledger, shard.id).state == "accepted"
    assert proven(ledger)


def test_an_accepted_shard_can_be_quarantined_and_come_back(ledger: Ledger) -> None:
    shard = finalise(ledger, ready(ledger).id)
    ledger.quarantine(shard.id, "x", "y")
    send_again(ledger, shard)
    assert finalise(ledger, shard.id, "e2").state == "accepted"
    with pytest.raises(NoSuchShardError):
        ledger.quarantine("nothing", "x", "y")


def test_rejects_are_listed_by_shard_and_ordinal_across_pages(ledger: Ledger) -> None:
    for name in ("b", "a"):
        add(ledger, name=name, units=10, rejected=[7, 2, 4])
    seen: list[tuple[str, int]] = []
    cursor = None
    while True:
        items, cursor = ledger.list_rejects("d", cursor, 2)
        seen += [(row.shard, row.ordinal) for row in items]
        if cursor is None:
            break
    assert seen == [(name, ordinal) for name in "ab" for ordinal in (2, 4, 7)]
