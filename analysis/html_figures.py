"""The drawn part of the density page: plots with their headings and words, bars of nouns and of their frequencies.

Leaves out: the page around it (html_report.py) and the drawing of a plot (plots.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from analysis import plots, rarefaction
from analysis.comparison import Comparison
from analysis.contrast import Shift
from analysis.gathered import Gathered, length_at
from analysis.plots import COLOURS, Look
from analysis.report import common_images, contrast_of
from analysis.tables import Measured, Row
from analysis.threshold import Threshold

#: Nouns shown as gained, and as lost.
SHIFTS = 15
#: Least occurrences of each class of nouns; the threshold is added where it is none of these.
CLASSES = (1, 2, 5, 10)
#: Colour of several data sets together.
SEVERAL = 5
#: Characters shown of the name of a data set, and of a noun.
NAME_CHARACTERS = 80


class Drawn(NamedTuple):
    """A data set in the plots: how it looks, "data" or "baseline", and its row."""

    look: Look
    role: str
    row: Row

    @property
    def label(self) -> str:
        return label(self.role, self.row.name)


def cut(text: str, characters: int = NAME_CHARACTERS) -> str:
    """The text, or its beginning with an ellipsis: no name or command makes a page that is too long to read."""
    return text if len(text) <= characters else text[: characters - 2] + " …"


def label(role: str, name: str) -> str:
    """The name under which a row stands in tables and legends."""
    return f"baseline: {cut(name)}" if role == "baseline" else cut(name)


def drawn(data: Measured, baseline: Measured | None) -> list[Drawn]:
    """The data sets that are drawn: all, or where colours are too few the first of either side, half each at least."""
    theirs = list(baseline.rows) if baseline else []
    ours = data.rows[: COLOURS - min(len(theirs), COLOURS // 2)]
    rows = [("data", row) for row in ours] + [("baseline", row) for row in theirs[: COLOURS - len(ours)]]
    return [Drawn(Look(place, role == "baseline"), role, row) for place, (role, row) in enumerate(rows)]


def figures(
    shown: Sequence[Drawn],
    heard: Gathered,
    heard_baseline: Gathered | None,
    comparison: Comparison | None,
    valid: Threshold,
) -> Iterator[tuple[str, str, str]]:
    """(heading, SVG, words below) of each plot; none where there is no image."""
    looks = [each.look for each in shown]
    abundances = [each.row.abundance for each in shown]
    if not any(abundance.images for abundance in abundances):
        return
    curves = [rarefaction.curve(abundance, plots.POINTS, min_count=valid.least) for abundance in abundances]
    common = comparison.images if comparison else 0
    line = f" Dotted: {common:,} images, where all are compared." if comparison else ""
    yield (
        "Distinct nouns grow with the images",
        plots.growth(curves, looks, "distinct", common),
        f"What a random part of the images would show, with its 95 % band.{line}",
    )
    yield (
        "Valid nouns grow later",
        plots.growth(curves, looks, "valid", common),
        f"A noun counts here once it has occurred {valid.least} times: these curves start later, and flatten later.",
    )
    yield (
        "Few nouns are frequent, most are rare",
        plots.rank_frequency(abundances, looks, valid.least),
        f"From the most frequent noun to the rarest. Valid: on or above the dotted line, {valid.least} occurrences.",
    )
    sides = [(role, each.lengths) for role, each in (("data", heard), ("baseline", heard_baseline)) if each]
    sides = [(role, lengths) for role, lengths in sides if lengths]
    if sides:
        lengths = [side for _, side in sides]
        own = {role: [each.look for each in shown if each.role == role] for role, _ in sides}
        colours = [own[role][0] if len(own[role]) == 1 else Look(SEVERAL) for role, _ in sides]
        names = {"data": "captions", "baseline": "baseline"}
        titles = [names[role] + (", all together" if len(own[role]) > 1 else "") for role, _ in sides]
        middles = "; ".join(
            f"{title}: median {length_at(side, 0.5):,} words, longest {max(side):,}"
            for title, side in zip(titles, lengths, strict=True)
        )
        yield (
            "How long the captions are",
            plots.length_histogram(lengths, colours, titles),
            f"{middles[0].upper()}{middles[1:]}. Drawn up to {plots.drawn_length(lengths):,} words.",
        )


def shifts(data: Measured, baseline: Measured | None) -> dict[str, Any] | None:
    """Nouns gained and lost against the baseline; None without one, or without images on a side."""
    if not baseline or not data.whole.table.images or not baseline.whole.table.images:
        return None
    found = contrast_of(data, baseline, SHIFTS)
    return {
        "images": common_images(data, baseline),
        "sides": [
            ("Gained", "valid here, not in the baseline", found.gained_total, _bars(found.gained)),
            ("Lost", "valid in the baseline, not here", found.lost_total, _bars(found.lost)),
        ],
    }


def _bars(shifts: Sequence[Shift]) -> list[tuple[str, list[tuple[str, float]]]]:
    """(noun, (figure, share of the longest bar) of either side)."""
    most = max((max(shift.ours_per_1000, shift.theirs_per_1000) for shift in shifts), default=0.0) or 1.0
    return [
        (cut(shift.noun), [(_rate(rate), rate / most) for rate in (shift.ours_per_1000, shift.theirs_per_1000)])
        for shift in shifts
    ]


def _rate(per_1000: float) -> str:
    if per_1000 >= 100:
        return f"{per_1000:,.0f}"
    return f"{per_1000:.1f}" if per_1000 >= 0.1 else f"{per_1000:.1g}"


def _edges(least: int) -> list[int]:
    return sorted({*CLASSES, least})


def class_names(least: int) -> list[dict[str, Any]]:
    """Name, whether its nouns are valid, and how dark it is drawn (%), of each class."""
    edges = _edges(least)
    names = [
        "once" if high == 2 else f"{low:,}" if high == low + 1 else f"{low:,}–{high - 1:,}"
        for low, high in itertools.pairwise(edges)
    ]
    return [
        {"name": name, "valid": low >= least, "tint": 30 + 70 * place // (len(edges) - 1)}
        for place, (name, low) in enumerate(zip([*names, f"{edges[-1]:,} or more"], edges, strict=True))
    ]


def classes(row: Row, least: int) -> list[tuple[str, float]]:
    """(nouns, share of the distinct nouns) of each class. `least`: occurrences of a valid noun."""
    abundance = row.abundance
    edges = [*_edges(least), float("inf")]
    counts = [
        int(abundance.nouns[(abundance.occurrences >= low) & (abundance.occurrences < high)].sum())
        for low, high in itertools.pairwise(edges)
    ]
    return [(f"{count:,}", count / max(1, sum(counts))) for count in counts]
