"""The writer: the same bytes every time, readable by everyone, there whole or not at all."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadNameError, StorageError, StorageFullError
from shards.headers import BLOCK
from shards.names import NameRejected, split_member
from shards.writer import ShardWriter, member_header, write_shard
from tests.shards.make_shards import samples, shard_bytes, walk

LONG_NAMES = [
    "a.jpg",
    "n" * 96 + ".jpg",
    "n" * 97 + ".jpg",
    "f/" * 50 + "b.jpg",
    "f" * 155 + "/" + "n" * 96 + ".jpg",
    "f" * 156 + "/" + "n" * 96 + ".jpg",
    "n" * 300 + ".jpg",
    "사진/고양이.jpg",
    "e\u0301.jpg",
]


def write(content: list[tuple[str, bytes]]) -> bytes:
    sink = io.BytesIO()
    with ShardWriter(sink) as writer:
        for name, data in content:
            writer.add(name, data)
    return sink.getvalue()


def test_equal_members_give_equal_bytes() -> None:
    first, second = shard_bytes(samples(3)), shard_bytes(samples(3))
    assert first == second
    # The bytes themselves are a promise: editions are named by what goes in, not by what comes out.
    known = write([("a.jpg", b"image"), ("a.txt", b"text"), ("사진.jpg", b"x")])
    assert hashlib.sha256(known).hexdigest() == "c1d096301951fbf2d12e36d43afa25b36b688d16bed9181f9721dc7f63a79b15"


@pytest.mark.parametrize("name", LONG_NAMES)
def test_every_name_comes_back_from_every_reader(name: str, tmp_path: Path) -> None:
    data = write([(name, b"data"), ("z.txt", b"end")])
    assert [(m.name, m.size) for m in walk(data)] == [(name, 4), ("z.txt", 3)]
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        assert tar.getnames() == [name, "z.txt"]
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    listed = subprocess.run(["tar", "--quoting-style=literal", "-tf", path], capture_output=True, check=True)
    assert listed.stderr == b""
    assert listed.stdout.decode().splitlines() == [name, "z.txt"]


def test_short_names_cost_one_block() -> None:
    assert len(member_header("n" * 96 + ".jpg", 5)) == BLOCK
    assert len(member_header("f" * 155 + "/" + "n" * 96 + ".jpg", 5)) == BLOCK
    assert len(member_header("é.jpg", 5)) == 3 * BLOCK


def test_sizes_beyond_ustar_are_written() -> None:
    size = 9 << 30
    info = tarfile.TarInfo.frombuf(member_header("a.jpg", size)[-BLOCK:], "utf-8", "strict")
    assert info.size == 8**11 - 1
    assert f"size={size}\n".encode() in member_header("a.jpg", size)


def test_headers_tell_nothing_of_the_machine(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", samples(1))
    with tarfile.open(tmp_path / "a.tar") as tar:
        for info in tar:
            assert (info.uid, info.gid, info.mtime, info.mode, info.uname) == (0, 0, 0, 0o644, "")


def test_the_result_is_the_hash_and_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.tar"
    sha256, size = write_shard(path, samples(2))
    data = path.read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (sha256, size)
    assert list(path.parent.iterdir()) == [path]


MEMBERS = st.lists(
    st.tuples(st.text(min_size=1, max_size=150).map(lambda name: f"{name}.jpg"), st.binary(max_size=1500)),
    max_size=6,
    unique_by=lambda member: member[0],
)


@settings(max_examples=150, deadline=None)
@given(MEMBERS)
def test_what_is_written_is_read(content: list[tuple[str, bytes]]) -> None:
    taken: dict[str, tuple[str, bytes]] = {}
    for name, data in content:
        try:
            key, _ = split_member(name)
        except NameRejected:
            with pytest.raises(BadNameError):
                write([(name, data)])
        else:
            taken.setdefault(key, (name, data))
    if not taken:
        return
    packed = write(list(taken.values()))
    assert [(m.name, packed[m.data_offset :][: m.size]) for m in walk(packed)] == list(taken.values())


@pytest.mark.parametrize(
    "names",
    [("../a.jpg",), ("/a.jpg",), ("noextension",), ("a.jpg", "a.jpg"), ("a.jpg", "a.JPG"), ("a.jpg", "b.jpg", "a.txt")],
)
def test_what_the_reader_would_reject_is_not_written(names: tuple[str, ...]) -> None:
    with pytest.raises(BadNameError):
        write([(name, b"x") for name in names])


def test_an_error_half_way_leaves_the_old_shard_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write_shard(path, samples(1))
    before = path.read_bytes()

    def failing() -> object:
        yield from samples(1)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_shard(path, failing())  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_apart() -> None:
    # The kernel's own full disk.
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(StorageFullError),
        ShardWriter(full) as writer,
    ):
        writer.add("a.jpg", b"x")


def test_a_full_disk_at_the_end_leaves_the_old_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tar"
    write_shard(path, samples(1))
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFullError):
        write_shard(path, samples(2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        write_shard(tmp_path / "file" / "a.tar", samples(1))
