"""Plants."""

from __future__ import annotations

from scenes.pen import CREAM, GOLD, LEAF, WOOD, Pen, mix, ring
from scenes.shapes.registry import shape


@shape("tree", 80, 100)
def tree(pen: Pen) -> None:
    pen.poly([(33, 100), (36, 60), (44, 60), (47, 100)], WOOD)
    pen.line([(40, 74), (54, 60)], 4, WOOD)
    crown = [(40, 0), (60, 6), (66, 20), (80, 36), (72, 56), (54, 66), (40, 68), (26, 66), (8, 56), (0, 36), (14, 20)]
    pen.blob([*crown, (20, 6)])
    for x, y, r in ((28, 24, 8), (54, 30, 6), (36, 48, 7)):
        pen.disc(x, y, r, pen.light)


@shape("flower", 68, 100)
def flower(pen: Pen) -> None:
    pen.curve([(34, 36), (36, 70), (34, 99)], 5, LEAF)
    pen.blob([(35, 86), (46, 68), (66, 64), (58, 82)], LEAF)
    pen.blob([(34, 92), (22, 74), (4, 72), (12, 88)], LEAF)
    for x, y in ring(34, 34, [22.0], 6):
        pen.disc(x, y, 14)
    centre = GOLD if pen.main not in ((252, 213, 35), (247, 136, 22)) else (120, 70, 30)
    pen.disc(34, 34, 12, centre)


@shape("leaf", 74, 100)
def leaf(pen: Pen) -> None:
    pen.line([(37, 70), (37, 98)], 5, pen.deep)
    pen.blob([(37, 0), (56, 18), (74, 46), (62, 74), (37, 84), (12, 74), (0, 46), (18, 18)])
    pen.line([(37, 10), (37, 84)], 3, pen.deep)
    for y in (34, 50, 66):
        for sign in (-1, 1):
            pen.line([(37, y), (37 + sign * 21, y - 14)], 2.4, pen.deep)


@shape("cactus", 78, 100)
def cactus(pen: Pen) -> None:
    for points in ([(40, 62), (10, 62), (10, 30)], [(40, 50), (68, 50), (68, 18)]):
        pen.line(points, 17, pen.dark)
        pen.line(points, 13)
    pen.rect(26, 0, 54, 92, r=14)
    for x in (34, 40, 46):
        pen.line([(x, 12), (x, 86)], 1.8, pen.deep)
    pen.poly([(16, 80), (64, 80), (58, 100), (22, 100)], (196, 106, 62))
    pen.rect(13, 76, 67, 83, (222, 130, 80), r=2)


@shape("mushroom", 92, 100)
def mushroom(pen: Pen) -> None:
    pen.blob([(34, 50), (58, 50), (62, 84), (66, 98), (46, 100), (26, 98), (30, 84)], CREAM)
    pen.blob([(0, 48), (8, 20), (46, 0), (84, 20), (92, 48), (70, 56), (22, 56)])
    spots = mix(pen.main, (255, 255, 255), 0.86) if pen.main[0] + pen.main[1] < 480 else (205, 60, 60)
    for x, y, r in ((30, 22, 8), (58, 18, 6), (70, 38, 7), (44, 40, 6), (16, 40, 5)):
        pen.oval(x - r, y - r * 0.8, x + r, y + r * 0.8, spots)
