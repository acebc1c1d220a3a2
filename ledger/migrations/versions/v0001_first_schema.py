"""The first schema: data sets, shards, chunks, results, rejects, attempts, corrections, hand-offs, API keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: Ordered by its bytes on both databases.
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_table(
        "attempts",
        sa.Column("subject", Name, nullable=False),
        sa.Column("token", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("subject", "token", name=op.f("pk_attempts")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("spec_hash", sa.String(length=64), nullable=False),
        sa.Column("gates", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("name", name=op.f("uq_datasets_name")),
    )
    op.create_table(
        "handoffs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("digest", Name, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_handoffs_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handoffs")),
        sa.UniqueConstraint("dataset_id", "digest", name=op.f("uq_handoffs_dataset_id_digest")),
    )
    op.create_table(
        "shards",
        sa.Column("id", Name, nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("captioned", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("flagged", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("chunks_open", sa.Integer(), nullable=False),
        sa.Column("corrections", sa.Integer(), nullable=False),
        sa.Column("edition", sa.Text(), nullable=True),
        sa.Column("manifest_key", sa.Text(), nullable=True),
        sa.Column("captioned_sha256", sa.String(length=64), nullable=True),
        sa.Column("captioned_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("edition_flagged", sa.Integer(), nullable=True),
        sa.Column("density", sa.Text(), nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=True),
        sa.Column("lease_kind", sa.String(length=8), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "state IN ('uploading', 'stored', 'captioning', 'captioned', 'measured', 'accepted', 'held', 'handed_off', "
            "'quarantined')",
            name=op.f("ck_shards_state"),
        ),
        sa.CheckConstraint(
            "captioned >= 0 AND rejected >= 0 AND flagged >= 0 AND captioned + rejected <= units",
            name=op.f("ck_shards_counts_add_up"),
        ),
        sa.CheckConstraint("chunks_open >= 0 AND chunks_open <= chunks", name=op.f("ck_shards_open_chunks_exist")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_shards_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shards")),
        sa.UniqueConstraint("dataset_id", "name", name=op.f("uq_shards_dataset_id_name")),
        sa.UniqueConstraint("dataset_id", "sha256", name=op.f("uq_shards_dataset_id_sha256")),
    )
    op.create_index(op.f("ix_shards_lease_until"), "shards", ["lease_until"], unique=False)
    op.create_index(op.f("ix_shards_state_created_at_id"), "shards", ["state", "created_at", "id"], unique=False)
    op.create_table(
        "chunks",
        sa.Column("id", Name, nullable=False),
        sa.Column("shard_id", Name, nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("stop", sa.Integer(), nullable=False),
        sa.Column("structural", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("(state = 'leased') = (lease_until IS NOT NULL)", name=op.f("ck_chunks_leased_has_lease")),
        sa.CheckConstraint(
            "state IN ('pending', 'leased', 'done', 'split', 'withdrawn')", name=op.f("ck_chunks_state")
        ),
        sa.CheckConstraint("0 <= start AND start < stop AND structural <= stop - start", name=op.f("ck_chunks_range")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_chunks_dataset_id")),
        sa.ForeignKeyConstraint(["shard_id"], ["shards.id"], name=op.f("fk_chunks_shard_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
    )
    op.create_index(op.f("ix_chunks_shard_id_start"), "chunks", ["shard_id", "start"], unique=False)
    op.create_index(op.f("ix_chunks_state_created_at_id"), "chunks", ["state", "created_at", "id"], unique=False)
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("shard_id", Name, nullable=False),
        sa.Column("key", Name, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["shard_id"], ["shards.id"], name=op.f("fk_corrections_shard_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint("shard_id", "key", "version", name=op.f("uq_corrections_shard_id_key_version")),
    )
    op.create_table(
        "urls",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("shard_id", Name, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_urls_dataset_id")),
        sa.ForeignKeyConstraint(["shard_id"], ["shards.id"], name=op.f("fk_urls_shard_id")),
        sa.PrimaryKeyConstraint("dataset_id", "url", name=op.f("pk_urls")),
    )
    op.create_index(op.f("ix_urls_dataset_id_name"), "urls", ["dataset_id", "name"], unique=False)
    op.create_table(
        "rejects",
        sa.Column("shard_id", Name, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("chunk_id", Name, nullable=True),
        sa.ForeignKeyConstraint(["chunk_id"], ["chunks.id"], name=op.f("fk_rejects_chunk_id")),
        sa.ForeignKeyConstraint(["shard_id"], ["shards.id"], name=op.f("fk_rejects_shard_id")),
        sa.PrimaryKeyConstraint("shard_id", "ordinal", name=op.f("pk_rejects")),
    )
    op.create_table(
        "results",
        sa.Column("chunk_id", Name, nullable=False),
        sa.Column("shard_id", Name, nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("captioned", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("flagged", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=False),
        sa.CheckConstraint("captioned >= 0 AND rejected >= 0 AND flagged >= 0", name=op.f("ck_results_counts")),
        sa.ForeignKeyConstraint(["chunk_id"], ["chunks.id"], name=op.f("fk_results_chunk_id")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_results_dataset_id")),
        sa.ForeignKeyConstraint(["shard_id"], ["shards.id"], name=op.f("fk_results_shard_id")),
        sa.PrimaryKeyConstraint("chunk_id", name=op.f("pk_results")),
    )
    op.create_index(op.f("ix_results_dataset_id_finished_at"), "results", ["dataset_id", "finished_at"], unique=False)
    op.create_index(op.f("ix_results_shard_id_start"), "results", ["shard_id", "start"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_results_shard_id_start"), table_name="results")
    op.drop_index(op.f("ix_results_dataset_id_finished_at"), table_name="results")
    op.drop_table("results")
    op.drop_table("rejects")
    op.drop_index(op.f("ix_urls_dataset_id_name"), table_name="urls")
    op.drop_table("urls")
    op.drop_table("corrections")
    op.drop_index(op.f("ix_chunks_state_created_at_id"), table_name="chunks")
    op.drop_index(op.f("ix_chunks_shard_id_start"), table_name="chunks")
    op.drop_table("chunks")
    op.drop_index(op.f("ix_shards_state_created_at_id"), table_name="shards")
    op.drop_index(op.f("ix_shards_lease_until"), table_name="shards")
    op.drop_table("shards")
    op.drop_table("handoffs")
    op.drop_table("datasets")
    op.drop_table("attempts")
    op.drop_table("api_keys")
