"""The concept-density table: total nouns, distinct nouns (DN), valid distinct nouns (VN), their share, nouns per image.

A distinct noun is *valid* when it occurs at least `min_count` times (10). The paper's text says "more than 10": that
figure stands beside it. VN/DN falls and rises with the number of images; report.py says so under each comparison.
Leaves out: reading captions (captions_input.py) and the report (report.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from analysis.count_files import group_files
from analysis.counts import NounCounts, Totals

#: Occurrences from which a distinct noun is valid (PixArt-alpha, section 2.4).
MIN_COUNT = 10


@dataclass(frozen=True, slots=True)
class Table:
    """One row of the report. Counts are exact; `valid_nouns` has occurrences >= min_count, `valid_nouns_over` >."""

    images: int
    total_nouns: int
    distinct_nouns: int
    valid_nouns: int
    valid_nouns_over: int
    min_count: int
    noun_pipeline: str
    folding: str = "lower"
    names_counted: bool = True
    words: int = 0
    images_without_noun: int = 0

    @property
    def valid_share(self) -> float:
        """VN / DN, 0 where there is no noun."""
        return self.valid_nouns / self.distinct_nouns if self.distinct_nouns else 0.0

    @property
    def valid_share_over(self) -> float:
        """VN / DN with the paper's wording, more than min_count."""
        return self.valid_nouns_over / self.distinct_nouns if self.distinct_nouns else 0.0

    @property
    def nouns_per_image(self) -> float:
        """Noun occurrences per image, 0 where there is no image."""
        return self.total_nouns / self.images if self.images else 0.0

    @property
    def words_per_image(self) -> float:
        """Words per caption, 0 where there is no image."""
        return self.words / self.images if self.images else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Every figure by name, ready for JSON."""
        shares = ("valid_share", "valid_share_over", "nouns_per_image", "words_per_image")
        return asdict(self) | {name: getattr(self, name) for name in shares}

    @classmethod
    def from_dict(cls, figures: dict[str, Any]) -> Table:
        """Reads as_dict's result; shares and averages are computed again, not believed. Raises ValueError."""
        kinds = {"str": str, "bool": bool, "int": int}
        for item in fields(cls):
            if type(figures.get(item.name)) is not kinds[str(item.type)]:
                raise ValueError(f"{item.name} is no {item.type} in the density table")
        return cls(**{item.name: figures[item.name] for item in fields(cls)})


def table_from_counts(counts: NounCounts, *, min_count: int = MIN_COUNT, names: bool = True) -> Table:
    """The table of counts in memory. `names`: whether PROPN counts too."""
    column = 0 if names else 2
    seen = [row[column] for row in counts.nouns.values() if row[column]]
    figures = (
        sum(seen),
        len(seen),
        sum(count >= min_count for count in seen),
        sum(count > min_count for count in seen),
    )
    return _table(counts.totals, figures, min_count, (counts.noun_pipeline, counts.folding), names)


def table_from_files(files: Sequence[Path | bytes], *, min_count: int = MIN_COUNT, names: bool = True) -> Table:
    """The table of many shards' count files (`.nouns.parquet`: paths, or their bytes), grouped by DuckDB.

    Raises NothingToReadError without a file, BadFieldError where they were counted in different ways.
    """
    found = group_files(files, names=names)
    seen, nouns = found.occurrences, found.nouns
    figures = (
        int((seen * nouns).sum()),
        int(nouns.sum()),
        int(nouns[seen >= min_count].sum()),
        int(nouns[seen > min_count].sum()),
    )
    return _table(found.totals, figures, min_count, (found.noun_pipeline, found.folding), names)


def _table(
    totals: Totals, figures: tuple[int, int, int, int], min_count: int, way: tuple[str, str], names: bool
) -> Table:
    total, distinct, valid, over = figures
    return Table(
        images=totals.images,
        total_nouns=total,
        distinct_nouns=distinct,
        valid_nouns=valid,
        valid_nouns_over=over,
        min_count=min_count,
        noun_pipeline=way[0],
        folding=way[1],
        names_counted=names,
        words=totals.words,
        images_without_noun=totals.images_without_noun if names else totals.images_without_common_noun,
    )
