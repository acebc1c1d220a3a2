"""One small drawing function per noun, in files by kind. Importing the package fills SHAPES."""

from scenes.shapes import animals, buildings, food, furniture, music, plants, signs, sky, things, tools, vehicles
from scenes.shapes.registry import SHAPES, Shape

__all__ = [
    "SHAPES",
    "Shape",
    "animals",
    "buildings",
    "food",
    "furniture",
    "music",
    "plants",
    "signs",
    "sky",
    "things",
    "tools",
    "vehicles",
]
