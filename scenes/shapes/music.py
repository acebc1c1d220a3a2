"""Instruments and what rings."""

from __future__ import annotations

from scenes.pen import CREAM, GOLD, INK, STEEL, WOOD, Pen
from scenes.shapes.registry import shape


@shape("bell", 88, 100)
def bell(pen: Pen) -> None:
    pen.disc(44, 9, 8.5, pen.dark)
    pen.disc(44, 89, 11, pen.deep)
    pen.blob(
        [(44, 8), (62, 16), (70, 42), (76, 66), (88, 80), (70, 86), (18, 86), (0, 80), (12, 66), (18, 42), (26, 16)]
    )
    pen.line([(12, 70), (76, 70)], 4, pen.dark)
    pen.blob([(28, 26), (36, 18), (32, 46), (26, 56)], pen.light)


@shape("drum", 100, 84)
def drum(pen: Pen) -> None:
    pen.rect(4, 30, 96, 66)
    pen.oval(4, 52, 96, 84)
    for x in (6, 28, 50, 72):
        pen.line([(x, 36), (x + 11, 68 + (4 if 20 < x < 60 else 0))], 2.6, CREAM if pen.contrast == CREAM else INK)
        pen.line([(x + 22, 36), (x + 11, 68 + (4 if 20 < x < 60 else 0))], 2.6, CREAM if pen.contrast == CREAM else INK)
    pen.oval(0, 18, 100, 46, GOLD)
    pen.oval(6, 20, 94, 42, (255, 250, 236))
    pen.line([(20, 4), (58, 29)], 4, WOOD)
    pen.line([(82, 4), (46, 32)], 4, WOOD)
    for x in (20, 82):
        pen.disc(x, 4.5, 4.5, WOOD)


@shape("guitar", 46, 100)
def guitar(pen: Pen) -> None:
    pen.rect(19, 8, 27, 58, WOOD)
    pen.rect(16, 0, 30, 14, pen.deep, r=2)
    for y in (4, 10):
        pen.disc(13.5, y, 2.6, STEEL)
        pen.disc(32.5, y, 2.6, STEEL)
    upper = [(23, 42), (36, 46), (38, 56), (36, 63)]
    lower = [(46, 76), (42, 94), (23, 100), (4, 94), (0, 76), (10, 63), (8, 56), (10, 46)]
    pen.blob([*upper, *lower])
    pen.disc(23, 66, 7.5, INK)
    pen.rect(14, 82, 32, 87, INK)
    for x in (20.5, 25.5):
        pen.line([(x, 10), (x, 84)], 1, CREAM)
