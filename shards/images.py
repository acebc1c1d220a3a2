"""Safe decoding: bytes of a stranger's image file in, an upright RGB image out, or a reject with its reason.

The format is told by content (JPEG, PNG, WebP; nothing else is handed to a decoder). Size, shape and frames are checked
before a pixel is decoded, and a file must decode whole: Pillow's LOAD_TRUNCATED_IMAGES would fill the missing part with
grey. EXIF orientation is applied, 16 bits are scaled to 8, CMYK is converted by Pillow (which takes JPEG's CMYK as
inverted, as Adobe writes it), transparency is laid on BACKGROUND. Colour profiles are not applied.

Uses no global state of Pillow or `warnings`, so any number of threads may decode at once.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from core.settings import Settings
from shards.image_headers import ImageHeader, ImageRejected, read_header

__all__ = ["BACKGROUND", "ImageLimits", "ImageRejected", "decode_image"]

#: What transparent pixels are laid on: white.
BACKGROUND = (255, 255, 255)

# The plugin classes themselves, not Image.open: that one warns or raises by a pixel limit global to the process.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may be: most pixels, shortest side in pixels, longest side over shortest."""

    max_pixels: int = 100_000_000
    min_side: int = 8
    max_aspect: float = 20.0

    @classmethod
    def from_settings(cls, settings: Settings) -> ImageLimits:
        return cls(settings.max_pixels, settings.min_side, settings.max_aspect)


def decode_image(data: bytes, limits: ImageLimits) -> Image.Image:
    """Decodes a whole JPEG, PNG or WebP into an upright RGB image of 8 bits. Raises ImageRejected."""
    # Another library's convenience would turn half a picture into a grey wall here.
    assert not ImageFile.LOAD_TRUNCATED_IMAGES, "ImageFile.LOAD_TRUNCATED_IMAGES must stay False"
    header = read_header(data)
    _check(header, limits)
    image = _load(header)
    if image.size != (header.width, header.height):
        raise ImageRejected("image_corrupt", f"The {header.format} has two sizes, one of them is wrong.")
    image = _to_rgb(image, header.bits)
    turn = _UPRIGHT.get(header.orientation)
    return image.transpose(turn) if turn is not None else image


def _check(header: ImageHeader, limits: ImageLimits) -> None:
    width, height = header.width, header.height
    if not width or not height:
        raise ImageRejected("image_corrupt", f"The {header.format} says it is {width} x {height} pixels.")
    if width * height > limits.max_pixels:
        raise ImageRejected(
            "image_too_large",
            f"The image has {width} x {height} pixels, over the limit of {limits.max_pixels} (DENSIFY_MAX_PIXELS).",
        )
    if min(width, height) < limits.min_side:
        raise ImageRejected(
            "image_too_small",
            f"The image has {width} x {height} pixels; the shortest side may be {limits.min_side} (DENSIFY_MIN_SIDE).",
        )
    if max(width, height) > limits.max_aspect * min(width, height):
        raise ImageRejected(
            "image_aspect",
            f"The image has {width} x {height} pixels, beyond {limits.max_aspect:g} to 1 (DENSIFY_MAX_ASPECT).",
        )
    if header.frames > 1:
        raise ImageRejected("image_animated", f"The {header.format} has {header.frames} frames; one is taken.")


def _load(header: ImageHeader) -> Image.Image:
    try:
        image = _PLUGINS[header.format](io.BytesIO(header.data))
        image.load()
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageRejected("image_too_large", f"The {header.format} is too large to decode: {error}.") from error
    except Exception as error:
        # A hostile file may raise anything a decoder has: all of it means that this file does not decode.
        text = str(error)
        if "truncated" in text.lower():
            raise ImageRejected("image_truncated", f"The {header.format} is cut short: {text}.") from error
        raise ImageRejected("image_corrupt", f"The {header.format} does not decode: {text}.") from error
    return image


def _to_rgb(image: Image.Image, bits: int) -> Image.Image:
    if image.mode in ("I;16", "I"):
        return _from_16_bit_grey(image)
    transparency = image.info.get("transparency")
    if bits == 16 and isinstance(transparency, tuple):
        # Pillow keeps the high byte of 16-bit colours, and the whole of the transparent one.
        image.info["transparency"] = tuple(value >> 8 for value in transparency)
    if transparency is not None or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        below = Image.new("RGB", image.size, BACKGROUND)
        below.paste(image, mask=image.getchannel("A"))
        return below
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_16_bit_grey(image: Image.Image) -> Image.Image:
    # convert("RGB") would clip: 0 … 65535 → 255 nearly everywhere.
    values = np.asarray(image).astype(np.uint32)
    grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = BACKGROUND[0]
    return Image.fromarray(grey).convert("RGB")
