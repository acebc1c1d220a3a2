"""From members to units: neighbouring members of one key are a sample; what cannot be one is a reject with its reason.

A *unit* is one sample or one structural reject, in tar order, with an ordinal from 0. Links, devices and unusable names
are rejects of that member alone and do not part a sample's members; folders carry no data and are passed over.
Leaves out: data (shards/index.py reads it by offset) and whether an image decodes (shards/images.py).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

from core.errors import ShardEmptyError
from core.reasons import Reject
from shards.names import IMAGE_EXTENSIONS, NameRejected, show, split_member
from shards.tar import Member, TarLimits, members


class MemberRef(NamedTuple):
    """One member of a sample: extension in lower case, full name, where its data lies (bytes)."""

    extension: str
    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Unit:
    """A sample, or (with `reject`) what could not be one. A lone member's `key` is its name."""

    ordinal: int
    key: str
    reject: Reject | None
    members: tuple[MemberRef, ...]

    @property
    def image(self) -> MemberRef | None:
        return next((member for member in self.members if member.extension in IMAGE_EXTENSIONS), None)

    @property
    def text(self) -> MemberRef | None:
        return self._member("txt")

    @property
    def json(self) -> MemberRef | None:
        return self._member("json")

    def _member(self, extension: str) -> MemberRef | None:
        return next((member for member in self.members if member.extension == extension), None)


class _Found(NamedTuple):
    """A unit before its ordinal is known and before other units of the same key are."""

    key: str
    reject: Reject | None
    members: tuple[MemberRef, ...]
    is_sample: bool


def read_units(file: IO[bytes] | io.RawIOBase, size: int, limits: TarLimits) -> Iterator[Unit]:
    """Yields the units of a tar of `size` bytes; the whole tar is walked before the first, data is never read.

    Raises the ShardError tree for damage (see shards/tar.py), and ShardEmptyError for a tar of folders only.
    """
    found = list(_group(members(file, size, limits), limits))
    if not found:
        raise ShardEmptyError("The shard is a tar without files.")
    apart = _keys_apart(found)
    for ordinal, unit in enumerate(found):
        reject = apart.get(ordinal, unit.reject)
        yield Unit(ordinal, unit.key, reject, unit.members)


def _group(stream: Iterable[Member], limits: TarLimits) -> Iterator[_Found]:
    key: str | None = None
    refs: list[MemberRef] = []
    aside: list[_Found] = []  # rejects of lone members met inside a sample: they follow it
    for member in stream:
        if member.kind == "directory":
            continue
        try:
            name_key, extension = split_member(member.name)
        except NameRejected as error:
            aside.append(_lone(member, error.reason, error.sentence))
            continue
        if member.kind != "file":
            aside.append(_lone(member, *_not_a_file(member)))
            continue
        if name_key != key:
            if key is not None:
                yield _sample(key, refs, limits)
            yield from aside
            key, refs, aside = name_key, [], []
        refs.append(MemberRef(sys.intern(extension), member.name, member.data_offset, member.size))
    if key is not None:
        yield _sample(key, refs, limits)
    yield from aside


def _not_a_file(member: Member) -> tuple[str, str]:
    if member.kind == "link":
        return "link_member", f"The member {show(member.name)} is a link; links are never followed."
    return "special_member", f"The member {show(member.name)} is no plain file (a device, a pipe, sparse or alike)."


def _lone(member: Member, reason: str, sentence: str) -> _Found:
    key = member.name.encode("utf-8", "backslashreplace").decode()
    return _Found(key, Reject(key, reason, sentence), (), is_sample=False)


def _sample(key: str, refs: list[MemberRef], limits: TarLimits) -> _Found:
    problem = _problem(refs, limits)
    reject = Reject(key, *problem) if problem else None
    return _Found(key, reject, tuple(refs), is_sample=True)


def _problem(refs: list[MemberRef], limits: TarLimits) -> tuple[str, str] | None:
    seen: dict[str, MemberRef] = {}
    for ref in refs:
        other = seen.setdefault(ref.extension, ref)
        if other is not ref:
            return "duplicate_member", f"{show(ref.name)} and {show(other.name)} are one key and one extension."
        if ref.size > limits.max_member_bytes:
            return "member_too_large", (
                f"{show(ref.name)} has {ref.size} bytes, over the limit of {limits.max_member_bytes} "
                "(DENSIFY_MAX_MEMBER_BYTES)."
            )
    images = [ref for ref in refs if ref.extension in IMAGE_EXTENSIONS]
    if len(images) > 1:
        return "two_images", f"{show(images[0].name)} and {show(images[1].name)} are two images of one sample."
    if not images:
        return "no_image", _no_image_sentence(refs)
    return None


def _no_image_sentence(refs: list[MemberRef]) -> str:
    names = ", ".join(show(ref.name) for ref in refs[:4])
    dotted = next((ref for ref in refs if ref.extension.rpartition(".")[2] in IMAGE_EXTENSIONS), None)
    if dotted:
        return f"{show(dotted.name)} counts as extension '{dotted.extension}': a key ends at the first dot of its name."
    return f"The sample has no jpg, jpeg, png or webp member, only {names}."


def _keys_apart(found: list[_Found]) -> dict[int, Reject]:
    """Rejects for every sample whose key stands in two places: which members belong together cannot be known."""
    first: dict[str, int] = {}
    apart: dict[int, Reject] = {}
    for ordinal, unit in enumerate(found):
        if not unit.is_sample:
            continue
        earlier = first.setdefault(unit.key, ordinal)
        if earlier == ordinal:
            continue
        one, other = found[earlier].members[0], unit.members[0]
        sentence = (
            f"{show(one.name)} (data at byte {one.offset}) and {show(other.name)} (data at byte {other.offset}) "
            f"share the key {show(unit.key)}, but other members stand between them."
        )
        for place in (earlier, ordinal):
            apart.setdefault(place, Reject(unit.key, "keys_not_adjacent", sentence))
    return apart
