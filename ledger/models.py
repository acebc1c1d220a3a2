"""The tables. docs/ledger.md tells them as prose; ledger/migrations makes them (a test compares the two).

Rows of these tables leave the room only as records (records.py). Texts in JSON are canonical JSON in a Text column, so
both databases keep the same bytes. The counts on a shard are kept by the same transaction that changes the rows they
count: `units = captioned + rejected + pending` holds at every commit, and checks in the database itself guard it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from ledger import states

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Names and ids are ordered by their bytes on both databases, so that pages never depend on a locale.
Name = Text().with_variant(Text(collation="C"), "postgresql")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


datasets = Table(
    "datasets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("spec", Text, nullable=False),
    Column("spec_hash", String(64), nullable=False),
    Column("gates", Text),
    Column("created_at", Double, nullable=False),
)

shards = Table(
    "shards",
    metadata,
    Column("id", Name, primary_key=True),
    Column("dataset_id", ForeignKey("datasets.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("url", Text),
    Column("sha256", String(64)),
    Column("size_bytes", BigInteger, nullable=False, default=0),
    Column("state", String(16), nullable=False),
    # counts
    Column("units", Integer, nullable=False, default=0),
    Column("captioned", Integer, nullable=False, default=0),
    Column("rejected", Integer, nullable=False, default=0),
    Column("flagged", Integer, nullable=False, default=0),
    Column("chunks", Integer, nullable=False, default=0),
    Column("chunks_open", Integer, nullable=False, default=0),
    Column("corrections", Integer, nullable=False, default=0),
    # the newest edition
    Column("edition", Text),
    Column("manifest_key", Text),
    Column("captioned_sha256", String(64)),
    Column("captioned_size_bytes", BigInteger),
    Column("edition_flagged", Integer),
    Column("density", Text),
    Column("passed", Boolean),
    Column("findings", Text),
    Column("release_reason", Text),
    # why it is quarantined
    Column("code", Text),
    Column("sentence", Text),
    # lease to ingest or finalise; the token only ever grows
    Column("lease_kind", String(8)),
    Column("lease_until", Double),
    Column("worker", Text),
    Column("token", BigInteger, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    UniqueConstraint("dataset_id", "name"),
    UniqueConstraint("dataset_id", "sha256"),
    _one_of("state", tuple(states.SHARD)),
    CheckConstraint(
        "captioned >= 0 AND rejected >= 0 AND flagged >= 0 AND captioned + rejected <= units", name="counts_add_up"
    ),
    CheckConstraint("chunks_open >= 0 AND chunks_open <= chunks", name="open_chunks_exist"),
    Index(None, "state", "created_at", "id"),
    Index(None, "lease_until"),
)

#: URLs whose bytes turned out to be a shard that is here already: the name given to them still finds that shard.
urls = Table(
    "urls",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    Column("url", Text, primary_key=True),
    Column("name", Name, nullable=False),
    Column("shard_id", ForeignKey("shards.id"), nullable=False),
    Index(None, "dataset_id", "name"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", Name, primary_key=True),
    Column("shard_id", ForeignKey("shards.id"), nullable=False),
    Column("dataset_id", ForeignKey("datasets.id"), nullable=False),
    Column("start", Integer, nullable=False),
    Column("stop", Integer, nullable=False),
    Column("structural", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("lease_until", Double),
    Column("worker", Text),
    Column("token", BigInteger, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("error", Text),
    Column("created_at", Double, nullable=False),
    _one_of("state", tuple(states.CHUNK)),
    CheckConstraint("0 <= start AND start < stop AND structural <= stop - start", name="range"),
    CheckConstraint("(state = 'leased') = (lease_until IS NOT NULL)", name="leased_has_lease"),
    # claimable: the oldest pending first; the leased ones are few and found by the same index
    Index(None, "state", "created_at", "id"),
    Index(None, "shard_id", "start"),
)

#: One row for a chunk that is done, inserted once (primary key).
results = Table(
    "results",
    metadata,
    Column("chunk_id", ForeignKey("chunks.id"), primary_key=True),
    Column("shard_id", ForeignKey("shards.id"), nullable=False),
    Column("dataset_id", ForeignKey("datasets.id"), nullable=False),
    Column("start", Integer, nullable=False),
    Column("path", Text),
    Column("sha256", String(64)),
    Column("captioned", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("flagged", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double, nullable=False),
    CheckConstraint("captioned >= 0 AND rejected >= 0 AND flagged >= 0", name="counts"),
    Index(None, "shard_id", "start"),
    Index(None, "dataset_id", "finished_at"),
)

#: chunk_id is null for structural rejects, which were known before any chunk.
rejects = Table(
    "rejects",
    metadata,
    Column("shard_id", ForeignKey("shards.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("chunk_id", ForeignKey("chunks.id")),
)

#: One row a claim; `subject` is a chunk's or a shard's id.
attempts = Table(
    "attempts",
    metadata,
    Column("subject", Name, primary_key=True),
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(8), nullable=False),
    Column("worker", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("outcome", String(16)),
    Column("error", Text),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("shard_id", ForeignKey("shards.id"), nullable=False),
    Column("key", Name, nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("shard_id", "key", "version"),
)

handoffs = Table(
    "handoffs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset_id", ForeignKey("datasets.id"), nullable=False),
    Column("digest", Name, nullable=False),
    Column("key", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("dataset_id", "digest"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Name, nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
)
