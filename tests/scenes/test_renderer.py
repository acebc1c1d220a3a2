"""Pictures of scenes: every word can be drawn, at every size, the same each time, and each style looks its own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from scenes.backgrounds import PAINTERS
from scenes.boxes import layout
from scenes.graph import Relation, Scene, Thing, sample_scene
from scenes.renderer import drawing_order, render
from scenes.styles import STYLES as STYLE_MEANS
from scenes.vocabulary import BACKGROUNDS, COLOURS, NOUNS, STYLES


def alone(noun: str, style: str = "flat", background: str = "sea", colour: str = "red") -> Scene:
    return Scene(background, style, (Thing(noun, colour, "large", "plain", "centre"),))


def difference(first: Image.Image, second: Image.Image) -> float:
    return float(np.abs(np.asarray(first).astype(float) - np.asarray(second)).mean())


def test_every_background_and_style_can_be_painted() -> None:
    assert sorted(PAINTERS) == sorted(BACKGROUNDS)
    assert sorted(STYLE_MEANS) == sorted(STYLES)


@pytest.mark.parametrize("style", STYLES)
def test_every_noun_is_drawn_in_every_style(style: str) -> None:
    empty_centre = render(Scene("sea", style, (Thing("ball", "red", "small", "plain", "top left"),)), 96, 96)
    for noun in NOUNS:
        picture = render(alone(noun, style), 96, 96)
        assert picture.mode == "RGB"
        assert picture.size == (96, 96)
        middle = (32, 32, 64, 64)
        assert difference(picture.crop(middle), empty_centre.crop(middle)) > 8, noun


@pytest.mark.parametrize("size", [(96, 96), (96, 192), (192, 96), (512, 256), (256, 512), (131, 97)])
def test_a_picture_has_the_size_that_was_asked_for(size: tuple[int, int]) -> None:
    for background, style in itertools.product(BACKGROUNDS[::3], STYLES):
        assert render(alone("tree", style, background), *size).size == size


def test_the_same_arguments_give_the_same_bytes() -> None:
    rng = np.random.default_rng(4)
    for seed in range(10):
        scene = sample_scene(rng)
        assert render(scene, 120, 100, seed).tobytes() == render(scene, 120, 100, seed).tobytes()


def test_another_seed_gives_another_picture_of_the_scene() -> None:
    scene = alone("boat")
    assert render(scene, 96, 96, 1).tobytes() != render(scene, 96, 96, 2).tobytes()


def test_rendering_leaves_the_global_generators_alone() -> None:
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    render(alone("cat", "watercolour"), 96, 96)
    assert (np.random.get_state()[1] == before).all()


def test_styles_differ_on_every_background() -> None:
    for background in BACKGROUNDS:
        pictures = [render(alone("house", style, background), 96, 96) for style in STYLES]
        for first, second in itertools.combinations(pictures, 2):
            assert difference(first, second) > 2.5, background


def test_backgrounds_differ_in_every_style() -> None:
    for style in STYLES:
        pictures = [render(alone("house", style, background), 96, 96) for background in BACKGROUNDS]
        for first, second in itertools.combinations(pictures, 2):
            assert difference(first, second) > 8, style


@pytest.mark.parametrize("style", STYLES)
def test_colours_differ_in_every_style(style: str) -> None:
    means = {}
    for colour in COLOURS:
        pixels = np.asarray(render(alone("heart", style, "city street", colour), 96, 96)).astype(float)
        means[colour] = pixels[42:50, 44:54].mean(axis=(0, 1))
    for first, second in itertools.combinations(COLOURS, 2):
        assert np.abs(means[first] - means[second]).max() > 25, (first, second)


def test_pixel_art_is_made_of_square_blocks() -> None:
    pixels = np.asarray(render(alone("house", "pixel art"), 256, 256))
    assert (pixels[0::4] == pixels[3::4]).all()
    assert (pixels[:, 0::4] == pixels[:, 3::4]).all()


@pytest.mark.parametrize(("kind", "later"), [("on", True), ("beside", True), ("in front of", True), ("under", False)])
def test_a_subject_is_drawn_over_its_object_unless_it_is_under_it(kind: str, later: bool) -> None:
    things = (Thing("house", "red", "large", "plain", "centre"), Thing("cat", "blue", "small", "plain", "centre"))
    scene = Scene("meadow", "flat", things, (Relation(1, kind, 0),))
    order = drawing_order(scene, layout(scene, 128, 128))
    assert (order.index(1) > order.index(0)) is later
