"""Animals, and the snowman who keeps them company."""

from __future__ import annotations

from scenes.pen import CREAM, INK, Pen
from scenes.shapes.registry import shape

BEAK = (255, 166, 32)


def _eye(pen: Pen, x: float, y: float, r: float = 4.5) -> None:
    pen.disc(x, y, r, (255, 255, 255))
    pen.disc(x + r * 0.2, y, r * 0.6, INK)


@shape("bird", 100, 74)
def bird(pen: Pen) -> None:
    for x in (46, 56):
        pen.line([(x, 56), (x - 2, 71)], 4, BEAK)
    pen.poly([(28, 40), (0, 22), (2, 36), (0, 50), (26, 54)], pen.dark)
    pen.poly([(84, 14), (100, 22), (84, 29)], BEAK)
    pen.blob([(16, 44), (34, 28), (56, 22), (64, 4), (82, 4), (90, 20), (82, 42), (62, 60), (36, 60)])
    pen.blob([(24, 38), (40, 30), (60, 36), (52, 50), (36, 52)], pen.dark)
    _eye(pen, 78, 17, 5)


@shape("butterfly", 100, 84)
def butterfly(pen: Pen) -> None:
    for sign in (-1, 1):
        pen.blob([(50 + sign * x, y) for x, y in [(3, 40), (14, 12), (38, 2), (49, 14), (42, 38), (20, 46)]])
        pen.blob([(50 + sign * x, y) for x, y in [(3, 44), (26, 46), (40, 58), (34, 80), (16, 80), (5, 62)]])
        pen.disc(50 + sign * 31, 23, 8, pen.light)
        pen.disc(50 + sign * 24, 65, 6, pen.light)
        pen.curve([(50, 22), (50 + sign * 6, 8), (50 + sign * 13, 3)], 2.5, INK)
    pen.oval(45.5, 16, 54.5, 72, INK)


@shape("cat", 86, 100)
def cat(pen: Pen) -> None:
    pen.curve([(54, 92), (76, 92), (80, 72), (70, 60), (74, 46)], 9)
    pen.blob([(22, 98), (18, 78), (26, 54), (46, 54), (56, 76), (54, 98)])
    for x in (28, 44):
        pen.oval(x - 9, 88, x + 7, 100, pen.dark)
    pen.poly([(6, 34), (8, 0), (30, 14)])
    pen.poly([(66, 34), (64, 0), (42, 14)])
    pen.oval(4, 8, 68, 62)
    pen.poly([(12, 18), (13, 8), (22, 13)], (250, 170, 180))
    pen.poly([(60, 18), (59, 8), (50, 13)], (250, 170, 180))
    for x in (23, 49):
        pen.oval(x - 6, 26, x + 6, 40, (214, 240, 120))
        pen.oval(x - 2, 27, x + 2, 39, INK)
    pen.poly([(31, 43), (41, 43), (36, 49)], (250, 130, 150))
    for y in (46, 52):
        pen.line([(18, y), (1, y - 4 + (y - 46))], 1.6, pen.deep)
        pen.line([(54, y), (71, y - 4 + (y - 46))], 1.6, pen.deep)


@shape("dog", 100, 88)
def dog(pen: Pen) -> None:
    pen.curve([(14, 46), (5, 34), (4, 20)], 8)
    for x in (16, 30, 54, 67):
        pen.rect(x, 56, x + 10, 88, pen.dark if x in (30, 54) else None, r=4)
    pen.rect(10, 36, 78, 68, r=15)
    pen.blob([(54, 40), (58, 10), (76, 4), (88, 14), (98, 24), (98, 36), (82, 42), (72, 56)])
    pen.blob([(58, 10), (68, 6), (70, 22), (64, 40), (54, 36), (52, 20)], pen.deep)
    pen.disc(95.5, 24, 4.5, INK)
    _eye(pen, 80, 17, 4.5)
    pen.line([(60, 46), (76, 50)], 4.5, (214, 50, 60) if pen.main[0] < 180 else (40, 90, 200))


@shape("fish", 100, 62)
def fish(pen: Pen) -> None:
    pen.poly([(70, 31), (100, 6), (93, 31), (100, 56)], pen.dark)
    pen.poly([(32, 12), (52, 0), (64, 14)], pen.dark)
    pen.poly([(36, 50), (50, 62), (58, 48)], pen.dark)
    pen.blob([(0, 33), (18, 12), (46, 6), (74, 24), (76, 38), (46, 56), (18, 52)])
    pen.curve([(27, 12), (33, 31), (27, 50)], 2.5, pen.deep)
    _eye(pen, 16, 27, 6)


@shape("snail", 100, 70)
def snail(pen: Pen) -> None:
    skin, dark = (232, 196, 140), (190, 146, 92)
    pen.curve([(88, 40), (84, 18), (82, 6)], 3.5, dark)
    pen.curve([(90, 40), (93, 20), (95, 6)], 3.5, dark)
    pen.disc(82, 5, 4, INK)
    pen.disc(95, 5, 4, INK)
    pen.blob([(0, 69), (16, 56), (60, 54), (78, 36), (94, 34), (99, 48), (88, 66), (60, 69)], skin)
    pen.disc(42, 34, 31)
    turns = [(66, 44), (58, 16), (34, 12), (20, 32), (30, 52), (50, 50), (56, 34), (44, 24), (34, 34), (42, 40)]
    pen.curve(turns, 4.5, pen.deep)


@shape("snowman", 76, 100)
def snowman(pen: Pen) -> None:
    wood = (110, 74, 44)
    for x, y in ((1, 40), (75, 40)):
        pen.line([(38, 58), (2 if x < 38 else 74, y)], 3.5, wood)
    pen.disc(38, 74, 26)
    pen.disc(38, 38, 19)
    pen.rect(22, 18, 54, 23, INK)
    pen.rect(27, 0, 49, 20, INK, r=2)
    pen.rect(27, 13, 49, 18, (214, 50, 60) if pen.main != (221, 40, 44) else CREAM)
    for x in (31, 45):
        pen.disc(x, 33, 2.8, INK)
    pen.poly([(38, 37), (58, 42), (38, 43)], BEAK)
    for y in (62, 73, 84):
        pen.disc(38, y, 3, INK)
