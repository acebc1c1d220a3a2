"""Noun counts that merge: per captioned shard one Parquet of nouns and one of samples, never a second pass over text.

For each noun: how often it occurs and how many images it occurs in, and both again for its use as a common noun
(tag NOUN) alone. So every column is a sum over shards, with names (PROPN) counted or not; an image that has the word
both as a noun and as a name counts once. Leaves out: the table made from counts (density.py).
"""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from analysis.nouns import Noun, NounPipeline
from analysis.words import count_words, fold
from core.errors import BadFieldError, InputError

Folding = Literal["lower", "lemma"]
FORMAT = "densify.nouns/1"
SAMPLES_FORMAT = "densify.samples/1"
#: Columns after `noun`, in the order of the lists in NounCounts.nouns.
COLUMNS = ("occurrences", "images", "common_occurrences", "common_images")
ROW_GROUP = 100_000


@dataclass
class Totals:
    """What is counted per image, not per noun. Sums over shards."""

    images: int = 0
    words: int = 0
    images_without_noun: int = 0
    images_without_common_noun: int = 0


@dataclass
class NounCounts:
    """`nouns[folded form]` is [occurrences, images, common_occurrences, common_images]; all are exact integers."""

    noun_pipeline: str
    folding: Folding = "lower"
    totals: Totals = field(default_factory=Totals)
    nouns: dict[str, list[int]] = field(default_factory=dict)

    def add(self, text: str, nouns: Iterable[Noun]) -> SampleCount:
        """Counts one caption; returns the sample's row (its key left empty)."""
        here: dict[str, list[int]] = {}
        for noun in nouns:
            form = fold(noun.lemma if self.folding == "lemma" else noun.surface)
            if form:
                pair = here.setdefault(form, [0, 0])
                pair[0] += 1
                pair[1] += noun.tag == "NOUN"
        for form, (occurrences, common) in here.items():
            row = self.nouns.setdefault(form, [0, 0, 0, 0])
            row[0] += occurrences
            row[1] += 1
            row[2] += common
            row[3] += common > 0
        words = count_words(text)
        self.totals.images += 1
        self.totals.words += words
        self.totals.images_without_noun += not here
        self.totals.images_without_common_noun += not any(common for _, common in here.values())
        return SampleCount("", words, sum(pair[0] for pair in here.values()), len(here))

    def merge(self, other: NounCounts) -> None:
        """Adds the other's counts. Raises BadFieldError where the two were not counted in the same way."""
        check_same((self.noun_pipeline, self.folding), (other.noun_pipeline, other.folding))
        for item in fields(Totals):
            total = getattr(self.totals, item.name) + getattr(other.totals, item.name)
            setattr(self.totals, item.name, total)
        for form, counts in other.nouns.items():
            row = self.nouns.setdefault(form, [0, 0, 0, 0])
            for column, count in enumerate(counts):
                row[column] += count

    def to_parquet(self) -> bytes:
        """Columns noun (string, sorted), COLUMNS (int64); totals in the metadata. Same counts, same bytes."""
        import pyarrow as pa

        forms = sorted(self.nouns)
        columns = [pa.array(forms, pa.string())]
        columns += [pa.array([self.nouns[form][i] for form in forms], pa.int64()) for i in range(len(COLUMNS))]
        header = {"noun_pipeline": self.noun_pipeline, "folding": self.folding, **vars(self.totals)}
        return _parquet(pa.table(columns, names=["noun", *COLUMNS]), FORMAT, header)

    @classmethod
    def from_parquet(cls, source: Path | bytes) -> NounCounts:
        """Reads what to_parquet wrote. Raises InputError for anything else."""
        table, header = _read(source, FORMAT)
        counts = cls(header["noun_pipeline"], header["folding"], totals_of(header))
        rows = zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True)
        counts.nouns = dict(zip(table.column("noun").to_pylist(), map(list, rows), strict=True))
        return counts


@dataclass(frozen=True, slots=True)
class SampleCount:
    """One captioned sample: words of its caption, nouns (with repetitions), distinct nouns."""

    key: str
    words: int
    nouns: int
    distinct: int


def check_same(ours: tuple[str, str], theirs: tuple[str, str]) -> None:
    """Raises BadFieldError unless both (noun pipeline, folding) are the same."""
    if ours != theirs:
        raise BadFieldError(
            f"Counts of {theirs[0]} ({theirs[1]}) cannot be added to counts of {ours[0]} ({ours[1]}).",
            hint="Count both with the same noun pipeline and the same folding.",
        )


def walk(captions: Iterable[tuple[str, str]], pipeline: NounPipeline) -> Iterator[tuple[str, str, list[Noun]]]:
    """Yields (key, text, nouns), in order, holding no more captions than one batch of the pipeline."""
    waiting: deque[tuple[str, str]] = deque()

    def texts() -> Iterator[str]:
        for key, text in captions:
            waiting.append((key, text))
            yield text

    for nouns in pipeline.nouns(texts()):
        key, text = waiting.popleft()
        yield key, text, nouns


def measure(
    captions: Iterable[tuple[str, str]], pipeline: NounPipeline, folding: Folding = "lower"
) -> tuple[NounCounts, list[SampleCount]]:
    """Counts (key, caption) pairs: the counts, and one row per caption in their order."""
    counts = NounCounts(pipeline.name, folding)
    rows = []
    for key, text, nouns in walk(captions, pipeline):
        row = counts.add(text, nouns)
        rows.append(SampleCount(key, row.words, row.nouns, row.distinct))
    return counts, rows


def write_samples(rows: Iterable[SampleCount], noun_pipeline: str) -> bytes:
    """Parquet of key (string), words, nouns, distinct (int32), in the order given. Same rows, same bytes."""
    import pyarrow as pa

    rows = list(rows)
    columns = [pa.array([row.key for row in rows], pa.string())]
    columns += [pa.array([getattr(row, name) for row in rows], pa.int32()) for name in ("words", "nouns", "distinct")]
    table = pa.table(columns, names=["key", "words", "nouns", "distinct"])
    return _parquet(table, SAMPLES_FORMAT, {"noun_pipeline": noun_pipeline})


def read_samples(source: Path | bytes) -> list[SampleCount]:
    """Reads what write_samples wrote. Raises InputError for anything else."""
    table, _ = _read(source, SAMPLES_FORMAT)
    return [SampleCount(**row) for row in table.to_pylist()]


def totals_of(header: dict[str, Any]) -> Totals:
    """The totals in a count file's metadata."""
    return Totals(**{item.name: int(header[item.name]) for item in fields(Totals)})


def read_header(source: Path | bytes, expected: str = FORMAT) -> dict[str, Any]:
    """The metadata of a count file, its rows unread. Raises InputError where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = str(source) if isinstance(source, Path) else "The count file"
    try:
        raw = pq.read_metadata(source if isinstance(source, Path) else io.BytesIO(source)).metadata or {}
        header = json.loads(raw.get(b"densify", b"{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {error}.") from error
    if not isinstance(header, dict) or header.get("format") != expected:
        raise InputError(f"{name} is no count file of the format {expected}.")
    needed = {"noun_pipeline"} | ({"folding", *(item.name for item in fields(Totals))} if expected == FORMAT else set())
    if needed - header.keys():
        raise InputError(f"{name} cannot be read: its metadata lacks {', '.join(sorted(needed - header.keys()))}.")
    return dict(header)


def _parquet(table: Any, format_name: str, header: dict[str, Any]) -> bytes:
    import pyarrow.parquet as pq

    text = json.dumps({"format": format_name, **header}, sort_keys=True)
    sink = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({b"densify": text.encode()}), sink, compression="zstd", row_group_size=ROW_GROUP
    )
    return sink.getvalue()


def _read(source: Path | bytes, expected: str) -> tuple[Any, dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    header = read_header(source, expected)
    try:
        return pq.read_table(source if isinstance(source, Path) else io.BytesIO(source)), header
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"The count file cannot be read: {error}.") from error
