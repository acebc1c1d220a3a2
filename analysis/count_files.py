"""The nouns of many count files (`.nouns.parquet`) at once, grouped by DuckDB: how many nouns are how frequent.

Serves the density table and the curves over whole data sets, whose nouns need not fit into memory. Leaves out: writing
the files and adding a few of them (counts.py).
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.counts import Totals, check_same, read_header, totals_of
from core.errors import InputError, NothingToReadError

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """`nouns[i]` nouns have `occurrences[i]` occurrences in `image_counts[i]` images each, over all files together."""

    totals: Totals
    noun_pipeline: str
    folding: str
    occurrences: Integers
    image_counts: Integers
    nouns: Integers


def group_files(files: Sequence[Path | bytes], *, names: bool = True) -> Grouped:
    """The nouns of count files (paths, or their bytes). `names`: whether PROPN counts too.

    Raises NothingToReadError without a file, BadFieldError where they were counted in different ways, InputError where
    one cannot be read.
    """
    if not files:
        raise NothingToReadError("There are no noun counts to read.")
    headers = [read_header(file) for file in files]
    ways = [(header["noun_pipeline"], header["folding"]) for header in headers]
    totals = Totals()
    for header, way in zip(headers, ways, strict=True):
        check_same(ways[0], way)
        for name, count in vars(totals_of(header)).items():
            setattr(totals, name, getattr(totals, name) + count)
    return Grouped(totals, *ways[0], *_histogram(files, "" if names else "common_"))


def _histogram(files: Sequence[Path | bytes], prefix: str) -> tuple[Integers, ...]:
    """(occurrences, images, nouns) of the nouns in all files."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    # DuckDB takes *, ? and [ in a path for a pattern: such a file is read here instead.
    plain = [isinstance(file, Path) and not set("*?[") & set(str(file)) for file in files]
    paths = [str(file) for file, is_plain in zip(files, plain, strict=True) if is_plain]
    others = [file for file, is_plain in zip(files, plain, strict=True) if not is_plain]
    columns = ["noun", f"{prefix}occurrences", f"{prefix}images"]
    sources = (["read_parquet(?)"] if paths else []) + (["others_read"] if others else [])
    rows = " UNION ALL ".join(
        f"SELECT noun, {prefix}occurrences AS c, {prefix}images AS m FROM {source}" for source in sources
    )
    query = f"""
        SELECT c, m, count(*) AS nouns
        FROM (SELECT sum(c)::BIGINT AS c, sum(m)::BIGINT AS m FROM ({rows}) GROUP BY noun HAVING sum(c) > 0)
        GROUP BY c, m ORDER BY c, m
    """
    # DuckDB spills large groups to disk; by default beside whatever folder the process runs in.
    with duckdb.connect(config={"temp_directory": tempfile.gettempdir()}) as database:
        try:
            if others:
                opened = (io.BytesIO(file) if isinstance(file, bytes) else file for file in others)
                tables = [pq.read_table(file, columns=columns) for file in opened]
                database.register("others_read", pa.concat_tables(tables))
            histogram = database.execute(query, [paths] if paths else []).fetchnumpy()
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise InputError(f"The noun counts cannot be read: {error}.") from error
    return tuple(np.asarray(histogram[name], np.int64) for name in ("c", "m", "nouns"))
