"""The drawings: one for each noun, each filling its box, no two of the same outline."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scenes.graph import Thing
from scenes.pen import PALETTE
from scenes.renderer import draw_thing
from scenes.shapes import SHAPES
from scenes.vocabulary import COLOURS, NOUNS, PATTERNS

SIDE = 64
#: Two outlines may share so much of the area that they cover together, and no more.
MOST_ALIKE = 0.86


def silhouette(noun: str) -> np.ndarray:
    """Where the noun's drawing covers a picture of SIDE x SIDE pixels, the drawing in the middle."""
    shape = SHAPES[noun]
    width, height = round(shape.width * SIDE / 100), round(shape.height * SIDE / 100)
    tile = draw_thing(Thing(noun, "red", "large", "plain", "centre"), width, height)
    seen = np.zeros((SIDE, SIDE), dtype=bool)
    x, y = (SIDE - width) // 2, (SIDE - height) // 2
    seen[y : y + height, x : x + width] = np.asarray(tile.getchannel("A")) > 0
    return seen


def test_every_noun_has_a_drawing_and_every_drawing_a_noun() -> None:
    assert sorted(SHAPES) == sorted(NOUNS)


def test_every_colour_word_has_a_colour() -> None:
    assert sorted(PALETTE) == sorted(COLOURS)


def test_no_two_nouns_have_nearly_the_same_outline() -> None:
    seen = {noun: silhouette(noun) for noun in NOUNS}
    for first, second in itertools.combinations(NOUNS, 2):
        a, b = seen[first], seen[second]
        alike = (a & b).sum() / (a | b).sum()
        assert alike < MOST_ALIKE, f"{first} and {second} share {alike:.2f}"


@pytest.mark.parametrize("noun", NOUNS)
def test_a_drawing_fills_the_extent_that_it_declares(noun: str) -> None:
    rows, columns = np.nonzero(silhouette(noun))
    shape = SHAPES[noun]
    assert np.ptp(columns) + 1 >= 0.93 * shape.width * SIDE / 100
    assert np.ptp(rows) + 1 >= 0.93 * shape.height * SIDE / 100


@pytest.mark.parametrize("noun", NOUNS)
def test_a_drawing_does_not_run_over_its_extent(noun: str) -> None:
    # Drawn at a smaller scale inside a larger tile, nothing may be found beyond the declared extent.
    from scenes.pen import Pen

    shape = SHAPES[noun]
    pen = Pen(320, 320, 2.0, "red")
    shape.draw(pen)
    bounds = pen.tile.getchannel("A").getbbox()
    assert bounds is not None
    assert bounds[2] <= 2 * shape.width + 3
    assert bounds[3] <= 2 * shape.height + 3


@pytest.mark.parametrize("noun", NOUNS)
def test_the_colour_of_a_noun_is_seen_on_its_drawing(noun: str) -> None:
    areas = {}
    for colour in ("red", "blue"):
        tile = draw_thing(Thing(noun, colour, "large", "plain", "centre"), 100, 100)
        areas[colour] = np.asarray(tile.convert("RGB")).astype(int)
    changed = (np.abs(areas["red"] - areas["blue"]).sum(axis=-1) > 100).sum()
    covered = silhouette(noun).sum() * (100 / SIDE) ** 2
    assert changed > 0.2 * covered


@pytest.mark.parametrize("noun", NOUNS)
def test_patterns_show_on_every_noun(noun: str) -> None:
    pictures = [draw_thing(Thing(noun, "green", "large", pattern, "centre"), 100, 100) for pattern in PATTERNS]
    for first, second in itertools.combinations(pictures, 2):
        differ = (np.abs(np.asarray(first).astype(int) - np.asarray(second)).sum(axis=-1) > 60).sum()
        assert differ > 60


def test_a_drawing_is_the_same_every_time() -> None:
    thing = Thing("butterfly", "purple", "small", "spotted", "centre")
    assert draw_thing(thing, 50, 42).tobytes() == draw_thing(thing, 50, 42).tobytes()


@pytest.mark.parametrize("side", [1, 2, 7])
def test_even_the_smallest_tile_can_be_drawn(side: int) -> None:
    for noun in NOUNS:
        assert draw_thing(Thing(noun, "red", "small", "striped", "centre"), side, side, stroke=1).size == (side, side)
