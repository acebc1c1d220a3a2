"""The samples of a hand-off, as training reads them: proven, shard by shard, in the hand-off's own order.

A shard's tar is read only after its bytes were found to be those that the manifest pins. Leaves out: what is computed
of images and texts (features.py), and the order in which batches read them (epoch.py).
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from PIL import Image

from core.errors import CheckFailedError, NothingToReadError
from core.spec import content_hash
from shards.handoff import Handoff, HandoffShard, load
from shards.handoff_place import Place
from shards.handoff_read import Split, Wanted, open_shard, shards_to_read
from shards.images import ImageLimits, decode_image
from shards.index import read_members
from shards.records import Record, read_records

#: The hand-off's images were decoded before they were captioned: no limit is asked again.
_LIMITS = ImageLimits(max_pixels=1 << 40, min_side=1, max_aspect=float(1 << 20))


def decoded(data: bytes) -> Image.Image:
    """The upright RGB image of a file."""
    return decode_image(data, _LIMITS)


@dataclass(frozen=True, slots=True)
class Part:
    """One shard: `records` are its samples of the hand-off, in order; `digest` names shard and choice of samples."""

    number: int
    shard: HandoffShard
    wanted: Wanted
    records: tuple[Record, ...]

    @property
    def digest(self) -> str:
        """A hash of the tar's bytes and the keys that are read of it: what a cache of its features is named by."""
        return content_hash([self.shard.sha256, [record.key for record in self.records]])


class Source:
    """A hand-off opened for training. `digest`: first digits that its digest must have.

    Raises NoSuchPathError, BadFieldError, CheckFailedError where a byte has changed, NothingToReadError.
    """

    def __init__(self, location: str, split: Split = "train", digest: str | None = None) -> None:
        self.place = Place(location)
        self.handoff: Handoff = load(self.place.read())
        self._prove(location, digest)
        chosen = shards_to_read(self.handoff, self.place, split)
        parts = (
            Part(number, shard, wanted, self._records(shard, wanted)) for number, (shard, wanted) in enumerate(chosen)
        )
        self.parts = [part for part in parts if part.records]
        if not self.parts:
            raise NothingToReadError(
                f"The hand-off {location} holds no sample of the split {split}.",
                hint="Set data.split to all, or hand off more shards.",
            )

    def _prove(self, location: str, digest: str | None) -> None:
        found = self.handoff.content_digest()
        if found != self.handoff.digest:
            raise CheckFailedError(
                f"{location} is not what its name says: its content has changed.", hint="Fetch the hand-off again."
            )
        if digest is not None and not found.startswith(digest):
            raise CheckFailedError(
                f"{location} is another hand-off than the recipe's: its digest begins with {found[:16]}, not {digest}.",
                hint="Name the hand-off of the recipe, or take data.digest out of it.",
            )

    def _records(self, shard: HandoffShard, wanted: Wanted) -> tuple[Record, ...]:
        store, key = self.place.file(shard.records.path)
        data = store.read_bytes(key)
        if sha256(data).hexdigest() != shard.records.sha256:
            raise CheckFailedError(
                f"{shard.records.path} is not what the hand-off names: its bytes have changed.",
                hint="`densify verify` says what else has.",
            )
        return tuple(record for record in read_records(data) if record.is_captioned and wanted(record.key))

    @property
    def samples(self) -> list[Record]:
        """All samples, in the order of the hand-off."""
        return [record for part in self.parts for record in part.records]

    def some(self, count: int, seed: int) -> Source:
        """The same hand-off with `count` of these samples, the same ones for a seed; all where there are no more."""
        ranked = (
            (content_hash([seed, part.shard.sha256, record.key]), place, record.ordinal)
            for place, part in enumerate(self.parts)
            for record in part.records
        )
        chosen = {(place, ordinal) for _, place, ordinal in heapq.nsmallest(count, ranked)}
        made = copy.copy(self)
        made.parts = [
            replace(part, records=records)
            for place, part in enumerate(self.parts)
            if (records := tuple(record for record in part.records if (place, record.ordinal) in chosen))
        ]
        return made

    def only(self, places: Collection[int]) -> Source:
        """The same hand-off with the samples at these places alone, counted from 0 in the order of `samples`."""
        wanted, first = set(places), 0
        made = copy.copy(self)
        made.parts = []
        for part in self.parts:
            records = tuple(record for at, record in enumerate(part.records, first) if at in wanted)
            first += len(part.records)
            if records:
                made.parts.append(replace(part, records=records))
        return made

    def images(self, part: Part) -> Iterator[tuple[Record, bytes]]:
        """(record, bytes of its image) of every sample of a shard, in order; `decoded` makes an image of them.

        Raises CheckFailedError where the tar is not what the hand-off pins.
        """
        for record, data in self._members(part, "image"):
            assert data is not None, "a captioned sample has an image"
            yield record, data

    def fields(self, part: Part) -> Iterator[tuple[Record, bytes | None]]:
        """(record, bytes of its `.json`) of every sample of a shard, in order. Raises CheckFailedError."""
        return self._members(part, "json")

    def _members(self, part: Part, kind: str) -> Iterator[tuple[Record, bytes | None]]:
        records = {record.key: record for record in part.records}
        with open_shard(part.shard, self.place, part.wanted) as (read, units):
            wanted = (unit for unit in units if unit.key in records)
            for unit, members in read_members(read, wanted, (kind,)):
                yield records[unit.key], members.get(kind)
