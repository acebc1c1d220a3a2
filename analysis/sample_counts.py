"""Noun counts of single samples: those of any choice of a shard's samples, from the rows beside it, without a tagger.

So the density of a hand-off that keeps some of a shard's samples is a sum that anyone can make again. Leaves out: how
the rows come to be (counts.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.counts import COLUMNS, SAMPLES_FORMAT, SAMPLES_FORMATS, NounCounts, Totals, read_header, read_table
from core.errors import InputError


def sample_keys(source: Path | bytes) -> list[str]:
    """The keys of a shard's captioned samples, in the order of their rows. Raises InputError for no such file."""
    import pyarrow as pa

    table, _ = read_table(source, SAMPLES_FORMATS, ["key"])
    _check(table, pa.schema([("key", pa.string())]))
    keys: list[str] = table.column("key").to_pylist()
    return keys


def has_forms(source: Path | bytes) -> bool:
    """Whether the rows say which nouns each sample has: shards measured by Densify 0.1 have rows that do not."""
    return bool(read_header(source, SAMPLES_FORMATS)["format"] == SAMPLES_FORMAT)


def counts_of_samples(source: Path | bytes, rows: Sequence[int] | None = None) -> NounCounts:
    """What measuring these samples alone would count: those at `rows` (from 0, each once), or all of the file's.

    Raises InputError for a file without nouns of single samples, or with columns of other types.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table, header = read_table(source, SAMPLES_FORMAT, ["words", "forms"])
    form = pa.struct([("noun", pa.string()), ("occurrences", pa.int32()), ("common", pa.int32())])
    _check(table, pa.schema([("words", pa.int32()), ("forms", pa.list_(form))]))
    if rows is not None:
        table = table.take(pa.array(rows, pa.int64()))
    counts = NounCounts(header["noun_pipeline"], header["folding"])
    forms = _one(table.column("forms"))
    each, parents = pc.list_flatten(forms), pc.list_parent_indices(forms)
    occurrences, common = each.field("occurrences"), each.field("common")
    is_common = pc.greater(common, 0)
    counts.totals = Totals(
        images=len(table),
        words=pc.sum(table.column("words"), min_count=0).as_py(),
        images_without_noun=len(table) - len(pc.unique(parents)),
        images_without_common_noun=len(table) - len(pc.unique(parents.filter(is_common))),
    )
    columns = [occurrences, pa.repeat(pa.scalar(1, pa.int32()), len(each)), common, is_common.cast(pa.int32())]
    flat = pa.table([each.field("noun"), *columns], names=["noun", *COLUMNS])
    sums = flat.group_by("noun").aggregate([(name, "sum") for name in COLUMNS])
    values = zip(*(sums.column(f"{name}_sum").to_pylist() for name in COLUMNS), strict=True)
    counts.nouns = dict(zip(sums.column("noun").to_pylist(), map(list, values), strict=True))
    return counts


def _check(table: Any, schema: Any) -> None:
    if table.schema.remove_metadata() != schema:
        raise InputError("The sample rows cannot be read: their columns are not those of the format.")


def _one(column: Any) -> Any:
    """A column as one array: parents are counted within each chunk."""
    import pyarrow as pa

    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
