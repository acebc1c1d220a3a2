from __future__ import annotations

import re

import numpy as np
import pytest

from scenes.captions import brief, dense, describe, join_with_and
from scenes.graph import Relation, Scene, Thing, sample_scene
from scenes.vocabulary import NUMBERS, STYLES


def star(zone: str) -> Thing:
    return Thing("star", "yellow", "small", "plain", zone)


def middle(scene: Scene) -> str:
    """The dense caption without its first and last sentence."""
    return dense(scene).split(". ", 1)[1].rsplit(". ", 1)[0] + "."


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(21)
    return [sample_scene(rng) for _ in range(2000)]


def test_a_caption_says_style_background_things_and_style_again() -> None:
    scene = Scene("snow", "watercolour", (Thing("boat", "red", "large", "striped", "bottom left"),))
    assert dense(scene) == (
        "This watercolour painting shows a field of snow with soft white drifts under a cold sky. "
        "A large striped red boat is in the bottom left corner. "
        "The style is watercolour, with soft edges, gentle washes and a faint grain of paper."
    )
    assert brief(scene) == "A red boat is in the snow."


def test_equal_things_are_counted() -> None:
    scene = Scene("sea", "flat", (star("top left"), star("top"), star("right")))
    assert middle(scene) == (
        "There are three small yellow stars: one in the top left corner, one at the top and one on the right."
    )
    assert brief(scene) == "Three yellow stars are at sea."


def test_a_related_thing_follows_its_object() -> None:
    tree = Thing("tree", "green", "large", "plain", "centre")
    bird = Thing("bird", "orange", "small", "spotted", "centre")
    scene = Scene("meadow", "flat", (tree, bird), (Relation(1, "on", 0),))
    assert middle(scene) == "A large green tree is in the centre, with a small spotted orange bird on top of it."
    assert brief(scene) == "A green tree and an orange bird are in a meadow."


def test_one_of_a_group_can_have_company() -> None:
    cup = Thing("cup", "red", "small", "plain", "top")
    scene = Scene("sea", "flat", (star("left"), star("top"), cup), (Relation(2, "beside", 1),))
    assert middle(scene) == (
        "There are two small yellow stars: one at the top with a small red cup beside it, and one on the left."
    )


def test_every_other_sentence_begins_with_the_place() -> None:
    things = tuple(Thing(noun, "red", "large", "plain", zone) for noun, zone in (("cup", "top"), ("key", "bottom")))
    assert (
        middle(Scene("sea", "flat", things)) == "A large red cup is at the top. At the bottom there is a large red key."
    )


@pytest.mark.parametrize("style", STYLES)
def test_openings_and_closings_tell_the_styles_apart(style: str) -> None:
    captions = {dense(Scene("sea", other, (star("top"),))) for other in STYLES}
    assert len(captions) == len(STYLES)
    assert style in dense(Scene("sea", style, (star("top"),)))


def test_articles_and_numbers_are_correct_in_every_caption(scenes: list[Scene]) -> None:
    for scene in scenes:
        for text in (dense(scene), brief(scene)):
            assert not re.search(r"\ban (?![aeiou])|\ba [aeiou]|\bone \w+s\b|  | [,.:]", text, re.IGNORECASE), text
            assert re.fullmatch(r"(?:[A-Z][^.]*\.)(?: [A-Z][^.]*\.)*", text), text
            for count, noun in re.findall(r"[Tt]here are (\w+)(?: \w+)*? (\w+):", text):
                assert count in NUMBERS[2:]
                assert noun == "fish" or noun.endswith(("s", "cacti", "snowmen"))


def test_captions_have_a_readable_length(scenes: list[Scene]) -> None:
    lengths = [len(dense(scene).split()) for scene in scenes]
    assert min(lengths) >= 35
    assert max(lengths) <= 110
    assert all(len(brief(scene)) < len(dense(scene)) for scene in scenes)


def test_different_scenes_have_different_captions(scenes: list[Scene]) -> None:
    assert len({dense(scene) for scene in scenes}) == len(set(scenes))


def test_lists_and_descriptions_read_well() -> None:
    assert join_with_and(["a"]) == "a"
    assert join_with_and(["a", "b"]) == "a and b"
    assert join_with_and(["a", "b", "c"]) == "a, b and c"
    assert join_with_and(["a", "b", "c"], serial=True) == "a, b, and c"
    assert describe(Thing("fish", "red", "large", "spotted", "top"), 2) == "two large spotted red fish"
