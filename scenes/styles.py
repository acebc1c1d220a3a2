"""The five styles: what each does to a single thing's tile, to the background, and to the finished picture.

Leaves out what is drawn. Every function is a pure one of its picture and of the random generator it is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from scenes.pen import RGB


@dataclass(frozen=True, slots=True)
class Style:
    """How things are drawn in a style. `stroke` is a share of the shorter side; `shadow` is 0 (none) to 1 (black)."""

    stroke: float = 0.0
    shadow: float = 0.0
    volume: bool = False


STYLES: dict[str, Style] = {
    "flat": Style(shadow=0.22),
    "outline": Style(stroke=0.011),
    "watercolour": Style(shadow=0.16, volume=True),
    "dusk": Style(shadow=0.5, volume=True),
    "pixel art": Style(stroke=0.006, shadow=0.3),
}

#: Pixel art has so many blocks along its shorter side, where the picture is large enough.
_BLOCKS = 64


def _light() -> Image.Image:
    """A soft light from the top left as a small grey picture: 128 changes nothing."""
    y, x = np.mgrid[0:16, 0:16] / 15.0
    return Image.fromarray(np.round(176 - 110 * (0.4 * x + 0.6 * y) ** 1.3).astype(np.uint8))


_LIGHT = _light()


def give_volume(tile: Image.Image) -> Image.Image:
    """The thing's tile (RGBA), lit from the top left."""
    light = _LIGHT.resize(tile.size, Image.Resampling.BILINEAR)
    lit = ImageChops.soft_light(tile.convert("RGB"), Image.merge("RGB", (light, light, light)))
    lit.putalpha(tile.getchannel("A"))
    return lit


def prepare_background(style: str, picture: Image.Image) -> Image.Image:
    """The background as the style has it: an outline drawing's is pale, a painting's is softened."""
    if style == "outline":
        pale = ImageEnhance.Color(picture).enhance(0.7)
        return Image.blend(pale, Image.new("RGB", picture.size, (255, 255, 255)), 0.32)
    if style == "watercolour":
        return picture.filter(ImageFilter.BoxBlur(0.006 * min(picture.size)))
    return picture


def finish(style: str, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The whole picture (RGB, any size) in its style; same size."""
    if style == "watercolour":
        return _watercolour(picture, rng)
    if style == "dusk":
        return _dusk(picture)
    return _pixels(picture) if style == "pixel art" else picture


def _noise(rng: np.random.Generator, width: int, height: int, cells: int) -> np.ndarray:
    """Smooth noise between -1 and 1, `height` x `width`."""
    side = max(width, height)
    grid = rng.random((max(2, cells * height // side), max(2, cells * width // side)), dtype=np.float32) * 2 - 1
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def _watercolour(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = picture.size
    side = min(width, height)
    pixels = np.asarray(picture)
    # Wavering edges: every pixel is fetched from a little way off, by smooth noise.
    reach = 0.0065 * side
    rows = np.arange(height)[:, None] + reach * _noise(rng, width, height, 22)
    columns = np.arange(width)[None, :] + reach * _noise(rng, width, height, 22)
    rows = np.clip(np.rint(rows), 0, height - 1).astype(np.intp)
    columns = np.clip(np.rint(columns), 0, width - 1).astype(np.intp)
    soft = Image.fromarray(pixels[rows, columns]).filter(ImageFilter.GaussianBlur(0.0035 * side))
    wash = 1 + 0.055 * _noise(rng, width, height, 7)
    grain = 1 + 0.026 * rng.standard_normal((height, width), dtype=np.float32)
    paper = np.array([252, 247, 236], dtype=np.float32)
    mixed = np.asarray(soft, dtype=np.float32) * 0.87 + paper * 0.13
    return Image.fromarray(np.clip(mixed * (wash * grain)[..., None], 0, 255).astype(np.uint8))


def _dusk(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    top, low = np.array([0.68, 0.64, 0.82], np.float32), np.array([0.95, 0.77, 0.64], np.float32)
    tint = top + (low - top) * down[..., None] ** 0.9
    fade = 1 - 0.16 * across**2
    glow = 26 * np.exp(-(((down - 0.66) / 0.22) ** 2) - (across / 0.9) ** 2)
    warm = np.array([1.0, 0.62, 0.3], np.float32)
    lit = np.asarray(picture, dtype=np.float32) * tint * fade[..., None] + glow[..., None] * warm
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def _pixels(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    block = max(2, round(min(width, height) / _BLOCKS))
    small = picture.resize((-(-width // block), -(-height // block)), Image.Resampling.BOX)
    # Ten levels a channel, as an old machine would show them.
    levels = small.point([round(round(value / 255 * 9) * 255 / 9) for value in range(256)] * 3)
    large = levels.resize((levels.width * block, levels.height * block), Image.Resampling.NEAREST)
    return large.crop((0, 0, width, height))


def shadow_colour(style: str) -> RGB:
    """What colour a thing's shadow has."""
    return (40, 20, 60) if style == "dusk" else (20, 24, 40)
