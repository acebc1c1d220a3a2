"""Samples: whole JPEG, text and JSON, drawn lazily, each by its number alone."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

import pytest
from PIL import Image

from scenes.captions import brief, dense
from scenes.dataset import sample, samples
from scenes.graph import Scene
from scenes.oldtext import KINDS


def test_a_sample_is_a_whole_jpeg_a_text_and_its_truth() -> None:
    for key, members in samples(12, 3):
        assert key.startswith("scene-")
        assert list(members) == ["jpg", "txt", "json"]
        picture = Image.open(io.BytesIO(members["jpg"]))
        picture.load()
        truth = json.loads(members["json"])
        scene = Scene.from_dict(truth["scene"])
        assert picture.format == "JPEG"
        assert picture.size == (truth["width"], truth["height"])
        assert truth["dense"] == dense(scene)
        assert truth["brief"] == brief(scene)
        assert truth["old_text_kind"] in KINDS
        members["txt"].decode()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert list(samples(4, 9)) == list(samples(4, 9))
    assert list(samples(4, 9)) != list(samples(4, 10))


def test_keys_are_all_different_and_in_order() -> None:
    keys = [key for key, _ in samples(12, 1, sides=(96, 96))]
    assert keys == sorted(set(keys))


def test_any_part_of_a_set_can_be_drawn_by_itself() -> None:
    whole = list(samples(6, 2, sides=(96, 128)))
    assert list(samples(2, 2, sides=(96, 128), start=3)) == whole[3:5]
    assert sample(5, 2, sides=(96, 128)) == whole[5]


def test_samples_are_drawn_as_they_are_asked_for() -> None:
    assert len(list(itertools.islice(samples(10**9, 0, sides=(96, 96)), 2))) == 2


def test_sides_and_aspects_keep_to_their_ranges() -> None:
    for _, members in samples(25, 5, sides=(200, 260), aspects=(0.5, 1.0)):
        truth = json.loads(members["json"])
        assert 200 <= truth["height"] <= 260
        assert 0.49 <= truth["width"] / truth["height"] <= 1.01


def test_the_number_of_things_keeps_to_its_range() -> None:
    for _, members in samples(15, 6, sides=(96, 96), things=(1, 2)):
        assert 1 <= len(json.loads(members["json"])["scene"]["things"]) <= 2


@pytest.mark.parametrize(
    "ranges",
    [{"sides": (20, 100)}, {"sides": (200, 100)}, {"sides": (96, 5000)}, {"aspects": (0.1, 1)}, {"images": -1}],
)
def test_ranges_that_cannot_be_drawn_are_refused(ranges: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        next(samples(**{"images": 1, "seed": 0, **ranges}))
