"""Shards for tests: made pictures, real pictures, and tars that are wrong in one chosen way. Usable from every room."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from PIL import Image

from shards.headers import BLOCK
from shards.tar import Member, TarLimits, members
from shards.writer import ShardWriter, write_shard

LIMITS = TarLimits()


def picture(number: int = 0, size: tuple[int, int] = (32, 24), format: str = "JPEG") -> bytes:
    """A small picture, another one for every number."""
    image = Image.effect_noise(size, 40).convert("RGB") if number < 0 else _gradient(number, size)
    sink = io.BytesIO()
    image.save(sink, format)
    return sink.getvalue()


def _gradient(number: int, size: tuple[int, int]) -> Image.Image:
    ramp = Image.linear_gradient("L").resize(size)
    flat = Image.new("L", size, number * 37 % 256)
    return Image.merge("RGB", (ramp, flat, ramp.transpose(Image.Transpose.ROTATE_180)))


def samples(count: int, first: int = 0) -> Iterator[tuple[str, dict[str, bytes]]]:
    """`count` samples with image, text and json, keys 000000, 000001, …"""
    for number in range(first, first + count):
        yield (
            f"{number:06d}",
            {
                "jpg": picture(number),
                "txt": f"old text {number}".encode(),
                "json": json.dumps({"number": number}).encode(),
            },
        )


def shard_bytes(content: Iterable[tuple[str, Mapping[str, bytes]]]) -> bytes:
    """A good shard in memory."""
    sink = io.BytesIO()
    with ShardWriter(sink) as writer:
        for key, held in content:
            for extension, data in held.items():
                writer.add(f"{key}.{extension}", data)
    return sink.getvalue()


def tar_bytes(
    content: Iterable[tuple[str | tarfile.TarInfo, bytes]], format: int = tarfile.USTAR_FORMAT, encoding: str = "utf-8"
) -> bytes:
    """A tar by the standard library, with whatever members are asked for; it checks nothing."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=format, encoding=encoding, errors="surrogateescape") as tar:
        for name, data in content:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """A member that is no plain file: `kind` is one of tarfile's type flags."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info, b""


def walk(data: bytes, limits: TarLimits = LIMITS) -> list[Member]:
    """All members of a tar in memory, by the strict parser."""
    return list(members(io.BytesIO(data), len(data), limits))


def flip(data: bytes, position: int, bit: int = 0) -> bytes:
    """The same bytes with one bit turned over."""
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


def zeroed(data: bytes, position: int, length: int = BLOCK) -> bytes:
    """The same bytes with a run of zeros."""
    return data[:position] + bytes(length) + data[position + length :]


def small_shard(path: Path, count: int = 4, first: int = 0) -> Path:
    """A good shard of made pictures at `path`."""
    write_shard(path, samples(count, first))
    return path


def openstax_shards(real_data: Path, folder: Path, shards: int = 4, limit: int | None = None) -> list[Path]:
    """Packs the real pictures into `shards` shards: image, alt text as .txt, the other columns as .json.

    `limit`: at most so many pictures in all. Returns the paths, openstax-000.tar and so on.
    """
    source = real_data / "openstax-figures"
    rows = [json.loads(line) for line in (source / "captions.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = rows[:limit]
    paths = [folder / f"openstax-{number:03d}.tar" for number in range(shards)]
    for number, path in enumerate(paths):
        start, stop = (len(rows) * edge // shards for edge in (number, number + 1))
        write_shard(path, (_openstax_sample(source, row) for row in rows[start:stop]))
    return paths


def _openstax_sample(source: Path, row: dict[str, object]) -> tuple[str, dict[str, bytes]]:
    columns = {name: value for name, value in row.items() if name != "alt_text"}
    return str(row["id"]), {
        "jpg": (source / str(row["file"])).read_bytes(),
        "txt": str(row["alt_text"]).encode(),
        "json": json.dumps(columns, ensure_ascii=False).encode(),
    }
