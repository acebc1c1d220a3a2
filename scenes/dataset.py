"""Samples of the demo world as a web crawl would have left them: a picture, bad old text, and the truth beside it.

Leaves out shards: whoever wants a tar file hands the samples to a writer. Serves the demo, training and the scorer.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from scenes.captions import brief, dense
from scenes.graph import MOST_THINGS, sample_scene
from scenes.oldtext import old_text
from scenes.renderer import render

#: Pictures are between so many pixels on their longer side.
SIDES = (96, 512)
#: Width over height.
ASPECTS = (0.5, 2.0)
JPEG_QUALITY = 92

Sample = tuple[str, dict[str, bytes]]


def samples(
    images: int,
    seed: int,
    *,
    sides: tuple[int, int] = SIDES,
    aspects: tuple[float, float] = ASPECTS,
    things: tuple[int, int] = (1, MOST_THINGS),
    large: bool = False,
    start: int = 0,
) -> Iterator[Sample]:
    """`images` samples (key, {"jpg", "txt", "json"}), drawn one by one as they are asked for.

    Sample i depends on `seed`, i and the ranges alone, so that any part of a set can be drawn by itself: `start` is the
    first i. `sides` bounds the longer side in pixels (96 to 512), `aspects` width over height (0.5 to 2); no side is
    shorter than 96. `large`: all things are. Raises ValueError at the first sample on ranges outside of these.
    """
    _check(images, sides, aspects)
    for i in range(start, start + images):
        yield sample(i, seed, sides=sides, aspects=aspects, things=things, large=large)


def sample(
    index: int,
    seed: int,
    *,
    sides: tuple[int, int] = SIDES,
    aspects: tuple[float, float] = ASPECTS,
    things: tuple[int, int] = (1, MOST_THINGS),
    large: bool = False,
) -> Sample:
    """Sample `index` of the set that `seed` names."""
    rng = np.random.default_rng((seed, index))
    scene = sample_scene(rng, things=things, large=large)
    width, height = draw_size(rng, sides, aspects)
    text, kind = old_text(scene, rng)
    picture = render(scene, width, height, int(rng.integers(2**31)))
    truth: dict[str, Any] = {
        "scene": scene.to_dict(),
        "label": scene.main.noun,
        "dense": dense(scene),
        "brief": brief(scene),
        "old_text_kind": kind,
        "width": width,
        "height": height,
    }
    members = {"jpg": to_jpeg(picture), "txt": text.encode(), "json": json.dumps(truth, ensure_ascii=False).encode()}
    return (f"scene-{index:08d}", members)


def to_jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def draw_size(rng: np.random.Generator, sides: tuple[int, int], aspects: tuple[float, float]) -> tuple[int, int]:
    """Width and height: the longer side evenly from `sides`, the aspect evenly by its logarithm from `aspects`."""
    longer = int(rng.integers(sides[0], sides[1] + 1))
    aspect = float(np.exp(rng.uniform(*np.log(aspects))))
    shorter = max(SIDES[0], round(longer * min(aspect, 1 / aspect)))
    return (longer, shorter) if aspect >= 1 else (shorter, longer)


def _check(images: int, sides: tuple[int, int], aspects: tuple[float, float]) -> None:
    if images < 0:
        raise ValueError(f"The number of images must not be negative, and {images} is.")
    if not SIDES[0] <= sides[0] <= sides[1] <= SIDES[1]:
        raise ValueError(f"Sides must lie between {SIDES[0]} and {SIDES[1]} pixels, the smaller first, not {sides}.")
    if not ASPECTS[0] <= aspects[0] <= aspects[1] <= ASPECTS[1]:
        raise ValueError(f"Aspects must lie between {ASPECTS[0]} and {ASPECTS[1]}, the smaller first, not {aspects}.")
