"""Safe decoding: right pixels for every kind of file that is taken, a reason for every one that is not."""

from __future__ import annotations

import io
import json
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from core.reasons import REJECT_REASONS
from core.settings import Settings
from shards.image_headers import exif_orientation, read_header
from shards.images import BACKGROUND, ImageLimits, ImageRejected, decode_image
from tests.shards.make_shards import flip, picture

LIMITS = ImageLimits()


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format, **options)
    return sink.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + body + chunk(b"IEND", b"")


def rejected(data: bytes, limits: ImageLimits = LIMITS) -> str:
    with pytest.raises(ImageRejected) as caught:
        decode_image(data, limits)
    assert caught.value.reason in REJECT_REASONS
    assert caught.value.sentence.endswith(".")
    return caught.value.reason


def colours(data: bytes) -> set[tuple[int, ...]]:
    image = decode_image(data, LIMITS)
    assert image.mode == "RGB"
    return set(map(tuple, np.asarray(image).reshape(-1, 3).tolist()))


def flat(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (16, 16), colour)


def test_rgb_pixels_are_those_of_pillow() -> None:
    for format in ("JPEG", "PNG", "WEBP"):
        data = picture(3, (40, 30), format)
        expected = Image.open(io.BytesIO(data)).convert("RGB")
        assert np.array_equal(np.asarray(decode_image(data, LIMITS)), np.asarray(expected))


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    for value, grey in ((0, 0), (257, 1), (32768, 128), (65535, 255)):
        rows = (b"\0" + struct.pack(">H", value) * 16) * 16
        assert colours(png(16, 16, 16, 0, rows)) == {(grey,) * 3}


def test_sixteen_bit_colour_and_alpha_are_scaled() -> None:
    rows = (b"\0" + struct.pack(">HHH", 65535, 32768, 0) * 16) * 16
    assert colours(png(16, 16, 16, 2, rows)) == {(255, 128, 0)}
    rows = (b"\0" + struct.pack(">HHHH", 65535, 0, 0, 0) * 16) * 16
    assert colours(png(16, 16, 16, 6, rows)) == {BACKGROUND}
    rows = (b"\0" + struct.pack(">HH", 40000, 65535) * 16) * 16
    assert colours(png(16, 16, 16, 4, rows)) == {(156, 156, 156)}


def test_a_transparent_colour_of_sixteen_bits_is_laid_on_the_background() -> None:
    grey = (b"\0" + struct.pack(">HH", 1000, 65535) * 8) * 16
    assert colours(png(16, 16, 16, 0, grey, chunk(b"tRNS", struct.pack(">H", 1000)))) == {BACKGROUND}
    colour = (b"\0" + struct.pack(">HHHHHH", 65535, 0, 0, 0, 0, 65535) * 8) * 16
    transparent = chunk(b"tRNS", struct.pack(">HHH", 65535, 0, 0))
    assert colours(png(16, 16, 16, 2, colour, transparent)) == {BACKGROUND, (0, 0, 255)}


def test_transparency_is_laid_on_the_background() -> None:
    assert colours(encoded(flat("RGBA", (255, 0, 0, 0)))) == {BACKGROUND}
    assert colours(encoded(flat("RGBA", (255, 0, 0, 255)))) == {(255, 0, 0)}
    (half,) = colours(encoded(flat("RGBA", (255, 0, 0, 128))))
    assert half == (255, 127, 127)
    assert colours(encoded(flat("LA", (0, 0)))) == {BACKGROUND}
    assert colours(encoded(flat("RGBA", (0, 0, 255, 0)), "WEBP", lossless=True, exact=True)) == {BACKGROUND}
    assert colours(encoded(flat("RGB", (9, 9, 9)), transparency=(9, 9, 9))) == {BACKGROUND}
    assert colours(encoded(flat("L", 9), transparency=9)) == {BACKGROUND}


def test_palettes_keep_their_colours_and_their_transparency() -> None:
    image = flat("P", 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert colours(encoded(image)) == {(10, 20, 30)}
    assert colours(encoded(image, transparency=1)) == {BACKGROUND}
    assert colours(encoded(image, transparency=bytes([255, 128]))) == {(132, 137, 142)}
    assert colours(encoded(flat("1", 1))) == {(255, 255, 255)}


def test_cmyk_is_not_inverted() -> None:
    for cmyk, expected in (
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
    ):
        (found,) = colours(encoded(flat("CMYK", cmyk), "JPEG", quality=100))
        assert all(abs(one - other) <= 3 for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied(format: str, orientation: int) -> None:
    image = Image.open(io.BytesIO(picture(5, (40, 24), "PNG")))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, format, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    found = decode_image(data, LIMITS)
    assert found.size == ((40, 24) if orientation < 5 else (24, 40))
    assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_imagemagicks_exif_in_text_is_applied() -> None:
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x0112, 3, 1, 6) + bytes(4)
    text = b"Raw profile type exif\0\nexif\n  %d\n%s\n" % (len(tiff), tiff.hex().encode())
    rows = (b"\0" + bytes(3) * 16) * 8
    assert decode_image(png(16, 8, 8, 2, rows, chunk(b"tEXt", text)), LIMITS).size == (8, 16)
    packed = b"Raw profile type exif\0\0" + zlib.compress(text[22:])
    assert decode_image(png(16, 8, 8, 2, rows, chunk(b"zTXt", packed)), LIMITS).size == (8, 16)


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"MM\0*" + tail))
def test_garbled_exif_turns_nothing_and_raises_nothing(data: bytes) -> None:
    assert 1 <= exif_orientation(data) <= 8


def test_a_bomb_is_refused_before_decoding() -> None:
    bomb = png(20_000, 20_000, 1, 0, b"")
    assert len(bomb) < 100
    assert rejected(bomb) == "image_too_large"
    assert rejected(png(16, 16, 8, 0, b"\0" * 272), ImageLimits(max_pixels=255)) == "image_too_large"
    webp = bytearray(encoded(flat("RGBA", (1, 2, 3, 4)), "WEBP", exif=b"Exif\0\0"))
    assert webp[12:16] == b"VP8X"
    webp[24:30] = b"\xff\x3f\x00" * 2
    assert rejected(bytes(webp)) == "image_too_large"


def test_more_pixels_than_pillows_own_limit_are_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    # Image.open would warn here, and raise from twice as many pixels on; WebP's plugin raises by itself.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for format in ("JPEG", "PNG"):
            assert decode_image(picture(1, (64, 64), format), LIMITS).size == (64, 64)
        assert rejected(picture(1, (64, 64), "WEBP")) == "image_too_large"
        assert decode_image(picture(1, (40, 40), "WEBP"), LIMITS).size == (40, 40)


def test_small_and_narrow_images_are_refused() -> None:
    assert rejected(picture(0, (7, 100))) == "image_too_small"
    assert rejected(picture(0, (161, 8))) == "image_aspect"
    assert decode_image(picture(0, (160, 8)), LIMITS).size == (160, 8)
    limits = ImageLimits.from_settings(Settings(min_side=50, max_aspect=2, max_pixels=10_000))
    assert rejected(picture(0, (49, 60)), limits) == "image_too_small"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_cut_image_is_never_filled_with_grey(format: str) -> None:
    data = encoded(Image.effect_noise((64, 64), 60).convert("RGB"), format)
    for length in range(12, len(data) - 2, max(1, len(data) // 40)):
        assert rejected(data[:length]) in ("image_truncated", "not_an_image", "image_corrupt")
    assert rejected(data[: len(data) // 2]) == "image_truncated"


def test_a_progressive_jpeg_cut_between_scans_is_truncated() -> None:
    data = encoded(Image.effect_noise((64, 64), 60).convert("RGB"), "JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 3
    for at in scans[1:]:
        assert rejected(data[:at]) == "image_truncated"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "image_empty"),
        (b"<html>no</html>", "not_an_image"),
        (b"\xff\xd8\xff", "image_truncated"),
        (b"\xff\xd8\xff\xd9", "image_corrupt"),
        (b"\xff\xd8\xff\xe0\0\x02\xff\xda" + bytes(50), "image_corrupt"),
        (b"\x89PNG\r\n\x1a\n", "image_truncated"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), "image_corrupt"),
        (b"RIFF\x04\0\0\0WEBP", "image_corrupt"),
        (b"RIFF\xff\xff\xff\x7fWEBPVP8X", "image_truncated"),
        (b"RIFF", "not_an_image"),
        (bytes(100), "not_an_image"),
        (png(0, 5, 8, 2, b""), "image_corrupt"),
        (png(16, 16, 8, 2, b"\0" * 10), "image_truncated"),
        (png(16, 16, 5, 2, b"\0" * 10), "image_corrupt"),
    ],
)
def test_what_is_no_image_says_why(data: bytes, reason: str) -> None:
    assert rejected(data) == reason


def test_a_flipped_bit_in_a_png_is_seen() -> None:
    data = picture(1, format="PNG")
    for position in (20, len(data) // 2, len(data) - 14):
        assert rejected(flip(data, position)) in ("image_corrupt", "image_truncated")


def test_animations_are_refused_and_single_frames_taken() -> None:
    frames = [flat("RGB", (number * 90, 0, 0)) for number in range(3)]
    for format in ("PNG", "WEBP"):
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
        assert rejected(data) == "image_animated"
    single = encoded(frames[0], "WEBP", save_all=True, append_images=[])
    assert decode_image(single, LIMITS).size == (16, 16)
    rows = (b"\0" + bytes(3) * 16) * 16
    for count in (0, 1, 1 << 31 | 1):
        assert decode_image(png(16, 16, 8, 2, rows, chunk(b"acTL", struct.pack(">II", count, 0))), LIMITS)


def test_the_name_decides_nothing_the_content_does() -> None:
    for format in ("GIF", "BMP", "TIFF", "PPM"):
        assert rejected(encoded(flat("RGB", (1, 2, 3)), format)) == "not_an_image"


def test_metadata_never_reaches_the_decoder() -> None:
    data = encoded(flat("RGB", (1, 2, 3)), "JPEG", exif=b"Exif\0\0II*\0" + b"\xff" * 50, comment=b"c" * 500)
    assert b"Exif" not in read_header(data).data
    bomb = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50 << 20)))
    rows = (b"\0" + bytes(3) * 16) * 16
    assert colours(png(16, 16, 8, 2, rows, bomb)) == {(0, 0, 0)}


def test_threads_decode_side_by_side_without_touching_global_state() -> None:
    good, bad = picture(2, (64, 64)), picture(2, (64, 64))[:-400]
    state = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    outcomes: list[str] = []

    def work() -> None:
        for _ in range(30):
            outcomes.append(str(decode_image(good, LIMITS).size))
            outcomes.append(rejected(bad))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {kind: outcomes.count(kind) for kind in set(outcomes)} == {"(64, 64)": 240, "image_truncated": 240}
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == state


SEEDS = [picture(1, format=format) for format in ("JPEG", "PNG", "WEBP")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.integers(0, 2000), st.binary(min_size=1, max_size=12))
def test_garbage_is_an_image_or_a_reject_and_nothing_else(data: bytes, position: int, garbage: bytes) -> None:
    position %= len(data)
    changed = data[:position] + garbage + data[position + len(garbage) :]
    try:
        assert decode_image(changed, ImageLimits(max_pixels=1_000_000)).mode == "RGB"
    except ImageRejected as error:
        assert error.reason in REJECT_REASONS  # noqa: PT017 - most garbage still decodes


#: What becomes of every file of the real collection of hostile images: a size in pixels, or a reason.
NASTY: dict[str, tuple[int, int] | str] = {
    "apng_mode_16bit.png": "image_animated",
    "apng_syntax_num_frames_invalid.png": (128, 64),
    "bomb_1bit_40000x40000.png": "image_too_large",
    "broken.png": "image_corrupt",
    "broken_exif_dpi.jpg": (100, 100),
    "empty.jpg": "image_empty",
    "exif_imagemagick_orientation.png": (512, 512),
    "exif_typeerror.jpg": (800, 531),
    "flat_black_512.png": (512, 512),
    "flower.webp": (480, 360),
    "hopper_orientation_5.webp": (128, 128),
    "hopper_orientation_6.jpg": (128, 128),
    "i_trns.png": (64, 64),
    "invalid-exif.jpg": (200, 200),
    "jpeg_ff00_header.jpg": (300, 225),
    "l_trns.png": (64, 64),
    "one_pixel.png": "image_too_small",
    "orientation_rectangle.jpg": "image_too_small",
    "padded_idat.png": "image_aspect",
    "photo_animated.webp": "image_animated",
    "photo_cmyk.jpg": (384, 348),
    "photo_cut_90.jpg": "image_truncated",
    "photo_rgba.png": (192, 128),
    "photo_trailing_garbage.jpg": (384, 264),
    "photo_zeroed_block.jpg": (384, 311),
    "pil_sample_cmyk.jpg": (100, 100),
    "png_named_jpg.jpg": (384, 256),
    "strip_12000x2.png": "image_too_small",
    "transparent.webp": (200, 150),
    "truncated_end_chunk.png": "image_truncated",
    "truncated_exif_dpi.jpg": (480, 640),
    "truncated_jpeg.jpg": "image_truncated",
}


def test_the_hostile_images_of_the_real_collection_end_as_declared(real_data: Path) -> None:
    folder = real_data / "nasty-images"
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 47
    for row in rows:
        path = folder / row["file"]
        # All others are GIF, BMP, TIFF, PGM, JSON or damaged beyond their first bytes.
        expected = NASTY.get(path.name, "not_an_image")
        if isinstance(expected, str):
            assert rejected(path.read_bytes()) == expected, path.name
            continue
        found = decode_image(path.read_bytes(), LIMITS)
        assert (found.mode, found.size) == ("RGB", expected), path.name


def test_the_upright_pixels_of_real_files_are_pillows(real_data: Path) -> None:
    folder = real_data / "nasty-images" / "files"
    for name in ("hopper_orientation_5.webp", "hopper_orientation_6.jpg", "exif_imagemagick_orientation.png"):
        with Image.open(folder / name) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        assert np.array_equal(np.asarray(decode_image((folder / name).read_bytes(), LIMITS)), expected), name
    for name in ("photo_cmyk.jpg", "flower.webp", "photo_trailing_garbage.jpg", "jpeg_ff00_header.jpg"):
        with Image.open(folder / name) as image:
            expected = np.asarray(image.convert("RGB"))
        assert np.array_equal(np.asarray(decode_image((folder / name).read_bytes(), LIMITS)), expected), name
