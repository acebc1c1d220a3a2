"""The rows of the density report as words: the same headings and figures in the terminal (report.py) and in the page
(html_report.py).
"""

from __future__ import annotations

from analysis.comparison import Compared
from analysis.paper import PaperRow
from analysis.rarefaction import Figure
from analysis.tables import Row
from analysis.threshold import Threshold

#: A figure at another number of images, and the ends of its 95 % interval.
Ranged = tuple[str, str, str]

EQUAL_HEADINGS = ("VN", "DN", "VN/DN", "nouns per image")
PAPER_HEADINGS = ("VN", "DN", "VN/DN", "total nouns", "nouns per image")


def headings(valid: Threshold) -> list[str]:
    """Of `cells`."""
    figures = ["images", valid.heading, "DN", "VN/DN", valid.other.heading, "total nouns"]
    return [*figures, "nouns per image", "words per image", "images without a noun"]


def cells(row: Row, valid: Threshold) -> list[str]:
    """A data set's figures over all of its images."""
    table = row.table
    leads, share = valid.of(table)
    beside, share_beside = valid.other.of(table)
    return [
        f"{table.images:,}",
        f"{leads:,}",
        f"{table.distinct_nouns:,}",
        f"{share:.1%}",
        f"{beside:,} ({share_beside:.1%})",
        f"{table.total_nouns:,}",
        f"{table.nouns_per_image:.2f}",
        f"{table.words_per_image:.1f}",
        f"{table.images_without_noun:,}",
    ]


def seen_headings(valid: Threshold) -> list[str]:
    """Of `seen_cells`."""
    figures = ["images", valid.heading, "DN", "VN/DN", "total nouns", "nouns per image"]
    return [*figures, "captions cut", "nouns lost", "valid nouns lost"]


def seen_cells(row: Row, valid: Threshold) -> list[str] | None:
    """The same as a trainer reads it, and what is lost; None where captions were not cut."""
    if row.seen is None or row.loss is None:
        return None
    table, loss = row.seen.table, row.loss
    leads, share = valid.of(table)
    return [
        f"{table.images:,}",
        f"{leads:,}",
        f"{table.distinct_nouns:,}",
        f"{share:.1%}",
        f"{table.total_nouns:,}",
        f"{table.nouns_per_image:.2f}",
        f"{loss.cut:,} ({loss.cut_share:.1%})",
        f"{loss.lost:,} ({loss.lost_share:.1%})",
        f"{valid.lost(loss):,}",
    ]


def equal_cells(row: Compared, valid: Threshold) -> list[Ranged]:
    """A data set at the common number of images, below EQUAL_HEADINGS. Nouns per image have no interval: two ends
    without words.
    """
    nouns, share = valid.expected(row.estimate)
    return [
        _ranged(nouns, ",.0f"),
        _ranged(row.estimate.distinct, ",.0f"),
        _ranged(share, ".1%"),
        (f"{row.nouns_per_image:.2f}", "", ""),
    ]


def _ranged(figure: Figure, form: str) -> Ranged:
    return format(figure.value, form), format(figure.low, form), format(figure.high, form)


def paper_cells(row: PaperRow) -> list[str]:
    """A published row, below PAPER_HEADINGS."""
    return [
        f"{row.valid_nouns // 1000:,}K",
        f"{row.distinct_nouns // 1000:,}K",
        f"{row.valid_share:.1%}",
        f"{row.total_nouns / 1e6:.1f}M",
        f"{row.nouns_per_image:.1f}",
    ]
