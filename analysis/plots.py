"""Plots of concept density as inline SVG, by matplotlib: growth curves, rank against frequency, lengths of captions.

The same figures give the same bytes: no date, ids made with a fixed salt. Colours are CSS variables of the page
(--ink, --soft, --line, --s0 … --s7), so that one plot serves light and dark. Numbers and fixed words only: the names of
data sets and nouns are strangers' text and belong into the page around the plot. Text stays text.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analysis.gathered import length_at
from analysis.rarefaction import Abundance, Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Data sets in one plot: as many as there are colours.
COLOURS = 8
#: Sizes drawn of a growth curve.
POINTS = 80
#: Corners of one curve of ranks; a million nouns need no more to look the same.
CORNERS = 300
#: Bars of a histogram of lengths.
BARS = 40
#: Sizes further apart than this share no linear axis.
LOG_FROM = 20
#: Inches; a page scales it to the width it has.
WIDTH, HEIGHT = 4.7, 3.1

# matplotlib wants colours, the page's variables are none: each is drawn as one of these and replaced afterwards.
_INK, _SOFT, _LINE = "#010101", "#020202", "#030303"
_SERIES = tuple(f"#0400{place:02d}" for place in range(COLOURS))
_VARIABLES = {_INK: "--ink", _SOFT: "--soft", _LINE: "--line"} | {
    colour: f"--s{place}" for place, colour in enumerate(_SERIES)
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "densify",
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "text.parse_math": False,
    "text.color": _INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "grid.color": _LINE,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "legend.frameon": False,
}
_METADATA = ("Date", "Creator", "Format", "Type")


@dataclass(frozen=True, slots=True)
class Look:
    """How a data set looks in every plot: the number of its colour, from 0, and whether its line is dashed."""

    colour: int
    dashed: bool = False

    @property
    def line(self) -> dict[str, Any]:
        return {"color": _SERIES[self.colour], "linestyle": "--" if self.dashed else "-", "linewidth": 1.8}


def growth(
    curves: Sequence[Sequence[Estimate]], looks: Sequence[Look], figure: Literal["distinct", "valid"], common: int
) -> str:
    """A figure from one image to all of them, with its 95 % band; a dotted line at `common` images (0: none)."""
    names = {"distinct": "distinct nouns (DN)", "valid": "valid nouns (VN)"}
    with _style():
        canvas, axes = _axes()
        largest = [curve[-1].images for curve in curves if curve]
        logarithmic = bool(largest) and max(largest) > LOG_FROM * min(largest)
        for curve, look in zip(curves, looks, strict=True):
            sizes = [estimate.images for estimate in curve]
            found = [getattr(estimate, figure) for estimate in curve]
            axes.fill_between(
                sizes,
                [each.low for each in found],
                [each.high for each in found],
                color=_SERIES[look.colour],
                alpha=0.18,
                linewidth=0,
            )
            axes.plot(sizes, [each.value for each in found], marker="o" if len(sizes) == 1 else "", **look.line)
        if common:
            axes.axvline(common, color=_SOFT, linestyle=":", linewidth=1.2)
        if logarithmic:
            axes.set_xscale("log")
        else:
            axes.set_xlim(left=0)
        axes.set_ylim(0, max(1.05, axes.get_ylim()[1]))
        _ticks(axes)
        axes.set_xlabel("images")
        axes.set_ylabel(names[figure])
        return _svg(canvas, f"Growth of {names[figure]} with the number of images")


def rank_frequency(abundances: Sequence[Abundance], looks: Sequence[Look], min_count: int) -> str:
    """Occurrences of each noun against its rank, both logarithmic; a dotted line at the threshold."""
    with _style():
        canvas, axes = _axes()
        axes.set_xscale("log")
        axes.set_yscale("log")
        most = [12, 2 * min_count]
        ranks = [12]
        for abundance, look in zip(abundances, looks, strict=True):
            rank, count = _corners(abundance)
            if len(rank):
                axes.plot(rank, count, marker="o" if rank[-1] == 1 else "", markersize=4, **look.line)
                most.append(int(count[0]))
                ranks.append(int(rank[-1]))
        axes.axhline(min_count, color=_SOFT, linestyle=":", linewidth=1.2)
        axes.set_xlim(0.8, 1.5 * max(ranks))
        axes.set_ylim(0.8, 1.8 * max(most))
        _ticks(axes)
        axes.set_xlabel("rank of the noun")
        axes.set_ylabel("occurrences")
        return _svg(canvas, "Occurrences of nouns by rank")


def _corners(abundance: Abundance) -> tuple[Any, Any]:
    """(ranks, occurrences) of the curve's corners: the first and the last rank of every number of occurrences."""
    counts, place = np.unique(-abundance.occurrences, return_inverse=True)
    nouns = np.bincount(place, abundance.nouns, len(counts))
    last = np.cumsum(nouns)
    rank = np.stack([last - nouns + 1, last], axis=1).ravel()
    count = np.repeat(-counts, 2)
    if len(rank) > CORNERS:
        # Equal steps of log rank, so that the wide steps of the rare nouns keep their corners.
        step = np.floor(np.log(rank) / np.log(rank[-1]) * (CORNERS // 2))
        new = step[1:] != step[:-1]
        kept = np.concatenate([[True], new]) | np.concatenate([new, [True]])
        rank, count = rank[kept], count[kept]
    return rank, count


def drawn_length(lengths: Sequence[Counter[int]]) -> int:
    """The most words that `length_histogram` draws: all but the longest 1 % of whichever side has the longer ones."""
    return max((length_at(side, 0.99) for side in lengths if side), default=0)


def length_histogram(lengths: Sequence[Counter[int]], looks: Sequence[Look], titles: Sequence[str]) -> str:
    """Shares of captions by number of words, one panel for each side, up to `drawn_length`."""
    limit = drawn_length(lengths)
    width = max(1, -(-(limit + 1) // BARS))
    edges = np.arange(0, limit + width + 1, width) - 0.5
    from matplotlib.ticker import MaxNLocator

    with _style():
        canvas, panels = _panels(len(lengths))
        for side, look, title, axes in zip(lengths, looks, titles, panels, strict=True):
            words = np.array(sorted(side), np.int64)
            shares = np.array([side[word] for word in words.tolist()]) / max(1, side.total())
            axes.hist(words, edges.tolist(), weights=shares, color=_SERIES[look.colour], rwidth=0.9, align="mid")
            axes.set_title(title, color=_SOFT)
            _ticks(axes)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
            axes.set_xlim(edges[0], edges[-1])
        panels[-1].set_xlabel("words per caption")
        return _svg(canvas, "Captions by number of words")


# ---- matplotlib -----------------------------------------------------------------------------------------------------


def _style() -> Any:
    """Its own defaults, whatever the user's matplotlibrc says."""
    import matplotlib.style

    return matplotlib.style.context(["default", _STYLE])


def _axes() -> tuple[Figure, Axes]:
    canvas, (axes,) = _panels(1)
    return canvas, axes


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    """Panels one below the other with one horizontal axis."""
    from matplotlib.figure import Figure

    canvas = Figure((WIDTH, HEIGHT), layout="constrained")
    return canvas, canvas.subplots(max(1, count), 1, sharex=True, squeeze=False)[:, 0].tolist()


def _ticks(axes: Axes) -> None:
    """Whole numbers, written short, on both axes."""
    from matplotlib.ticker import MaxNLocator, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "linear":
            axis.set_major_locator(MaxNLocator(6, integer=True))
        axis.set_major_formatter(lambda value, _: short(value))
        axis.set_minor_formatter(NullFormatter())


def short(value: float) -> str:
    """`1500` → `1,500`; `25000` → `25k`; `3000000` → `3M`."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:,.0f}"


def _svg(canvas: Figure, label: str) -> str:
    """The figure as an <svg> element for a page: without prolog, fixed size, style for the whole page, spare ids."""
    sink = io.BytesIO()
    canvas.savefig(sink, format="svg", metadata=dict.fromkeys(_METADATA))
    text = sink.getvalue().decode()
    text = text[text.index("<svg") :].strip()
    for spare in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->", r"<defs>\s*</defs>"):
        text = re.sub(spare, "", text, flags=re.DOTALL)
    text = text.replace("xlink:href", "href")
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", text)
    view = re.search(r'viewBox="[^"]*"', text)
    assert view is not None
    text = re.sub(r"<svg[^>]*>", f'<svg role="img" aria-label="{label}" {view[0]}>', text, count=1)
    text = re.sub("|".join(_VARIABLES), lambda match: f"var({_VARIABLES[match[0]]})", text)
    return re.sub(r"\n\s*", "\n", text)
