"""The states of a shard and of a chunk, and the only table of legal transitions. docs/ledger.md draws it.

Every change of state in the room is an UPDATE whose WHERE names the legal old states, taken from here (`sources`), so
the database itself refuses the others, whatever another process did in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from core.errors import IllegalTransitionError

Subject: TypeAlias = Literal["shard", "chunk"]

#: old state -> the states that may follow.
SHARD: Mapping[str, frozenset[str]] = {
    "uploading": frozenset({"stored", "quarantined"}),
    "stored": frozenset({"captioning", "quarantined"}),
    "captioning": frozenset({"captioned", "quarantined"}),
    # back to captioning: a correction, or a chunk's result that went missing, asks for a new edition
    "captioned": frozenset({"measured", "captioning", "quarantined"}),
    "measured": frozenset({"accepted", "held", "captioning", "quarantined"}),
    "accepted": frozenset({"handed_off", "captioning", "quarantined"}),
    "held": frozenset({"accepted", "captioning", "quarantined"}),
    "handed_off": frozenset({"captioning", "quarantined"}),
    # asked for again: by its URL (uploading), or its bytes were uploaded again (stored)
    "quarantined": frozenset({"uploading", "stored"}),
}

CHUNK: Mapping[str, frozenset[str]] = {
    "pending": frozenset({"leased", "withdrawn"}),
    "leased": frozenset({"pending", "done", "split", "withdrawn"}),
    "done": frozenset({"pending"}),
    "split": frozenset(),
    "withdrawn": frozenset({"pending"}),
}

_TABLES: Mapping[Subject, Mapping[str, frozenset[str]]] = {"shard": SHARD, "chunk": CHUNK}

#: States in which a claim to finalise makes sense (all chunks done).
FINALISABLE = ("captioning", "captioned", "measured")

#: States in which chunks are done and an edition exists: a reason for a new edition leads back to captioning.
EDITED = ("captioned", "measured", "accepted", "held", "handed_off")

#: States in which nothing more will happen by itself.
SETTLED = ("accepted", "held", "handed_off", "quarantined")


def check(subject: Subject, old: str, new: str) -> None:
    """Passes a legal transition. Raises IllegalTransitionError for any other, unknown states included."""
    if new not in _TABLES[subject].get(old, frozenset()):
        raise IllegalTransitionError(
            f"A {subject} that is {old} cannot become {new}.", subject=subject, old=old, new=new
        )


def sources(subject: Subject, new: str) -> tuple[str, ...]:
    """The states from which `new` may follow, in the table's order."""
    return tuple(old for old, following in _TABLES[subject].items() if new in following)
