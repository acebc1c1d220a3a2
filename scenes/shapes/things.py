"""Things to wear, to read and to play with."""

from __future__ import annotations

from scenes.pen import CREAM, INK, TYRE, Pen
from scenes.shapes.registry import shape


@shape("ball", 100, 100)
def ball(pen: Pen) -> None:
    pen.disc(50, 50, 50)
    seam = pen.contrast
    pen.curve([(50, 2), (36, 50), (50, 98)], 4, seam)
    pen.curve([(8, 26), (50, 40), (92, 26)], 4, seam)
    pen.curve([(8, 76), (50, 62), (92, 76)], 4, seam)


@shape("book", 86, 100)
def book(pen: Pen) -> None:
    pen.poly([(3, 84), (64, 95), (82, 22), (86, 24), (68, 100), (5, 89)], pen.deep)
    pen.poly([(3, 70), (66, 82), (82, 14), (84, 24), (66, 95), (4, 84)], (255, 252, 240))
    pen.line([(6, 78), (65, 89)], 1.8, (170, 170, 180))
    pen.poly([(20, 0), (84, 12), (66, 83), (2, 71)])
    pen.poly([(20, 0), (30, 2), (12, 73), (2, 71)], pen.deep)
    title = CREAM if pen.contrast == CREAM else INK
    pen.line([(42, 20), (70, 25)], 5, title)
    pen.line([(40, 31), (62, 35)], 4, title)


@shape("hat", 100, 60)
def hat(pen: Pen) -> None:
    pen.oval(0, 38, 100, 60, pen.dark)
    pen.blob([(24, 48), (28, 10), (40, 2), (50, 5), (60, 2), (72, 10), (76, 48), (50, 54)])
    pen.poly([(25, 36), (75, 36), (76, 48), (50, 52), (24, 48)], pen.contrast)


@shape("shoe", 100, 56)
def shoe(pen: Pen) -> None:
    pen.blob([(4, 6), (30, 2), (40, 14), (60, 26), (90, 30), (99, 42), (92, 50), (6, 50), (2, 28)])
    pen.oval(5, 1, 32, 13, pen.deep)
    pen.blob([(76, 28), (92, 31), (99, 42), (92, 48), (74, 48)], pen.light)
    pen.rect(1, 45, 100, 56, CREAM if min(pen.main) < 230 else TYRE, r=4)
    for x in (38, 47, 56):
        pen.line([(x, 26 + (x - 38) * 0.35), (x + 8, 15 + (x - 38) * 0.35)], 3, CREAM if min(pen.main) < 230 else INK)
