"""The pen that every shape is drawn with: filled forms in units of the shape, one colour with its shades, a pattern.

A shape is drawn on a transparent tile of its own; 100 units are the longer side of the shape, y points down. Leaves out
on purpose: where the tile goes (boxes.py) and what a style makes of the picture (styles.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

RGB = tuple[int, int, int]
Point = tuple[float, float]

#: How each colour word is drawn.
PALETTE: dict[str, RGB] = {
    "red": (221, 40, 44),
    "orange": (247, 136, 22),
    "yellow": (252, 213, 35),
    "green": (44, 158, 66),
    "blue": (36, 98, 217),
    "purple": (132, 52, 178),
    "pink": (249, 128, 180),
    "brown": (126, 76, 38),
    "black": (38, 38, 44),
    "white": (250, 250, 248),
}

#: Colours of parts that keep their own colour whatever the thing's colour is.
INK: RGB = (32, 30, 40)
CREAM: RGB = (255, 246, 226)
WOOD: RGB = (164, 112, 62)
STEEL: RGB = (166, 174, 186)
GLASS: RGB = (190, 226, 244)
LEAF: RGB = (78, 150, 60)
GOLD: RGB = (240, 190, 60)
TYRE: RGB = (58, 56, 66)

#: Colours whose stripes and spots are a dark shade of their own; white has grey-blue ones, all others cream.
_LIGHT_COLOURS = frozenset({"yellow", "pink"})


def mix(first: RGB, second: RGB, share: float) -> RGB:
    """`first` with `share` (0 to 1) of `second`."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(first, second, strict=True))
    return (r, g, b)


def smooth(points: Sequence[Point], closed: bool = True, steps: int = 6) -> list[Point]:
    """A soft curve (Catmull-Rom) through all `points`."""
    count = len(points)
    out: list[Point] = []
    for i in range(count if closed else count - 1):
        near = [points[(i + k) % count] if closed else points[min(max(i + k, 0), count - 1)] for k in (-1, 0, 1, 2)]
        out.extend(_between(near, step / steps) for step in range(steps))
    if not closed:
        out.append(points[-1])
    return out


def _between(p: Sequence[Point], t: float) -> Point:
    a, b, c, d = -t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2
    x = (a * p[0][0] + b * p[1][0] + c * p[2][0] + d * p[3][0]) / 2
    y = (a * p[0][1] + b * p[1][1] + c * p[2][1] + d * p[3][1]) / 2
    return (x, y)


def ring(cx: float, cy: float, radii: Sequence[float], count: int, start: float = -90.0) -> list[Point]:
    """`count` points around a centre whose distances go through `radii` in turn: regular polygons, stars, gears."""
    out = []
    for i in range(count):
        angle = math.radians(start + 360 * i / count)
        radius = radii[i % len(radii)]
        out.append((cx + radius * math.cos(angle), cy + radius * math.sin(angle)))
    return out


class Pen:
    """Draws one thing on a transparent tile of `width` x `height` pixels at `scale` pixels a unit.

    A form without `fill` is part of the body: it gets the thing's colour and pattern. `stroke` > 0 draws a dark line
    of so many pixels around every form.
    """

    def __init__(
        self, width: int, height: int, scale: float, colour: str, pattern: str = "plain", stroke: int = 0
    ) -> None:
        self.tile = Image.new("RGBA", (width, height), (0, 0, 0, 0))
        self.scale = scale
        self.stroke = stroke
        self.main = PALETTE[colour]
        self.dark = mix(self.main, (0, 0, 10), 0.28) if colour != "black" else (18, 18, 22)
        self.deep = mix(self.main, (0, 0, 10), 0.52) if colour != "black" else (8, 8, 10)
        self.light = mix(self.main, (255, 255, 255), 0.42 if colour != "black" else 0.25)
        #: A colour that is always seen on the body.
        self.contrast = mix(self.main, (40, 24, 20), 0.62) if colour in _LIGHT_COLOURS else CREAM
        if colour == "white":
            self.dark, self.deep, self.light = (206, 210, 220), (150, 156, 170), (232, 236, 242)
            self.contrast = (146, 156, 180)
        self.pattern = pattern
        self._cloth: Image.Image | None = None
        self._draw = ImageDraw.Draw(self.tile)

    # ---- forms ------------------------------------------------------------------------------------------------------

    def poly(self, points: Sequence[Point], fill: RGB | None = None) -> None:
        """A filled polygon."""
        flat = [(x * self.scale, y * self.scale) for x, y in points]
        self._fill(fill, lambda draw, ink: draw.polygon(flat, fill=ink))
        if self.stroke:
            self._draw.line([*flat, flat[0]], fill=(*INK, 255), width=self.stroke, joint="curve")

    def blob(self, points: Sequence[Point], fill: RGB | None = None) -> None:
        """A filled soft form through `points`."""
        self.poly(smooth(points), fill)

    def rect(self, x0: float, y0: float, x1: float, y1: float, fill: RGB | None = None, r: float = 0.0) -> None:
        """A filled rectangle with corners of radius `r`."""
        s = self.scale
        box = (x0 * s, y0 * s, max(x1 * s - 1, x0 * s), max(y1 * s - 1, y0 * s))
        self._fill(fill, lambda draw, ink: draw.rounded_rectangle(box, radius=r * s, fill=ink))
        if self.stroke:
            self._draw.rounded_rectangle(box, radius=r * s, outline=(*INK, 255), width=self.stroke)

    def oval(self, x0: float, y0: float, x1: float, y1: float, fill: RGB | None = None) -> None:
        """A filled ellipse."""
        s = self.scale
        box = (x0 * s, y0 * s, max(x1 * s - 1, x0 * s), max(y1 * s - 1, y0 * s))
        self._fill(fill, lambda draw, ink: draw.ellipse(box, fill=ink))
        if self.stroke:
            self._draw.ellipse(box, outline=(*INK, 255), width=self.stroke)

    def disc(self, cx: float, cy: float, r: float, fill: RGB | None = None) -> None:
        """A filled circle."""
        self.oval(cx - r, cy - r, cx + r, cy + r, fill)

    def pie(
        self, x0: float, y0: float, x1: float, y1: float, start: float, end: float, fill: RGB | None = None
    ) -> None:
        """A filled slice of an ellipse from angle `start` to `end` (degrees, clockwise from the right)."""
        steps = 24
        cx, cy, rx, ry = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2
        angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
        rim = [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]
        self.poly(rim if abs(end - start) in (180, 360) else [(cx, cy), *rim], fill)

    def line(self, points: Sequence[Point], width: float, fill: RGB | None = None) -> None:
        """A line with round ends and joints; without `fill` it is part of the body."""
        flat = [(x * self.scale, y * self.scale) for x, y in points]
        pixels = max(1, round(width * self.scale))
        if self.stroke:
            _stroke(self._draw, flat, pixels + 2 * self.stroke, (*INK, 255))
        self._fill(fill, lambda draw, ink: _stroke(draw, flat, pixels, ink))

    def curve(self, points: Sequence[Point], width: float, fill: RGB | None = None) -> None:
        """A soft line through `points`."""
        self.line(smooth(points, closed=False), width, fill)

    def hoop(self, x0: float, y0: float, x1: float, y1: float, width: float, fill: RGB | None = None) -> None:
        """A ring: an ellipse's rim of `width` units, open in the middle."""
        s = self.scale
        box = (x0 * s, y0 * s, max(x1 * s - 1, x0 * s), max(y1 * s - 1, y0 * s))
        pixels = max(1, round(width * s))
        self._fill(fill, lambda draw, ink: draw.ellipse(box, outline=ink, width=pixels))

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _fill(self, fill: RGB | None, form: Callable[[ImageDraw.ImageDraw, tuple[int, ...] | int], None]) -> None:
        if fill is not None or self.pattern == "plain":
            form(self._draw, (*(fill or self.main), 255))
            return
        mask = Image.new("L", self.tile.size, 0)
        form(ImageDraw.Draw(mask), 255)
        self.tile.paste(self._pattern(), (0, 0), mask)

    def _pattern(self) -> Image.Image:
        """The thing's cloth: its colour with stripes or spots, as large as the tile."""
        if self._cloth is None:
            self._cloth = Image.new("RGBA", self.tile.size, (*self.main, 255))
            draw = ImageDraw.Draw(self._cloth)
            width, height = (side / self.scale for side in self.tile.size)
            (self._stripes if self.pattern == "striped" else self._spots)(draw, width, height)
        return self._cloth

    def _stripes(self, draw: ImageDraw.ImageDraw, width: float, height: float) -> None:
        step, band = 19.0, 8.0
        lean = height * 0.35
        x = -lean - step / 2
        while x < width:
            flat = [(x, height), (x + lean, 0), (x + lean + band, 0), (x + band, height)]
            draw.polygon([(a * self.scale, b * self.scale) for a, b in flat], fill=(*self.contrast, 255))
            x += step

    def _spots(self, draw: ImageDraw.ImageDraw, width: float, height: float) -> None:
        step, radius = 18.0, 5.2
        for row in range(int(height / (step * 0.8)) + 2):
            y = row * step * 0.8 + 4
            for column in range(int(width / step) + 2):
                x = (column - (row % 2) / 2) * step + 6
                box = [(v - radius) * self.scale for v in (x, y)] + [(v + radius) * self.scale for v in (x, y)]
                draw.ellipse(box, fill=(*self.contrast, 255))


def _stroke(draw: ImageDraw.ImageDraw, flat: list[Point], pixels: int, ink: tuple[int, ...] | int) -> None:
    """A line in pixels, with round ends where it is thick enough to show them."""
    draw.line(flat, fill=ink, width=pixels, joint="curve")
    if pixels > 2:
        half = pixels / 2
        for x, y in (flat[0], flat[-1]):
            draw.ellipse((x - half, y - half, x + half - 1, y + half - 1), fill=ink)
