"""The report's sections beside its rows, for the terminal: what a trainer reads, gained and lost, the long tail.

Leaves out: the rows and the order of the whole (report.py), and the figures (truncation.py, contrast.py, tail.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from rich.table import Table as RichTable
from rich.text import Text

from analysis.cells import seen_cells, seen_headings
from analysis.contrast import Contrast, Shift
from analysis.tables import Row
from analysis.tail import Tail
from analysis.threshold import Threshold
from analysis.truncation import Loss


def titled(title: str) -> RichTable:
    """A table with its title flush left; brackets in it are no markup."""
    return RichTable(title=Text(title), title_justify="left")


def row_name(role: str, name: str) -> Text:
    """The name under which a data set stands in tables."""
    return Text(f"baseline: {name}" if role == "baseline" else name)


def seen_table(rows: Iterable[tuple[str, Row]], loss: Loss, valid: Threshold) -> RichTable:
    """One row per data set as the trainer reads it."""
    table = titled(f"What a trainer reads: the first {loss.tokens:,} tokens of {loss.tokenizer}")
    table.add_column("data set")
    for heading in seen_headings(valid):
        table.add_column(heading, justify="right")
    for role, row in rows:
        if figures := seen_cells(row, valid):
            table.add_row(row_name(role, row.name), *figures, style="dim" if role == "baseline" else None)
    return table


def contrast_table(contrast: Contrast, images: int) -> RichTable:
    """Gained and lost side by side, each with its occurrences per 1,000 images here and in the baseline."""
    table = titled(f"{contrast.gained_total:,} nouns gained, {contrast.lost_total:,} lost, at {images:,} images each")
    for heading in ("gained", "lost"):
        table.add_column(heading)
        table.add_column("here", justify="right")
        table.add_column("baseline", justify="right")
    for gained, lost in zip_longest(contrast.gained, contrast.lost):
        table.add_row(*_shift(gained), *_shift(lost))
    return table


def _shift(shift: Shift | None) -> tuple[Text, str, str]:
    if shift is None:
        return Text(""), "", ""
    return Text(shift.noun), f"{shift.ours_per_1000:,.1f}", f"{shift.theirs_per_1000:,.1f}"


def tail_tables(name: str, tail: Tail) -> list[RichTable]:
    """The bands of a data set's tail, then some nouns of each with a caption that has them."""
    share = tail.nouns / tail.distinct_nouns if tail.distinct_nouns else 0.0
    bands = titled(f"The long tail of {name}: {tail.nouns:,} nouns ({share:.1%}) below {tail.valid_from} occurrences")
    for heading in ("occurrences", "nouns", "share of the tail", "occurrences in all"):
        bands.add_column(heading, justify="right")
    for band in tail.bands:
        part = band.nouns / tail.nouns if tail.nouns else 0.0
        bands.add_row(band.label, f"{band.nouns:,}", f"{part:.1%}", f"{band.occurrences:,}")
    samples = titled("Some of them, each in the first caption that has it")
    samples.add_column("occurrences", justify="right")
    for heading in ("noun", "key", "caption"):
        samples.add_column(heading)
    for rare in (rare for band in tail.bands for rare in band.examples):
        key, excerpt = (rare.sample.key, rare.sample.excerpt) if rare.sample else ("-", "-")
        samples.add_row(f"{rare.occurrences:,}", Text(rare.noun), Text(key), Text(excerpt))
    return [bands, samples] if samples.row_count else [bands]
