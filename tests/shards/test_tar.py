"""The strict tar parser: what tarfile passes over in silence has a name, a place and a count here."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import (
    ShardCorruptError,
    ShardEmptyError,
    ShardError,
    ShardLimitError,
    ShardTruncatedError,
    UnsupportedFormatError,
)
from shards.headers import BLOCK, BadHeaderError, parse_pax
from shards.tar import TarLimits, members
from shards.writer import member_header
from tests.shards.make_shards import flip, samples, shard_bytes, special, tar_bytes, walk, zeroed

TEN = [(f"{number:04d}.jpg", bytes([number + 1]) * (300 + 400 * number)) for number in range(10)]
GOOD = tar_bytes(TEN)
STARTS = [member.header_offset for member in walk(GOOD)]


def _damage(error: ShardError) -> tuple[int, int]:
    return error.details["offset"], error.details["members"]


def test_a_good_tar_is_walked_byte_for_byte() -> None:
    found = walk(GOOD)
    assert [(member.name, GOOD[member.data_offset :][: member.size]) for member in found] == TEN
    assert [member.next_offset for member in found[:-1]] == [member.header_offset for member in found[1:]]


@pytest.mark.parametrize("number", range(1, 10))
def test_a_cut_between_members_is_seen(number: int) -> None:
    with pytest.raises(ShardTruncatedError) as caught:
        walk(GOOD[: STARTS[number]])
    assert _damage(caught.value) == (STARTS[number], number)
    assert caught.value.details["last_members"] == [name for name, _ in TEN[:number]]


@pytest.mark.parametrize("number", range(10))
def test_a_cut_inside_a_header_is_seen(number: int) -> None:
    with pytest.raises(ShardTruncatedError) as caught:
        walk(GOOD[: STARTS[number] + 200])
    assert _damage(caught.value) == (STARTS[number], number)


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("inside", [0, 1, 299])
def test_a_cut_inside_data_is_seen(number: int, inside: int) -> None:
    with pytest.raises(ShardTruncatedError) as caught:
        walk(GOOD[: STARTS[number] + BLOCK + inside])
    assert _damage(caught.value) == (STARTS[number], number)


@pytest.mark.parametrize("number", range(10))
def test_a_flipped_header_bit_is_damage_at_that_byte(number: int) -> None:
    for position in (0, 5, 130, 150, 156, 300, 511):
        with pytest.raises(ShardCorruptError) as caught:
            walk(flip(GOOD, STARTS[number] + position, 1))
        assert _damage(caught.value) == (STARTS[number], number)


@pytest.mark.parametrize("number", range(10))
def test_a_zeroed_header_is_damage_at_that_byte(number: int) -> None:
    with pytest.raises(ShardCorruptError) as caught:
        walk(zeroed(GOOD, STARTS[number]))
    assert _damage(caught.value) == (STARTS[number], number)


@pytest.mark.parametrize("blocks", [0, 1])
def test_missing_end_blocks_are_seen(blocks: int) -> None:
    end = walk(GOOD)[-1].next_offset
    with pytest.raises(ShardTruncatedError) as caught:
        walk(GOOD[: end + blocks * BLOCK])
    assert _damage(caught.value) == (end, 10)
    assert len(walk(GOOD[: end + 2 * BLOCK])) == 10


def test_bytes_after_the_end_are_seen() -> None:
    with pytest.raises(ShardCorruptError, match="bytes follow"):
        walk(GOOD + b"x")
    with pytest.raises(ShardCorruptError, match="bytes follow"):
        walk(GOOD + GOOD)
    assert len(walk(GOOD + bytes(100_001))) == 10


@pytest.mark.parametrize("data", [b"", bytes(1), bytes(600), bytes(1024), bytes(10_240), tar_bytes([])])
def test_nothing_but_zeros_is_an_empty_shard(data: bytes) -> None:
    with pytest.raises(ShardEmptyError):
        walk(data)


def _zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr("a.jpg", b"x")
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (gzip.compress(GOOD), "gzip"),
        (lzma.compress(GOOD), "xz"),
        (_zipped(), "zip"),
        (b"<!DOCTYPE html><html><body>404 not found</body></html>", "HTML"),
        (b"\n<html>" + b" " * 2000, "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"just words, no header at all. " * 100, "does not begin"),
        (b'{"error": 1}', "JSON"),
    ],
)
def test_what_is_not_a_plain_tar_is_named(data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=named):
        walk(data)


def test_a_member_may_be_called_like_another_format() -> None:
    assert walk(tar_bytes([("PK\x03\x04.jpg", b"x"), ("BZh.jpg", b"y")]))[1].name == "BZh.jpg"


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_dialect_gives_the_names_that_tarfile_gives(format: int) -> None:
    names = ["a.jpg", "f/" * 40 + "b.jpg", "folder/" + "n" * 90 + ".jpg"]
    if format != tarfile.USTAR_FORMAT:
        names += ["n" * 300 + ".jpg", "사진/고양이.jpg", "f/" * 200 + "c.jpg"]
    data = tar_bytes([(name, name.encode()) for name in names], format)
    assert [member.name for member in walk(data)] == names
    assert all(data[m.data_offset :][: m.size] == m.name.encode() for m in walk(data))


def test_special_members_are_told_from_files() -> None:
    data = tar_bytes(
        [
            special("folder", tarfile.DIRTYPE),
            special("soft.jpg", tarfile.SYMTYPE, "/etc/passwd"),
            special("hard.jpg", tarfile.LNKTYPE, "a.jpg"),
            special("pipe", tarfile.FIFOTYPE),
            special("device", tarfile.CHRTYPE),
            ("a.jpg", b"data"),
        ]
    )
    assert [m.kind for m in walk(data)] == ["directory", "link", "link", "special", "special", "file"]


def test_a_sparse_member_is_special_in_both_dialects() -> None:
    info = tarfile.TarInfo("s.jpg")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "real.jpg"}
    found = walk(tar_bytes([(info, b"1\n0\n5\n"), ("a.jpg", b"x")], tarfile.PAX_FORMAT))
    assert [(m.name, m.kind) for m in found] == [("real.jpg", "special"), ("a.jpg", "file")]
    old = bytearray(member_header("s.jpg", 3))
    old[156:157] = b"S"
    old[482] = 1
    old[148:156] = b"%06o\0 " % (sum(old) - sum(old[148:156]) + 256)
    extended = bytes(BLOCK)
    data = bytes(old) + extended + b"abc".ljust(BLOCK, b"\0") + tar_bytes([("a.jpg", b"x")])
    assert [(m.name, m.kind) for m in walk(data)] == [("s.jpg", "special"), ("a.jpg", "file")]


def _with_size(field: bytes) -> bytes:
    block = bytearray(member_header("a.jpg", 0))
    block[124:136] = field.ljust(12, b"\0")[:12]
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 256)
    return bytes(block) + bytes(1024)


@pytest.mark.parametrize("field", [b"\xff" * 12, b"-0000000010", b"0o17", b"1_0", b"99999999999", b"+1"])
def test_a_negative_or_garbled_size_is_damage(field: bytes) -> None:
    with pytest.raises(ShardCorruptError):
        walk(_with_size(field))


@pytest.mark.parametrize("field", [b"77777777777", b"\x80" + b"\x7f" * 11])
def test_a_huge_size_is_a_cut_tar_and_costs_no_memory(field: bytes) -> None:
    with pytest.raises(ShardTruncatedError):
        walk(_with_size(field))


def test_a_base_256_size_is_read() -> None:
    data = _with_size(b"\x80" + (5).to_bytes(11, "big"))
    assert walk(data[:BLOCK] + b"hello".ljust(BLOCK, b"\0") + bytes(1024))[0].size == 5


def test_limits_are_named() -> None:
    with pytest.raises(ShardLimitError, match="members"):
        walk(GOOD, TarLimits(max_members=9))
    assert len(walk(GOOD, TarLimits(max_members=10))) == 10
    with pytest.raises(ShardLimitError, match="MAX_SHARD_BYTES"):
        walk(GOOD, TarLimits(max_shard_bytes=100))


def test_endless_name_headers_are_refused() -> None:
    name = member_header("././@LongLink", 10)[:156] + b"L" + member_header("././@LongLink", 10)[157:]
    block = bytearray(name)
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 256)
    with pytest.raises(ShardCorruptError, match="more than"):
        walk((bytes(block) + b"n" * 9 + bytes(503)) * 1000)


@pytest.mark.parametrize("data", [b"9 path=a\n", b"path=a\n", b"0 \n", b"-5 a=b\n", b"8 path\n\n", b"99 path=a\n"])
def test_a_garbled_pax_record_is_damage(data: bytes) -> None:
    if data == b"9 path=a\n":
        assert parse_pax(data) == {"path": b"a"}
        return
    with pytest.raises(BadHeaderError):
        parse_pax(data)


SMALL = shard_bytes(samples(2)) + b""
SMALL_MEMBERS = walk(SMALL)
PAX = tar_bytes([("n" * 120 + ".jpg", b"data"), ("사진.txt", b"text")], tarfile.PAX_FORMAT)
PAX_MEMBERS = walk(PAX)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SMALL_MEMBERS), st.integers(0, BLOCK - 1), st.integers(1, 255))
def test_any_changed_header_byte_is_noticed_or_changes_nothing(member: object, position: int, change: int) -> None:
    assert isinstance(member, tuple)
    at = member[2] + position
    changed = SMALL[:at] + bytes([SMALL[at] ^ change]) + SMALL[at + 1 :]
    try:
        found = walk(changed)
    except ShardError:
        return
    assert found == SMALL_MEMBERS


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(0, len(PAX) - 1))
def test_garbage_anywhere_is_an_error_of_the_tree_or_a_walk_that_ends(garbage: bytes, position: int) -> None:
    changed = PAX[:position] + garbage + PAX[position + len(garbage) :]
    try:
        found = walk(changed)
    except ShardError:
        return
    assert all(m.next_offset <= len(changed) for m in found)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(SMALL)))
def test_no_cut_whatever_passes_as_a_whole_shard(length: int) -> None:
    end = SMALL_MEMBERS[-1].next_offset + 2 * BLOCK
    if length < end:
        with pytest.raises(ShardError):
            walk(SMALL[:length])


def test_data_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "large.tar"
    size = 3 << 30
    with path.open("wb") as file:
        file.write(member_header("a.jpg", size))
        file.truncate(BLOCK + size + 1024)
    read = 0

    class Counting(io.FileIO):
        def read(self, length: int | None = -1) -> bytes:
            nonlocal read
            data = super().read(length)
            read += len(data or b"")
            return data or b""

    with Counting(path) as counting:
        found = list(members(counting, path.stat().st_size, TarLimits()))
    assert (len(found), found[0].size) == (1, size)
    assert read < 10_000


def test_the_tars_of_the_real_collection_give_what_is_known_of_them(real_data: Path) -> None:
    expected: dict[str, int | type[ShardError]] = {
        "cut_mid_member": ShardTruncatedError,
        "empty": ShardEmptyError,
        "good_6": 18,
        "missing_caption": 11,
        "mixed_bad_images": 10,
        "no_images": 2,
        "not_a_tar": UnsupportedFormatError,
    }
    folder = real_data / "nasty-images" / "tars"
    assert {path.stem for path in folder.glob("*.tar")} == set(expected)
    for name, outcome in expected.items():
        data = (folder / f"{name}.tar").read_bytes()
        if isinstance(outcome, int):
            assert len(walk(data)) == outcome
        else:
            with pytest.raises(outcome):
                walk(data)
