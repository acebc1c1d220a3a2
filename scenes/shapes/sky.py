"""Things of the sky and of the far distance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scenes.pen import CREAM, INK, WOOD, Pen, Point, mix, ring, smooth
from scenes.shapes.registry import shape


@shape("balloon", 70, 100)
def balloon(pen: Pen) -> None:
    pen.curve([(35, 74), (30, 82), (40, 90), (35, 99)], 2.4, INK)
    pen.poly([(28, 78), (35, 68), (42, 78)], pen.dark)
    pen.blob([(35, 0), (60, 8), (70, 32), (58, 60), (35, 73), (12, 60), (0, 32), (10, 8)])
    pen.blob([(16, 18), (26, 11), (22, 28), (14, 36)], pen.light)


@shape("cloud", 100, 60)
def cloud(pen: Pen) -> None:
    for box in ((0, 24, 36, 60), (20, 0, 64, 46), (48, 12, 84, 52), (68, 28, 100, 60)):
        pen.oval(*box)
    pen.rect(16, 34, 86, 60, r=6)


@shape("kite", 70, 100)
def kite(pen: Pen) -> None:
    pen.curve([(35, 60), (28, 72), (42, 84), (32, 98)], 2.6, INK)
    for x, y in ((30, 72), (40, 85)):
        pen.poly([(x - 9, y - 6), (x, y), (x - 9, y + 6)], pen.dark)
        pen.poly([(x + 9, y - 6), (x, y), (x + 9, y + 6)], pen.dark)
    pen.poly([(35, 0), (70, 26), (35, 66), (0, 26)])
    pen.poly([(35, 0), (70, 26), (35, 26)], pen.dark)
    pen.poly([(0, 26), (35, 26), (35, 66)], pen.dark)
    pen.line([(35, 0), (35, 66)], 2.4, CREAM if pen.contrast == CREAM else INK)
    pen.line([(0, 26), (70, 26)], 2.4, CREAM if pen.contrast == CREAM else INK)


def _angles(start: float, end: float) -> list[float]:
    return [math.radians(start + (end - start) * i / 30) for i in range(31)]


@shape("moon", 70, 100)
def moon(pen: Pen) -> None:
    outer = [(50 + 50 * math.cos(a), 50 + 50 * math.sin(a)) for a in _angles(66.4, 293.6)]
    inner = [(78 + 46.5 * math.cos(a), 50 + 46.5 * math.sin(a)) for a in _angles(259.9, 100.1)]
    pen.poly([*outer, *inner])
    for x, y, r in ((20, 40, 5), (26, 66, 4), (14, 56, 3)):
        pen.disc(x, y, r, pen.dark)


@shape("rocket", 70, 100)
def rocket(pen: Pen) -> None:
    pen.blob([(26, 78), (44, 78), (42, 90), (35, 100), (28, 90)], (255, 150, 30))
    pen.blob([(31, 78), (39, 78), (35, 91)], (255, 232, 110))
    for sign in (-1, 1):
        pen.poly([(35 + sign * x, y) for x, y in [(12, 48), (35, 70), (35, 88), (14, 76)]], pen.dark)
    pen.blob([(35, 0), (49, 22), (53, 50), (48, 80), (22, 80), (17, 50), (21, 22)])
    pen.poly([(35, 0), (46, 18), (35, 21), (24, 18)], pen.dark)
    pen.disc(35, 40, 10, CREAM)
    pen.disc(35, 40, 7, (110, 190, 236))


@shape("star", 100, 96)
def star(pen: Pen) -> None:
    pen.poly(ring(50, 52, [52.0, 23.0], 10))


@shape("plane", 100, 62)
def plane(pen: Pen) -> None:
    pen.poly([(14, 30), (2, 4), (14, 4), (32, 28)], pen.dark)
    pen.poly([(46, 30), (58, 8), (68, 8), (64, 30)], pen.dark)
    pen.blob([(2, 30), (20, 24), (70, 20), (92, 26), (99, 36), (88, 44), (50, 46), (16, 42)])
    pen.poly([(38, 36), (66, 36), (44, 62), (30, 62)], pen.deep)
    for x in (30, 42, 54, 66):
        pen.disc(x, 30, 3.2, CREAM)
    pen.pie(80, 24, 98, 40, 200, 330, (150, 210, 240))


@shape("umbrella", 100, 96)
def umbrella(pen: Pen) -> None:
    pen.curve([(50, 40), (50, 82), (52, 92), (60, 93), (64, 84)], 5, WOOD)
    pen.line([(50, 3), (50, 10)], 4, WOOD)
    canopy = [(0, 52), (6, 30), (24, 12), (50, 5), (76, 12), (94, 30), (100, 52)]
    pen.poly([*_smooth_top(canopy), (84, 44), (67, 52), (50, 44), (33, 52), (16, 44)])
    seam = mix(pen.main, pen.deep, 0.7)
    pen.curve([(50, 6), (36, 24), (33, 51)], 2, seam)
    pen.curve([(50, 6), (64, 24), (67, 51)], 2, seam)


def _smooth_top(points: Sequence[Point]) -> list[tuple[float, float]]:
    """The umbrella's upper edge as a soft curve."""
    return smooth(points, closed=False)
