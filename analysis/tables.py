"""Paths in, rows of the report out: which paths make one data set, and the table of each and of all together.

Shards named together (`train-*.tar`) are one data set; every other path is one of its own. A `.nouns.parquet` file
(what a captioned shard leaves) is taken as counted. Serves `densify density`; the service makes its tables from count
files (density.py). Leaves out: how a row is shown (report.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.captions_input import SHARD_SUFFIX, STDIN, read_captions
from analysis.counts import Folding, NounCounts, walk
from analysis.density import MIN_COUNT, Table, table_from_counts
from analysis.nouns import NounPipeline, load_pipeline
from analysis.reading import Reading
from core.errors import NoSuchPathError, NothingToReadError

COUNTS_SUFFIX = ".nouns.parquet"
#: Calls of the progress function are this many captions apart.
PROGRESS_STEP = 256


@dataclass(frozen=True)
class Row:
    """One data set: the name it has in the report, its table, and how its reading went."""

    name: str
    table: Table
    reading: Reading


@dataclass(frozen=True)
class Measured:
    """Every data set, and all of them as one (`whole`; with a single data set the two are the same)."""

    rows: tuple[Row, ...]
    whole: Row


@dataclass(frozen=True)
class Counting:
    """How to read and count. `names`: proper nouns count too; `column`: the caption column of tables."""

    pipeline: str = "en"
    folding: Folding = "lower"
    names: bool = True
    min_count: int = MIN_COUNT
    column: str | None = None
    skip_bad: bool = False
    progress: Callable[[int], None] | None = field(default=None, compare=False)


def measure_paths(paths: Sequence[str | Path], how: Counting | None = None) -> Measured:
    """Reads, tags and counts every path. `progress` is called with the number of captions read since its last call.

    Raises what reading raises (captions_input.py), MissingPackageError or BadFieldError for the pipeline, and
    NothingToReadError without a path.
    """
    how = how or Counting()
    if not paths:
        raise NothingToReadError("No path was given.", hint="Name captioned shards, or a file or folder of captions.")
    for path in paths:
        if str(path) != STDIN and not Path(path).exists():
            raise NoSuchPathError(f"There is no file or folder {path}.")
    pipeline = load_pipeline(how.pipeline)
    whole = NounCounts(pipeline.name, how.folding)
    everything = Reading()
    rows = []
    for name, members in group_paths(paths):
        reading = Reading()
        counts = _count(members, pipeline, reading, how)
        rows.append(Row(name, table_from_counts(counts, min_count=how.min_count, names=how.names), reading))
        if len(paths) > 1:
            whole.merge(counts)
            everything.add(reading)
    if len(rows) == 1:
        return Measured((rows[0],), rows[0])
    table = table_from_counts(whole, min_count=how.min_count, names=how.names)
    return Measured(tuple(rows), Row("all together", table, everything))


def group_paths(paths: Sequence[str | Path]) -> list[tuple[str, list[str | Path]]]:
    """(name, paths) of each data set: all shards together where the first of them stands, the rest one by one."""
    groups: list[tuple[str, list[str | Path]]] = []
    joined: dict[str, list[str | Path]] = {}
    for path in paths:
        name = "standard input" if str(path) == STDIN else Path(path).name or str(path)
        kind = next((suffix for suffix in (SHARD_SUFFIX, COUNTS_SUFFIX) if name.endswith(suffix)), None)
        if kind in joined:
            joined[kind].append(path)
            continue
        members = [path]
        groups.append((name, members))
        if kind:
            joined[kind] = members
    named = [
        (name if len(members) == 1 else f"{name} and {len(members) - 1} more", members) for name, members in groups
    ]
    names = [name for name, _ in named]
    return [(name if names.count(name) == 1 else str(members[0]), members) for name, members in named]


def _count(paths: list[str | Path], pipeline: NounPipeline, reading: Reading, how: Counting) -> NounCounts:
    counts = NounCounts(pipeline.name, how.folding)
    for path in paths:
        if str(path).endswith(COUNTS_SUFFIX):
            counts.merge(NounCounts.from_parquet(Path(path)))
            continue
        captions = read_captions(path, column=how.column, skip_bad=how.skip_bad, reading=reading)
        for _, text, nouns in walk(_told(captions, how.progress), pipeline):
            counts.add(text, nouns)
    return counts


def _told(captions: Iterator[tuple[str, str]], progress: Callable[[int], None] | None) -> Iterator[tuple[str, str]]:
    waiting = 0
    for caption in captions:
        yield caption
        waiting += 1
        if progress and waiting == PROGRESS_STEP:
            progress(waiting)
            waiting = 0
    if progress and waiting:
        progress(waiting)
