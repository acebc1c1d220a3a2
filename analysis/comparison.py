"""Data sets at equal numbers of images: what a comparison leads with, since VN/DN depends on their number.

Leaves out the formulas (rarefaction.py) and how they are shown (report.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from analysis import rarefaction
from analysis.rarefaction import Estimate
from analysis.tables import Measured, Row


@dataclass(frozen=True, slots=True)
class Compared:
    """One data set at the common size. `nouns_per_image` does not depend on the size: it is that of all its images."""

    role: str
    name: str
    estimate: Estimate
    nouns_per_image: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All data sets at `images` images, the size of the smallest of them."""

    images: int
    rows: tuple[Compared, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: figures with value, low, high, error and spread."""
        rows = [asdict(row) for row in self.rows]
        return {"images": self.images, "rows": [{**row.pop("estimate"), **row} for row in rows]}


def compare(data: Measured, baseline: Measured | None = None) -> Comparison | None:
    """The comparison of every row; None where there is a single one, or one without images."""
    rows: list[tuple[str, Row]] = [("data", row) for row in data.rows]
    rows += [("baseline", row) for row in (baseline.rows if baseline else ())]
    if len(rows) < 2 or not all(row.abundance.images for _, row in rows):
        return None
    images = rarefaction.common_size(row.abundance for _, row in rows)
    compared = (
        Compared(
            role,
            row.name,
            rarefaction.at(row.abundance, images, min_count=row.table.min_count),
            row.table.nouns_per_image,
        )
        for role, row in rows
    )
    return Comparison(images, tuple(compared))
