"""Signs: forms that stand for something."""

from __future__ import annotations

from collections.abc import Sequence

from scenes.pen import GOLD, WOOD, Pen, Point, smooth
from scenes.shapes.registry import shape


@shape("heart", 100, 90)
def heart(pen: Pen) -> None:
    left = [(50, 18), (40, 5), (24, 0), (8, 8), (0, 26), (6, 46), (24, 66), (50, 90)]
    from_right = [(100 - x, y) for x, y in reversed(left[1:-1])]
    pen.poly(_soft([*left[:-1], (50, 90)]) + _soft([(50, 90), *from_right, (50, 18)]))
    pen.blob([(14, 22), (24, 12), (30, 16), (18, 32)], pen.light)


def _soft(points: Sequence[Point]) -> list[tuple[float, float]]:
    return smooth(points, closed=False)


@shape("flag", 86, 100)
def flag(pen: Pen) -> None:
    pen.line([(6, 6), (6, 97)], 6, WOOD)
    pen.disc(6, 6, 6, GOLD)
    top = [(8, 12), (28, 8), (46, 14), (66, 18), (86, 10)]
    bottom = [(86, 52), (66, 60), (46, 56), (28, 50), (8, 54)]
    pen.poly([*_soft(top), *_soft(bottom)])


@shape("key", 100, 44)
def key(pen: Pen) -> None:
    pen.hoop(0, 0, 44, 44, 11)
    pen.rect(42, 17, 100, 27, r=3)
    pen.rect(74, 22, 82, 42, r=1)
    pen.rect(90, 22, 98, 38, r=1)
