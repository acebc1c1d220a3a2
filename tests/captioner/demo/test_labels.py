"""Patch facts: every thing that can be seen owns patches, and they say what it is."""

from __future__ import annotations

import numpy as np

from captioner.demo.labels import FACTS, NONE, facts
from captioner.demo.model import GRID
from captioner.demo.pictures import Pictures
from scenes.vocabulary import BACKGROUNDS, COLOURS, NOUNS, RELATIONS, STYLES, ZONES

NAMES = list(FACTS)


def column(name: str) -> int:
    return NAMES.index(name)


def test_every_thing_owns_a_patch_with_its_facts(drawn: Pictures) -> None:
    values = facts(drawn.scenes, drawn.boxes, drawn.order, GRID)
    assert values.shape == (len(drawn), GRID * GRID, len(FACTS))
    missing = 0
    for scene, patches in zip(drawn.scenes, values, strict=True):
        for thing in scene.things:
            own = (
                (patches[:, column("noun")] == NOUNS.index(thing.noun) + 1)
                & (patches[:, column("colour")] == COLOURS.index(thing.colour))
                & (patches[:, column("zone")] == ZONES.index(thing.zone))
            )
            missing += not own.any()
    # What stands in front may own every patch of a small thing.
    assert missing <= 2


def test_patches_of_no_thing_say_background_and_style_only(drawn: Pictures) -> None:
    values = facts(drawn.scenes, drawn.boxes, drawn.order, GRID)
    for scene, patches in zip(drawn.scenes, values, strict=True):
        bare = patches[patches[:, column("noun")] == 0]
        assert (bare[:, column("colour") : column("role") + 1] == NONE).all()
        assert (patches[:, column("background")] == BACKGROUNDS.index(scene.background)).all()
        assert (patches[:, column("style")] == STYLES.index(scene.style)).all()


def test_roles_tell_subject_and_object_of_a_relation(drawn: Pictures) -> None:
    values = facts(drawn.scenes, drawn.boxes, drawn.order, GRID)
    related = [(scene, patches) for scene, patches in zip(drawn.scenes, values, strict=True) if scene.relations]
    assert related
    for scene, patches in related:
        roles = set(np.unique(patches[:, column("role")]).tolist())
        assert {2 + RELATIONS.index(relation.kind) for relation in scene.relations} <= roles
