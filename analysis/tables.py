"""Paths in, rows of the report out: which paths make one data set, and the table of each and of all together.

Shards named together (`train-*.tar`) are one data set; every other path is one of its own. A `.nouns.parquet` file
(what a captioned shard leaves) is taken as counted. Serves `densify density`; the service makes its tables from count
files (density.py). Leaves out: how a row is shown (report.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis.captions_input import SHARD_SUFFIX, STDIN, read_captions
from analysis.counts import Folding, NounCounts, walk
from analysis.density import MIN_COUNT, Table, table_from_counts
from analysis.nouns import NounPipeline, load_pipeline
from analysis.nouns_file import Add
from analysis.paper import Profile
from analysis.rarefaction import Abundance, from_counts
from analysis.reading import Reading
from analysis.tail import FirstSamples, Tail, tail_of
from analysis.tally import Tagged, Tally
from analysis.threshold import Threshold
from analysis.truncation import Loss, Truncation
from core.errors import BadFieldError, NoSuchPathError, NothingToReadError

COUNTS_SUFFIX = ".nouns.parquet"
#: Calls of the progress function are this many captions apart.
PROGRESS_STEP = 256


@dataclass(frozen=True)
class Row:
    """One data set: the name it has in the report, its table, its nouns by frequency, and how its reading went.

    `occurrences` of each folded noun, of common nouns alone where names do not count. `seen` and `loss`, where captions
    were cut: the row of what a trainer reads of the same captions, and what it does not read. `tail`, where asked for.
    """

    name: str
    table: Table
    abundance: Abundance
    reading: Reading
    seen: Row | None = field(default=None, kw_only=True)
    loss: Loss | None = field(default=None, kw_only=True)
    tail: Tail | None = field(default=None, kw_only=True)
    occurrences: Mapping[str, int]


@dataclass(frozen=True)
class Measured:
    """Every data set, and all of them as one (`whole`; with a single data set the two are the same)."""

    rows: tuple[Row, ...]
    whole: Row
    profile: Profile = "densify"

    @property
    def seen(self) -> Measured | None:
        """The same as a trainer reads it; None where captions were not cut."""
        rows = tuple(row.seen for row in self.rows if row.seen)
        return Measured(rows, self.whole.seen, self.profile) if self.whole.seen else None

    @property
    def valid(self) -> Threshold:
        """What makes a noun valid in the figure that the report leads with."""
        return Threshold(self.whole.table.min_count, self.profile == "paper")


@dataclass(frozen=True)
class Counting:
    """How to read and count. `names`: proper nouns count too; `column`: the caption column of tables; `told`: hears of
    every caption and its nouns, proper ones included. `profile` says which VN leads; `trainer`: count what it reads
    too; `tail`: nouns to show of each band of the long tail, 0 for no tail.
    """

    pipeline: str = "en"
    folding: Folding = "lower"
    names: bool = True
    min_count: int = MIN_COUNT
    column: str | None = None
    skip_bad: bool = False
    progress: Callable[[int], None] | None = field(default=None, compare=False)
    told: Add | None = field(default=None, compare=False)
    profile: Profile = "densify"
    trainer: Truncation | None = field(default=None, compare=False)
    tail: int = 0

    @property
    def valid(self) -> Threshold:
        """What makes a noun valid in the figure that the report leads with."""
        return Threshold(self.min_count, self.profile == "paper")


def measure_paths(paths: Sequence[str | Path], how: Counting | None = None) -> Measured:
    """Reads, tags and counts every path. `progress` is called with the number of captions read since its last call.

    Raises what reading raises (captions_input.py), MissingPackageError or BadFieldError for the pipeline, and what
    check_paths raises.
    """
    how = how or Counting()
    check_paths(paths, how)
    pipeline = load_pipeline(how.pipeline)
    whole = _tally(pipeline, how)
    everything = Reading()
    rows = []
    for name, members in group_paths(paths):
        reading = Reading()
        tally = _count(name, members, pipeline, reading, how)
        rows.append(_row(name, tally, reading, how))
        if len(paths) > 1:
            whole.merge(tally)
            everything.add(reading)
    if len(rows) == 1:
        return Measured((rows[0],), rows[0], how.profile)
    return Measured(tuple(rows), _row("all together", whole, everything, how), how.profile)


def check_paths(paths: Sequence[str | Path], how: Counting) -> None:
    """Raises NothingToReadError without a path, NoSuchPathError, BadFieldError for counts where captions are needed."""
    if not paths:
        raise NothingToReadError("No path was given.", hint="Name captioned shards, or a file or folder of captions.")
    for path in paths:
        if str(path) != STDIN and not Path(path).exists():
            raise NoSuchPathError(f"There is no file or folder {path}.")
        if how.trainer and str(path).endswith(COUNTS_SUFFIX):
            raise BadFieldError(
                f"{path} holds counts of whole captions: what a trainer reads of them cannot be told.",
                hint="Name the captioned shards themselves, or leave `--tokens` and `--tokenizer` out.",
            )


def _tally(pipeline: NounPipeline, how: Counting) -> Tally:
    return Tally(NounCounts(pipeline.name, how.folding), NounCounts(pipeline.name, how.folding))


def _row(name: str, tally: Tally, reading: Reading, how: Counting) -> Row:
    whole = _plain_row(name, tally.counts, reading, how)
    if how.trainer:
        seen = _plain_row(name, tally.seen, reading, how)
        whole = replace(whole, seen=seen, loss=how.trainer.loss(whole.table, seen.table, tally.cut))
    if how.tail:
        shown = {"valid_from": how.valid.least, "examples": how.tail}
        whole = replace(whole, tail=tail_of(tally.counts, tally.samples, names=how.names, **shown))
    return whole


def _plain_row(name: str, counts: NounCounts, reading: Reading, how: Counting) -> Row:
    column = 0 if how.names else 2
    return Row(
        name,
        table_from_counts(counts, min_count=how.min_count, names=how.names),
        from_counts(counts, names=how.names),
        reading,
        {form: row[column] for form, row in counts.nouns.items() if row[column]},
    )


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


def _count(name: str, paths: list[str | Path], pipeline: NounPipeline, reading: Reading, how: Counting) -> Tally:
    tally = _tally(pipeline, how)
    valid_from = how.valid.least
    first = FirstSamples(name, how.folding, names=how.names, valid_from=valid_from) if how.tail else None
    for path in paths:
        if str(path).endswith(COUNTS_SUFFIX):
            tally.counts.merge(NounCounts.from_parquet(Path(path)))
            continue
        captions = read_captions(path, column=how.column, skip_bad=how.skip_bad, reading=reading)
        tally.add(_told(walk(_counted(captions, how.progress), pipeline), how.told), how.trainer, first)
    return tally


def _told(captions: Iterator[Tagged], told: Add | None) -> Iterator[Tagged]:
    for caption in captions:
        if told:
            told(*caption)
        yield caption


def _counted(captions: Iterator[tuple[str, str]], progress: Callable[[int], None] | None) -> Iterator[tuple[str, str]]:
    waiting = 0
    for caption in captions:
        yield caption
        waiting += 1
        if progress and waiting == PROGRESS_STEP:
            progress(waiting)
            waiting = 0
    if progress and waiting:
        progress(waiting)
