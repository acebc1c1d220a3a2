"""Densify and webdataset agree on every good shard, source or captioned; and where they differ it is on purpose."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import webdataset as wds

from core.errors import ShardError
from shards.index import build_index, read_all_members
from shards.store import open_store
from shards.writer import write_shard
from tests.shards.caption_shards import built
from tests.shards.make_shards import (
    LIMITS,
    flip,
    openstax_shards,
    picture,
    samples,
    shard_bytes,
    special,
    tar_bytes,
    walk,
)

# webdataset leaves the shards that it has read to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture(autouse=True)
def no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wds.utils, "enforce_security", True)


def by_webdataset(path: Path) -> list[tuple[str, dict[str, bytes]]]:
    dataset = wds.WebDataset(str(path), shardshuffle=False, handler=wds.handlers.reraise_exception, empty_check=False)
    return [
        (sample["__key__"], {name: data for name, data in sample.items() if not name.startswith("__")})
        for sample in dataset
    ]


def by_us(path: Path) -> list[tuple[str, dict[str, bytes]]]:
    with path.open("rb") as file:
        index = build_index(file, path.stat().st_size, LIMITS)

        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        units = index.slice(0, index.units)
        assert index.rejected == 0
        return [(unit.key, data) for unit, data in read_all_members(read, units)]


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    return path


def test_both_read_the_same_samples_from_what_the_writer_wrote(tmp_path: Path) -> None:
    content: list[tuple[str, dict[str, bytes]]] = [
        *samples(3),
        ("folder.v1/deep/a", {"jpg": picture(9), "seg.png": b"mask", "cls": b"3"}),
        ("사진/고양이", {"webp": picture(8, format="WEBP"), "txt": "고양이".encode()}),
        ("n" * 300, {"png": picture(7, format="PNG")}),
    ]
    path = tmp_path / "x.tar"
    write_shard(path, content)
    assert by_us(path) == content
    assert by_webdataset(path) == content


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_both_read_the_same_samples_from_other_writers(tmp_path: Path, format: int) -> None:
    names = ["a.JPG", "a.txt", "d/" * 30 + "b.jpg", "c.v1.txt", "c.jpg", "C.jpg"]
    data = tar_bytes([special("d", tarfile.DIRTYPE), *((name, name.encode()) for name in names)], format)
    path = written(tmp_path, data)
    assert by_us(path) == by_webdataset(path)
    assert [key for key, _ in by_us(path)] == ["a", "d/" * 30 + "b", "c", "C"]


def test_both_read_what_webdatasets_own_writer_wrote(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with path.open("wb") as file, wds.TarWriter(file) as writer:
        for key, held in samples(4):
            writer.write({"__key__": key, **held})
    assert by_us(path) == by_webdataset(path)
    assert dict(by_us(path)) == dict(samples(4))


def test_a_captioned_shard_is_a_webdataset(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "data"))
    content = [*samples(3), ("k", {"png": picture(4, format="PNG"), "pkl": b"never", "cls": b"3"})]
    manifest, path = built(store, shard_bytes(content))
    found = by_webdataset(path.with_suffix(".tar"))
    assert found == by_us(path.with_suffix(".tar"))
    assert [key for key, _ in found] == [key for key, _ in content]
    assert len(found) == manifest.captioned
    for (_, held), (_, source) in zip(found, content, strict=True):
        image = next(name for name in ("jpg", "png") if name in source)
        assert held[image] == source[image]
        assert held["txt"].startswith(b"A gradient")
        assert json.loads(held["json"])["densify"]["model"] == "tests/model"
        assert "pkl" not in held
    decoded: list[Any] = list(
        wds.WebDataset(str(path.with_suffix(".tar")), shardshuffle=False, empty_check=False).decode("pil")
    )
    assert [sample["txt"][:10] for sample in decoded] == ["A gradient"] * 4


def test_an_empty_captioned_shard_reads_as_no_sample(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "data"))
    _, path = built(store, tar_bytes([("a.txt", b"x")]))
    assert by_webdataset(path.with_suffix(".tar")) == []


def test_real_pictures_read_alike(tmp_path: Path, real_data: Path) -> None:
    for path in openstax_shards(real_data, tmp_path, shards=2, limit=30):
        found = by_us(path)
        assert found == by_webdataset(path)
        assert len(found) == 15
    good = real_data / "nasty-images" / "tars" / "good_6.tar"
    assert by_us(good) == by_webdataset(good)


def test_where_webdataset_is_silent_we_are_not(tmp_path: Path) -> None:
    data = shard_bytes(samples(4))
    third = next(member.header_offset for member in walk(data) if member.name == "000002.jpg")
    for damaged in (data[:third], data[: third + 100], flip(data, third + 20)):
        path = written(tmp_path, damaged)
        assert [key for key, _ in by_webdataset(path)] == ["000000", "000001"]
        with pytest.raises(ShardError):
            by_us(path)
