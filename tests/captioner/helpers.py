"""Pictures that differ, and short ways to specs, settings and requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from captioner.engine import CaptionRequest
from core.settings import Settings
from core.spec import PIXART_PROMPT, CaptionSpec, Generation

GREEDY = Generation(max_new_tokens=16)


def pictures(count: int, seed: int = 0) -> list[Image.Image]:
    """Pictures of mixed sizes and shapes (20 to 200 pixels a side), each of two colours."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        height, width = (int(side) for side in draw.integers(20, 200, 2))
        pixels = np.empty((height, width, 3), np.uint8)
        pixels[:] = draw.integers(0, 256, 3)
        pixels[: height // 2, : width // 2] = draw.integers(0, 256, 3)
        found.append(Image.fromarray(pixels))
    return found


def requests(images: list[Image.Image], prompt: str = PIXART_PROMPT) -> list[CaptionRequest]:
    """One request a picture; keys are the numbers from 0, seeds too."""
    return [CaptionRequest(str(place), image, prompt, seed=place) for place, image in enumerate(images)]


def spec_of(folder: Path | str, **more: object) -> CaptionSpec:
    return CaptionSpec.model_validate({"model": str(folder), "generation": GREEDY.model_dump(), **more})


def settings(**more: object) -> Settings:
    return Settings.model_validate({"device": "cpu", "cpu_threads": 1, **more})
