"""Records: one row for every unit of a shard, captioned or rejected, as Parquet. The files chunks and shards leave.

Deterministic: equal records give equal bytes. Leaves out: how captions are made, and nouns. Serves captioner, workers,
analysis, verify; people read the files with DuckDB, pandas or polars.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import StorageError
from core.reasons import FLAGS, REJECT_REASONS

FORMAT = "densify.records/1"

SCHEMA = pa.schema(
    [
        pa.field("ordinal", pa.int64(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("caption", pa.string()),
        pa.field("finish_reason", pa.string()),
        pa.field("tokens", pa.int32()),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("image_sha256", pa.string()),
        pa.field("old_text", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("sentence", pa.string()),
        pa.field("correction", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one unit. Captioned: caption … image_sha256 are set. Rejected: reason and sentence are.

    width and height are pixels of the upright image; tokens are the model's; `correction` is the version of the
    person's text that stands in the model's place, in the published records of a captioned shard only.
    """

    ordinal: int
    key: str
    status: str
    caption: str | None = None
    finish_reason: str | None = None
    tokens: int | None = None
    flags: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    image_sha256: str | None = None
    old_text: str | None = None
    reason: str | None = None
    sentence: str | None = None
    correction: int | None = None

    @classmethod
    def rejected(cls, ordinal: int, key: str, reason: str, sentence: str, old_text: str | None = None) -> Record:
        """The record of a unit that does not go on."""
        return cls(ordinal, key, "rejected", reason=reason, sentence=sentence, old_text=old_text)

    @property
    def is_captioned(self) -> bool:
        return self.status == "captioned"


class Captioned(NamedTuple):
    """A captioned sample by its place, its key and its flags: what is known of it without its caption."""

    ordinal: int
    key: str
    flags: tuple[str, ...]


def final_caption(record: Record, corrections: Mapping[int, tuple[int, str]]) -> str:
    """The text that goes into the captioned shard: a person's correction of this ordinal, else the model's caption.

    `corrections`: {ordinal: (version, text)}. Empty for a rejected record.
    """
    if not record.is_captioned:
        return ""
    text = corrections[record.ordinal][1] if record.ordinal in corrections else record.caption or ""
    # Half of a surrogate pair, which a JSON escape can bring in, has no UTF-8.
    return text.encode("utf-8", "replace").decode()


def final_record(record: Record, corrections: Mapping[int, tuple[int, str]]) -> Record:
    """The record as published beside the captioned shard. A corrected caption carries none of the model's flags."""
    if not record.is_captioned or record.ordinal not in corrections:
        return record
    version, _ = corrections[record.ordinal]
    return replace(record, caption=final_caption(record, corrections), flags=(), correction=version)


def write_records(records: Sequence[Record], metadata: Mapping[str, str] | None = None) -> bytes:
    """Parquet bytes (zstd) with `metadata` and the format's name in the schema; equal input gives equal bytes."""
    for record in records:
        _check(record)
    columns = [[getattr(record, name) for record in records] for name in SCHEMA.names]
    schema = SCHEMA.with_metadata(dict(sorted({**(metadata or {}), "format": FORMAT}.items())))
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def _check(record: Record) -> None:
    assert record.status in ("captioned", "rejected"), record.status
    assert record.is_captioned == (record.caption is not None), record.key
    assert record.is_captioned == (record.reason is None), record.key
    assert record.reason is None or record.reason in REJECT_REASONS, record.reason
    assert all(flag in FLAGS for flag in record.flags), record.flags


def read_records(source: bytes | str | Path | IO[bytes]) -> list[Record]:
    """The records of Parquet bytes, a path or an open file. Raises StorageError where they are none."""
    try:
        table = pq.read_table(_opened(source), columns=SCHEMA.names)
        if table.schema.remove_metadata().types != SCHEMA.types:
            raise ValueError("its columns are not those of records")
        columns: list[list[Any]] = [table.column(field.name).to_pylist() for field in fields(Record)]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StorageError(f"Records cannot be read: {error}.") from error
    at = SCHEMA.names.index("flags")
    columns[at] = [tuple(flags or ()) for flags in columns[at]]
    return [Record(*row) for row in zip(*columns, strict=True)]


def read_captioned(source: bytes | str | Path | IO[bytes]) -> list[Captioned]:
    """The captioned samples, in order, of the same sources; captions stay unread. Raises StorageError as well."""
    names = ["ordinal", "key", "flags", "status"]
    try:
        table = pq.read_table(_opened(source), columns=names)
        if [field.type for field in table.schema] != [SCHEMA.field(name).type for name in names]:
            raise ValueError("its columns are not those of records")
        columns: list[list[Any]] = [table.column(name).to_pylist() for name in names]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StorageError(f"Records cannot be read: {error}.") from error
    rows = zip(*columns, strict=True)
    return [Captioned(at, key, tuple(flags or ())) for at, key, flags, status in rows if status == "captioned"]


def read_metadata(source: bytes | str | Path | IO[bytes]) -> dict[str, str]:
    """The metadata that `write_records` was given, and `format`. Raises StorageError where it is no Parquet."""
    try:
        metadata = pq.read_schema(_opened(source)).metadata or {}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StorageError(f"Records cannot be read: {error}.") from error
    return {name.decode(): value.decode() for name, value in metadata.items() if name != b"ARROW:schema"}


def _opened(source: bytes | str | Path | IO[bytes]) -> Any:
    return pa.BufferReader(source) if isinstance(source, bytes) else str(source) if isinstance(source, Path) else source
