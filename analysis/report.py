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

from analysis.cells import EQUAL_HEADINGS, PAPER_HEADINGS, cells, equal_cells, headings, paper_cells
from analysis.comparison import Comparison, compare
from analysis.contrast import Contrast, contrast
from analysis.paper import PAPER, PAPER_TITLE, PROFILE_NOTE
from analysis.report_sections import contrast_table, row_name, seen_table, tail_tables, titled
from analysis.tables import Measured, Row
from analysis.threshold import Threshold
from core.files import write_atomic

SIZE_NOTE = "VN/DN depends on the number of images: compare data sets of equal size."
FOLDINGS = {"lower": "lower case", "lemma": "singular, lower case", "raw": "as written"}
#: Nouns gained and lost that the terminal shows; the JSON report has twice as many.
SHIFTS_SHOWN = 10


def payload(data: Measured, baseline: Measured | None = None) -> dict[str, Any]:
    """The JSON report: figures of all PATHs together at top level, each data set in `datasets`, then `baseline`."""
    report = _entry(data.whole) | {"datasets": [_entry(row) for row in data.rows]}
    if baseline:
        report["baseline"] = _entry(baseline.whole) | {"datasets": [_entry(row) for row in baseline.rows]}
    comparison = compare(data, baseline)
    if comparison:
        report["at_equal_images"] = comparison.as_dict()
    seen = compare_seen(data, baseline)
    if seen:
        report["seen_at_equal_images"] = seen.as_dict()
    if baseline:
        at = {"images": common_images(data, baseline), "valid_from": data.valid.least}
        report["contrast"] = at | contrast_of(data, baseline, 2 * SHIFTS_SHOWN).as_dict()
    return report | {"profile": data.profile, "notes": notes(data, baseline)}


def _entry(row: Row) -> dict[str, Any]:
    entry = {"name": row.name} | row.table.as_dict() | {"reading": vars(row.reading)}
    if row.seen and row.loss:
        entry["seen"] = row.seen.table.as_dict() | {"loss": row.loss.as_dict()}
    if row.tail:
        entry["tail"] = row.tail.as_dict()
    return entry


def compare_seen(data: Measured, baseline: Measured | None = None) -> Comparison | None:
    """The comparison of what a trainer reads; None where captions were not cut, and where compare gives None."""
    return compare(data.seen, baseline.seen if baseline else None) if data.seen else None


def contrast_of(data: Measured, baseline: Measured, top: int) -> Contrast:
    """Nouns gained and lost by all data sets together against all baselines together, in whole captions."""
    ours, theirs = data.whole, baseline.whole
    return contrast(
        ours.occurrences,
        ours.table.images,
        theirs.occurrences,
        theirs.table.images,
        min_count=data.valid.least,
        top=top,
    )


def common_images(data: Measured, baseline: Measured) -> int:
    """Images of the smaller side: the size at which nouns are gained and lost."""
    return min(data.whole.table.images, baseline.whole.table.images)


def roles(data: Measured, baseline: Measured | None = None) -> Iterator[tuple[str, Row]]:
    """("data" or "baseline", row): every row of the report in its order, the sum of several data sets after them."""
    for role, measured in (("data", data), ("baseline", baseline)):
        if measured:
            for row in measured.rows:
                yield role, row
            if len(measured.rows) > 1:
                yield role, measured.whole


def render(data: Measured, baseline: Measured | None = None, *, paper: bool = False) -> Group:
    """The report for a rich console; with `paper`, the published rows come first.

    Where captions were cut it leads with what is read of them, alone and at equal numbers of images.
    """
    valid, loss = data.valid, data.whole.loss
    table = titled("Concept density of the whole captions" if loss else "Concept density")
    table.add_column("data set")
    for heading in headings(valid):
        table.add_column(heading, justify="right")
    for role, row in roles(data, baseline):
        table.add_row(row_name(role, row.name), *cells(row, valid), style="dim" if role == "baseline" else None)
    comparison = compare_seen(data, baseline) if loss else compare(data, baseline)
    first = [_published()] if paper else []
    first += [seen_table(roles(data, baseline), loss, valid)] if loss else []
    first += [_compared(comparison, valid, seen=loss is not None)] if comparison else []
    last = []
    if baseline:
        last.append(contrast_table(contrast_of(data, baseline, SHIFTS_SHOWN), common_images(data, baseline)))
    if data.whole.tail:
        last += tail_tables(data.whole.name, data.whole.tail)
    return Group(*first, table, *last, *(Text(note) for note in notes(data, baseline)))


def _published() -> RichTable:
    table = titled(PAPER_TITLE)
    table.add_column("data set")
    for heading in PAPER_HEADINGS:
        table.add_column(heading, justify="right")
    for row in PAPER:
        table.add_row(row.name, *paper_cells(row))
    return table


def _compared(comparison: Comparison, valid: Threshold, *, seen: bool) -> RichTable:
    """The size-matched table; intervals in brackets."""
    read = ", as the trainer reads them" if seen else ""
    table = titled(f"At {comparison.images:,} images each{read} (95 % intervals in brackets)")
    table.add_column("data set")
    for heading in EQUAL_HEADINGS:
        table.add_column(heading, justify="right")
    for row in comparison.rows:
        figures = (f"{value} [{low}, {high}]" if low else value for value, low, high in equal_cells(row, valid))
        table.add_row(row_name(row.role, row.name), *figures, style="dim" if row.role == "baseline" else None)
    return table


def notes(data: Measured, baseline: Measured | None = None) -> list[str]:
    """What was used and what to beware of, one sentence each."""
    table = data.whole.table
    counted = "common and proper nouns" if table.names_counted else "common nouns only"
    leads, beside = data.valid.words, data.valid.other.words
    sentences = [
        f"Nouns by {table.noun_pipeline}, {counted}, {FOLDINGS[table.folding]}. VN: distinct nouns seen {leads} "
        f"times (beside it: {beside}); DN: distinct nouns."
    ]
    if data.profile == "paper":
        sentences.append(PROFILE_NOTE)
    if data.whole.loss:
        sentences.append(
            f"What a trainer reads: captions cut after {data.whole.loss.tokens:,} tokens of "
            f"{data.whole.loss.tokenizer}, special tokens included; a noun across or behind the cut is lost. "
            "Figures that do not say so are of whole captions."
        )
    if baseline:
        sentences.append(
            f"Gained and lost: nouns whose occurrences, scaled to {common_images(data, baseline):,} images, reach "
            f"{data.valid.least} on one side only; listed by the difference of occurrences per 1,000 images."
        )
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
