"""What the ledger hands out: frozen records, never rows of an open session. Times are epoch seconds of the database.

Leaves out: how they are stored (models.py) and which states exist (states.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from core.spec import CaptionSpec

#: A reject on its way into the ledger: (ordinal of the unit in its shard, key, reason code, sentence).
NewReject: TypeAlias = tuple[int, str, str, str]

#: What can be claimed: reading a shard by URL, captioning a chunk, writing a captioned shard.
Kind: TypeAlias = Literal["ingest", "chunk", "finalise"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named set of shards that share one captioning spec and, perhaps, gates."""

    id: int
    name: str
    spec: CaptionSpec
    gates: dict[str, Any] | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of a data set. `units = captioned + rejected + pending` at every moment."""

    id: str
    dataset: str
    name: str
    state: str
    url: str | None  # where a worker reads it, for a shard given by URL
    sha256: str | None  # None while uploading
    size_bytes: int
    units: int
    captioned: int
    rejected: int  # structural rejects included
    flagged: int  # captions with a flag, as the chunks reported them
    chunks: int  # chunks that count: pending, leased, done or withdrawn; not those that were halved
    chunks_open: int  # of these, not done yet
    corrections: int  # corrections made so far, all versions
    edition: str | None  # the newest captioned shard; it stays named here while a new edition is on its way
    manifest_key: str | None  # its manifest's key in the store
    captioned_sha256: str | None
    captioned_size_bytes: int | None
    edition_flagged: int | None  # captions with a flag in this edition, corrections applied
    density: dict[str, Any] | None
    passed: bool | None  # the gates' answer, None before it
    findings: list[str]  # what the gates found
    release_reason: str | None  # why a held shard was let through by hand
    code: str | None  # why it is quarantined, or what keeps its work from going on: an error's code and sentence
    sentence: str | None
    created_at: float
    changed_at: float

    @property
    def pending(self) -> int:
        """Units that are neither captioned nor rejected yet."""
        return self.units - self.captioned - self.rejected


@dataclass(frozen=True, slots=True)
class ChunkClaim:
    """The right to caption units [start, stop) of one shard, until the lease ends; `token` proves it at the commit."""

    chunk_id: str
    shard_id: str
    dataset: str
    shard: str  # its name
    sha256: str  # of the source shard
    start: int
    stop: int
    structural: int  # units in the range that are rejects already, recorded when the shard was stored
    token: int
    attempt: int  # 1 for the first
    worker: str
    spec: CaptionSpec

    @property
    def units(self) -> int:
        return self.stop - self.start

    def __hash__(self) -> int:
        return hash((self.chunk_id, self.token))


@dataclass(frozen=True, slots=True)
class ShardClaim:
    """The right to ingest or finalise one shard. `shard` is as it was at the claim: go on from `shard.state`."""

    kind: Literal["ingest", "finalise"]
    shard: Shard
    dataset: Dataset
    token: int
    attempt: int  # 1 for the first
    worker: str

    @property
    def shard_id(self) -> str:
        return self.shard.id

    def __hash__(self) -> int:
        return hash((self.shard.id, self.token))


#: A lease that can be renewed.
Claim: TypeAlias = ChunkClaim | ShardClaim


@dataclass(frozen=True, slots=True)
class Failure:
    """What became of a failed chunk, and which chunks want a hint now."""

    outcome: Literal["retry", "halved", "poison"]
    chunk_ids: tuple[str, ...]  # retry: itself; halved: its two halves; poison: none
    last: bool  # poison only: it was the shard's last open chunk, so the shard can be finalised


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """A chunk that is done. `path` and `sha256` are None for a poison chunk: its one unit stands in the rejects."""

    chunk_id: str
    start: int
    stop: int
    path: str | None
    sha256: str | None
    captioned: int
    rejected: int  # captioned + rejected = stop - start, structural rejects included
    flagged: int


@dataclass(frozen=True, slots=True)
class RejectRow:
    """A unit that does not go on. `key` is empty for a poison sample until `name_rejects` has named it."""

    shard_id: str
    shard: str  # its name
    ordinal: int
    key: str
    reason: str
    sentence: str
    structural: bool  # known when the shard was stored, before any chunk


@dataclass(frozen=True, slots=True)
class Attempt:
    """One claim of a chunk or shard, and how it ended (outcome None: still under way)."""

    subject: str  # chunk id or shard id
    kind: str
    token: int
    worker: str
    started_at: float
    ended_at: float | None
    outcome: str | None  # done, failed, expired, released, superseded, withdrawn
    error: str | None


@dataclass(frozen=True, slots=True)
class Handoff:
    """An immutable hand-off manifest in the store, and what it sums up."""

    dataset: str
    digest: str
    key: str
    summary: dict[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of an API key: never its text."""

    id: int
    name: str
    prefix: str
    created_at: float
    last_used_at: float | None
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class Swept:
    """What one round of `expire_leases` did, in chunks and shards."""

    retried: int = 0
    halved: int = 0
    poisoned: int = 0
    shards: int = 0
    quarantined: int = 0

    @property
    def total(self) -> int:
        """Leases that were taken back."""
        return self.retried + self.halved + self.poisoned + self.shards


@dataclass(frozen=True, slots=True)
class Audit:
    """The counts of a data set, made anew from its rows, and every place where the kept counts disagree."""

    shards: int
    units: int
    captioned: int
    rejected: int
    pending: int
    findings: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        return not self.findings
