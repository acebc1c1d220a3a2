"""What every patch of a picture shows: the facts that the tower learns first, patch by patch.

Leaves out pictures and the tower. Patches of no thing have only the first fact (`nothing`) and those of the whole
picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenes.graph import Scene
from scenes.vocabulary import BACKGROUNDS, COLOURS, NOUNS, PATTERNS, RELATIONS, SIZES, STYLES, ZONES

#: Facts of a patch and how many values each has. `noun` 0 is none; `role` 0 is none, 1 an object, then the subjects.
FACTS: Final[dict[str, int]] = {
    "noun": len(NOUNS) + 1,
    "colour": len(COLOURS),
    "size": len(SIZES),
    "pattern": len(PATTERNS),
    "zone": len(ZONES),
    "role": len(RELATIONS) + 2,
    "background": len(BACKGROUNDS),
    "style": len(STYLES),
}
#: Facts that patches without a thing do not have: -100, which losses pass over.
OF_THINGS: Final = ("colour", "size", "pattern", "zone", "role")
NONE: Final = -100
#: A thing owns the patches that it covers to this share.
_COVERED = 0.35


def facts(scenes: Sequence[Scene], boxes: NDArray[np.float32], order: NDArray[np.int8], grid: int) -> NDArray[np.int64]:
    """-> (n, grid * grid, 8) values of FACTS, patches row by row; arguments as Pictures has them."""
    owners = _owners(boxes, order, grid)
    values = np.full((len(scenes), 7, len(FACTS)), NONE, np.int64)
    for row, scene in enumerate(scenes):
        values[row, :, 6] = BACKGROUNDS.index(scene.background)
        values[row, :, 7] = STYLES.index(scene.style)
        roles = _roles(scene)
        for index, thing in enumerate(scene.things):
            values[row, index, :6] = (
                NOUNS.index(thing.noun) + 1,
                COLOURS.index(thing.colour),
                SIZES.index(thing.size),
                PATTERNS.index(thing.pattern),
                ZONES.index(thing.zone),
                roles[index],
            )
    values[:, 6, 0] = 0
    return values[np.arange(len(scenes))[:, None], owners]


def _owners(boxes: NDArray[np.float32], order: NDArray[np.int8], grid: int) -> NDArray[np.int64]:
    """The thing that each patch shows, of those that cover it the nearest -> (n, grid * grid); 6 for none."""
    count = len(boxes)
    rows = np.arange(count)
    owners = np.full((count, grid * grid), 6, np.int64)
    edges = np.arange(grid + 1, dtype=np.float32) / grid
    for rank in range(order.shape[1]):
        index = order[:, rank].astype(np.int64)
        box = boxes[rows, np.maximum(index, 0)]
        across = _overlap(box[:, 0], box[:, 2], edges) * grid
        down = _overlap(box[:, 1], box[:, 3], edges) * grid
        covered = (down[:, :, None] * across[:, None, :]).reshape(count, -1)
        # A thin thing that covers no patch to that share still owns the one that it covers most.
        own = covered >= np.minimum(_COVERED, covered.max(axis=1, keepdims=True))
        owners = np.where(own & (index >= 0)[:, None], index[:, None], owners)
    return owners


def _overlap(low: NDArray[np.float32], high: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of each cell lies between `low` and `high` -> (n, cells)."""
    return np.clip(np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1]), 0, None)


def _roles(scene: Scene) -> list[int]:
    roles = [0] * len(scene.things)
    for relation in scene.relations:
        roles[relation.object] = 1
        roles[relation.subject] = 2 + RELATIONS.index(relation.kind)
    return roles
