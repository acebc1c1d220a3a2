from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scenes.graph import Relation, Scene, Thing, sample_scene
from scenes.vocabulary import (
    BACKGROUNDS,
    COLOURS,
    HIDDEN_COLOURS,
    HIDDEN_IN_STYLE,
    NOUNS,
    RELATIONS,
    STYLES,
    UNFIT_NOUNS,
    UNFIT_STYLES,
    ZONES,
)

BOAT = Thing("boat", "red", "large", "striped", "centre")
BIRD = Thing("bird", "blue", "small", "plain", "centre")
STAR = Thing("star", "yellow", "small", "plain", "top left")


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(11)
    return [sample_scene(rng) for _ in range(2000)]


def test_the_same_seed_gives_the_same_scenes() -> None:
    def draw() -> list[Scene]:
        rng = np.random.default_rng(3)
        return [sample_scene(rng) for _ in range(50)]

    assert draw() == draw()


def test_every_word_of_the_world_is_drawn(scenes: list[Scene]) -> None:
    things = [thing for scene in scenes for thing in scene.things]
    assert {thing.noun for thing in things} == set(NOUNS)
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.zone for thing in things} == set(ZONES)
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert {scene.style for scene in scenes} == set(STYLES)
    assert {relation.kind for scene in scenes for relation in scene.relations} == set(RELATIONS)
    assert {len(scene.things) for scene in scenes} == {1, 2, 3, 4, 5, 6}
    assert {len(scene.relations) for scene in scenes} == {0, 1, 2}


def test_things_stand_out_from_background_and_style(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.style not in UNFIT_STYLES.get(scene.background, ())
        for thing in scene.things:
            assert thing.colour not in HIDDEN_COLOURS[scene.background]
            assert thing.colour not in HIDDEN_IN_STYLE.get(scene.style, ())
            assert thing.noun not in UNFIT_NOUNS.get(scene.background, ())


def test_groups_of_equal_things_occur(scenes: list[Scene]) -> None:
    sizes = {max(sum(a.look == b.look for b in scene.things) for a in scene.things) for scene in scenes}
    assert sizes >= {1, 2, 3, 4}


def test_a_subject_is_small_and_looks_like_nothing_else(scenes: list[Scene]) -> None:
    for scene in scenes:
        for relation in scene.relations:
            subject, base = scene.things[relation.subject], scene.things[relation.object]
            assert subject.size == "small"
            assert sum(thing.look == subject.look for thing in scene.things) == 1
            assert base.size == "large" or relation.kind != "in front of"


def test_the_number_of_things_keeps_to_its_bounds() -> None:
    rng = np.random.default_rng(0)
    assert {len(sample_scene(rng, things=(2, 3)).things) for _ in range(100)} == {2, 3}
    for bounds in ((0, 3), (3, 2), (1, 7)):
        with pytest.raises(ValueError):
            sample_scene(rng, things=bounds)


def test_things_are_kept_in_canonical_order_whatever_order_they_come_in() -> None:
    one = Scene("meadow", "flat", (BIRD, BOAT, STAR), (Relation(0, "on", 1),))
    other = Scene("meadow", "flat", (STAR, BOAT, BIRD), (Relation(2, "on", 1),))
    assert one == other
    assert one.things == (STAR, BOAT, BIRD)
    assert one.relations == (Relation(2, "on", 1),)


def test_a_scene_survives_json(scenes: list[Scene]) -> None:
    for scene in scenes[:200]:
        assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Thing("dragon", "red", "large", "plain", "centre"),
        lambda: Thing("boat", "grey", "large", "plain", "centre"),
        lambda: Scene("moonscape", "flat", (BOAT,)),
        lambda: Scene("meadow", "baroque", (BOAT,)),
        lambda: Scene("meadow", "flat", ()),
        lambda: Scene("meadow", "flat", (BOAT, BIRD)),
        lambda: Scene("meadow", "flat", (BOAT, STAR), (Relation(0, "on", 1),)),
        lambda: Scene("meadow", "flat", (BOAT, BIRD), (Relation(1, "behind", 0),)),
        lambda: Scene("meadow", "flat", (BOAT, BIRD), (Relation(1, "on", 1),)),
        lambda: Scene("meadow", "flat", (BOAT, BIRD), (Relation(1, "on", 2),)),
        lambda: Scene("meadow", "flat", (BOAT, BIRD), (Relation(1, "on", 0), Relation(0, "under", 1))),
        lambda: Scene.from_dict({}),
        lambda: Scene.from_dict({"background": "meadow", "style": "flat", "things": [{"noun": "boat"}]}),
        lambda: Scene.from_dict({"background": "meadow", "style": "flat", "things": 3}),
    ],
)
def test_no_invalid_scene_exists(wrong: Callable[[], Any]) -> None:
    with pytest.raises(ValueError):
        wrong()
