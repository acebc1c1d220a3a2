"""Buildings, and what belongs to them."""

from __future__ import annotations

from scenes.pen import CREAM, GLASS, GOLD, INK, WOOD, Pen, mix
from scenes.shapes.registry import shape


@shape("house", 100, 92)
def house(pen: Pen) -> None:
    pen.rect(72, 8, 84, 36, pen.deep)
    pen.rect(10, 38, 90, 92)
    pen.poly([(0, 44), (50, 0), (100, 44)], pen.dark)
    pen.rect(42, 60, 60, 92, WOOD)
    pen.disc(56, 77, 1.8, GOLD)
    for x in (18, 68):
        pen.rect(x, 54, x + 16, 70, CREAM)
        pen.rect(x + 2, 56, x + 14, 68, GLASS)
        pen.line([(x + 8, 56), (x + 8, 68)], 1.5, CREAM)


@shape("lighthouse", 56, 100)
def lighthouse(pen: Pen) -> None:
    pen.poly([(16, 34), (40, 34), (48, 94), (8, 94)])
    band = CREAM if pen.contrast == CREAM else (70, 74, 90)
    pen.poly([(14.2, 48), (41.8, 48), (43.4, 60), (12.6, 60)], band)
    pen.poly([(11, 72), (45, 72), (46.6, 84), (9.4, 84)], band)
    pen.rect(18, 14, 38, 34, (255, 226, 110))
    pen.line([(28, 14), (28, 32)], 2, INK)
    pen.poly([(13, 15), (28, 0), (43, 15)], pen.dark)
    pen.rect(10, 30, 46, 36, INK)
    pen.rect(0, 92, 56, 100, (120, 122, 132), r=2)


@shape("windmill", 92, 100)
def windmill(pen: Pen) -> None:
    pen.poly([(34, 36), (58, 36), (68, 100), (24, 100)])
    pen.pie(32, 22, 60, 50, 180, 360, pen.dark)
    pen.rect(39, 80, 53, 100, pen.deep, r=3)
    for a, b in (((0, 0), (1, 1)), ((1, 0), (0, 1))):
        for x, y in (a, b):
            tip_x, tip_y = 46 + (x * 2 - 1) * 42, 38 + (y * 2 - 1) * 36
            dx, dy = (tip_x - 46) / 55, (tip_y - 38) / 55
            side_x, side_y = -dy * 11, dx * 11
            near_x, near_y = 46 + dx * 16, 38 + dy * 16
            sail = [
                (near_x, near_y),
                (tip_x, tip_y),
                (tip_x + side_x * 0.4, tip_y + side_y),
                (near_x + side_x, near_y + side_y),
            ]
            pen.poly(sail, CREAM if min(pen.main) < 230 else (214, 190, 150))
            pen.line([(46, 38), (tip_x, tip_y)], 3, WOOD)
    pen.disc(46, 38, 5, INK)


@shape("tent", 100, 72)
def tent(pen: Pen) -> None:
    pen.line([(50, 4), (50, 12)], 4, WOOD)
    pen.poly([(50, 6), (100, 72), (0, 72)])
    pen.poly([(50, 6), (66, 72), (34, 72)], pen.deep)
    pen.poly([(50, 6), (34, 72), (27, 72)], pen.light)
    pen.poly([(50, 6), (66, 72), (73, 72)], pen.light)


@shape("bridge", 100, 56)
def bridge(pen: Pen) -> None:
    for x in (24, 76):
        pen.rect(x - 4, 0, x + 4, 56, pen.dark)
    pen.curve([(2, 28), (12, 18), (24, 4)], 3)
    pen.curve([(24, 4), (37, 22), (50, 27), (63, 22), (76, 4)], 3)
    pen.curve([(76, 4), (88, 18), (98, 28)], 3)
    for x, y in ((36, 21), (44, 26), (56, 26), (64, 21), (12, 19), (88, 19)):
        pen.line([(x, y), (x, 34)], 2.4)
    pen.rect(0, 31, 100, 44)


@shape("door", 54, 100)
def door(pen: Pen) -> None:
    pen.rect(0, 0, 54, 100, mix(WOOD, INK, 0.35))
    pen.rect(6, 6, 48, 100)
    for x in (11, 29):
        pen.rect(x, 13, x + 14, 46, pen.dark, r=1)
        pen.rect(x, 54, x + 14, 90, pen.dark, r=1)
    pen.disc(43, 52, 3.6, GOLD)


@shape("ladder", 40, 100)
def ladder(pen: Pen) -> None:
    for y in (14, 30, 46, 62, 78):
        pen.line([(6, y), (34, y)], 5.5, pen.dark)
    pen.line([(8, 3), (4, 97)], 6.5)
    pen.line([(32, 3), (36, 97)], 6.5)
