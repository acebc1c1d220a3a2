"""One painter per background: gradients and a few quiet details, so that things stand out from them.

Leaves out things and styles. Painters work in shares of the picture (0 to 1 each way), so any size and aspect will do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from scenes.pen import RGB, Point, mix, smooth


class Canvas:
    """A picture to be painted in shares of its width and height."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.image = Image.new("RGB", (width, height))
        self._draw = ImageDraw.Draw(self.image)

    @property
    def aspect(self) -> float:
        return self.width / self.height

    def gradient(self, *stops: RGB, top: float = 0.0, bottom: float = 1.0) -> None:
        """A smooth run from the first colour at `top` to the last at `bottom`."""
        first, last = round(top * self.height), round(bottom * self.height)
        places = np.linspace(0, 1, max(last - first, 1))
        knots = np.linspace(0, 1, len(stops))
        column = np.stack([np.interp(places, knots, [stop[i] for stop in stops]) for i in range(3)], axis=-1)
        strip = Image.fromarray(np.round(column[:, None, :]).astype(np.uint8))
        self.image.paste(strip.resize((self.width, len(places)), Image.Resampling.NEAREST), (0, first))

    def rect(self, x0: float, y0: float, x1: float, y1: float, fill: RGB) -> None:
        box = (x0 * self.width, y0 * self.height, max(x1 * self.width - 1, 0), max(y1 * self.height - 1, 0))
        if box[2] >= box[0] and box[3] >= box[1]:
            self._draw.rectangle(box, fill=fill)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: RGB) -> None:
        w, h = self.width, self.height
        self._draw.ellipse(((x - rx) * w, (y - ry) * h, (x + rx) * w, (y + ry) * h), fill=fill)

    def disc(self, x: float, y: float, r: float, fill: RGB) -> None:
        """A circle; `r` is a share of the shorter side."""
        radius = r * min(self.width, self.height)
        self.oval(x, y, radius / self.width, radius / self.height, fill)

    def poly(self, points: Sequence[Point], fill: RGB) -> None:
        self._draw.polygon([(x * self.width, y * self.height) for x, y in points], fill=fill)

    def line(self, points: Sequence[Point], width: float, fill: RGB) -> None:
        """A line; `width` is a share of the shorter side."""
        flat = [(x * self.width, y * self.height) for x, y in points]
        pixels = max(1, round(width * min(self.width, self.height)))
        self._draw.line(flat, fill=fill, width=pixels, joint="curve")

    def hills(self, heights: Sequence[float], fill: RGB) -> None:
        """Everything below a soft line through `heights`, which are spread evenly from left to right."""
        step = 1 / (len(heights) - 1)
        crest = smooth([(i * step, y) for i, y in enumerate(heights)], closed=False)
        self.poly([*crest, (1, 1.01), (0, 1.01)], fill)

    def glow(self, x: float, y: float, r: float, fill: RGB, strength: float) -> None:
        """Light that fades away from a point; `r` is a share of the longer side."""
        small = 32
        side = max(self.width, self.height)
        xs = (np.arange(small) + 0.5) / small * self.width / side
        ys = (np.arange(small) + 0.5) / small * self.height / side
        far = np.hypot(xs[None, :] - x * self.width / side, ys[:, None] - y * self.height / side) / r
        mask = Image.fromarray((255 * strength * np.clip(1 - far, 0, 1) ** 1.5).astype(np.uint8))
        self.image.paste(fill, (0, 0), mask.resize(self.image.size, Image.Resampling.BILINEAR))


def paint(background: str, width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """The background alone, RGB, `width` x `height` pixels."""
    canvas = Canvas(width, height)
    PAINTERS[background](canvas, rng)
    return canvas.image


def _waver(rng: np.random.Generator, level: float, swing: float, count: int) -> list[float]:
    return [float(level + swing * value) for value in rng.uniform(-1, 1, count)]


def _sea(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((158, 208, 240), (226, 242, 250), bottom=0.42)
    canvas.gradient((74, 158, 206), (22, 96, 160), top=0.4)
    for row in range(7):
        y = 0.45 + row * 0.08
        colour = mix((130, 200, 230), (40, 120, 184), row / 7)
        for x in rng.uniform(-0.1, 1.0, 4):
            span = 0.05 + 0.014 * row
            crest = [(x + span * k, y + (0.011 if k % 2 else 0)) for k in range(4)]
            canvas.line(smooth(crest, closed=False, steps=4), 0.009, colour)


def _snow(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((150, 180, 212), (206, 222, 238), bottom=0.5)
    for level, colour in ((0.44, (206, 222, 240)), (0.6, (222, 234, 247)), (0.78, (238, 245, 252))):
        canvas.hills(_waver(rng, level, 0.05, 5), colour)
    for x, y, size in zip(rng.random(30), rng.uniform(0, 0.5, 30), rng.uniform(0.004, 0.009, 30), strict=True):
        canvas.disc(x, y, size, (246, 250, 255))


def _night_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((10, 12, 40), (24, 28, 78), (50, 48, 112))
    for x, y, size in zip(rng.random(70), rng.random(70), rng.uniform(0.003, 0.008, 70), strict=True):
        canvas.disc(x, y, size, (232, 232, 255) if size > 0.005 else (150, 156, 208))


def _desert(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((140, 200, 226), (246, 232, 196), bottom=0.5)
    for level, colour in (
        (0.44, (232, 190, 122)),
        (0.58, (222, 170, 98)),
        (0.74, (208, 150, 80)),
        (0.9, (192, 132, 68)),
    ):
        canvas.hills(_waver(rng, level, 0.055, 4), colour)


def _meadow(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((126, 194, 240), (222, 242, 250), bottom=0.55)
    for level, colour in ((0.46, (152, 204, 124)), (0.58, (124, 188, 98)), (0.74, (98, 168, 78))):
        canvas.hills(_waver(rng, level, 0.05, 5), colour)
    for x, y in zip(rng.random(34), rng.uniform(0.62, 1.0, 34), strict=True):
        canvas.line([(x, y), (x - 0.008, y - 0.022)], 0.006, (74, 142, 62))
        canvas.line([(x, y), (x + 0.008, y - 0.022)], 0.006, (74, 142, 62))


def _forest(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((142, 178, 134), (98, 142, 100), (62, 100, 66))
    for count, colour, thick in ((9, (92, 122, 88), 0.035), (6, (66, 78, 58), 0.06)):
        for i in range(count):
            x = (i + float(rng.uniform(0.2, 0.8))) / count
            spread = thick / max(canvas.aspect, 1)
            canvas.poly(
                [(x - spread * 0.35, 0), (x + spread * 0.35, 0), (x + spread / 2, 0.9), (x - spread / 2, 0.9)], colour
            )
    for x, size in zip(np.linspace(0, 1, 8), rng.uniform(0.08, 0.15, 8), strict=True):
        canvas.disc(float(x), 0, float(size), (48, 88, 54))
    canvas.hills(_waver(rng, 0.78, 0.03, 6), (74, 104, 52))
    canvas.hills(_waver(rng, 0.88, 0.03, 6), (56, 84, 44))


def _brick_wall(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.rect(0, 0, 1, 1, (206, 190, 178))
    rows = max(6, round(9 / min(canvas.aspect, 1)))
    columns = max(3, round(rows * canvas.aspect / 2.2))
    tones = rng.uniform(-1, 1, (rows, columns + 1))
    gap_y, gap_x = 0.09 / rows, 0.05 / columns
    for row in range(rows):
        for column in range(columns + 1):
            x0 = (column - (row % 2) / 2) / columns
            tone = float(tones[row, column])
            colour = mix((172, 88, 70), (146, 68, 56) if tone < 0 else (190, 108, 86), abs(tone))
            canvas.rect(
                max(x0 + gap_x, 0), row / rows + gap_y, x0 + 1 / columns - gap_x, (row + 1) / rows - gap_y, colour
            )


def _city_street(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((176, 192, 208), (222, 228, 234), bottom=0.7)
    edge = 0.0
    while edge < 1:
        wide, top = float(rng.uniform(0.13, 0.2)), float(rng.uniform(0.08, 0.36))
        grey = int(rng.integers(132, 168))
        canvas.rect(edge, top, edge + wide - 0.008, 0.72, (grey, grey + 4, grey + 12))
        for i in range(3):
            for y in np.arange(top + 0.04, 0.66, 0.07):
                x = edge + wide * (0.14 + 0.27 * i)
                canvas.rect(x, float(y), x + wide * 0.16, float(y) + 0.032, (grey + 38, grey + 42, grey + 44))
        edge += wide
    canvas.rect(0, 0.71, 1, 0.77, (188, 190, 192))
    canvas.gradient((112, 114, 122), (90, 92, 100), top=0.77)
    for x in (0.04, 0.3, 0.56, 0.82):
        canvas.rect(x, 0.875, x + 0.14, 0.895, (228, 228, 220))


def _beach(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((150, 212, 242), (226, 244, 250), bottom=0.32)
    canvas.gradient((60, 164, 204), (106, 200, 214), top=0.3, bottom=0.56)
    canvas.hills(_waver(rng, 0.5, 0.012, 7), (240, 248, 246))
    canvas.hills(_waver(rng, 0.53, 0.012, 7), (232, 206, 150))
    canvas.hills(_waver(rng, 0.72, 0.02, 5), (242, 218, 166))
    for x, y in zip(rng.random(40), rng.uniform(0.58, 1.0, 40), strict=True):
        canvas.disc(x, y, 0.005, (206, 178, 122))


def _kitchen(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.rect(0, 0, 1, 1, (200, 210, 214))
    rows = 6
    columns = max(3, round(rows * canvas.aspect / 0.72))
    for row in range(rows):
        for column in range(columns):
            tone = int(rng.integers(243, 251))
            x, y = column / columns, row * 0.12
            canvas.rect(x + 0.004, y + 0.005, x + 1 / columns - 0.004, y + 0.115, (tone, tone + 4, tone + 4))
    canvas.rect(0, 0.7, 1, 0.76, (200, 150, 98))
    canvas.gradient((164, 112, 66), (140, 92, 52), top=0.76)
    for y in (0.82, 0.89, 0.95):
        grain = [(i / 4, value) for i, value in enumerate(_waver(rng, y, 0.008, 5))]
        canvas.line(smooth(grain, closed=False), 0.006, (124, 80, 46))


def _stage(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((62, 30, 40), (86, 42, 50), bottom=0.76)
    beam = canvas.image.copy()
    ImageDraw.Draw(beam).polygon(
        [(x * canvas.width, y * canvas.height) for x, y in ((0.46, 0), (0.54, 0), (0.84, 0.8), (0.16, 0.8))],
        fill=(232, 196, 150),
    )
    beam = beam.filter(ImageFilter.BoxBlur(0.012 * min(beam.size)))
    canvas.image.paste(Image.blend(canvas.image, beam, 0.5))
    canvas.gradient((198, 142, 88), (156, 102, 60), top=0.76)
    for x in np.linspace(-0.4, 1.4, 10):
        canvas.line([(0.5 + (float(x) - 0.5) * 0.8, 0.76), (float(x), 1.0)], 0.006, (134, 86, 50))
    for i in range(4):
        for side in (0, 1):
            x0 = i * 0.04 if side == 0 else 1 - (i + 1) * 0.04
            canvas.rect(x0, 0, x0 + 0.042, 0.84 + float(rng.uniform(-0.005, 0.005)), _CURTAIN[i % 2])
    for i in range(8):
        canvas.oval(i / 8 + 1 / 16, 0, 0.075, 0.085, ((176, 30, 42), (150, 22, 34))[i % 2])


def _sunset_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient((252, 170, 84), (250, 146, 110), (238, 130, 150), (206, 118, 168))
    canvas.glow(0.5, 0.05, 0.7, (255, 226, 140), 0.7)
    for x, y, span in zip(rng.random(7), rng.uniform(0.1, 0.95, 7), rng.uniform(0.1, 0.22, 7), strict=True):
        canvas.oval(x, y, span, 0.012, mix((255, 196, 130), (232, 160, 186), y))


_CURTAIN: tuple[RGB, RGB] = ((160, 24, 36), (186, 36, 46))

PAINTERS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "sea": _sea,
    "snow": _snow,
    "night sky": _night_sky,
    "desert": _desert,
    "meadow": _meadow,
    "forest": _forest,
    "brick wall": _brick_wall,
    "city street": _city_street,
    "beach": _beach,
    "kitchen": _kitchen,
    "stage": _stage,
    "sunset sky": _sunset_sky,
}
