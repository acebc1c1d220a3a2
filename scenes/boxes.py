"""Where each thing of a scene stands: boxes in pixels from zones, sizes and relations.

Leaves out drawing (renderer.py). A thing that is no relation's subject has its centre in its zone's ninth of the
picture; a subject is placed by its object. All boxes lie wholly inside the picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scenes.graph import Scene, Thing
from scenes.shapes import SHAPES
from scenes.vocabulary import ZONES

#: The longer side of a thing as a share of the picture's shorter side.
SHARE = {"small": 0.26, "large": 0.4}

_MARGIN = 0.012
_SHRINK = 0.94
#: Where more than this share would be covered, a thing is drawn smaller, down to this factor.
_CROWDED = 0.15
_SMALLEST = 0.85


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, x1 and y1 exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        return ((self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2)

    def overlap(self, other: Box) -> float:
        """The area in square pixels that both cover."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(0.0, width) * max(0.0, height)

    def covered(self, other: Box) -> float:
        """The overlap as a share of the smaller of both (0 to 1)."""
        return self.overlap(other) / min(self.width * self.height, other.width * other.height)


def zone_box(zone: str, width: float, height: float) -> Box:
    """The ninth of the picture that `zone` names."""
    row, column = divmod(ZONES.index(zone), 3)
    return Box(column * width / 3, row * height / 3, (column + 1) * width / 3, (row + 1) * height / 3)


def layout(scene: Scene, width: int, height: int, seed: int = 0) -> list[Box]:
    """One box per thing, in the scene's order, for a picture of `width` x `height` pixels.

    The same scene, size and seed give the same boxes; the seed moves things a little inside their ninths. Scenes
    without relations overlap little; only "in front of" overlaps on purpose.
    """
    rng = np.random.default_rng((seed, 1))
    boxes: dict[int, Box] = {}
    relation_of = {relation.object: relation for relation in scene.relations}
    subjects = {relation.subject for relation in scene.relations}
    bases = [i for i in range(len(scene.things)) if i not in subjects]
    wishes = {i: (float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7))) for i in bases}
    # Pairs need more room than single things, so they take their places last; then all may move once more.
    bases.sort(key=lambda i: i in relation_of)
    for i in [*bases, *bases] if len(bases) > 1 else bases:
        relation = relation_of.get(i)
        own = {i, relation.subject} if relation else {i}
        kind, subject = (relation.kind, scene.things[relation.subject]) if relation else ("", None)
        others = [box for j, box in boxes.items() if j not in own]
        found = _place(scene.things[i], subject, kind, wishes[i], (width, height), others)
        boxes[i] = found[0]
        if relation:
            boxes[relation.subject] = found[1]
    return [boxes[i] for i in range(len(scene.things))]


def extent(thing: Thing, width: int, height: int) -> tuple[float, float]:
    """Width and height in pixels of a thing that has room enough."""
    shape = SHAPES[thing.noun]
    unit = SHARE[thing.size] * min(width, height) / 100
    # Long thin things get a little more length, so that they are not lost beside round ones.
    unit *= min(1.15, (max(shape.width, shape.height) / min(shape.width, shape.height)) ** 0.2)
    return (shape.width * unit, shape.height * unit)


def _place(
    thing: Thing,
    subject: Thing | None,
    kind: str,
    wish: tuple[float, float],
    picture: tuple[int, int],
    placed: list[Box],
) -> list[Box]:
    """The boxes of a thing and of what is bound to it: of all places that fit, the one that covers others least."""
    factor = 1.0
    while True:
        size = _scaled(extent(thing, *picture), factor)
        best: tuple[float, list[Box]] | None = None
        for offset, bound in _offsets(size, subject, kind, picture, factor):
            for cost, group in _candidates(thing.zone, size, offset, bound, wish, picture):
                total = cost + sum(box.covered(other) for box in group for other in placed)
                if best is None or total < best[0]:
                    best = (total, group)
        if best is not None and (best[0] < _CROWDED or factor < _SMALLEST):
            return best[1]
        factor *= _SHRINK


def _scaled(size: tuple[float, float], factor: float) -> tuple[float, float]:
    return (size[0] * factor, size[1] * factor)


def _offsets(
    size: tuple[float, float], subject: Thing | None, kind: str, picture: tuple[int, int], factor: float
) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """The ways in which a subject's centre may lie from its object's centre, each with the subject's size."""
    if subject is None:
        yield (0.0, 0.0), (0.0, 0.0)
        return
    w, h = size
    sw, sh = bound = _scaled(extent(subject, *picture), factor)
    gap = 0.02 * min(picture)
    if kind == "on":
        yield (0.0, -(h + sh) / 2 + 0.06 * sh), bound
    elif kind == "under":
        yield (0.0, (h + sh) / 2 + gap / 2), bound
    else:
        for side in (1, -1):
            if kind == "beside":
                yield (side * ((w + sw) / 2 + gap), (h - sh) / 2), bound
            else:
                yield (side * 0.3 * w, (h - sh) / 2 + 0.15 * sh), bound


def _candidates(
    zone: str,
    size: tuple[float, float],
    offset: tuple[float, float],
    bound: tuple[float, float],
    wish: tuple[float, float],
    picture: tuple[int, int],
) -> Iterator[tuple[float, list[Box]]]:
    """Places inside the ninth and the picture, each with a small cost for its distance from the wished one."""
    ninth = zone_box(zone, *picture)
    near = 0.02 * min(picture)
    ranges = []
    for axis, (low, high) in enumerate(((ninth.x0, ninth.x1), (ninth.y0, ninth.y1))):
        margin = _MARGIN * min(picture)
        before = max(size[axis] / 2, bound[axis] / 2 - offset[axis])
        after = max(size[axis] / 2, bound[axis] / 2 + offset[axis])
        first, last = max(low + near, margin + before), min(high - near, picture[axis] - margin - after)
        if first > last:
            return
        middle = min(max(low + wish[axis] * (high - low), first), last)
        ranges.append((middle, first, last))
    wished = (ranges[0][0], ranges[1][0])
    for x, y in itertools.product(*ranges):
        group = [_around((x, y), size)]
        if bound[0]:
            group.append(_around((x + offset[0], y + offset[1]), bound))
        yield 0.1 * (abs(x - wished[0]) + abs(y - wished[1])) / min(picture), group


def _around(centre: tuple[float, float], size: tuple[float, float]) -> Box:
    (x, y), (w, h) = centre, size
    return Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
