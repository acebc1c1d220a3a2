"""Aspect buckets: forty shapes of about one area, from 1:4 to 4:1, and which of them an image goes into.

PixArt-alpha trains its last stage on forty ratios from 0.25 to 4 (arXiv 2310.00426, section 2.3). Here they are made
for any resolution and patch: equal steps of log ratio, sides rounded to what the model divides. An image is scaled to
cover its bucket and cut in the middle; what is cut away, and samples that no full batch takes, are counted (`Waste`).
A batch is of one shape, so that a shape with fewer images than a batch has could never be read: its images go into the
nearest shape that is full enough (`Buckets.filled`). Statistics are of all samples.
"""

from __future__ import annotations

import copy
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
    """What buckets cost: `images` in all, `left_over` of them in no full batch of an epoch, the share of the pixels of
    scaled images that is `cut` away, and how many images were `moved` into a neighbour of their own shape because
    `merged` shapes had too few for a batch."""

    images: int
    left_over: int
    cut: float
    moved: int = 0
    merged: int = 0


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
        self._logs = {shape: math.log(shape.ratio) for shape in self.shapes}
        #: Those of them that images go into.
        self.open = self.shapes
        self._of: dict[tuple[int, int], Bucket] = {}

    def of(self, width: int, height: int) -> Bucket:
        """The open shape whose ratio is nearest; the nearest of all where an image is longer than any."""
        found = self._of.get((width, height))
        if found is None:
            found = self._of[width, height] = self._nearest(self.open, width, height)
        return found

    def own(self, width: int, height: int) -> Bucket:
        """The shape whose ratio is nearest, whether it is open or not."""
        return self.of(width, height) if self.open == self.shapes else self._nearest(self.shapes, width, height)

    def filled(self, sizes: Iterable[tuple[int, int]], batch: int) -> Buckets:
        """These buckets for images of these (width, height): no shape is open that has some of them, but fewer than
        `batch`. The smallest is closed first, and its images count for their next nearest shape; one stays open.
        """
        listed = Counter(sizes)
        counts = self._count(listed)
        inside: dict[Bucket, list[tuple[int, int]]] = {shape: [] for shape in counts}
        for size in listed:
            inside[self.of(*size)].append(size)
        left = tuple(shape for shape in self.open if shape in counts)
        if min(counts.values(), default=batch) >= batch or len(left) == 1:
            return self
        while len(left) > 1 and min(counts.values()) < batch:
            closed = min(left, key=lambda shape: (counts[shape], shape))
            left = tuple(shape for shape in left if shape != closed)
            del counts[closed]
            for size in inside.pop(closed):
                shape = self._nearest(left, *size)
                inside[shape].append(size)
                counts[shape] += listed[size]
        made = copy.copy(self)
        made.open, made._of = left, {}
        return made

    def waste(self, sizes: Iterable[tuple[int, int]], batch: int) -> tuple[Counter[Bucket], Waste]:
        """Images of each bucket, and what is wasted, for images of these (width, height) in batches of one shape."""
        listed = Counter(sizes)
        counts = self._count(listed)
        scaled = kept = 0.0
        moved: Counter[Bucket] = Counter()
        for (width, height), images in listed.items():
            shape, own = self.of(width, height), self.own(width, height)
            if shape != own:
                moved[own] += images
            scale = max(shape.width / width, shape.height / height)
            scaled += width * scale * height * scale * images
            kept += shape.width * shape.height * images
        left_over = sum(count % batch for count in counts.values())
        cut = 1 - kept / scaled if scaled else 0.0
        return counts, Waste(counts.total(), left_over, cut, moved.total(), len(moved))

    def _count(self, sizes: Counter[tuple[int, int]]) -> Counter[Bucket]:
        counts: Counter[Bucket] = Counter()
        for (width, height), images in sizes.items():
            counts[self.of(width, height)] += images
        return counts

    def _nearest(self, shapes: Sequence[Bucket], width: int, height: int) -> Bucket:
        log = math.log(height / width)
        return min(shapes, key=lambda shape: abs(self._logs[shape] - log))


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
