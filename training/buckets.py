"""Aspect buckets: forty shapes of about one area, from 1:4 to 4:1, and which of them an image goes into.

PixArt-alpha trains its last stage on forty ratios from 0.25 to 4 (arXiv 2310.00426, section 2.3). Here they are made
for any resolution and patch: equal steps of log ratio, sides rounded to what the model divides. An image is scaled to
cover its bucket and cut in the middle; what is cut away, and samples that no full batch takes, are counted (`Waste`).
Statistics are of all samples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RATIOS = 40
WIDEST = 4.0


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """A shape in pixels."""

    height: int
    width: int

    @property
    def ratio(self) -> float:
        """Height over width, as PixArt has it."""
        return self.height / self.width


@dataclass(frozen=True, slots=True)
class Waste:
    """What buckets cost: `images` in all, `left_over` of them in no full batch of an epoch, and the share of the
    pixels of scaled images that is `cut` away."""

    images: int
    left_over: int
    cut: float


class Buckets:
    """The shapes of one resolution: `resolution`² pixels each, more or less, sides divisible by `step`."""

    def __init__(self, resolution: int, step: int, *, ratios: int = RATIOS, widest: float = WIDEST) -> None:
        if resolution % step:
            raise ValueError(f"{resolution} is not divisible by {step}")
        if ratios == 1:
            shapes = [Bucket(resolution, resolution)]
        else:
            logs = (math.log(widest) * (2 * place / (ratios - 1) - 1) for place in range(ratios))
            shapes = [_shape(resolution, step, math.exp(log)) for log in logs]
            # An even number of ratios has no square among them, and most images are nearly square.
            shapes.append(Bucket(resolution, resolution))
        #: In order of ratio, none twice: at a low resolution neighbours round to the same shape.
        self.shapes: tuple[Bucket, ...] = tuple(sorted(set(shapes), key=lambda shape: (shape.ratio, shape.height)))
        self._logs = [math.log(shape.ratio) for shape in self.shapes]

    def of(self, width: int, height: int) -> Bucket:
        """The shape whose ratio is nearest; the nearest of all where an image is longer than any."""
        log = math.log(height / width)
        place = min(range(len(self.shapes)), key=lambda at: abs(self._logs[at] - log))
        return self.shapes[place]

    def waste(self, sizes: Iterable[tuple[int, int]], batch: int) -> tuple[Counter[Bucket], Waste]:
        """Images of each bucket, and what is wasted, for images of these (width, height) in batches of one shape."""
        counts: Counter[Bucket] = Counter()
        scaled = kept = 0.0
        for width, height in sizes:
            shape = self.of(width, height)
            counts[shape] += 1
            scale = max(shape.width / width, shape.height / height)
            scaled += width * scale * height * scale
            kept += shape.width * shape.height
        left_over = sum(count % batch for count in counts.values())
        return counts, Waste(counts.total(), left_over, 1 - kept / scaled if scaled else 0.0)


def _shape(resolution: int, step: int, ratio: float) -> Bucket:
    """The shape of this ratio whose area is nearest below or at that of the square, give or take one step."""
    area = resolution * resolution
    height = max(step, round(math.sqrt(area * ratio) / step) * step)
    width = max(step, round(area / height / step) * step)
    return Bucket(height, width)


def cover(width: int, height: int, shape: Bucket) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """((width, height) that an image is scaled to, box that is cut out of it): it covers the shape, centre kept."""
    scale = max(shape.width / width, shape.height / height)
    wide, high = max(shape.width, round(width * scale)), max(shape.height, round(height * scale))
    left, top = (wide - shape.width) // 2, (high - shape.height) // 2
    return (wide, high), (left, top, left + shape.width, top + shape.height)


def square(resolution: int) -> Sequence[Bucket]:
    """The one shape of training without buckets."""
    return (Bucket(resolution, resolution),)
