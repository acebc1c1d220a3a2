"""Furniture and things of the house."""

from __future__ import annotations

from scenes.pen import CREAM, GOLD, INK, STEEL, WOOD, Pen, ring
from scenes.shapes.registry import shape


@shape("bed", 100, 58)
def bed(pen: Pen) -> None:
    pen.rect(0, 0, 8, 58, WOOD, r=2)
    pen.rect(92, 22, 100, 58, WOOD, r=2)
    pen.rect(4, 40, 96, 50, WOOD)
    pen.rect(8, 28, 92, 42, CREAM, r=3)
    pen.rect(32, 18, 93, 48, r=5)
    pen.rect(32, 18, 42, 48, pen.light, r=3)
    pen.rect(9, 16, 32, 31, (255, 255, 255) if min(pen.main) < 230 else (190, 210, 236), r=5)


@shape("bench", 100, 58)
def bench(pen: Pen) -> None:
    for x in (12, 80):
        pen.rect(x, 4, x + 7, 58, INK, r=1)
    for y in (0, 13):
        pen.rect(0, y, 100, y + 10, r=2)
    pen.rect(0, 30, 100, 40, r=2)
    pen.rect(4, 40, 96, 44, pen.dark)


@shape("chair", 62, 100)
def chair(pen: Pen) -> None:
    for x in (4, 49):
        pen.rect(x, 50, x + 8, 100, pen.dark, r=1)
    for x in (14, 40):
        pen.rect(x, 58, x + 7, 88, pen.deep, r=1)
    pen.rect(4, 0, 57, 46, r=5)
    for x in (15, 27, 39):
        pen.rect(x, 10, x + 7, 44, pen.deep, r=2)
    pen.rect(0, 46, 62, 60, r=4)


@shape("table", 100, 62)
def table(pen: Pen) -> None:
    for x in (8, 82):
        pen.rect(x, 12, x + 10, 62, pen.dark, r=1)
    pen.rect(14, 10, 86, 22, pen.deep)
    pen.rect(0, 0, 100, 14, r=3)


@shape("lamp", 62, 100)
def lamp(pen: Pen) -> None:
    pen.line([(31, 40), (31, 92)], 5.5, STEEL)
    pen.oval(12, 86, 50, 100, STEEL)
    pen.poly([(18, 0), (44, 0), (62, 46), (0, 46)])
    pen.line([(46, 48), (46, 62)], 1.8, GOLD)
    pen.disc(46, 64, 2.6, GOLD)


@shape("clock", 88, 100)
def clock(pen: Pen) -> None:
    for x in (16, 72):
        pen.line([(44, 60), (x, 96)], 7, pen.dark)
    for x in (18, 70):
        pen.disc(x, 13, 13, pen.dark)
    pen.disc(44, 53, 43)
    pen.disc(44, 53, 33, (255, 252, 240) if min(pen.main) < 230 else (206, 224, 240))
    for mark in ring(44, 53, [27.0], 12):
        pen.disc(*mark, 2, INK)
    pen.line([(44, 53), (44, 32)], 4, INK)
    pen.line([(44, 53), (59, 60)], 4, INK)
    pen.disc(44, 53, 4, (214, 50, 60))


@shape("bucket", 88, 100)
def bucket(pen: Pen) -> None:
    pen.curve([(5, 38), (14, 12), (44, 2), (74, 12), (83, 38)], 4.5, STEEL)
    pen.poly([(2, 38), (86, 38), (74, 96), (66, 100), (22, 100), (14, 96)])
    pen.oval(0, 28, 88, 48, pen.dark)
    pen.oval(7, 31, 81, 45, pen.deep)
    pen.line([(15, 78), (73, 78)], 3.5, pen.dark)
