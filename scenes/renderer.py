"""Scenes to pictures: the background's painter, then every thing on a tile of its own, then the style.

Leaves out placing (boxes.py), the drawings (shapes/) and the styles' means (styles.py). Everything is drawn at two
or three times the size and reduced.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from scenes import backgrounds, styles
from scenes.boxes import Box, layout
from scenes.graph import Scene, Thing
from scenes.pen import Pen
from scenes.shapes import SHAPES

#: Pictures up to this side are drawn at three times their size, larger ones at twice: small edges need it more.
_FINE_SIDE = 192

#: Where a style's random generator is told apart from the background's.
_BACKGROUND_STREAM, _STYLE_STREAM = 2, 3


def render(scene: Scene, width: int, height: int, seed: int = 0) -> Image.Image:
    """The scene as an RGB picture of `width` x `height` pixels; the same arguments give the same bytes."""
    times = 3 if max(width, height) <= _FINE_SIDE else 2
    large = (width * times, height * times)
    painted = backgrounds.paint(scene.background, *large, np.random.default_rng((seed, _BACKGROUND_STREAM)))
    picture = styles.prepare_background(scene.style, painted)
    boxes = layout(scene, width, height, seed)
    for i in drawing_order(scene, boxes):
        _put(picture, scene.things[i], boxes[i], scene.style, times)
    reduced = picture.resize((width, height), Image.Resampling.LANCZOS)
    return styles.finish(scene.style, reduced, np.random.default_rng((seed, _STYLE_STREAM)))


def drawing_order(scene: Scene, boxes: list[Box]) -> list[int]:
    """Indices of the things, farthest first: by their feet; what is under its object before it, all else after it."""
    feet = [box.y1 for box in boxes]
    for relation in scene.relations:
        feet[relation.subject] = feet[relation.object] + (-0.01 if relation.kind == "under" else 0.01)
    return sorted(range(len(boxes)), key=lambda i: feet[i])


def draw_thing(thing: Thing, width: int, height: int, stroke: int = 0) -> Image.Image:
    """One thing on a transparent tile of about `width` x `height` pixels (RGBA), at the shape's own aspect."""
    shape = SHAPES[thing.noun]
    scale = min(width / shape.width, height / shape.height)
    pen = Pen(max(1, width), max(1, height), scale, thing.colour, thing.pattern, stroke)
    shape.draw(pen)
    return pen.tile


def _put(picture: Image.Image, thing: Thing, box: Box, style_name: str, times: int) -> None:
    """Draws one thing into the picture, which is `times` as large as the box's pixels."""
    style = styles.STYLES[style_name]
    x, y = round(box.x0 * times), round(box.y0 * times)
    stroke = max(1, round(style.stroke * min(picture.size))) if style.stroke else 0
    tile = draw_thing(thing, round(box.width * times), round(box.height * times), stroke)
    if style.volume:
        tile = styles.give_volume(tile)
    if style.shadow:
        _shade(picture, tile, x, y, style_name)
    picture.paste(tile, (x, y), tile)


def _shade(picture: Image.Image, tile: Image.Image, x: int, y: int, style_name: str) -> None:
    """A soft shadow to the lower right of a tile."""
    reach = max(2, round(0.012 * min(picture.size)))
    alpha = tile.getchannel("A")
    room = Image.new("L", (tile.width + 4 * reach, tile.height + 4 * reach), 0)
    room.paste(alpha.point([round(value * styles.STYLES[style_name].shadow) for value in range(256)]), (2 * reach,) * 2)
    soft = room.filter(ImageFilter.BoxBlur(reach * 0.8))
    picture.paste(styles.shadow_colour(style_name), (x - reach, y - reach), soft)
