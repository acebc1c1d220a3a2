"""Where the drawing functions meet their nouns. Leaves out: the drawings themselves (one file per kind of thing)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scenes.pen import Pen

Draw = Callable[[Pen], None]


@dataclass(frozen=True, slots=True)
class Shape:
    """A drawing and its extent: `width` x `height` units, the longer side being 100."""

    draw: Draw
    width: float
    height: float


#: Every shape by its noun, filled when the package is imported.
SHAPES: dict[str, Shape] = {}


def shape(noun: str, width: float, height: float) -> Callable[[Draw], Draw]:
    """Registers a drawing function that fills `width` x `height` units for `noun`."""
    assert noun not in SHAPES, noun
    assert max(width, height) == 100, noun

    def register(draw: Draw) -> Draw:
        SHAPES[noun] = Shape(draw, width, height)
        return draw

    return register
