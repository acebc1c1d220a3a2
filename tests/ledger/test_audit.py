"""The audit sees what is wrong, and a long random life keeps it content."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import delete, update

from core.errors import ConflictError, LedgerError, NotFoundError
from ledger import ChunkClaim, Ledger, ShardClaim
from ledger.models import attempts, chunks, rejects, results, shards
from tests.ledger.helpers import GONE_S, LONG_S, SPEC, add, captioned, claim, commit, proven, reject, send_again, sha

DAMAGE = {
    "captioned": update(shards).values(captioned=shards.c.captioned - 1),
    "rejected": update(shards).values(rejected=0),
    "flagged": update(shards).values(flagged=5),
    "chunks_open": update(shards).values(chunks_open=0),
    "a range": update(chunks).where(chunks.c.start == 4).values(start=5),
    "a result": delete(results),
    "a reject": delete(rejects),
    "an attempt": update(attempts).values(ended_at=None),
    "structural": update(chunks).values(structural=1),
    "the shard's state": update(shards).values(state="held"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_the_audit_names_what_does_not_agree(ledger: Ledger, what: str) -> None:
    add(ledger, units=12, rejected=[1])
    commit(ledger, claim(ledger, ledger.claimable("chunk")[0]))
    assert proven(ledger)
    ledger._db.write(lambda connection: connection.execute(DAMAGE[what]).rowcount)
    assert not ledger.audit("d").ok


def test_the_database_itself_refuses_counts_that_cannot_be(ledger: Ledger) -> None:
    add(ledger, units=4)
    for impossible in (
        update(shards).values(captioned=5),
        update(shards).values(rejected=-1),
        update(shards).values(chunks_open=2),
        update(shards).values(state="lost"),
        update(chunks).values(state="leased"),
        update(chunks).values(stop=0),
    ):
        with pytest.raises(LedgerError):
            ledger._db.write(lambda c, impossible=impossible: c.execute(impossible).rowcount)


class Walk:
    """A random life of a few shards: everything that workers, sweepers and people do, in any order."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self.random = random.Random(seed)
        self.chunks: list[ChunkClaim] = []
        self.shards: list[ShardClaim] = []
        self.editions = 0

    def step(self) -> None:
        acts = [self.claim] * 6 + [self.commit] * 6 + [self.finalise] * 4 + [self.fail, self.release, self.sweep] * 2
        rare = [self.add, self.remote, self.correct, self.reopen, self.quarantine, self.send_again, self.hand_off]
        with suppress(ConflictError, NotFoundError):  # what is refused must change nothing: the audit shows it
            self.random.choice(acts + rare)()

    def lease_s(self) -> float:
        return self.random.choice([GONE_S, LONG_S, LONG_S])

    def any_shard(self) -> str:
        items, _ = self.ledger.list_shards("d")
        return self.random.choice(items).id

    def add(self) -> None:
        number, units = self.random.randrange(6), self.random.randrange(1, 12)
        bad = [reject(n) for n in range(units) if self.random.random() < 0.2]
        self.ledger.add_shard("d", f"s{number % 3}", sha(f"s{number}"), 1, units, bad, self.random.randrange(1, 6))

    def remote(self) -> None:
        shard = self.ledger.add_remote("d", "r", f"https://host/{self.random.randrange(3)}")
        held = self.ledger.claim_ingest(shard.id, "w", self.lease_s())
        if held is not None:
            if self.random.random() < 0.5:
                self.sweep()
            self.ledger.complete_ingest(held, sha(f"s{self.random.randrange(9)}"), 1, 5, [reject(2)], 2)

    def claim(self) -> None:
        if ids := self.ledger.claimable("chunk"):
            held = self.ledger.claim_chunk(self.random.choice(ids), "w", self.lease_s())
            self.chunks += [held] if held is not None else []
        if ids := self.ledger.claimable("finalise"):
            whole = self.ledger.claim_finalise(self.random.choice(ids), "w", self.lease_s())
            self.shards += [whole] if whole is not None else []

    def held(self) -> ChunkClaim:
        return self.random.choice(self.chunks)  # perhaps a stale one

    def commit(self) -> None:
        if self.chunks:
            held = self.held()
            known = {row.ordinal for row in self.ledger.shard_rejects(held.shard_id)}
            free = [n for n in range(held.start, held.stop) if n not in known]
            commit(self.ledger, held, [n for n in free if self.random.random() < 0.2], 0)

    def fail(self) -> None:
        if self.chunks:
            self.ledger.fail(self.held(), "an error", 2)

    def release(self) -> None:
        if self.chunks:
            self.ledger.release(self.held())
        self.ledger.renew(self.chunks[-5:] + self.shards[-5:], self.lease_s())

    def sweep(self) -> None:
        self.ledger.expire_leases(2)

    def finalise(self) -> None:
        if self.shards:
            held = self.random.choice(self.shards)
            self.editions += 1
            step = self.random.randrange(5)
            if step == 0:
                self.ledger.fail_shard(held, "an error", 3)
            elif step == 1:
                self.ledger.release_shard(held)
            elif held.shard.state == "captioning":
                captioned(self.ledger, held, f"e{self.editions}")
            self.ledger.complete_measured(held, {})
            self.ledger.complete_gated(held, self.random.random() < 0.7)

    def correct(self) -> None:
        shard = self.ledger.get_shard_by_id(self.any_shard())
        self.ledger.correct("d", shard.name, "k", "text", "ann")

    def reopen(self) -> None:
        results = self.ledger.chunk_results(self.any_shard())
        if results:
            self.ledger.reopen_chunk(self.random.choice(results).chunk_id, "gone")

    def quarantine(self) -> None:
        self.ledger.quarantine(self.any_shard(), "x", "y")

    def send_again(self) -> None:
        shard = self.ledger.get_shard_by_id(self.any_shard())
        if shard.sha256 is not None:
            send_again(self.ledger, shard)

    def hand_off(self) -> None:
        ready, _ = self.ledger.list_shards("d", state="accepted")
        self.ledger.add_handoff("d", sha(str(self.random.random())), "m", {}, {s.id: s.edition or "" for s in ready})


@pytest.mark.parametrize("seed", range(2))
def test_a_random_life_keeps_every_count_true(ledger: Ledger, seed: int) -> None:
    ledger.create_dataset("d", SPEC)
    walk = Walk(ledger, seed)
    walk.add()
    for number in range(300):
        walk.step()
        assert number % 4 or proven(ledger)
    assert proven(ledger)


def test_random_lives_at_once_keep_every_count_true(ledger: Ledger) -> None:
    ledger.create_dataset("d", SPEC)
    walks = [Walk(ledger, seed) for seed in range(4)]
    walks[0].add()

    def live(walk: Walk) -> None:
        for _ in range(120):
            walk.step()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live, walks))
    assert proven(ledger)
    while ledger.claimable("chunk"):  # and from wherever it stands, all of it can be finished
        for chunk_id in ledger.claimable("chunk"):
            commit(ledger, claim(ledger, chunk_id))
    assert proven(ledger)
