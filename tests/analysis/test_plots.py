"""Plots as inline SVG: the same bytes every time, nothing from outside, no colour of their own, small."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter

import matplotlib
import numpy as np
import pytest

from analysis import plots, rarefaction
from analysis.plots import Look
from analysis.rarefaction import Abundance


def abundance(images: int, counts: list[int], nouns: list[int] | None = None) -> Abundance:
    """One image for every occurrence, as far as there are images."""
    occurrences = np.array(counts, np.int64)
    held = np.minimum(occurrences, images)
    return Abundance(images, occurrences, held, np.array(nouns or [1] * len(counts), np.int64))


RICH = abundance(400, [300, 120, 60, 30, 12, 9, 4, 2, 1], [1, 1, 2, 4, 8, 10, 30, 60, 200])
POOR = abundance(9000, [80, 9, 2, 1], [2, 20, 300, 4000])
EMPTY = abundance(7, [])


def every_plot() -> dict[str, str]:
    looks = [Look(0), Look(1, dashed=True)]
    curves = [rarefaction.curve(each, 20) for each in (RICH, POOR)]
    lengths = [Counter({80: 10, 90: 20}), Counter({8: 5, 9: 5, 2000: 1})]
    return {
        "distinct": plots.growth(curves, looks, "distinct", 400),
        "valid": plots.growth(curves, looks, "valid", 400),
        "ranks": plots.rank_frequency([RICH, POOR], looks, 10),
        "lengths": plots.length_histogram(lengths, looks, ["captions", "baseline"]),
    }


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return every_plot()


def words(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_the_same_figures_give_the_same_bytes_whatever_the_users_matplotlib_is_set_to(drawn: dict[str, str]) -> None:
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "path", "axes.grid": False}):
        assert every_plot() == drawn


def test_a_plot_is_one_svg_element_that_names_nothing_outside(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        root = ElementTree.fromstring(svg)
        assert root.tag == "svg"
        assert root.get("aria-label")
        assert not {"width", "height"} & set(root.attrib)
        assert not re.search(r"https?:|<style|<script|<metadata|<image|@import", svg)
        ids = set(re.findall(r'id="([^"]*)"', svg))
        assert ids == set(re.findall(r'(?:href="|url\()#([^")]+)', svg))


def test_every_colour_is_a_variable_of_the_page(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!\"|\))", svg)
        assert {"var(--soft)", "var(--s0)", "var(--s1)"} <= set(re.findall(r"var\(--\w+\)", svg))


def test_text_stays_text(drawn: dict[str, str]) -> None:
    assert {"images", "distinct nouns (DN)"} <= set(words(drawn["distinct"]))
    assert {"rank of the noun", "occurrences", "1,000"} <= set(words(drawn["ranks"]))
    assert {"captions", "baseline", "words per caption"} <= set(words(drawn["lengths"]))


def test_sizes_far_apart_get_a_logarithmic_axis(drawn: dict[str, str]) -> None:
    assert {"1", "10", "100", "1,000"} <= set(words(drawn["distinct"]))
    near = plots.growth([rarefaction.curve(RICH, 20)], [Look(0)], "distinct", 0)
    assert "0" in words(near)
    assert "10" not in words(near)


def test_ranks_keep_their_corners_and_a_million_nouns_make_no_large_plot() -> None:
    rank, count = plots._corners(RICH)
    assert list(zip(rank.tolist(), count.tolist(), strict=True))[:4] == [(1, 300), (1, 300), (2, 120), (2, 120)]
    assert (rank[-2], rank[-1], count[-1]) == (117, 316, 1)
    many = abundance(10**7, list(range(1, 5001)), [max(1, 10**6 // n**2) for n in range(1, 5001)])
    rank, count = plots._corners(many)
    assert len(rank) <= plots.CORNERS + 2
    assert (rank[-1], count[-1]) == (int(many.nouns.sum()), 1)
    assert (rank[-2], count[-2]) == (int(many.nouns[1:].sum()) + 1, 1)
    assert len(plots.rank_frequency([many], [Look(0)], 10)) < 40_000


def test_data_without_nouns_or_captions_is_drawn_empty() -> None:
    curve = rarefaction.curve(EMPTY, 20)
    for figure in ("distinct", "valid"):
        assert "images" in words(plots.growth([curve], [Look(0)], figure, 7))  # type: ignore[arg-type]
    assert "rank of the noun" in words(plots.rank_frequency([EMPTY], [Look(0)], 10))
    assert "words per caption" in words(plots.length_histogram([Counter({0: 7})], [Look(0)], ["captions"]))


def test_lengths_are_drawn_up_to_all_but_the_longest_hundredth() -> None:
    assert plots.drawn_length([Counter({9: 99, 5000: 1}), Counter({30: 10})]) == 30
    assert plots.drawn_length([]) == 0


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1500, "1,500"), (10_000, "10k"), (12_500, "12.5k"), (3e6, "3M"), (2.5e6, "2.5M")]
)
def test_ticks_are_written_short(value: float, text: str) -> None:
    assert plots.short(value) == text
