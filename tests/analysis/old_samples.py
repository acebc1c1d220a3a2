"""Sample rows as Densify 0.1 wrote them (`densify.samples/1`): without the nouns of each sample."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.counts import SampleCount


def samples_of_the_first_version(rows: Iterable[SampleCount]) -> bytes:
    """The same rows in the old format."""
    names = ("key", "words", "nouns", "distinct")
    types = (pa.string(), pa.int32(), pa.int32(), pa.int32())
    rows = list(rows)
    columns = [pa.array([getattr(row, name) for row in rows], type) for name, type in zip(names, types, strict=True)]
    header = json.dumps({"format": "densify.samples/1", "noun_pipeline": "plain-1"})
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, names=names).replace_schema_metadata({b"densify": header.encode()}), sink)
    return sink.getvalue()
