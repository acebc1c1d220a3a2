"""Pictures side by side: a grid of previews or of a sweep, with what each row and column is.

Leaves out: drawing (sampling.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

#: Pixels between pictures, and of a line of words.
GAP, LINE = 4, 18
_PAPER, _INK = (250, 250, 248), (40, 44, 52)


def grid(
    images: Sequence[Image.Image], columns: int, *, rows: Sequence[str] = (), heads: Sequence[str] = ()
) -> Image.Image:
    """The images row by row. `heads`: words above the columns; `rows`: words before the rows. Takes at least one."""
    width, height = (max(image.size[axis] for image in images) for axis in (0, 1))
    lines = -(-len(images) // columns)
    font = ImageFont.load_default(12)
    left = GAP + max((int(font.getlength(row)) + GAP for row in rows), default=0)
    top = GAP + (LINE if heads else 0)
    sheet = Image.new("RGB", (left + columns * (width + GAP), top + lines * (height + GAP)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        pen.text((left + column * (width + GAP), GAP), head, _INK, font)
    for line, row in enumerate(rows):
        pen.text((GAP, top + line * (height + GAP) + height // 2 - LINE // 2), row, _INK, font)
    for place, image in enumerate(images):
        line, column = divmod(place, columns)
        sheet.paste(image, (left + column * (width + GAP), top + line * (height + GAP)))
    return sheet
