"""Pictures that the demo's encoders learn from: scenes drawn as any sample is, cut to 64 pixels as training does.

Drawn once, by several processes, into one file for each part, and read where they lie. Leaves out: what is learnt.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scenes.dataset import ASPECTS, SIDES, draw_size
from scenes.graph import sample_scene
from scenes.renderer import render
from training.buckets import Bucket, cover

SIDE = 64
PART = 2_000


def prepare(folder: Path, pictures: int, seed: int, processes: int) -> Iterator[int]:
    """Draws what is missing of the first `pictures` pictures of the set `seed`; yields how many parts are left."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [part for part in range(-(-pictures // PART)) if not _file(folder, seed, part).exists()]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(_draw, [folder] * len(missing), [seed] * len(missing), missing), start=1):
            yield len(missing) - done


def load(folder: Path, pictures: int, seed: int) -> NDArray[np.uint8]:
    """(pictures, SIDE, SIDE, 3)."""
    parts = [np.load(_file(folder, seed, part)) for part in range(-(-pictures // PART))]
    return np.concatenate(parts)[:pictures]


def draw(seed: int, index: int) -> NDArray[np.uint8]:
    """Picture `index` of the set `seed`, (SIDE, SIDE, 3)."""
    rng = np.random.default_rng((seed, index))
    scene = sample_scene(rng)
    # Large pictures take long to draw and look the same at 64 pixels.
    width, height = draw_size(rng, (SIDES[0], 2 * SIDES[0]), ASPECTS)
    picture = render(scene, width, height, int(rng.integers(2**31)))
    size, box = cover(*picture.size, Bucket(SIDE, SIDE))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS).crop(box))


def _draw(folder: Path, seed: int, part: int) -> None:
    pictures = np.stack([draw(seed, index) for index in range(part * PART, (part + 1) * PART)])
    file = _file(folder, seed, part)
    draft = file.with_suffix(".draft.npy")
    np.save(draft, pictures)
    draft.rename(file)


def _file(folder: Path, seed: int, part: int) -> Path:
    return folder / f"scenes64-{seed}-{part:05d}.npy"
