"""Progress: the counts agree with the rows, and asking for them does not read the chunks."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sqlalchemy import event

from ledger import Ledger
from tests.ledger.helpers import SPEC, add, caption_all, claim, commit, finalise, proven, sha


def test_progress_counts_shards_chunks_and_units(ledger: Ledger) -> None:
    ledger.create_dataset("d", SPEC)
    empty = ledger.progress("d")
    assert (empty["shards"], empty["units"], empty["eta_s"], empty["unfinished_shards"]) == ({}, 0, None, 0)
    shard = add(ledger, units=10, rejected=[0], name="a")
    broken = add(ledger, units=6, name="b")
    ledger.add_remote("d", "c", "https://host/c.tar")
    commit(ledger, claim(ledger, ledger.claimable("chunk")[0]), bad=[1], flagged=2)
    claim(ledger, ledger.claimable("chunk")[0])
    ledger.quarantine(broken.id, "x", "y")
    counts = ledger.progress("d")
    assert counts["shards"] == {"captioning": 1, "quarantined": 1, "uploading": 1}
    assert counts["chunks"] == {"pending": 1, "leased": 1, "done": 1, "withdrawn": 2}
    assert (counts["units"], counts["captioned"], counts["rejected"], counts["flagged"]) == (16, 2, 2, 2)
    assert (counts["pending"], counts["pending_quarantined"], counts["unfinished_shards"]) == (12, 6, 2)
    assert counts["images_per_s"] > 0
    assert counts["eta_s"] is not None
    assert shard.units == 10
    assert proven(ledger)


def test_progress_ends_at_nothing_pending(ledger: Ledger) -> None:
    shard = add(ledger)
    caption_all(ledger)
    finalise(ledger, shard.id)
    counts = ledger.progress("d")
    assert (counts["pending"], counts["eta_s"], counts["unfinished_shards"]) == (0, 0.0, 0)


def test_a_large_data_set_stays_quick(ledger: Ledger) -> None:
    """20 shards of 2,000 chunks. The limits are far above what is measured, and far below a scan per call."""
    ledger.create_dataset("d", SPEC)
    for number in range(20):
        ledger.add_shard("d", f"s{number}", sha(str(number)), 1, 2000, [], 1)
    assert len(ledger.claimable("chunk", 256)) == 256
    timed = {
        "claimable": lambda: ledger.claimable("chunk", 256),
        "count": lambda: ledger.count_claimable("chunk"),
        "progress": lambda: ledger.progress("d"),
        "expire": lambda: ledger.expire_leases(),
        "finalisable": lambda: ledger.claimable("finalise"),
    }
    for name, call in timed.items():
        assert best_s(call) < 0.05, name
    ids = iter(ledger.claimable("chunk", 256))
    assert best_s(lambda: commit(ledger, claim(ledger, next(ids)))) < 0.1


def best_s(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return min(taken)


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_no_everyday_query_walks_over_a_large_table(ledger: Ledger) -> None:
    shard = add(ledger, units=40, chunk=1)
    statements: list[tuple[str, object]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: object, _context: object, many: bool) -> None:
        if not many and statement.startswith(("SELECT", "UPDATE", "DELETE")):
            statements.append((statement, parameters))

    event.listen(ledger._db.engine, "before_cursor_execute", note)
    ids = ledger.claimable("chunk")
    commit(ledger, claim(ledger, ids[0]))
    held = claim(ledger, ids[1])
    ledger.renew([held], 60)
    ledger.fail(held, "x", 1)
    ledger.expire_leases()
    ledger.count_claimable("chunk")
    ledger.progress("d")
    ledger.chunk_results(shard.id)
    ledger.list_rejects("d")
    event.remove(ledger._db.engine, "before_cursor_execute", note)
    with ledger._db.read() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
            for step in plan:
                large = step.detail.startswith(("SCAN chunks", "SCAN results", "SCAN rejects", "SCAN attempts"))
                assert not large, (step.detail, statement)
