"""Things to eat and what they are served in."""

from __future__ import annotations

from scenes.pen import CREAM, GOLD, INK, LEAF, WOOD, Pen, mix
from scenes.shapes.registry import shape


@shape("apple", 90, 100)
def apple(pen: Pen) -> None:
    pen.curve([(46, 28), (46, 14), (52, 2)], 6, WOOD)
    pen.blob([(48, 16), (60, 2), (82, 4), (72, 18), (58, 22)], LEAF)
    lower = [(72, 94), (58, 99), (46, 95), (32, 99), (18, 94)]
    pen.blob([(45, 28), (62, 21), (82, 28), (90, 50), (86, 74), *lower, (4, 74), (0, 50), (8, 28), (28, 21)])
    pen.blob([(14, 38), (24, 32), (22, 50), (14, 58)], pen.light)


@shape("banana", 100, 66)
def banana(pen: Pen) -> None:
    pen.blob([(4, 6), (12, 2), (24, 26), (50, 36), (80, 30), (98, 18), (96, 34), (74, 58), (46, 65), (18, 50), (4, 26)])
    pen.curve([(16, 28), (42, 48), (76, 42)], 3, pen.dark)
    pen.line([(8, 6), (12, 14)], 8, (110, 76, 36))
    pen.line([(95, 22), (96, 26)], 6, (70, 50, 30))


@shape("cake", 100, 92)
def cake(pen: Pen) -> None:
    for x in (30, 50, 70):
        pen.rect(x - 3, 10, x + 3, 32, CREAM)
        pen.oval(x - 4, 0, x + 4, 12, (255, 170, 40))
    pen.oval(0, 74, 100, 92, (226, 228, 236))
    pen.rect(8, 52, 92, 84, r=6)
    pen.rect(20, 28, 80, 56, r=6)
    frosting = mix(pen.main, (255, 255, 255), 0.8) if pen.main[0] + pen.main[1] < 480 else (240, 130, 160)
    for x0, x1, y in ((20, 80, 28), (8, 92, 52)):
        pen.rect(x0, y, x1, y + 8, frosting, r=4)
        for i in range(round((x1 - x0) / 12)):
            pen.oval(x0 + i * 12, y + 2, x0 + i * 12 + 11, y + 15, frosting)


@shape("bottle", 40, 100)
def bottle(pen: Pen) -> None:
    pen.rect(14, 4, 26, 34)
    pen.rect(12, 0, 28, 11, WOOD, r=2)
    pen.blob([(14, 30), (26, 30), (38, 48), (39, 70), (38, 97), (20, 100), (2, 97), (1, 70), (2, 48)])
    pen.rect(2, 60, 38, 82, CREAM)
    pen.rect(10, 67, 30, 75, pen.deep)
    pen.line([(9, 46), (8, 56)], 3, pen.light)


@shape("bowl", 100, 56)
def bowl(pen: Pen) -> None:
    pen.rect(34, 46, 66, 56, pen.dark, r=3)
    pen.pie(2, -42, 98, 54, 0, 180)
    pen.oval(0, 0, 100, 22, pen.dark)
    pen.oval(6, 3, 94, 18, (250, 232, 190))


@shape("cup", 100, 82)
def cup(pen: Pen) -> None:
    pen.hoop(62, 22, 100, 60, 8)
    pen.blob([(6, 12), (40, 12), (76, 12), (74, 50), (62, 72), (42, 76), (20, 72), (8, 50)])
    pen.oval(4, 2, 78, 22, pen.dark)
    pen.oval(10, 5, 72, 19, (92, 56, 34) if pen.main != (126, 76, 38) else CREAM)
    pen.rect(0, 74, 88, 82, pen.light, r=4)


@shape("candle", 46, 100)
def candle(pen: Pen) -> None:
    pen.blob([(23, 0), (32, 16), (30, 26), (16, 26), (14, 16)], (255, 150, 30))
    pen.blob([(23, 10), (27, 20), (23, 26), (19, 20)], (255, 236, 120))
    pen.line([(23, 24), (23, 34)], 2.4, INK)
    pen.rect(11, 33, 35, 88, r=3)
    pen.blob([(11, 33), (35, 33), (35, 44), (30, 52), (26, 42), (19, 44), (16, 56), (11, 46)], pen.light)
    pen.oval(0, 82, 46, 100, GOLD)
    pen.oval(10, 84, 36, 93, mix(GOLD, INK, 0.25))


@shape("fork", 30, 100)
def fork(pen: Pen) -> None:
    for x in (4, 15, 26):
        pen.line([(x, 4), (x, 34)], 5.5)
    pen.blob([(1, 30), (29, 30), (26, 44), (18, 50), (12, 50), (4, 44)])
    pen.line([(15, 48), (15, 94)], 7.5)
    pen.line([(15, 78), (15, 94)], 9.5, pen.dark)
