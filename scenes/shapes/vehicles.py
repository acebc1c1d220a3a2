"""Things that carry people and loads."""

from __future__ import annotations

from scenes.pen import GLASS, GOLD, INK, STEEL, TYRE, WOOD, Pen
from scenes.shapes.registry import shape


def _wheel(pen: Pen, x: float, y: float, r: float) -> None:
    pen.disc(x, y, r, TYRE)
    pen.disc(x, y, r * 0.5, STEEL)


@shape("car", 100, 50)
def car(pen: Pen) -> None:
    pen.blob([(18, 24), (30, 4), (44, 0), (62, 1), (74, 8), (84, 24), (60, 28), (36, 28)])
    pen.poly([(28, 22), (36, 7), (49, 6), (49, 22)], GLASS)
    pen.poly([(54, 22), (54, 6), (66, 8), (75, 22)], GLASS)
    pen.rect(0, 20, 100, 41, r=8)
    pen.rect(0, 35, 100, 41, pen.dark, r=3)
    pen.oval(92, 23, 99, 31, GOLD)
    for x in (22, 78):
        _wheel(pen, x, 39, 11)


@shape("bus", 100, 64)
def bus(pen: Pen) -> None:
    pen.rect(0, 0, 100, 56, r=7)
    for x in (6, 24, 42, 60):
        pen.rect(x, 9, x + 15, 26, GLASS, r=2)
    pen.rect(79, 9, 98, 48, GLASS, r=2)
    pen.line([(88.5, 10), (88.5, 48)], 1.8, pen.deep)
    pen.rect(0, 44, 77, 50, pen.dark)
    for x in (20, 70):
        _wheel(pen, x, 53, 11)


@shape("truck", 100, 62)
def truck(pen: Pen) -> None:
    pen.rect(0, 44, 98, 53, INK, r=2)
    pen.rect(0, 0, 64, 47, r=3)
    pen.poly([(67, 12), (84, 12), (98, 30), (100, 48), (67, 48)], pen.dark)
    pen.poly([(72, 16), (83, 16), (92, 30), (72, 30)], GLASS)
    for x in (16, 42, 82):
        _wheel(pen, x, 51, 10.5)


@shape("bicycle", 100, 66)
def bicycle(pen: Pen) -> None:
    for x in (22, 78):
        pen.hoop(x - 22, 22, x + 22, 66, 5, TYRE)
        pen.disc(x, 44, 4, STEEL)
    pen.line([(22, 44), (36, 18), (68, 18), (48, 46), (22, 44)], 5)
    pen.line([(32, 10), (48, 46)], 5)
    pen.line([(78, 44), (66, 6), (76, 3)], 5)
    pen.line([(25, 9), (40, 9)], 6, INK)
    pen.disc(48, 46, 6, INK)


@shape("boat", 100, 50)
def boat(pen: Pen) -> None:
    pen.line([(30, 26), (62, 4)], 3.5, WOOD)
    pen.blob([(60, 0), (70, 0), (66, 10), (58, 9)], WOOD)
    pen.poly([(0, 18), (100, 12), (86, 46), (78, 50), (22, 50), (14, 44)])
    pen.poly([(0, 18), (100, 12), (97, 22), (3, 26)], pen.dark)
    pen.line([(14, 38), (88, 35)], 2.6, pen.deep)
