"""Alignment by re-captioning, in the demo world: what is drawn from a scene's caption is captioned, and the facts of
that caption are compared with the scene's.

The captioner comes in as a function, so that this room knows none. Pictures of the renderer go the same way
(`ceiling`): what the captioner misses in them, no model can reach. Leaves out counting facts (scenes/scorer.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from scenes.captions import dense
from scenes.graph import Scene, sample_scene
from scenes.renderer import render
from scenes.scorer import Scores, score
from training.drawable import TOKENS, side_of, tokens_of
from training.sampling import Drawing, draw

Caption = Callable[[Sequence[Image.Image]], Sequence[str]]
#: Sets of prompts, by name: things in a scene at least and at most, and whether all of them are large.
WORLDS = {"one or two large objects": (1, 2, True), "the whole world": (1, 6, False)}
#: Data sets have seeds of their own kind (scenes/dataset.py).
_SEED = 300


def unseen_scenes(count: int, world: str, seed: int = 0) -> list[Scene]:
    """`count` scenes of one of WORLDS, drawn from other seeds than any data set's.

    Few scenes of one large thing exist: of 300 of them, 2 had a caption of a training set of 16,000, word for word.
    """
    least, most, large = WORLDS[world]
    rng = np.random.default_rng((_SEED, seed, most))
    return [sample_scene(rng, things=(least, most), large=large) for _ in range(count)]


def drawings_of(
    scenes: Sequence[Scene],
    side: int,
    *,
    guidance: float,
    steps: int,
    seed: int,
    tokens: int = TOKENS,
    asked: Callable[[Scene], str] = dense,
) -> list[Drawing]:
    """Each scene, asked for by its dense caption or by what `asked` says; picture i begins with the noise of `seed` +
    i."""
    return [
        Drawing(asked(scene), seed + number, steps, guidance, width=side, height=side, tokens=tokens)
        for number, scene in enumerate(scenes)
    ]


def alignment(
    pipeline: Any,
    scenes: Sequence[Scene],
    caption: Caption,
    *,
    guidance: float,
    steps: int,
    seed: int = 0,
    drawn: Callable[[Image.Image], None] = lambda image: None,
) -> Scores:
    """What is right of pictures that `pipeline` draws from the scenes' dense captions. `drawn` sees each of them."""
    side, tokens = side_of(pipeline), tokens_of(pipeline)
    drawings = drawings_of(scenes, side, guidance=guidance, steps=steps, seed=seed, tokens=tokens)
    images = []
    for _, image in draw(pipeline, drawings):
        images.append(image)
        drawn(image)
    return score(zip(scenes, caption(images), strict=True))


def true_pictures(scenes: Sequence[Scene], side: int) -> list[Image.Image]:
    """The renderer's own pictures, `side` pixels a side as the model's are."""
    # Drawn larger and made smaller, as training's pictures were.
    return [
        render(scene, 2 * side, 2 * side, number).resize((side, side), Image.Resampling.LANCZOS)
        for number, scene in enumerate(scenes)
    ]


def ceiling(scenes: Sequence[Scene], caption: Caption, side: int) -> Scores:
    """What is right of the renderer's own pictures."""
    return score(zip(scenes, caption(true_pictures(scenes, side)), strict=True))
