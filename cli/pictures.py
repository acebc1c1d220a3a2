"""The demo's pictures: simple shapes on gradients, drawn from a seed, with the alt text that a shop would give them.

The same seed gives the same pixels. Leaves out on purpose: anything that a model could be judged by.
"""

from __future__ import annotations

import argparse
import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

    Box = tuple[int, int, int, int]

COLOURS = {
    "red": (205, 52, 48),
    "orange": (236, 140, 40),
    "yellow": (240, 205, 60),
    "green": (62, 150, 84),
    "blue": (52, 98, 190),
    "violet": (128, 76, 170),
    "black": (32, 32, 36),
    "white": (244, 244, 240),
}
SHAPES = ("circle", "square", "triangle", "diamond", "ring", "bar")
SIDES = ((256, 256), (320, 240), (240, 320))


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG and the text that came with it, as poor as the web's."""

    key: str
    jpeg: bytes
    alt_text: str
    sku: str

    def members(self) -> dict[str, bytes]:
        """The sample's members by extension."""
        return {"jpg": self.jpeg, "txt": self.alt_text.encode(), "json": json.dumps({"sku": self.sku}).encode()}


def draw_pictures(count: int, seed: int = 0) -> Iterator[Picture]:
    """`count` pictures with keys 000000, 000001, …"""
    for number in range(count):
        luck = random.Random(f"{seed}:{number}")
        yield Picture(f"{number:06d}", _draw(luck), _alt_text(luck, number), f"SH-{luck.randrange(10_000):04d}")


def _draw(luck: random.Random) -> bytes:
    from PIL import ImageDraw

    width, height = luck.choice(SIDES)
    colours = luck.sample(sorted(COLOURS), 5)
    image = _gradient(width, height, COLOURS[colours[0]], COLOURS[colours[1]])
    pen = ImageDraw.Draw(image)
    for colour in colours[2 : 2 + luck.randint(1, 3)]:
        side = luck.randint(min(width, height) // 5, min(width, height) // 2)
        left, top = luck.randint(0, width - side), luck.randint(0, height - side)
        _draw_shape(pen, luck.choice(SHAPES), (left, top, left + side, top + side), COLOURS[colour])
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def _gradient(width: int, height: int, top: tuple[int, ...], bottom: tuple[int, ...]) -> Image.Image:
    from PIL import Image

    ramp = Image.linear_gradient("L").resize((width, height))
    return Image.composite(Image.new("RGB", (width, height), bottom), Image.new("RGB", (width, height), top), ramp)


def _draw_shape(pen: ImageDraw.ImageDraw, shape: str, box: Box, colour: tuple[int, ...]) -> None:
    left, top, right, bottom = box
    middle, centre = (left + right) // 2, (top + bottom) // 2
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    elif shape == "triangle":
        pen.polygon([(middle, top), (right, bottom), (left, bottom)], fill=colour)
    elif shape == "diamond":
        pen.polygon([(middle, top), (right, centre), (middle, bottom), (left, centre)], fill=colour)
    elif shape == "ring":
        pen.ellipse(box, outline=colour, width=max(4, (right - left) // 6))
    else:
        pen.rectangle((left, centre - (bottom - top) // 8, right, centre + (bottom - top) // 8), fill=colour)


def _alt_text(luck: random.Random, number: int) -> str:
    """What shops write: names of files, stock phrases, nothing at all."""
    return luck.choice(
        (
            f"IMG_{number:04d}.JPG",
            f"product {luck.randrange(100_000)} buy now free shipping",
            "image",
            "Home decor print wall art poster - best price",
            f"{luck.choice(('NEW', 'SALE', 'HOT'))}!! {luck.choice(('Poster', 'Print', 'Canvas'))} 30x40 cm",
            "",
        )
    )


def write_shards(folder: Path, count: int, per_shard: int) -> list[Path]:
    """Packs pictures as `shop-000.tar`, …: image, alt text, the shop's record. The same numbers give the same bytes."""
    from shards.writer import write_shard

    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    pictures = draw_pictures(count)
    while group := list(islice(pictures, per_shard)):
        target = folder / f"shop-{len(files):03d}.tar"
        write_shard(target, [(each.key, each.members()) for each in group])
        files.append(target)
    return files


def main() -> None:
    """`python -m cli.pictures FOLDER`: shards to try an upload with."""
    parser = argparse.ArgumentParser(description="Draw simple pictures into WebDataset shards.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=48, help="pictures")
    parser.add_argument("--per-shard", type=int, default=16, help="pictures in one shard")
    arguments = parser.parse_args()
    for file in write_shards(arguments.folder, arguments.count, arguments.per_shard):
        print(file)


if __name__ == "__main__":
    main()
