"""Where things stand: inside the picture, in the ninths that their zones name, and as their relations say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scenes.boxes import Box, layout, zone_box
from scenes.graph import Relation, Scene, Thing, sample_scene
from scenes.vocabulary import NOUNS, RELATIONS, ZONES

SIZES = [(96, 96), (96, 192), (192, 96), (128, 128), (512, 256), (256, 512), (512, 512), (301, 223)]


def pair(kind: str, zone: str, noun: str = "house", other: str = "cat", size: str = "large") -> Scene:
    things = (Thing(noun, "red", size, "plain", zone), Thing(other, "blue", "small", "plain", zone))
    return Scene("meadow", "flat", things, (Relation(1, kind, 0),))


def inside(box: Box, width: int, height: int) -> bool:
    return 0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_everything_stands_wholly_inside_the_picture(width: int, height: int) -> None:
    rng = np.random.default_rng(width * 1000 + height)
    for seed in range(60):
        assert all(inside(box, width, height) for box in layout(sample_scene(rng), width, height, seed))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_is_no_subject_has_its_centre_in_the_ninth_of_its_zone(width: int, height: int) -> None:
    rng = np.random.default_rng(width + height)
    for seed in range(60):
        scene = sample_scene(rng)
        subjects = {relation.subject for relation in scene.relations}
        for i, box in enumerate(layout(scene, width, height, seed)):
            ninth, (x, y) = zone_box(scene.things[i].zone, width, height), box.centre
            assert i in subjects or (ninth.x0 < x < ninth.x1 and ninth.y0 < y < ninth.y1)


@pytest.mark.parametrize(("kind", "zone"), list(itertools.product(RELATIONS, ZONES)))
def test_a_pair_fits_in_every_zone_at_every_aspect(kind: str, zone: str) -> None:
    for (width, height), (noun, other), size in itertools.product(
        SIZES[:4], (("ladder", "bottle"), ("bus", "bed"), ("ball", "star")), ("small", "large")
    ):
        boxes = layout(pair(kind, zone, noun, other, size), width, height)
        assert all(inside(box, width, height) for box in boxes)
        ninth, (x, y) = zone_box(zone, width, height), boxes[0].centre
        assert ninth.x0 < x < ninth.x1
        assert ninth.y0 < y < ninth.y1


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_on_another_stands_on_its_upper_edge(zone: str) -> None:
    below, above = layout(pair("on", zone), 200, 200)
    assert above.centre[0] == pytest.approx(below.centre[0])
    assert 0 <= above.y1 - below.y0 < 0.15 * above.height


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_under_another_lies_below_its_lower_edge(zone: str) -> None:
    above, below = layout(pair("under", zone), 200, 200)
    assert below.y0 >= above.y1
    assert below.centre[0] == pytest.approx(above.centre[0])


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_beside_another_shares_its_ground_and_leaves_a_gap(zone: str) -> None:
    first, second = layout(pair("beside", zone), 200, 200)
    assert first.y1 == pytest.approx(second.y1)
    assert first.overlap(second) == 0
    assert min(abs(first.x0 - second.x1), abs(first.x1 - second.x0)) < 10


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_in_front_of_another_covers_a_part_of_it(zone: str) -> None:
    behind, front = layout(pair("in front of", zone), 200, 200)
    assert 0.05 < behind.overlap(front) / (behind.width * behind.height) < 0.6
    assert front.y1 > behind.y1


@pytest.mark.parametrize("noun", NOUNS)
def test_large_is_larger_than_small(noun: str) -> None:
    things = (Thing(noun, "red", "small", "plain", "top left"), Thing(noun, "red", "large", "plain", "bottom right"))
    small, large = layout(Scene("sea", "flat", things), 128, 128)
    assert large.width > 1.5 * small.width
    assert large.height > 1.5 * small.height


def test_things_without_relations_overlap_little() -> None:
    rng = np.random.default_rng(8)
    shares = []
    for seed in range(300):
        scene = sample_scene(rng, things=(2, 6))
        if scene.relations:
            continue
        for first, second in itertools.combinations(layout(scene, 160, 160, seed), 2):
            shares.append(first.overlap(second) / min(first.width * first.height, second.width * second.height))
    assert max(shares) < 0.3
    assert np.mean(shares) < 0.01


def test_the_same_seed_gives_the_same_boxes_and_another_seed_moves_them() -> None:
    scene = sample_scene(np.random.default_rng(1), things=(4, 4))
    assert layout(scene, 128, 128, 5) == layout(scene, 128, 128, 5)
    assert layout(scene, 128, 128, 5) != layout(scene, 128, 128, 6)
