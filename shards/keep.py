"""The keep file (`densify.keep/1`): which samples of its shards a hand-off holds, pinned by the manifest.

One row for each kept sample: source_sha256, ordinal in that source shard, key; sorted by the first two, none twice. No
order of choice and no gain, so equal choices give equal bytes. Leaves out: what people send (analysis/keys.py), what it
proves (analysis/keep_verify.py).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from core.errors import BadFieldError, CheckFailedError
from shards.handoff import Handoff
from shards.handoff_place import Place

FORMAT = "densify.keep/1"


class Kept(NamedTuple):
    """One kept sample: its place in the source shard, and its key."""

    ordinal: int
    key: str


@dataclass(frozen=True, eq=False)
class Keep:
    """A keep file: `by_source` has the rows of each source shard, by its SHA-256."""

    by_source: Mapping[str, Any]  # Arrow tables of ordinal, key

    def of(self, source_sha256: str) -> list[Kept]:
        """The kept samples of one source shard, in the order of the shard; none where it has no row."""
        rows = self.by_source.get(source_sha256)
        if rows is None:
            return []
        return [Kept(*row) for row in zip(rows["ordinal"].to_pylist(), rows["key"].to_pylist(), strict=True)]

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.by_source.values())


def write_keep(rows: Iterable[tuple[str, int, str]]) -> bytes:
    """Parquet of (source_sha256, ordinal, key), sorted here. The same rows in any order give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ordered = sorted(rows)
    columns = [pa.array([row[at] for row in ordered], type) for at, type in enumerate(_types())]
    metadata = {b"densify": json.dumps({"format": FORMAT}).encode()}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, names=_NAMES).replace_schema_metadata(metadata), sink, compression="zstd")
    return sink.getvalue()


def read_keep(data: bytes) -> Keep:
    """Reads what write_keep wrote. Raises BadFieldError for anything else: rows out of order, or one twice."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data)).combine_chunks()
        header = json.loads((table.schema.metadata or {}).get(b"densify", b"{}"))
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise BadFieldError(f"The keep file cannot be read: {error}.") from error
    fields = [(field.name, field.type) for field in table.schema]
    nulls = sum(column.null_count for column in table.columns)
    if header != {"format": FORMAT} or fields != list(zip(_NAMES, _types(), strict=True)) or nulls:
        raise BadFieldError(f"The keep file is none of the format {FORMAT}.")
    if not len(table):
        return Keep({})
    sources = table["source_sha256"].chunk(0).dictionary_encode()
    names, codes = sources.dictionary.to_pylist(), sources.indices.to_numpy()
    steps, ordinals = np.diff(codes), np.diff(table["ordinal"].to_numpy())
    if names != sorted(names) or (steps < 0).any() or ((steps == 0) & (ordinals <= 0)).any():
        raise BadFieldError("The rows of the keep file are not in order, or one of them stands there twice.")
    borders = np.searchsorted(codes, np.arange(len(names) + 1)).tolist()
    spans = zip(names, borders, borders[1:], strict=False)
    return Keep({name: table.slice(start, stop - start) for name, start, stop in spans})


_NAMES = ["source_sha256", "ordinal", "key"]


def _types() -> tuple[Any, ...]:
    import pyarrow as pa

    return pa.string(), pa.int64(), pa.string()


def load_keep(handoff: Handoff, place: Place) -> Keep | None:
    """The keep file of the hand-off that lies at `place`; None where it holds every captioned sample.

    Raises CheckFailedError where its bytes are not those that the manifest pins, BadFieldError, NotStoredError.
    """
    if handoff.keep is None:
        return None
    store, key = place.file(handoff.keep.path)
    if store.sha256(key) != handoff.keep.sha256:
        raise CheckFailedError(
            f"{handoff.keep.path} is not what the hand-off names: its bytes have changed.",
            hint="`densify verify` says what else has.",
        )
    return read_keep(store.read_bytes(key))
