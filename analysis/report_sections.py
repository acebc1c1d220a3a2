"""The report's sections beside its rows, for the terminal: what a trainer reads, gained and lost, the long tail.

Leaves out: the rows and the order of the whole (report.py), and the figures (truncation.py, contrast.py, tail.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from rich.table import Table as RichTable
from rich.text import Text

from analysis.contrast import Contrast, Shift
from analysis.tables import Row
from analysis.tail import Tail
from analysis.truncation import Loss


def titled(title: str) -> RichTable:
    """A table with its title flush left; brackets in it are no markup."""
    return RichTable(title=Text(title), title_justify="left")


def seen_table(rows: Iterable[tuple[str, Row]], loss: Loss, heading: str, *, over: bool) -> RichTable:
    """One row per data set as the trainer reads it. `heading`: of VN; `over`: it counts from more than min_count."""
    table = titled(f"What a trainer reads: the first {loss.tokens:,} tokens of {loss.tokenizer}")
    table.add_column("data set")
    for figure in ("images", heading, "DN", "VN/DN", "total nouns", "nouns per image"):
        table.add_column(figure, justify="right")
    for figure in ("captions cut", "nouns lost", "valid nouns lost"):
        table.add_column(figure, justify="right")
    for role, row in rows:
        if row.seen is None or row.loss is None:
            continue
        seen, lost = row.seen.table, row.loss
        table.add_row(
            Text(f"baseline: {row.name}" if role == "baseline" else row.name),
            f"{seen.images:,}",
            f"{seen.valid_nouns_over if over else seen.valid_nouns:,}",
            f"{seen.distinct_nouns:,}",
            f"{seen.valid_share_over if over else seen.valid_share:.1%}",
            f"{seen.total_nouns:,}",
            f"{seen.nouns_per_image:.2f}",
            f"{lost.cut:,} ({lost.cut_share:.1%})",
            f"{lost.lost:,} ({lost.lost_share:.1%})",
            f"{lost.valid_lost_over if over else lost.valid_lost:,}",
            style="dim" if role == "baseline" else None,
        )
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
