"""Tools."""

from __future__ import annotations

from scenes.pen import INK, STEEL, Pen
from scenes.shapes.registry import shape


@shape("pencil", 100, 100)
def pencil(pen: Pen) -> None:
    pen.poly([(0, 100), (8, 70), (30, 92)], (236, 200, 150))
    pen.poly([(0, 100), (3, 88), (12, 97)], INK)
    pen.poly([(8, 70), (70, 8), (92, 30), (30, 92)])
    pen.poly([(15, 77), (77, 15), (85, 23), (23, 85)], pen.light)
    pen.poly([(66, 12), (76, 2), (98, 24), (88, 34)], STEEL)
    pen.blob([(73, 5), (82, 0), (100, 16), (95, 27)], (246, 140, 150))
