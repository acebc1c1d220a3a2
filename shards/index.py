"""The member index of a shard: which units there are, and where each member's data lies, as one Arrow table.

With it any run of units is read by offset, from a local file or by ranged reads of an object store; the tar is never
walked again. Leaves out: the walk itself (shards/reader.py) and where the bytes are (shards/store.py).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import NotStoredError, StorageError
from core.reasons import REJECT_REASONS, Reject
from shards.names import split_member
from shards.reader import MemberRef, Unit, read_units
from shards.tar import TarLimits

FORMAT = "densify.index/1"

_MEMBER = pa.struct([("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64())])
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("sentence", pa.string()),
        pa.field("members", pa.list_(_MEMBER), nullable=False),
    ]
)

#: Unwanted bytes that a ranged read may pull along to save another request.
GAP_BYTES = 128 << 10

OpenRange = Callable[[int, int], bytes]


class ShardIndex:
    """The units of one shard, in tar order. `sha256` and `size_bytes` are those of the tar."""

    def __init__(self, table: pa.Table, size_bytes: int, sha256: str = "") -> None:
        self._table = table
        self.size_bytes = size_bytes
        self.sha256 = sha256

    @property
    def units(self) -> int:
        """How many samples and structural rejects the shard has."""
        return int(self._table.num_rows)

    @property
    def rejected(self) -> int:
        """How many of the units are structural rejects."""
        return self.units - int(self._table.column("reason").null_count)

    def unit(self, ordinal: int) -> Unit:
        """The unit of this ordinal. Raises IndexError."""
        if not 0 <= ordinal < self.units:
            raise IndexError(f"unit {ordinal} of {self.units}")
        return self.slice(ordinal, ordinal + 1)[0]

    def slice(self, start: int, stop: int) -> list[Unit]:
        """The units [start, stop), cut to those there are."""
        rows = self._table.slice(start, max(0, stop - start)).to_pylist()
        return [_unit(start + number, row) for number, row in enumerate(rows)]

    def rejects(self) -> list[tuple[int, str, str, str]]:
        """(ordinal, key, reason, sentence) of every structural reject."""
        columns = (self._table.column(name).to_pylist() for name in ("key", "reason", "sentence"))
        rows = enumerate(zip(*columns, strict=True))
        return [(ordinal, key, reason, sentence) for ordinal, (key, reason, sentence) in rows if reason is not None]

    def to_parquet(self) -> bytes:
        """The index as Parquet bytes; equal shards give equal bytes."""
        metadata = {"format": FORMAT, "sha256": self.sha256, "size_bytes": str(self.size_bytes)}
        sink = io.BytesIO()
        pq.write_table(self._table.replace_schema_metadata(metadata), sink, compression="zstd")
        return sink.getvalue()

    @classmethod
    def from_parquet(cls, data: bytes | memoryview) -> ShardIndex:
        """Reads what `to_parquet` wrote. Raises StorageError where it is no index."""
        try:
            table = pq.read_table(pa.BufferReader(data))
            metadata = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
            if metadata.get("format") != FORMAT or not table.schema.equals(SCHEMA):
                raise ValueError(f"it is not a {FORMAT} table")
            return cls(table, int(metadata["size_bytes"]), metadata["sha256"])
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise StorageError(f"A shard's index cannot be read: {error}.") from error


def _unit(ordinal: int, row: dict[str, Any]) -> Unit:
    key, reason = row["key"], row["reason"]
    reject = Reject(key, reason, row["sentence"]) if reason in REJECT_REASONS else None
    refs = tuple(
        MemberRef(split_member(member["name"])[1], member["name"], member["offset"], member["size"])
        for member in row["members"]
    )
    return Unit(ordinal, key, reject, refs)


def build_index(file: IO[bytes] | io.RawIOBase, size: int, limits: TarLimits, sha256: str = "") -> ShardIndex:
    """Walks a tar of `size` bytes strictly and lists its units. Raises the ShardError tree."""
    keys: list[str] = []
    reasons: list[str | None] = []
    sentences: list[str | None] = []
    names: list[str] = []
    offsets: list[int] = []
    sizes: list[int] = []
    starts = [0]
    for unit in read_units(file, size, limits):
        keys.append(unit.key)
        reasons.append(unit.reject.reason if unit.reject else None)
        sentences.append(unit.reject.sentence if unit.reject else None)
        for ref in unit.members:
            names.append(ref.name)
            offsets.append(ref.offset)
            sizes.append(ref.size)
        starts.append(len(names))
    fields = [pa.array(names, pa.string()), pa.array(offsets, pa.int64()), pa.array(sizes, pa.int64())]
    refs = pa.ListArray.from_arrays(
        pa.array(starts, pa.int32()), pa.StructArray.from_arrays(fields, fields=list(_MEMBER))
    )
    columns = [pa.array(keys, pa.string()), pa.array(reasons, pa.string()), pa.array(sentences, pa.string()), refs]
    return ShardIndex(pa.Table.from_arrays(columns, schema=SCHEMA), size, sha256)


def read_members(
    open_range: OpenRange,
    units: Iterable[Unit],
    want: Sequence[str] = ("image", "text", "json"),
    max_span_bytes: int = 16 << 20,
) -> Iterator[tuple[Unit, dict[str, bytes]]]:
    """Yields each unit with the bytes of its wanted members, under the names asked for; what it lacks is absent.

    `want`: of "image", "text", "json". `open_range(offset, size)` returns exactly `size` bytes of the tar. Members that
    lie near one another come in one call of at most `max_span_bytes` bytes (a larger member comes alone).
    Structural rejects are yielded with no bytes.
    """
    plan = ((unit, _wanted(unit, want)) for unit in units)
    return _read(open_range, plan, max_span_bytes)


def read_all_members(
    open_range: OpenRange,
    units: Iterable[Unit],
    wanted: Callable[[str], bool] = lambda extension: True,
    max_span_bytes: int = 16 << 20,
) -> Iterator[tuple[Unit, dict[str, bytes]]]:
    """As `read_members`, with every member of a sample whose extension is `wanted`, under its extension."""
    plan = (
        (unit, {} if unit.reject else {ref.extension: ref for ref in unit.members if wanted(ref.extension)})
        for unit in units
    )
    return _read(open_range, plan, max_span_bytes)


def _wanted(unit: Unit, want: Sequence[str]) -> dict[str, MemberRef]:
    roles = {} if unit.reject else {"image": unit.image, "text": unit.text, "json": unit.json}
    return {name: ref for name in want if (ref := roles.get(name)) is not None}


Plan = tuple[Unit, dict[str, MemberRef]]


def _read(open_range: OpenRange, plan: Iterable[Plan], max_span_bytes: int) -> Iterator[tuple[Unit, dict[str, bytes]]]:
    for batch in _batches(plan, max_span_bytes):
        refs = sorted((ref for _, wanted in batch for ref in wanted.values()), key=lambda ref: ref.offset)
        held: dict[MemberRef, bytes] = {}
        for start, end, inside in _spans(refs, max_span_bytes):
            span = _exactly(open_range, start, end - start)
            # bytes[:] of the whole is the same object: a member that comes alone is not copied.
            held.update({ref: span[ref.offset - start : ref.offset - start + ref.size] for ref in inside})
        for unit, wanted in batch:
            yield unit, {name: held.pop(ref) for name, ref in wanted.items()}


def _batches(plan: Iterable[Plan], max_span_bytes: int) -> Iterator[list[Plan]]:
    """Runs of units whose wanted bytes fit into one span; a unit beyond that comes alone."""
    batch: list[Plan] = []
    held = 0
    for unit, wanted in plan:
        size = sum(ref.size for ref in wanted.values())
        if batch and held + size > max_span_bytes:
            yield batch
            batch, held = [], 0
        batch.append((unit, wanted))
        held += size
    if batch:
        yield batch


def _spans(refs: Iterable[MemberRef], max_span_bytes: int) -> Iterator[tuple[int, int, list[MemberRef]]]:
    """(start, end, members inside), from members in the order of their offsets."""
    start = end = 0
    inside: list[MemberRef] = []
    for ref in refs:
        if inside and (ref.offset - end > GAP_BYTES or ref.offset + ref.size - start > max_span_bytes):
            yield start, end, inside
            inside = []
        if not inside:
            start = ref.offset
        inside.append(ref)
        end = ref.offset + ref.size
    if inside:
        yield start, end, inside


def _exactly(open_range: OpenRange, offset: int, size: int) -> bytes:
    data = open_range(offset, size) if size else b""
    if len(data) != size:
        raise NotStoredError(
            f"The stored shard is shorter than its index says: {len(data)} of {size} bytes at {offset}."
        )
    return data
