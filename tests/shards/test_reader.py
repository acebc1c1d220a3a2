"""From members to units: every member ends in a sample or in a reject with its reason."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ShardEmptyError, ShardTruncatedError
from shards.reader import Unit, read_units
from shards.tar import TarLimits
from tests.shards.make_shards import LIMITS, samples, shard_bytes, special, tar_bytes


def units(data: bytes, limits: TarLimits = LIMITS) -> list[Unit]:
    return list(read_units(io.BytesIO(data), len(data), limits))


def tar(*names: str) -> bytes:
    return tar_bytes([(name, name.encode()) for name in names])


def outcome(found: list[Unit]) -> list[tuple[str, str | None]]:
    return [(unit.key, unit.reject.reason if unit.reject else None) for unit in found]


def test_neighbours_of_one_key_are_a_sample() -> None:
    found = units(shard_bytes(samples(3)))
    assert outcome(found) == [("000000", None), ("000001", None), ("000002", None)]
    assert [unit.ordinal for unit in found] == [0, 1, 2]
    for unit in found:
        assert unit.image is not None
        assert (unit.image.extension, unit.image.name) == ("jpg", f"{unit.key}.jpg")
        assert unit.text is not None
        assert unit.json is not None


def test_an_image_without_text_is_legal() -> None:
    (unit,) = units(tar("a.png"))
    assert unit.reject is None
    assert unit.text is None
    assert unit.json is None


def test_text_without_an_image_is_a_reject_that_names_the_members() -> None:
    (unit,) = units(tar("a.txt", "a.json"))
    assert unit.reject is not None
    assert unit.reject.reason == "no_image"
    assert "'a.txt', 'a.json'" in unit.reject.sentence


def test_a_dotted_image_name_is_explained() -> None:
    (unit,) = units(tar("img.v2.jpg"))
    assert unit.reject is not None
    assert unit.reject.reason == "no_image"
    assert "first dot" in unit.reject.sentence


def test_interleaved_keys_are_rejected_and_both_members_named() -> None:
    found = units(tar("0.jpg", "1.jpg", "0.json", "1.json"))
    assert outcome(found) == [(key, "keys_not_adjacent") for key in ("0", "1", "0", "1")]
    for unit in found:
        assert unit.reject is not None
        assert f"'{unit.key}.jpg'" in unit.reject.sentence
        assert f"'{unit.key}.json'" in unit.reject.sentence


def test_only_the_keys_that_are_apart_are_rejected() -> None:
    found = units(tar("a.jpg", "b.jpg", "a.txt", "c.jpg"))
    assert outcome(found) == [
        ("a", "keys_not_adjacent"),
        ("b", None),
        ("a", "keys_not_adjacent"),
        ("c", None),
    ]


@pytest.mark.parametrize("names", [("u.JPG", "u.jpg"), ("u.jpg", "u.jpg"), ("u.jpg", "u.txt", "u.TXT")])
def test_a_doubled_member_rejects_the_sample_and_says_which(names: tuple[str, ...]) -> None:
    (unit,) = units(tar(*names))
    assert unit.reject is not None
    assert unit.reject.reason == "duplicate_member"
    assert f"'{names[-1]}'" in unit.reject.sentence


def test_two_images_are_rejected() -> None:
    assert outcome(units(tar("a.jpg", "a.png"))) == [("a", "two_images")]
    assert outcome(units(tar("a.jpg", "a.seg.png"))) == [("a", None)]


def test_a_member_over_the_limit_rejects_its_sample() -> None:
    data = tar_bytes([("a.jpg", bytes(101)), ("b.jpg", bytes(100))])
    assert outcome(units(data, TarLimits(max_member_bytes=100))) == [("a", "member_too_large"), ("b", None)]


def test_links_devices_and_bad_names_are_rejects_of_their_own_and_part_no_sample() -> None:
    data = tar_bytes(
        [
            special("folder", tarfile.DIRTYPE),
            ("a.jpg", b"1"),
            special("a.json", tarfile.SYMTYPE, "/etc/passwd"),
            ("../a.txt", b"2"),
            ("noextension", b"3"),
            ("a.txt", b"4"),
            special("dev.jpg", tarfile.BLKTYPE),
            special("hard.jpg", tarfile.LNKTYPE, "a.jpg"),
            ("b.jpg", b"5"),
        ]
    )
    found = units(data)
    assert outcome(found) == [
        ("a", None),
        ("a.json", "link_member"),
        ("../a.txt", "unsafe_name"),
        ("noextension", "bad_name"),
        ("dev.jpg", "special_member"),
        ("hard.jpg", "link_member"),
        ("b", None),
    ]
    assert [ref.name for ref in found[0].members] == ["a.jpg", "a.txt"]


def test_a_name_that_is_not_utf8_is_a_reject_with_a_writable_key() -> None:
    data = tar_bytes([("\udcff\udcfe.jpg", b"1"), ("a.jpg", b"2")])
    found = units(data)
    assert outcome(found) == [("\\udcff\\udcfe.jpg", "unsafe_name"), ("a", None)]


def test_a_tar_of_folders_only_is_empty() -> None:
    with pytest.raises(ShardEmptyError):
        units(tar_bytes([special("folder", tarfile.DIRTYPE)]))


def test_damage_at_the_end_yields_no_unit_at_all() -> None:
    data = shard_bytes(samples(3))
    stream = read_units(io.BytesIO(data[:-1024]), len(data) - 1024, LIMITS)
    with pytest.raises(ShardTruncatedError):
        next(stream)


NAMES = st.sampled_from(
    ["a.jpg", "a.txt", "a.JPG", "b.jpg", "b.png", "b.json", "c", "../d.jpg", "a.pkl", ".e", "f.jpg"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=12))
def test_every_member_is_in_exactly_one_unit(names: list[str]) -> None:
    found = units(tar(*names))
    assert [unit.ordinal for unit in found] == list(range(len(found)))
    lone = [unit.key for unit in found if not unit.members]
    held = [ref.name for unit in found for ref in unit.members]
    assert sorted(lone + held) == sorted(names)
    whole = [unit.key for unit in found if unit.reject is None]
    assert len(whole) == len(set(whole))
    assert not set(whole) & {unit.key for unit in found if unit.reject is not None and unit.members}
