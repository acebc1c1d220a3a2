"""Noun counts that merge: per captioned shard one Parquet of nouns and one of samples, never a second pass over text.

For each noun: how often it occurs and how many images it occurs in, and both again for its use as a common noun
(tag NOUN) alone. So every column is a sum over shards, with names (PROPN) counted or not; an image that has the word
both as a noun and as a name counts once. Leaves out: the table made from counts (density.py).
"""

from __future__ import annotations

import io
import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from analysis.nouns import Noun, NounPipeline
from analysis.words import as_written, count_words, fold
from core.errors import BadFieldError, InputError

#: `lower`: lower case; `lemma`: singular, lower case; `raw`: as written.
Folding = Literal["lower", "lemma", "raw"]
FORMAT = "densify.nouns/1"
SAMPLES_FORMAT = "densify.samples/2"
#: What shards have that were measured before: without `forms`.
OLD_SAMPLES_FORMAT = "densify.samples/1"
SAMPLES_FORMATS = (SAMPLES_FORMAT, OLD_SAMPLES_FORMAT)
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
        here = count_forms(nouns, self.folding)
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
        # Interned: a shard's rows wait together in memory, and most of their forms are the same few.
        forms = tuple((sys.intern(form), occurrences, common) for form, (occurrences, common) in here.items())
        return SampleCount("", words, sum(pair[0] for pair in here.values()), len(here), forms)

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
        table, header = read_table(source, FORMAT)
        counts = cls(header["noun_pipeline"], header["folding"], totals_of(header))
        rows = zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True)
        counts.nouns = dict(zip(table.column("noun").to_pylist(), map(list, rows), strict=True))
        return counts


@dataclass(frozen=True, slots=True)
class SampleCount:
    """One captioned sample: words of its caption, nouns (with repetitions), distinct nouns.

    `forms`: (folded form, occurrences, occurrences as a common noun) of each, in the order of the caption; None where
    the file is of the first version, which had none.
    """

    key: str
    words: int
    nouns: int
    distinct: int
    forms: tuple[tuple[str, int, int], ...] | None = None


def form_of(noun: Noun, folding: Folding) -> str:
    """The form under which a noun is counted; empty where nothing of it is left."""
    if folding == "raw":
        return as_written(noun.surface)
    return fold(noun.lemma if folding == "lemma" else noun.surface)


def count_forms(nouns: Iterable[Noun], folding: Folding) -> dict[str, list[int]]:
    """One caption's nouns: {folded form: [occurrences, occurrences as a common noun]}, in the order of the caption."""
    here: dict[str, list[int]] = {}
    for noun in nouns:
        form = form_of(noun, folding)
        if form:
            pair = here.setdefault(form, [0, 0])
            pair[0] += 1
            pair[1] += noun.tag == "NOUN"
    return here


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
        rows.append(replace(row, key=key))
    return counts, rows


def write_samples(rows: Iterable[SampleCount], noun_pipeline: str, folding: Folding = "lower") -> bytes:
    """Parquet of key (string), words, nouns, distinct (int32) and forms, in the order given. Same rows, same bytes.

    `forms` is a list of {noun: string, occurrences: int32, common: int32}, as in SampleCount.
    """
    import pyarrow as pa

    rows = list(rows)
    columns = [pa.array([row.key for row in rows], pa.string())]
    columns += [pa.array([getattr(row, name) for row in rows], pa.int32()) for name in ("words", "nouns", "distinct")]
    assert all(row.forms is not None for row in rows), "rows of the first version have no forms"
    ends = accumulate((len(row.forms or ()) for row in rows), initial=0)
    flat = [form for row in rows for form in row.forms or ()]
    types = (pa.string(), pa.int32(), pa.int32())
    parts = [pa.array([form[at] for form in flat], type) for at, type in enumerate(types)]
    forms = pa.StructArray.from_arrays(parts, ["noun", "occurrences", "common"])
    columns.append(pa.ListArray.from_arrays(pa.array(ends, pa.int32()), forms))
    table = pa.table(columns, names=["key", "words", "nouns", "distinct", "forms"])
    return _parquet(table, SAMPLES_FORMAT, {"noun_pipeline": noun_pipeline, "folding": folding})


def read_samples(source: Path | bytes) -> list[SampleCount]:
    """Reads what write_samples wrote, in either version. Raises InputError for anything else."""
    table, _ = read_table(source, SAMPLES_FORMATS)
    rows = table.to_pylist()
    for row in rows:
        if "forms" in row:
            row["forms"] = tuple((form["noun"], form["occurrences"], form["common"]) for form in row["forms"])
    return [SampleCount(**row) for row in rows]


def totals_of(header: dict[str, Any]) -> Totals:
    """The totals in a count file's metadata."""
    return Totals(**{item.name: int(header[item.name]) for item in fields(Totals)})


def read_header(source: Path | bytes, expected: str | Sequence[str] = FORMAT) -> dict[str, Any]:
    """The metadata of a count file of one of the expected formats, its rows unread. Raises InputError for others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = str(source) if isinstance(source, Path) else "The count file"
    try:
        raw = pq.read_metadata(source if isinstance(source, Path) else io.BytesIO(source)).metadata or {}
        header = json.loads(raw.get(b"densify", b"{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {error}.") from error
    formats = (expected,) if isinstance(expected, str) else expected
    if not isinstance(header, dict) or header.get("format") not in formats:
        raise InputError(f"{name} is no count file of the format {formats[0]}.")
    needed = {"noun_pipeline"} | _NEEDED.get(header["format"], set())
    if needed - header.keys():
        raise InputError(f"{name} cannot be read: its metadata lacks {', '.join(sorted(needed - header.keys()))}.")
    return dict(header)


_NEEDED: dict[str, set[str]] = {
    FORMAT: {"folding", *(item.name for item in fields(Totals))},
    SAMPLES_FORMAT: {"folding"},
}


def _parquet(table: Any, format_name: str, header: dict[str, Any]) -> bytes:
    import pyarrow.parquet as pq

    text = json.dumps({"format": format_name, **header}, sort_keys=True)
    sink = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({b"densify": text.encode()}), sink, compression="zstd", row_group_size=ROW_GROUP
    )
    return sink.getvalue()


def read_table(
    source: Path | bytes, expected: str | Sequence[str], columns: list[str] | None = None
) -> tuple[Any, dict[str, Any]]:
    """(Arrow table, metadata) of a count file, of these columns alone. Raises InputError where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    header = read_header(source, expected)
    try:
        return pq.read_table(source if isinstance(source, Path) else io.BytesIO(source), columns=columns), header
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"The count file cannot be read: {error}.") from error
