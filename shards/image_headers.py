"""The structure of JPEG, PNG and WebP files: size, frames, orientation and completeness, before any pixel is decoded.

Also hands on the bytes without their metadata: decoders then never parse EXIF, profiles or text of a stranger's file,
and warn about none. Leaves out: pixels (shards/images.py). Everything malformed is an ImageRejected.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from shards.sniff import foreign_format


class ImageRejected(Exception):
    """An image that does not go on: `reason` is one of core/reasons.py, `sentence` says what is wrong."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the file says of itself: pixels, bits of a channel, EXIF orientation (1 to 8); `data` is for the decoder."""

    format: str
    width: int
    height: int
    frames: int
    bits: int
    orientation: int
    data: bytes


def read_header(data: bytes) -> ImageHeader:
    """Reads the structure of a JPEG, PNG or WebP, told by its first bytes. Raises ImageRejected."""
    if not data:
        raise ImageRejected("image_empty", "The image has zero bytes.")
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(_PNG_MAGIC):
        return _png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    found = foreign_format(data)
    what = f"The image is {found}" if found else "The bytes are no image"
    raise ImageRejected("not_an_image", f"{what}; JPEG, PNG and WebP are taken.")


# ---- JPEG -----------------------------------------------------------------------------------------------------------

_SOF = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
#: Application segments that change pixels: JFIF (colour space) and Adobe (CMYK, YCCK).
_KEPT_APPS = frozenset({0xE0, 0xEE})
_DROPPED = frozenset({*range(0xE0, 0xF0), 0xFE}) - _KEPT_APPS


def _jpeg(data: bytes) -> ImageHeader:
    size: tuple[int, int] | None = None
    bits, orientation, position = 8, 1, 2
    kept = [data[:2]]
    while True:
        # Bytes before a marker are passed over, as libjpeg does.
        position = data.find(b"\xff", position)
        while position >= 0 and data[position + 1 : position + 2] == b"\xff":
            position += 1
        if position < 0 or position + 2 > len(data):
            raise ImageRejected("image_truncated", "The JPEG ends before its picture begins.")
        marker = data[position + 1]
        if marker == 0 or marker in _ALONE:
            position += 2
            continue
        if marker == 0xDA:
            break
        if marker == 0xD9:
            raise ImageRejected("image_corrupt", "The JPEG has no picture in it.")
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if end > len(data) or position + 4 > len(data):
            raise ImageRejected("image_truncated", "The JPEG ends inside its header.")
        segment = data[position + 4 : end]
        if marker in _SOF and len(segment) >= 5:
            bits, height, width = struct.unpack_from(">BHH", segment)
            size = size or (width, height)
        elif marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            orientation = exif_orientation(segment[6:])
        if marker not in _DROPPED:
            kept.append(data[position:end])
        position = max(end, position + 4)
    if size is None:
        raise ImageRejected("image_corrupt", "The JPEG does not say its size.")
    kept.append(data[position:])
    return ImageHeader("JPEG", *size, 1, bits, orientation, b"".join(kept))


# ---- PNG ------------------------------------------------------------------------------------------------------------

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
#: The chunks that make the pixels. All others are metadata or animation.
_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_RAW_EXIF = b"Raw profile type exif\0"
_MAX_TEXT_BYTES = 1 << 20


def _png(data: bytes) -> ImageHeader:
    frames = orientation = 1
    kept = [_PNG_MAGIC]
    position = len(_PNG_MAGIC)
    names: list[bytes] = []
    while not names or names[-1] != b"IEND":
        length = int.from_bytes(data[position : position + 4], "big")
        name = data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            _check_chunk_name(name)
            raise ImageRejected("image_truncated", f"The PNG is cut short at byte {position}.")
        if name in _PIXEL_CHUNKS:
            _check_crc(data, position, end, name)
            kept.append(data[position:end])
        elif name == b"acTL" and length >= 4:
            count = int.from_bytes(data[position + 8 : position + 12], "big")
            frames = count if 0 < count <= 1 << 31 else 1
        else:
            _check_chunk_name(name)
            orientation = _png_orientation(name, data[position + 8 : end - 4]) or orientation
        names.append(name)
        position = end
    if names[0] != b"IHDR" or len(kept[1]) != 25:
        raise ImageRejected("image_corrupt", "The PNG does not begin with its header chunk.")
    if b"IDAT" not in names:
        raise ImageRejected("image_corrupt", "The PNG has no picture in it.")
    width, height, bits = struct.unpack_from(">IIB", kept[1], 8)
    return ImageHeader("PNG", width, height, frames, bits, orientation, b"".join(kept))


def _check_chunk_name(name: bytes) -> None:
    if len(name) == 4 and not name.isalpha():
        raise ImageRejected("image_corrupt", "The PNG is garbled: a chunk has no name.")


def _check_crc(data: bytes, position: int, end: int, name: bytes) -> None:
    if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
        raise ImageRejected("image_corrupt", f"The PNG's {name.decode()} chunk at byte {position} fails its checksum.")


def _png_orientation(name: bytes, body: bytes) -> int | None:
    if name == b"eXIf":
        return exif_orientation(body)
    # ImageMagick keeps EXIF as hexadecimal text.
    if name in (b"tEXt", b"zTXt") and body.startswith(_RAW_EXIF):
        raw = body[len(_RAW_EXIF) :]
        try:
            if name == b"zTXt":
                raw = zlib.decompressobj().decompress(raw[1:], _MAX_TEXT_BYTES)
            lines = raw[:_MAX_TEXT_BYTES].split(b"\n")[3:]
            return exif_orientation(bytes.fromhex(b"".join(lines).decode("ascii")))
        except (zlib.error, ValueError):
            return None
    return None


# ---- WebP -----------------------------------------------------------------------------------------------------------


def _webp(data: bytes) -> ImageHeader:
    end = 8 + int.from_bytes(data[4:8], "little")
    if len(data) < min(end, 30) or len(data) < end:
        raise ImageRejected("image_truncated", f"The WebP declares {end} bytes and has {len(data)}.")
    first = data[12:16]
    orientation = frames = 1
    if first == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        frames, orientation = _webp_chunks(data, end)
    elif first == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    elif first == b"VP8 ":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    else:
        raise ImageRejected("image_corrupt", "The WebP has no picture in it.")
    return ImageHeader("WEBP", width, height, frames, 8, orientation, data)


def _webp_chunks(data: bytes, end: int) -> tuple[int, int]:
    """(frames, orientation) of an extended WebP."""
    frames, orientation, position = 0, 1, 30
    while position + 8 <= end:
        name, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        if name == b"ANMF":
            frames += 1
        elif name == b"EXIF":
            body = data[position + 8 : position + 8 + length]
            orientation = exif_orientation(body.removeprefix(b"Exif\0\0"))
        position += 8 + length + length % 2
    return max(frames, 1), orientation


# ---- EXIF -----------------------------------------------------------------------------------------------------------

_ORIENTATION_TAG = 0x0112
_ORDERS = {b"II": "<", b"MM": ">"}
_TIFF = re.compile(rb"II\*\0|MM\0\*")


def exif_orientation(tiff: bytes) -> int:
    """The orientation (1 to 8) in the first directory of an EXIF block; 1 where there is none or it makes no sense."""
    tiff = tiff.removeprefix(b"Exif\0\0")
    if not _TIFF.match(tiff):
        return 1
    order = _ORDERS[tiff[:2]]
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * min(count, 1000), 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == _ORIENTATION_TAG:
                value: int = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", tiff, entry + 8)[0]
                return value if 1 <= value <= 8 else 1
    except struct.error:
        # EXIF that is cut or garbled turns nothing: the pixels are whole.
        pass
    return 1
