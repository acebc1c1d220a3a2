"""The training set on disk: pictures of scenes at the model's size, the scenes, and where each thing stands.

Rendering costs as much as training, so pictures are drawn once, by several processes, and read again in every epoch.
Pictures take the way of real ones: drawn at 96 to 512 pixels, saved as JPEG, decoded, and squeezed into a square as
the model's image processor does it. Leaves out labels, words and the model.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scenes.boxes import layout
from scenes.dataset import ASPECTS, draw_size, to_jpeg
from scenes.graph import MOST_THINGS, Scene, sample_scene
from scenes.renderer import drawing_order, render

#: Side of the model's square input in pixels.
SIDE = 144
#: Pictures of one file.
PART = 5_000
#: Most training pictures are small: they cost less, and what is learnt on them holds for large ones.
_SMALL_SHARE, _SMALL_SIDES, _LARGE_SIDES = 0.5, (96, 192), (193, 512)


@dataclass(frozen=True, slots=True)
class Pictures:
    """`parts`: files of as many pictures each, (PART, SIDE, SIDE, 3) uint8, read where they lie: processes share them.

    `boxes` (n, 6, 4) float32, x0 y0 x1 y1 as shares of the picture, in the order of the scene's things; `order` (n, 6)
    int8, the things' indices from the farthest to the nearest, -1 for none.
    """

    parts: list[NDArray[np.uint8]]
    boxes: NDArray[np.float32]
    order: NDArray[np.int8]
    scenes: list[Scene]

    def __len__(self) -> int:
        return len(self.scenes)

    def pixels(self, chosen: Sequence[int]) -> NDArray[np.uint8]:
        """The chosen pictures -> (len(chosen), SIDE, SIDE, 3)."""
        size = len(self.parts[0])
        return np.stack([self.parts[i // size][i % size] for i in chosen])


def prepare(folder: Path, pictures: int, seed: int, processes: int) -> None:
    """Draws what is missing of the first `pictures` pictures of the set `seed` into `folder`; safe to be stopped.

    Picture i depends on the seed and i only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = [part for part in range(-(-pictures // PART)) if not _file(folder, seed, part).exists()]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(draw_part, [folder] * len(parts), [seed] * len(parts), parts), start=1):
            print(f"drawn: {done} of {len(parts)} parts", flush=True)


def load(folder: Path, pictures: int, seed: int) -> Pictures:
    """The first `pictures` pictures; those that were not prepared raise FileNotFoundError."""
    pixels, boxes, order, scenes = [], [], [], []
    for number in range(-(-pictures // PART)):
        file = _file(folder, seed, number)
        with np.load(file) as part:
            boxes.append(part["boxes"])
            order.append(part["order"])
            scenes += [Scene.from_dict(json.loads(line)) for line in bytes(part["scenes"]).splitlines()]
        pixels.append(np.load(file.with_suffix(".npy"), mmap_mode="r"))
    return Pictures(pixels, np.concatenate(boxes)[:pictures], np.concatenate(order)[:pictures], scenes[:pictures])


def squeeze(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture of any size -> (SIDE, SIDE, 3), resized as the model's image processor does."""
    return np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _file(folder: Path, seed: int, part: int) -> Path:
    return folder / f"pictures-{seed}-{part:05d}.npz"


def draw_part(folder: Path, seed: int, part: int) -> None:
    """Draws one file of PART pictures."""
    pixels = np.empty((PART, SIDE, SIDE, 3), np.uint8)
    boxes = np.zeros((PART, MOST_THINGS, 4), np.float32)
    order = np.full((PART, MOST_THINGS), -1, np.int8)
    lines = []
    for row, (scene, picture, found, nearest) in enumerate(_drawn(seed, part * PART)):
        pixels[row] = squeeze(picture)
        boxes[row, : len(found)] = found
        order[row, : len(nearest)] = nearest
        lines.append(json.dumps(scene.to_dict()))
    file = _file(folder, seed, part)
    draft = file.with_suffix(".draft.npy")
    np.save(draft, pixels)
    draft.rename(file.with_suffix(".npy"))
    # The file whose presence says that the part is there comes last.
    draft = file.with_suffix(".draft.npz")
    text = np.frombuffer("\n".join(lines).encode(), np.uint8)
    np.savez(draft, boxes=boxes, order=order, scenes=text)
    draft.rename(file)


def _drawn(seed: int, start: int) -> Iterator[tuple[Scene, Image.Image, NDArray[Any], list[int]]]:
    for index in range(start, start + PART):
        rng = np.random.default_rng((seed, index))
        scene = sample_scene(rng)
        width, height = _size(rng)
        look = int(rng.integers(2**31))
        picture = Image.open(io.BytesIO(to_jpeg(render(scene, width, height, look))))
        found = layout(scene, width, height, look)
        shares = [[b.x0 / width, b.y0 / height, b.x1 / width, b.y1 / height] for b in found]
        yield scene, picture, np.array(shares, np.float32), drawing_order(scene, found)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    return draw_size(rng, _SMALL_SIDES if rng.random() < _SMALL_SHARE else _LARGE_SIDES, ASPECTS)
