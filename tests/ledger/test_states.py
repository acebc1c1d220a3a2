"""The table of legal transitions, and that the database refuses all others."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import update

from core.errors import IllegalTransitionError
from ledger import Ledger, states
from ledger.base import get_chunk_row, get_shard_row, move_chunk, move_shard
from ledger.models import chunks, shards
from tests.ledger.helpers import add

LEGAL_SHARD = {
    ("uploading", "stored"),
    ("stored", "captioning"),
    ("captioning", "captioned"),
    ("captioned", "measured"),
    ("measured", "accepted"),
    ("measured", "held"),
    ("held", "accepted"),
    ("accepted", "handed_off"),
    *((old, "captioning") for old in ("captioned", "measured", "accepted", "held", "handed_off")),
    *((old, "quarantined") for old in states.SHARD if old != "quarantined"),
    ("quarantined", "uploading"),
    ("quarantined", "stored"),
}
LEGAL_CHUNK = {
    ("pending", "leased"),
    ("leased", "pending"),
    ("leased", "done"),
    ("leased", "split"),
    ("done", "pending"),
    ("pending", "withdrawn"),
    ("leased", "withdrawn"),
    ("withdrawn", "pending"),
}


def legal(subject: states.Subject) -> set[tuple[str, str]]:
    known = states.SHARD if subject == "shard" else states.CHUNK
    found = set()
    for old, new in product(known, known):
        try:
            states.check(subject, old, new)
        except IllegalTransitionError:
            continue
        found.add((old, new))
    return found


def test_exactly_these_transitions_of_a_shard_are_legal() -> None:
    assert legal("shard") == LEGAL_SHARD


def test_exactly_these_transitions_of_a_chunk_are_legal() -> None:
    assert legal("chunk") == LEGAL_CHUNK


def test_unknown_states_are_refused() -> None:
    for old, new in (("pending", "lost"), ("lost", "pending"), ("", "")):
        with pytest.raises(IllegalTransitionError):
            states.check("chunk", old, new)


def test_the_database_refuses_every_illegal_transition_of_a_shard(ledger: Ledger) -> None:
    shard = add(ledger)
    for old, new in product(states.SHARD, states.SHARD):
        ledger._db.write(lambda c, old=old: c.execute(update(shards).values(state=old)).rowcount)
        if (old, new) in LEGAL_SHARD:
            ledger._db.write(lambda c, new=new: move_shard(c, shard.id, new))
        else:
            with pytest.raises(IllegalTransitionError):
                ledger._db.write(lambda c, new=new: move_shard(c, shard.id, new))
        with ledger._db.read() as connection:
            assert get_shard_row(connection, shard.id).state == (new if (old, new) in LEGAL_SHARD else old)


def test_the_database_refuses_every_illegal_transition_of_a_chunk(ledger: Ledger) -> None:
    add(ledger, units=4)
    (chunk,) = ledger.claimable("chunk")
    for old, new in product(states.CHUNK, states.CHUNK):
        lease = 1.0 if old == "leased" else None
        ledger._db.write(
            lambda c, old=old, lease=lease: c.execute(update(chunks).values(state=old, lease_until=lease)).rowcount
        )
        values = {"lease_until": 1.0} if new == "leased" else {}
        if (old, new) in LEGAL_CHUNK:
            ledger._db.write(lambda c, new=new, values=values: move_chunk(c, chunk, new, **values))
        else:
            with pytest.raises(IllegalTransitionError):
                ledger._db.write(lambda c, new=new, values=values: move_chunk(c, chunk, new, **values))
        with ledger._db.read() as connection:
            assert get_chunk_row(connection, chunk).state == (new if (old, new) in LEGAL_CHUNK else old)


def test_the_page_draws_every_state() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()
    assert all(f"`{state}`" in page for state in (*states.SHARD, *states.CHUNK))
