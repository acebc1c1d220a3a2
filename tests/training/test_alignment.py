"""Re-captioning: what is drawn right is scored right, and the prompts are those that are asked for."""

from __future__ import annotations

import pytest
from PIL import Image

from scenes.captions import dense
from training import alignment
from training.alignment import WORLDS, ceiling, unseen_scenes


@pytest.mark.parametrize("world", WORLDS)
def test_prompts_are_of_their_world_and_the_same_for_a_seed(world):
    least, most, large = WORLDS[world]
    scenes = unseen_scenes(40, world)
    assert scenes == unseen_scenes(40, world)
    assert scenes != unseen_scenes(40, world, seed=1)
    assert {len(scene.things) for scene in scenes} == set(range(least, most + 1))
    if large:
        assert {thing.size for scene in scenes for thing in scene.things} == {"large"}


def test_a_model_that_draws_what_it_is_asked_scores_one_and_its_pictures_are_seen(monkeypatch):
    scenes = unseen_scenes(6, "the whole world")
    asked = []

    def draw(pipeline, drawings):
        for drawing in drawings:
            asked.append(drawing)
            yield drawing, Image.new("RGB", (8, 8))

    monkeypatch.setattr(alignment, "draw", draw)
    monkeypatch.setattr(alignment, "side_of", lambda pipeline: 8)
    monkeypatch.setattr(alignment, "tokens_of", lambda pipeline: 77)
    seen: list[Image.Image] = []
    right = alignment.alignment(
        None,
        scenes,
        lambda images: [dense(scene) for scene in scenes],
        guidance=3.0,
        steps=5,
        seed=10,
        drawn=seen.append,
    )
    assert right.noun.f1.value == right.position.f1.value == right.background.value == 1.0
    assert len(seen) == 6
    assert {drawing.tokens for drawing in asked} == {77}
    assert [drawing.seed for drawing in asked] == list(range(10, 16))
    assert [drawing.prompt for drawing in asked] == [dense(scene) for scene in scenes]
    wrong = alignment.alignment(
        None, scenes, lambda images: [dense(scene) for scene in reversed(scenes)], guidance=3.0, steps=5
    )
    assert wrong.noun.f1.value < 0.5


def test_the_ceiling_is_of_the_true_pictures_at_the_models_size():
    scenes = unseen_scenes(3, "one or two large objects")
    sizes = []

    def caption(images):
        sizes.extend(image.size for image in images)
        return [dense(scene) for scene in scenes]

    assert ceiling(scenes, caption, 64).noun.f1.value == 1.0
    assert sizes == [(64, 64)] * 3
