"""The density report: a table for the terminal, a JSON payload, a CSV file. One row per data set, then the baselines.

Leaves out: making the figures (tables.py, density.py).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from analysis.density import Table
from analysis.tables import Measured, Row
from core.files import write_atomic

SIZE_NOTE = "VN/DN depends on the number of images: compare data sets of equal size."


def payload(data: Measured, baseline: Measured | None = None) -> dict[str, Any]:
    """The JSON report: figures of all PATHs together at top level, each data set in `datasets`, then `baseline`."""
    report = _entry(data.whole) | {"datasets": [_entry(row) for row in data.rows]}
    if baseline:
        report["baseline"] = _entry(baseline.whole) | {"datasets": [_entry(row) for row in baseline.rows]}
    return report | {"notes": notes(data, baseline)}


def _entry(row: Row) -> dict[str, Any]:
    return {"name": row.name} | row.table.as_dict() | {"reading": vars(row.reading)}


def roles(data: Measured, baseline: Measured | None = None) -> Iterator[tuple[str, Row]]:
    """("data" or "baseline", row): every row of the report in its order, the sum of several data sets after them."""
    for role, measured in (("data", data), ("baseline", baseline)):
        if measured:
            for row in measured.rows:
                yield role, row
            if len(measured.rows) > 1:
                yield role, measured.whole


def render(data: Measured, baseline: Measured | None = None) -> Group:
    """The report for a rich console."""
    threshold = data.whole.table.min_count
    table = RichTable(title="Concept density", title_justify="left")
    table.add_column("data set")
    for heading in ("images", f"VN (>= {threshold})", "DN", "VN/DN", f"VN (> {threshold})", "total nouns"):
        table.add_column(heading, justify="right")
    table.add_column("nouns per image", justify="right")
    table.add_column("words per image", justify="right")
    for role, row in roles(data, baseline):
        name = Text(f"baseline: {row.name}" if role == "baseline" else row.name)
        table.add_row(name, *_cells(row.table), style="dim" if role == "baseline" else None)
    return Group(table, *(Text(note) for note in notes(data, baseline)))


def _cells(table: Table) -> list[str]:
    return [
        f"{table.images:,}",
        f"{table.valid_nouns:,}",
        f"{table.distinct_nouns:,}",
        f"{table.valid_share:.1%}",
        f"{table.valid_nouns_over:,} ({table.valid_share_over:.1%})",
        f"{table.total_nouns:,}",
        f"{table.nouns_per_image:.2f}",
        f"{table.words_per_image:.1f}",
    ]


def notes(data: Measured, baseline: Measured | None = None) -> list[str]:
    """What was used and what to beware of, one sentence each."""
    table = data.whole.table
    folding = "singular, lower case" if table.folding == "lemma" else "lower case"
    counted = "common and proper nouns" if table.names_counted else "common nouns only"
    sentences = [
        f"Nouns by {table.noun_pipeline}, {counted}, {folding}. VN: distinct nouns seen at least {table.min_count} "
        f"times (beside it: more than {table.min_count}); DN: distinct nouns."
    ]
    sizes = [row.table.images for _, row in roles(data, baseline)]
    if len(set(sizes)) > 1:
        sentences.append(f"{SIZE_NOTE} Here: {min(sizes):,} to {max(sizes):,} images.")
    for _, row in roles(data, baseline):
        if row is not data.whole or len(data.rows) == 1:
            sentences += [f"{row.name}: {note}" for note in row.reading.notes()]
    return sentences


def write_csv(path: Path, data: Measured, baseline: Measured | None = None) -> None:
    """Writes one line per row of the report, every figure unrounded; the file appears whole or not at all."""
    text = io.StringIO()
    names = list(data.whole.table.as_dict())
    writer = csv.DictWriter(text, ["role", "name", *names], lineterminator="\n")
    writer.writeheader()
    for role, row in roles(data, baseline):
        writer.writerow({"role": role, "name": row.name} | row.table.as_dict())
    write_atomic(path, text.getvalue().encode())
